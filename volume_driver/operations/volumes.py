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

"""Create, extend and delete volumes."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os

from oslo_log import log

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import journal
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import record
from volume_driver.images import secrets
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.operations import run
from volume_driver.planning import delete as planning_delete
from volume_driver.planning import extend as planning_extend

LOG = log.getLogger(__name__)

# What upstream gives with nas_secure_file_permissions: owner and group.
_MODE = 0o660

Filling = collections.abc.Callable[[str], None]


def create(
    context: contexts.Context,
    target: hypervisor.Target,
    size: int,
    cipher: luks.Cipher | None = None,
) -> None:
    """Create an empty volume of size bytes, sparse.

    :param cipher: of an encrypted one, None for a plain one
    :raises VolumeExists: when it is there already
    :raises PassphraseMissing: when it is to be encrypted with nothing
    """
    with new(context, target):
        key = new_key(context, target, cipher)
        image_format = format_of(context, key)
        fill(
            context,
            target.name,
            lambda part: qemu_img.create(
                context.execute, part, image_format, size, key
            ),
        )
        publish(context, target.name, image_format)


def new_key(
    context: contexts.Context,
    target: hypervisor.Target,
    cipher: luks.Cipher | None,
) -> secrets.Key | None:
    """Return what a new volume is encrypted with; None without a cipher.

    :raises PassphraseMissing: when nobody knows its passphrase
    """
    if cipher is None:
        return None
    return dataclasses.replace(context.key(target), cipher=cipher)


def format_of(context: contexts.Context, key: secrets.Key | None) -> str:
    """Return the format of a new volume; encrypted ones are all qcow2."""
    return context.settings.volume_format if key is None else 'qcow2'


@contextlib.contextmanager
def new(
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


def fill(context: contexts.Context, volume: str, filling: Filling) -> None:
    """Make a volume's first image, complete and on disk, without its name."""
    part = context.path(volume) + names.PART
    files.discard(part)
    try:
        filling(part)
        os.chmod(part, _MODE)
        files.sync(part)
    except Exception:
        files.discard(part)
        raise


def publish(context: contexts.Context, volume: str, image_format: str) -> None:
    """Give a volume's first image its name, and remember its format."""
    path = context.path(volume)
    try:
        record.write(context.directory, volume, image_format)
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
            discard_exports(context, target.name)
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
        discard_exports(context, target.name)


def discard_exports(context: contexts.Context, volume: str) -> None:
    """Drop flat copies that nobody came back for."""
    for name in reader.exports_of(context.directory, volume):
        files.discard(context.path(name))


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
