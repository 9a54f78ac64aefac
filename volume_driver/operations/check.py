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

"""Finds what is wrong with volumes, and changes nothing.

A volume is looked at without its lock. Only if something seems to be wrong is
it looked at once more under the lock, which is not waited for: who holds it
is at work, and what was seen may be one of his steps. So nothing but a guest
on a frozen image is told that was not so while nobody worked on the volume,
and no operation waits for longer than it takes to read some headers and to
ask libvirt.
"""

from __future__ import annotations

import collections.abc
import os

from tooz import coordination

from volume_driver import exception
from volume_driver import files
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import images
from volume_driver.checking import judge
from volume_driver.checking import known
from volume_driver.checking import walk as walks
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import locks as image_locks
from volume_driver.images import qemu_check
from volume_driver.images import trust
from volume_driver.operations import context as contexts
from volume_driver.operations import locking
from volume_driver.operations import look

_VOLUME = 'volume-'

Records = collections.abc.Mapping[str, seen.Known]
Mark = tuple[str, int, int]


def check(
    context: contexts.Context,
    target: hypervisor.Target | None,
    deep: bool = False,
    hosts: tuple[str, ...] = (),
    records: Records | None = None,
) -> findings.Report:
    """Find what is wrong with a volume, or with all of the directory.

    :param target: the volume, None for all
    :param deep: let qemu-img check images that nobody has open
    :param hosts: where the guests of all volumes may be
    :param records: what the caller knows of all his volumes, by name
    :raises VolumeNotFound: when the volume has no file at all
    """
    looked_at = targets(context, target, hosts)
    told = [
        finding
        for each in looked_at
        for finding in _one(context, each, deep, records)
    ]
    names = tuple(each.name for each in looked_at)
    if target is None and records is not None:
        told += map(known.absent, records.keys() - set(names))
    return findings.Report(names, findings.ordered(told))


def targets(
    context: contexts.Context,
    target: hypervisor.Target | None,
    hosts: tuple[str, ...],
) -> list[hypervisor.Target]:
    """Return the volume, or all of the directory.

    :param hosts: where the guests of all volumes may be
    :raises VolumeNotFound: when the volume has no file at all
    """
    found = look.volumes_in(context.directory)
    if target is None:
        return [_target(context, name, hosts) for name in found]
    if target.name in found:
        return [target]
    raise exception.VolumeNotFound(
        volume=target.name, directory=context.directory
    )


def _target(
    context: contexts.Context, name: str, hosts: tuple[str, ...]
) -> hypervisor.Target:
    """Return what is known of a volume that nobody has a record of here."""
    return hypervisor.Target(
        volume_id=name.removeprefix(_VOLUME),
        name=name,
        directory=context.directory,
        hosts=hosts,
        attached=None,
    )


def _one(
    context: contexts.Context,
    target: hypervisor.Target,
    deep: bool,
    records: Records | None,
) -> list[findings.Finding]:
    facts, found = see(context, target, records)
    if any(each.severity != findings.UNKNOWN for each in found):
        try:
            with context.locks(target.name, blocking=False):
                facts, found = see(context, target, records)
        except locking.Locked:
            _, second = see(context, target, records)
            return _at_work(found, second, target.name)
        except (OSError, coordination.ToozError):
            # A directory that cannot be written to: nobody works on it
            # here, and there is all the more to tell.
            pass
    if deep:
        found += look_deep(context, target, facts)
    return found


def see(
    context: contexts.Context,
    target: hypervisor.Target,
    records: Records | None,
) -> tuple[seen.Facts, list[findings.Finding]]:
    """Look at a volume once; return what was seen, and what is wrong."""
    facts = look.look(context, target)
    found = list(judge.judge(facts))
    if records is not None:
        found += known.judge(facts, records.get(facts.volume))
    return facts, found


def _at_work(
    first: list[findings.Finding], second: list[findings.Finding], volume: str
) -> list[findings.Finding]:
    """Return what is told of a volume that somebody works on.

    What is critical does not wait for him, if it is so at a second look: what
    his own steps pass through is explained by his journal.
    """
    reason = 'an operation on the volume is under way'
    return [
        judge.unseen(volume, seen.Unseen('busy', '', reason)),
        *(
            each
            for each in first
            if each.severity == findings.CRITICAL and each in second
        ),
    ]


def look_deep(
    context: contexts.Context,
    target: hypervisor.Target,
    facts: seen.Facts,
    checked: dict[Mark, str | None] | None = None,
) -> collections.abc.Iterator[findings.Finding]:
    """Let qemu-img check what nobody has open.

    :param checked: what came of images that have not changed since; those are
        not checked once more
    """
    outcome = {}
    checked = {} if checked is None else checked
    for name in sorted(facts.images):
        why = _why_unchecked(facts, facts.images[name])
        try:
            if why is None:
                mark = _mark(context.path(name))
                if mark not in checked:
                    image = facts.images[name]
                    checked[mark] = _checked(context, target, image)
                what = checked[mark]
                if what is None:
                    why = 'it was written to while it was checked'
                else:
                    outcome[name] = what
        except exception.VolumeDriverError as error:
            why = str(error)
        if why:
            yield judge.unseen(
                facts.volume, seen.Unseen('unchecked', name, why)
            )
    yield from images.checked(facts, outcome)


def _mark(path: str) -> Mark:
    """Return what changes with every change of a file, of its times, too."""
    found = os.stat(path)
    return path, found.st_ino, found.st_ctime_ns


def _why_unchecked(facts: seen.Facts, image: seen.Image) -> str | None:
    """Return why an image is not checked; nothing where there is no need."""
    if walks.format_of(facts, image.name) == 'raw' or image.header is None:
        return ''
    try:
        trust.check(facts.volume, image.name, image.header)
    except exception.ImageNotTrusted:
        return ''  # told already, and nothing may open it
    if facts.journal is not None or facts.journal_problem is not None:
        return 'an operation on the volume was cut off'
    if facts.looked_at is None:
        return 'whether a guest has it open is not known'
    if facts.guests:
        return f'{facts.guests[0].name} has it open'
    if image.writer:
        return 'a process has it open for writing'
    return None


def _checked(
    context: contexts.Context, target: hypervisor.Target, image: seen.Image
) -> str | None:
    """Return what qemu-img finds wrong with an image.

    None when it did not lie still: then the answer is worth nothing.
    """
    path = context.path(image.name)
    encrypted = image.header is not None and image.header.encrypted
    key = context.key(target) if encrypted else None
    before = files.trace(path)
    outcome = qemu_check.check(context.execute, path, key)
    if files.trace(path) != before or image_locks.is_open_for_writing(path):
        return None
    return outcome
