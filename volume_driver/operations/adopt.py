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

"""Files that get another owner or another place: adopt, rename, move."""

from __future__ import annotations

import dataclasses
import errno
import os

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import header
from volume_driver.images import qemu_check
from volume_driver.images import reader
from volume_driver.images import record
from volume_driver.images import trust
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.operations import run
from volume_driver.operations import snapshots
from volume_driver.operations import volumes
from volume_driver.planning import plan


def remember_format(
    context: contexts.Context,
    target: hypervisor.Target,
    base_format: str | None,
    size: int,
) -> None:
    """Write down the format of a base that another driver made.

    What its maker says is believed as far as the file allows it: a file
    without a qcow2 header is raw, and a file of exactly the volume's size
    that has one is taken for a raw volume into which a guest wrote it. An
    overlay knows better than its maker's records, which may mean itself.

    :param base_format: as the maker's records say, None if they do not
    :param size: of the volume in bytes
    :raises ImageNotTrusted: when the file may be either
    """
    if not is_unknown(context, target.name):
        return
    with context.locks(target.name):
        if not is_unknown(context, target.name):
            return
        found = format_of(context, target.name, base_format, size)
        if found is not None:
            record.write(context.directory, target.name, found)


def format_of(
    context: contexts.Context, volume: str, base_format: str | None, size: int
) -> str | None:
    """Return the format of a base that another driver made.

    :returns: None when nobody says it, and it may be either
    :raises ImageNotTrusted: see :func:`remember_format`
    """
    path = context.path(volume)
    base_format = _named(context, volume) or base_format
    if not header.has_magic(path):
        return 'raw'
    if base_format != 'raw' and length(context, volume) == size:
        raise exception.ImageNotTrusted(
            path=path,
            reason='it begins with a qcow2 header, but has exactly the '
            "volume's size, as a raw image has into which a guest wrote "
            'one; say which it is in its .record',
        )
    return base_format


def is_unknown(context: contexts.Context, volume: str) -> bool:
    """Tell whether a base is there, and its format recorded nowhere."""
    known = record.base_format(context.directory, volume)
    return known is None and files.is_file(context.path(volume))


def length(context: contexts.Context, volume: str) -> int:
    """Return how many bytes the file of a base has."""
    return os.stat(context.path(volume)).st_size


def _named(context: contexts.Context, volume: str) -> str | None:
    """Return the format of a base that its overlay names, if it has one."""
    for name in reader.referrers(context.directory, volume, volume):
        named = header.read(context.path(name)).backing_format
        if named in trust.FORMATS:
            return named
    return None


def look(context: contexts.Context, name: str) -> chain.Image:
    """Look at a file that is to become a volume.

    :param name: its plain name in the directory of the volumes
    :raises ImageInvalid, ImageNotTrusted: when it is no flat image
    """
    if os.path.basename(name) != name or name.startswith('.'):
        raise exception.ImageNotTrusted(
            path=name, reason='it is no plain name of a file beside volumes'
        )
    volume, dot, _ = name.partition('.')
    if dot and names.is_volume(volume):
        raise exception.ImageNotTrusted(
            path=name, reason=f'by its name it belongs to {volume}'
        )
    path = context.path(name)
    os.close(header.open_image(path))
    known = record.base_format(context.directory, name)
    return reader.read_flat(path, known or trust.inspect(path))


def _check_tables(context: contexts.Context, image: chain.Image) -> None:
    """Let QEMU check the tables of an image that others made.

    What overlaps there is overwritten as soon as somebody writes to it.

    :raises ImageInvalid: when they are corrupt, or cannot be read
    """
    if image.format != 'qcow2':
        return
    path = context.path(image.name)
    try:
        found = qemu_check.check(context.execute, path)
    except exception.CommandFailed as error:
        raise exception.ImageInvalid(
            path=path, format='qcow2', reason=str(error)
        ) from error
    if found == qemu_check.CORRUPT:
        raise exception.ImageInvalid(
            path=path, format='qcow2', reason='its tables are corrupt'
        )


def take(
    context: contexts.Context, target: hypervisor.Target, name: str
) -> chain.Image:
    """Make a file beside the volumes a volume, by its name.

    It may have been one before, with all that those have.

    :param name: its plain name
    :raises VolumeExists: when the volume is there already
    :raises ImageInvalid, ImageNotTrusted: when it is no flat image
    :raises StillReferenced: when it has to keep its name
    """
    if names.is_volume(name):
        return _take_volume(context, target, name)
    with volumes.new(context, target):
        image = look(context, name)
        _check_tables(context, image)
        contexts.refuse_open(context, name, hypervisor.Found())
        _rename(context.path(name), context, target.name, image.format)
        return image


