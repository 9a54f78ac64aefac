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

"""Volumes for those who read or write a device byte by byte.

Backup and host-assisted migration open what a connection names and take its
bytes for the volume's. That is right for a raw image without snapshots, and
for no other: those get a flat raw copy of what the volume shows, and what is
written to one becomes the volume's data when the connection ends.

What an encrypted volume shows leaves it encrypted only: its bytes are those of
a container, a flat qcow2 image with LUKS inside.
"""

from __future__ import annotations

import typing

from cinder import context as cinder_context
from cinder import objects
from oslo_utils import units

from volume_driver import chain
from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.cinder import backups
from volume_driver.cinder import keys
from volume_driver.cinder import records
from volume_driver.images import qemu_img
from volume_driver.operations import containers
from volume_driver.operations import copies

READ = 'read'
WRITE = 'write'

_VOLUME = 'volume'
_TARGET = 'target:'


def purpose(volume: typing.Any, connector: typing.Any) -> str | None:
    """Tell what a connection is for: READ, WRITE, or None for a guest's.

    A compute service names the device that the guest will see.
    """
    if connector and connector.get('mountpoint'):
        return None
    if volume.status == 'restoring-backup':
        return WRITE
    migration = volume.migration_status or ''
    if migration.startswith(_TARGET):
        return WRITE
    if volume.status == 'backing-up' or migration == 'migrating':
        return READ
    return None if backups.restored_to(volume) is None else WRITE


def prepare(core: core_driver.Qcow2Driver, volume: typing.Any) -> str:
    """Make the bytes of a volume ready to be read; return the file's name.

    An older copy that nobody came back for is dropped.
    """
    name = _name(core, volume)
    files.discard(core.context.path(name))
    found = records.images(core, volume)
    limit = None
    if found.encrypted or volume.encryption_key_id is not None:
        limit = backups.limit(volume)
    if not volume.volume_attachment and _is_as_read(core, found, limit):
        return found.active.name
    _read_out(core, core.source(volume), found, name, limit)
    return name


def _is_as_read(
    core: core_driver.Qcow2Driver, found: chain.Chain, limit: int | None
) -> bool:
    """Tell whether the bytes of a volume's only file are those to be read.

    :raises ContainerTooLarge: when there is no other way, and too many
    """
    if len(found) > 1:
        return False
    length = containers.length(core.context, found.active)
    if found.encrypted:
        return limit is not None and length <= limit
    if limit is not None and length > limit:
        # LUKS alone, which Cinder's NFS driver made.
        raise exception.ContainerTooLarge(
            volume=found.active.name, length=length, limit=limit
        )
    return found.active.format == 'raw'


def _read_out(
    core: core_driver.Qcow2Driver,
    source: copies.Source,
    found: chain.Chain,
    name: str,
    limit: int | None,
) -> None:
    path = core.context.path(name)
    if found.encrypted:
        containers.read_out(source, path, limit)
    else:
        copies.read_out(source, path, 'raw')


def connect(
    core: core_driver.Qcow2Driver, volume: typing.Any, what: str
) -> str:
    """Return the name of a file with a volume's bytes, made if need be.

    What is to be read was made ready right before, if that could be.
    """
    name = _name(core, volume)
    if what == READ:
        is_ready = files.is_file(core.context.path(name))
        return name if is_ready else prepare(core, volume)
    found = records.images(core, volume)
    _check_written(found, volume)
    active = found.active
    path = core.context.path(name)
    files.discard(path)
    qemu_img.create(core.context.execute, path, 'raw', volume.size * units.Gi)
    files.cover(path, core.context.path(active.name))
    return name


def _check_written(found: chain.Chain, volume: typing.Any) -> None:
    """Check that what is about to be written can become a volume's data."""
    backups.check(found, volume, keys.is_of)
    migration = volume.migration_status or ''
    if migration.startswith(_TARGET):
        context = cinder_context.get_admin_context()
        origin = objects.Volume.get_by_id(
            context, migration.removeprefix(_TARGET)
        )
        keys.check_types(context, origin, volume)


def disconnect(
    core: core_driver.Qcow2Driver, volume: typing.Any, what: str
) -> None:
    """End a connection; what was written to it becomes the volume's data.

    After a backup that is not encrypted was restored, the record of a volume
    has no key any more: Cinder takes it for a plain volume from then on.
    """
    path = core.context.path(_name(core, volume))
    if what == WRITE and files.is_file(path):
        context, target = core.context, core.target(volume)
        if volume.encryption_key_id is None:
            copies.write_over(context, target, path, 'raw', unseal=True)
        else:
            size = volume.size * units.Gi
            containers.write_over(context, target, path, size)
    files.discard(path)


def prepare_snapshot(
    core: core_driver.Qcow2Driver, snapshot: typing.Any
) -> str:
    """Make the bytes of a snapshot ready to be read, likewise."""
    name = _name(core, snapshot.volume, snapshot.id)
    files.discard(core.context.path(name))
    source = core.source(snapshot.volume, snapshot)
    frozen = copies.frozen_image(source)
    if frozen.format == 'raw':
        return frozen.name
    found = records.images(core, snapshot.volume)
    limit = backups.limit(snapshot.volume) if found.encrypted else None
    _read_out(core, source, found, name, limit)
    return name


def connect_snapshot(
    core: core_driver.Qcow2Driver, snapshot: typing.Any
) -> str:
    """Return the name of a file with a snapshot's bytes, made if need be."""
    name = _name(core, snapshot.volume, snapshot.id)
    is_ready = files.is_file(core.context.path(name))
    return name if is_ready else prepare_snapshot(core, snapshot)


def disconnect_snapshot(
    core: core_driver.Qcow2Driver, snapshot: typing.Any
) -> None:
    """End the connection of a snapshot."""
    name = _name(core, snapshot.volume, snapshot.id)
    files.discard(core.context.path(name))


def _name(
    core: core_driver.Qcow2Driver, volume: typing.Any, what: str = _VOLUME
) -> str:
    return names.export(core.target(volume).name, str(what))
