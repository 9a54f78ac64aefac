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

"""Backups that are under way, and what they ask of an encrypted volume.

A backup of one has the bytes of its container, and Cinder keeps a key of its
own for each. To restore it, Cinder lets the volume's record name a copy of
that key, and deletes the key that the volume had (``cinder.backup.manager``,
``_run_restore``, and ``put_metadata`` of ``cinder.backup.driver``).
"""

from __future__ import annotations

import typing

from cinder import context as cinder_context
from cinder import objects
from cinder.objects import fields
from cinder.volume import volume_types
from oslo_utils import units

from volume_driver import chain
from volume_driver import exception

# Of Cinder's drivers the only one that takes as many bytes as the volume has
# (``_full_backup``): all others are of chunkeddriver, and read to the end.
_NOT_TO_THE_END = 'CephBackupDriver'

Any = typing.Any


def restored_to(volume: Any) -> Any | None:
    """Return the backup that is being restored to a volume; None: none is.

    A volume that is created with the data of a backup (``backup_id``) is
    ``creating`` all the time.
    """
    if volume.status not in ('restoring-backup', 'creating'):
        return None
    return _first(
        restore_volume_id=volume.id, status=fields.BackupStatus.RESTORING
    )


def limit(volume: Any) -> int | None:
    """Return how many bytes of a volume are copied, None for all there are.

    Migration copies as many as the volume has (``_copy_volume_data`` of
    ``cinder.volume.manager``).
    """
    if volume.migration_status == 'migrating':
        return int(volume.size * units.Gi)
    backup = _first(volume_id=volume.id, status=fields.BackupStatus.CREATING)
    if backup is None or not str(backup.service).endswith(_NOT_TO_THE_END):
        return None
    return int(volume.size * units.Gi)


def check(found: chain.Chain, volume: Any, is_one_key: Any) -> None:
    """Check that what is about to be restored can become a volume's data.

    Cinder itself finds out that the types differ when it has written all.

    :param found: the images of the volume
    :param is_one_key: tells whether two ids name the same passphrase
    :raises BackupUnsuitable: when it cannot
    """
    backup = restored_to(volume)
    if backup is None:
        return
    sealed = backup.encryption_key_id

    def unsuitable(reason: str) -> exception.BackupUnsuitable:
        return exception.BackupUnsuitable(
            backup=backup.id, volume=volume.name, reason=reason
        )

    if sealed and not volume_types.is_encrypted(
        cinder_context.get_admin_context(), volume.volume_type_id
    ):
        raise unsuitable('it is encrypted, and the type of the volume is not')
    if len(found) == 1 or not (sealed or found.encrypted):
        return
    if not sealed:
        raise unsuitable('it is not encrypted, and the snapshots are')
    if not found.encrypted:
        raise unsuitable('it is encrypted, and the snapshots are not')
    if not is_one_key(volume, sealed):
        raise unsuitable('the snapshots are encrypted with another key')


def _first(**filters: Any) -> Any | None:
    found = objects.BackupList.get_all(
        cinder_context.get_admin_context(), filters=filters
    )
    return next(iter(found), None)