def _take_volume(
    context: contexts.Context, target: hypervisor.Target, name: str
) -> chain.Image:
    image = look(context, name)
    _check_tables(context, image)
    former = dataclasses.replace(
        target, volume_id=name.removeprefix('volume-'), name=name
    )
    with context.locks(name):
        if is_unknown(context, name):
            record.write(context.directory, name, image.format)
    if not move(context, former, context, target.name):
        raise exception.StillReferenced(
            path=context.path(name), referrer='an overlay, or a guest'
        )
    return image


def rename_snapshot(
    context: contexts.Context,
    target: hypervisor.Target,
    old: str,
    new: str,
) -> None:
    """Give a snapshot another id; its overlay keeps its name.

    :raises SnapshotNotFound: when there is no such snapshot
    :raises NameCollision: when another one has that id
    """
    names.check_new_snapshot(new)
    with recovery.locked(context, target):
        state = contexts.read(context, target)
        if new in state.info.snapshots and (
            old == new or old not in state.info.snapshots
        ):
            return
        snapshots.check_known(target.name, old, state)
        overlay = state.info.snapshots[old]
        if new in state.info.snapshots:
            raise exception.NameCollision(
                path=context.path(state.info.snapshots[new])
            )
        kept = state.info.without_snapshot(old)
        content = info.Info(
            kept.active, {**kept.snapshots, names.check_snapshot(new): overlay}
        )
        steps = (plan.Record(content.as_dict()),)
        operation = f'rename snapshot {old} to {new}'
        run.run(
            context,
            target,
            plan.Plan(operation, target.name, steps),
            state.found,
        )


def move(
    context: contexts.Context,
    target: hypervisor.Target,
    place: contexts.Context,
    name: str,
) -> bool:
    """Move a volume within its filesystem: to another name, or directory.

    The record is there before the image, so that the volume is whole in one
    of the two places at any time. One that was moved already is no error.

    :param place: of the directory that it goes to
    :param name: the volume's name from then on
    :returns: whether it was moved; not, if it has overlays, a guest is
        defined with it, or the place is on another filesystem
    :raises VolumeInUse: when a guest runs on the volume
    :raises NameCollision: when something has its name there
    """
    new = dataclasses.replace(
        target, name=names.check_volume(name), directory=place.directory
    )
    if new.name == target.name and os.path.samefile(
        place.directory, context.directory
    ):
        return True
    with recovery.locked(context, target):
        if _device(place) != _device(context):
            return False
        old_record = record.path_of(context.directory, target.name)
        if _was_moved(context, target.name, place, name):
            files.remove(old_record)
            return True
        state = contexts.read(context, target)
        state.refuse_live(target.name, 'moving it')
        if not _is_alone(context, target.name, state):
            return False
        with volumes.new(place, new):
            volumes.discard_exports(context, target.name)
            # Without snapshots it says nothing that its absence does not.
            files.remove(info.path_of(context.directory, target.name))
            try:
                _rename(
                    context.path(target.name),
                    place,
                    name,
                    state.chain.base.format,
                )
            except exception.FileOperationFailed as error:
                # Two mounts of one filesystem have the same device number.
                if getattr(error.__cause__, 'errno', 0) == errno.EXDEV:
                    return False
                raise
        files.remove(old_record)
        return True


def _device(context: contexts.Context) -> int:
    return os.stat(context.directory).st_dev


def _was_moved(
    context: contexts.Context,
    volume: str,
    place: contexts.Context,
    name: str,
) -> bool:
    """Tell whether only what is left behind has to go."""
    return (
        not contexts.exists(context, volume)
        and files.is_file(place.path(name))
        and record.base_format(place.directory, name) is not None
    )


def _is_alone(
    context: contexts.Context, volume: str, state: contexts.State
) -> bool:
    """Tell whether nothing but records knows a volume's one image."""
    return (
        state.chain.names == (volume,)
        and not state.found.defined
        and not reader.referrers(context.directory, volume, volume)
    )


def _rename(
    path: str, place: contexts.Context, volume: str, image_format: str
) -> None:
    """Give an image the name of a volume, after its format is recorded.

    :raises NameCollision: when something has that name
    """
    there = place.path(volume)
    if files.exists(there):
        raise exception.NameCollision(path=there)
    record.write(place.directory, volume, image_format)
    try:
        files.rename(path, there)
    except exception.FileOperationFailed:
        if not files.exists(there):
            files.discard(record.path_of(place.directory, volume))
        raise
