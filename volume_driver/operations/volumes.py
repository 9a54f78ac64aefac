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

"""Create, copy, extend and delete volumes."""

from __future__ import annotations

import collections.abc
import contextlib
import os

from oslo_log import log

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import journal
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.operations import run
from volume_driver.operations import snapshots
from volume_driver.operations import unlocked
from volume_driver.planning import delete as planning_delete
from volume_driver.planning import extend as planning_extend

LOG = log.getLogger(__name__)

# What upstream gives with nas_secure_file_permissions: owner and group.
_MODE = 0o660


def create(
    context: contexts.Context, target: hypervisor.Target, size: int
) -> None:
    """Create an empty volume of size bytes, sparse.

    :raises VolumeExists: when it is there already
    """
    image_format = context.settings.volume_format
    with _new(context, target):
        _fill(
            context,
            target.name,
            lambda part: qemu_img.create(
                context.execute, part, image_format, size
            ),
        )
        _publish(context, target.name)


def copy(
    context: contexts.Context,
    target: hypervisor.Target,
    source: hypervisor.Target,
    snapshot_id: str | None,
    size: int,
) -> None:
    """Create a volume with the data of a snapshot, or of a volume as it is.

    A volume that a guest runs on is copied through a snapshot that lasts
    until the copy is complete.

    :param snapshot_id: a snapshot of the source, None for its active view
    :param size: of the new volume in bytes, 0 for the size of the data
    :raises SnapshotNotFound: when the source has no such snapshot
    :raises InvalidSize: when the data is larger than size
    """
    with _new(context, target), recovery.locked(context, source):
        state = contexts.read(context, source)
        if snapshot_id is not None:
            snapshots.check_known(source.name, snapshot_id, state)
            frozen = state.chain.frozen(state.info.snapshots[snapshot_id])
            _copy_image(context, target.name, frozen, size)
        elif not state.live:
            _copy_image(context, target.name, state.chain.active, size)
        else:
            _check_size(source.name, size, state.size)
            _copy_live(context, target.name, source, size)


def _copy_live(
    context: contexts.Context,
    volume: str,
    source: hypervisor.Target,
    size: int,
) -> None:
    """Copy a volume that a guest runs on, through a passing snapshot.

    The copy gets its name last: up to then the same call can be made again.
    """
    passing = names.passing_snapshot(volume)
    unlocked.create_snapshot(context, source, passing)
    try:
        images, content = contexts.read_files(context, source.name)
        frozen = images.frozen(content.snapshots[passing])
        _fill(context, volume, _copying(context, frozen, size))
    except Exception:
        try:
            unlocked.delete_snapshot(context, source, passing)
        except exception.VolumeDriverError as error:
            # The next call on the source finishes that.
            LOG.error('%s', error)
        raise
    unlocked.delete_snapshot(context, source, passing)
    _publish(context, volume)


def _copy_image(
    context: contexts.Context, volume: str, image: chain.Image, size: int
) -> None:
    _fill(context, volume, _copying(context, image, size))
    _publish(context, volume)


Filling = collections.abc.Callable[[str], None]


def _copying(
    context: contexts.Context, image: chain.Image, size: int
) -> Filling:
    """Return what copies an image, and grows the copy to a size in bytes."""
    image_format = context.settings.volume_format
    _check_size(image.name, size, image.size)

    def fill(part: str) -> None:
        qemu_img.convert(
            context.execute,
            context.path(image.name),
            part,
            (image.format, image_format),
        )
        if size > image.size:
            qemu_img.resize(context.execute, part, image_format, size)

    return fill


def _check_size(source: str, wanted: int, size: int) -> None:
    if wanted and wanted < size:
        raise exception.InvalidSize(volume=source, wanted=wanted, minimum=size)


@contextlib.contextmanager
def _new(
    context: contexts.Context, target: hypervisor.Target
) -> collections.abc.Iterator[None]:
    """Hold the lock of a volume that is not there yet.

    What is left of an earlier volume of the same id, whose deletion was cut
    off, is finished first, so that it does not go on with the new one.
    """
    with context.locks(target.name):
        recovery.recover(context, target)
        if contexts.exists(context, target.name):
            raise exception.VolumeExists(path=context.path(target.name))
        yield


def _fill(context: contexts.Context, volume: str, fill: Filling) -> None:
    """Make a volume's first image, complete and on disk, without its name."""
    part = context.path(volume) + names.PART
    files.discard(part)
    try:
        fill(part)
        os.chmod(part, _MODE)
        files.sync(part)
    except Exception:
        files.discard(part)
        raise


def _publish(context: contexts.Context, volume: str) -> None:
    """Give a volume's first image its name, and remember its format."""
    path = context.path(volume)
    try:
        record.write(context.directory, volume, context.settings.volume_format)
        files.rename(path + names.PART, path)
    except Exception:
        files.discard(path + names.PART)
        files.discard(record.path_of(context.directory, volume))
        raise


def extend(
    context: contexts.Context, target: hypervisor.Target, size: int
) -> None:
    """Grow a volume, and the guest's disk if one runs, to size bytes.

    :raises InvalidSize: when that would shrink it
    """
    with recovery.locked(context, target):
        state = contexts.read(context, target)
        content = planning_extend.plan_extend(
            target.name, state.chain, state.size, size
        )
        run.run(context, target, content, state.found)


def delete(
    context: contexts.Context, target: hypervisor.Target, cascade: bool
) -> None:
    """Delete a volume; one that is gone already is no error.

    :param cascade: its snapshots were deleted without a merge before
    :raises VolumeHasSnapshots: when it has any
    :raises VolumeInUse: when a guest runs on it
    """
    with recovery.locked(context, target):
        if not contexts.exists(context, target.name):
            LOG.warning('Volume %s is gone already', target.name)
            # What a creation that was cut off may have left.
            files.discard(context.path(target.name) + names.PART)
            files.discard(record.path_of(context.directory, target.name))
            return
        state = contexts.read(context, target, cascade)
        if state.info.snapshots:
            raise exception.VolumeHasSnapshots(
                volume=target.name,
                snapshots=', '.join(sorted(state.info.snapshots)),
            )
        state.refuse_live(target.name, 'its deletion')
        content = planning_delete.plan_delete_volume(
            target.name,
            state.chain,
            (target.name + names.RECORD, target.name + names.INFO),
        )
        run.run(context, target, content, state.found)


def active(
    context: contexts.Context, target: hypervisor.Target
) -> chain.Image:
    """Return the active image, with nothing left of an earlier operation."""
    with recovery.locked(context, target):
        images, _ = contexts.read_files(context, target.name)
        return images.active


def listed(context: contexts.Context) -> list[str]:
    """Return the names of all volumes in the directory, sorted."""
    found = set()
    with os.scandir(context.directory) as entries:
        for entry in entries:
            name, _, tail = entry.name.partition('.')
            if names.is_volume(name) and tail in ('', names.INFO[1:]):
                found.add((name, entry.is_file(follow_symlinks=False)))
    return sorted(name for name, is_file in found if is_file)


def journal_of(context: contexts.Context, volume: str) -> str | None:
    """Return, in words, the operation that was cut off on a volume."""
    found = journal.find(context.directory, volume)
    return f'{found.plan.operation} by {found.written_by}' if found else None
