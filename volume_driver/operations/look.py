# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Sees all that there is of a volume; takes no lock, changes nothing.

Nothing that is read here can stop the reading: what is wrong with a file is
a fact like any other.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import time
import typing

from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import journal as journals
from volume_driver import names
from volume_driver.checking import facts as seen
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import header
from volume_driver.images import locks as image_locks
from volume_driver.images import record
from volume_driver.operations import context as contexts
from volume_driver.planning import plan

T = typing.TypeVar('T')

_Unseen = list[seen.Unseen]


def volumes_in(directory: str) -> list[str]:
    """Return the names of all volumes that have any file, sorted.

    Those, too, of which nothing but an overlay or a journal is left.
    """
    found = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name.partition('.')[0]
            if names.is_volume(name) and not entry.is_dir():
                found.add(name)
    return sorted(found)


def look(context: contexts.Context, target: hypervisor.Target) -> seen.Facts:
    """See all there is of a volume."""
    directory, volume = context.directory, target.name
    unseen: _Unseen = []
    found = frozenset(
        name
        for name in os.listdir(directory)
        if name == volume or name.startswith(f'{volume}.')
    )
    content, info_problem = _read(
        info.path_of(directory, volume),
        lambda: info.read(directory, volume),
        unseen,
    )
    recorded, record_problem = _read(
        record.path_of(directory, volume),
        lambda: (
            record.base_format(directory, volume),
            record.nameless(directory, volume),
        ),
        unseen,
    )
    base_format, nameless = recorded or (None, frozenset())
    journal, journal_problem = _read(
        journals.path_of(directory, volume),
        lambda: journals.find(directory, volume),
        unseen,
    )
    guests, starts, looked_at = _guests(context, target, unseen)
    images = _images(directory, volume, found, unseen)
    return seen.Facts(
        volume=volume,
        names=found,
        images=images,
        info=content,
        info_problem=info_problem,
        record=base_format,
        nameless=nameless,
        record_problem=record_problem,
        journal=_journal(journal) if journal else None,
        journal_problem=journal_problem,
        guests=guests,
        starts=starts,
        looked_at=looked_at,
        unseen=tuple(unseen),
        volume_format=context.settings.volume_format,
        max_depth=context.settings.max_chain_depth,
        quiet=_quiet(directory, found, guests),
    )


def _quiet(
    directory: str,
    found: collections.abc.Iterable[str],
    guests: collections.abc.Iterable[seen.Guest],
) -> float:
    """Return for how many seconds nobody but a guest changed a file."""
    written = {name for guest in guests for name in guest.images[-1:]}
    newest = 0.0
    for name in set(found) - written:
        with contextlib.suppress(OSError):
            status = os.lstat(os.path.join(directory, name))
            # A rename, and a new name, change the inode alone.
            newest = max(newest, status.st_mtime, status.st_ctime)
    return max(0.0, time.time() - newest)


def _read(
    path: str,
    read: collections.abc.Callable[[], T | None],
    unseen: _Unseen,
) -> tuple[T | None, str | None]:
    """Read a file beside the images; return it, or why it is none."""
    if files.exists(path) and not files.is_file(path):
        return None, f'{path} is not a regular file'
    try:
        return read(), None
    except exception.VolumeDriverError as error:
        if _is_denied(error):
            return None, _no_access(path, str(error), unseen)
        return None, str(error)
    except OSError as error:
        if isinstance(error, PermissionError):
            return None, _no_access(path, str(error), unseen)
        return None, f'{path} cannot be read: {error.strerror}'
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # JSON of types that its reader never thought of.
        return None, f'{path} cannot be read: {error}'


def _no_access(path: str, reason: str, unseen: _Unseen) -> str:
    unseen.append(seen.Unseen('no-access', os.path.basename(path), reason))
    return reason


def _is_denied(error: BaseException) -> bool:
    return isinstance(error.__cause__, PermissionError)


def _journal(found: journals.Journal) -> seen.Journal:
    named: set[str] = set()
    for step in found.plan.steps:
        named.update(plan.names_in(step))
        if isinstance(step, plan.CreateOverlay):
            named.add(step.name + names.PART)
        elif isinstance(step, plan.CommitInPlace):
            named.add(step.top + names.PART)
        elif isinstance(step, plan.Empty):
            named.add(step.overlay + names.PART)
    return seen.Journal(
        operation=found.plan.operation,
        written_by=found.written_by,
        written_at=found.written_at,
        names=frozenset(named),
    )


# -- images ------------------------------------------------------------------


def _images(
    directory: str,
    volume: str,
    found: frozenset[str],
    unseen: _Unseen,
) -> dict[str, seen.Image]:
    return {
        name: _image(os.path.join(directory, name), unseen)
        for name in sorted(found)
        if names.is_image_of(volume, name)
    }


def _image(path: str, unseen: _Unseen) -> seen.Image:
    name = os.path.basename(path)
    try:
        return _open_image(path, name)
    except exception.VolumeDriverError as error:
        if _is_denied(error):
            _no_access(path, str(error), unseen)
        return seen.Image(name, problem=str(error))
    except OSError as error:
        return seen.Image(name, problem=error.strerror or str(error))


def _open_image(path: str, name: str) -> seen.Image:
    magic = header.has_magic(path)
    found: header.Header | None = None
    problem: str | None = None
    try:
        found = header.read(path) if magic else None
    except exception.ImageInvalid as error:
        problem = str(error)
    return seen.Image(
        name,
        length=os.stat(path).st_size,
        magic=magic,
        header=found,
        problem=problem,
        writer=image_locks.is_open_for_writing(path),
    )


# -- guests ------------------------------------------------------------------


def _guests(
    context: contexts.Context,
    target: hypervisor.Target,
    unseen: _Unseen,
) -> tuple[tuple[seen.Guest, ...], tuple[seen.Start, ...], str | None]:
    """Ask who has the volume; see :class:`.facts.Facts`."""
    try:
        found = context.hypervisor.find_all(target)
    except exception.VolumeDriverError as error:
        unseen.append(seen.Unseen('no-answer', '', str(error)))
        return (), (), None
    guests: list[seen.Guest] = []
    starts: list[seen.Start] = []
    looked_at: str | None = found.looked_at
    for disk in found.live:
        try:
            guests.append(
                seen.Guest(disk.guest, disk.chain(), disk.size(), disk.job())
            )
        except exception.VolumeDriverError as error:
            unseen.append(seen.Unseen('no-answer', '', str(error)))
            looked_at = None
    for defined in (*found.defined, *found.next_starts):
        try:
            image = defined.active()
        except exception.VolumeDriverError as error:
            unseen.append(seen.Unseen('no-answer', '', str(error)))
            continue
        if image is not None:
            running = defined in found.next_starts
            starts.append(seen.Start(defined.guest, image, running))
    return tuple(guests), tuple(starts), looked_at
