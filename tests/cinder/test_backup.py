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


"""Backups of volumes and snapshots, and what is restored from them.

Cinder's backup service takes the bytes of whatever file a connection names
for the volume's, and knows nothing of qcow2.
"""

from __future__ import annotations

import copy

from cinderclient import exceptions

from tests.cinder import case
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration

_MIB = 1 << 20


class BackupTestCase(case.CinderTestCase):
    """Tests that make volumes of backups.

    :cvar base_format: of the volumes that the backend makes
    """

    base_format = 'qcow2'

    def volume_with_data(self, size: int = 1) -> checked.CheckedVolume:
        """Create a volume with some data at both ends."""
        volume = self.create_volume(size, self.base_format)
        volume.write(0, 4 * _MIB, 0x11)
        volume.write(size * checked.GIB - _MIB, _MIB, 0x12)
        return volume

    def restore(
        self, backup: clients.Resource, view: models.View
    ) -> checked.CheckedVolume:
        """Restore to a new volume, which gets a raw base."""
        made = self.tenant.restore(backup)
        return checked.CheckedVolume(
            self.tenant, self.cinder.share(), made, view, 'raw'
        )

    def restore_over(
        self,
        backup: clients.Resource,
        view: models.View,
        volume: checked.CheckedVolume,
    ) -> None:
        """Restore over a volume; its snapshots keep what they had."""
        self.tenant.restore(backup, volume.volume)
        volume.model.active = view.copy(volume.model.active.size)
        if not volume.snapshots:
            volume.model.base_format = 'raw'

    def assert_restored(self, *volumes: checked.CheckedVolume) -> None:
        """Check data, records, and that nothing passing has stayed."""
        # No volume has more files than its chain, nor other snapshots.
        self.assert_as_modelled(*volumes)
        for volume in volumes:
            path, active_format = volume.active()
            record = self.record(volume)
            self.assertEqual(self.address(), record.location)
            self.assertEqual(active_format, record.admin_metadata['format'])
            if volume.snapshots:
                self.assertEqual(
                    volume.model.base_format,
                    record.admin_metadata['base_format'],
                )
            self.assertEqual('available', volume.refresh().status)
            self.assertIn(path.name, volume.files().chain)
        every = {'all_tenants': 1, 'project_id': self.tenant.project}
        known = {volume.volume.id for volume in volumes}
        found = self.admin.api.volumes.list(search_opts=every)
        self.assertEqual(known, {each.id for each in found})
        snapshots = {each for volume in volumes for each in volume.snapshots}
        found = self.admin.api.volume_snapshots.list(search_opts=every)
        self.assertEqual(snapshots, {each.id for each in found})


class BackupTest(BackupTestCase):
    def test_a_volume_and_what_is_done_with_it_afterwards(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)

        restored = self.restore(backup, volume.model.active)
        self.assert_restored(volume, restored)

        snapshot = restored.take_snapshots(1)[0]
        restored.extend(2)
        restored.write(2 * checked.GIB - _MIB, _MIB, 0x13)
        self.assert_restored(volume, restored)
        restored.boot(self.useFixture(compute.ComputeHost()))
        restored.write(8 * _MIB, _MIB, 0x14)
        restored.delete_snapshot(snapshot)
        restored.delete_server()
        self.assert_restored(volume, restored)

    def test_a_volume_that_is_created_of_it(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)

        made = self.tenant.create_volume(2, backup_id=backup.id)

        view = volume.model.active.copy(2 * checked.GIB)
        created = checked.CheckedVolume(
            self.tenant, self.cinder.share(), made, view, 'raw'
        )
        self.assert_restored(volume, created)
        created.take_snapshots(1)
        self.assert_restored(volume, created)

    def test_a_volume_with_snapshots(self) -> None:
        volume = self.volume_with_data()
        volume.take_snapshots(2)
        chain = volume.files().chain

        backup = self.tenant.create_backup(volume.volume, force=True)

        self.assertEqual(chain, volume.files().chain)
        restored = self.restore(backup, volume.model.active)
        self.assert_restored(volume, restored)

    def test_a_volume_in_use(self) -> None:
        volume = self.volume_with_data()
        volume.boot(self.useFixture(compute.ComputeHost()))
        volume.take_snapshots(1)
        chain = volume.files().chain
        view = volume.model.active.copy()
        self.assertRaises(
            exceptions.ClientException,
            self.tenant.create_backup,
            volume.volume,
        )

        backup = self.tenant.create_backup(volume.volume, force=True)

        self.assertEqual('in-use', volume.refresh().status)
        self.assertEqual(chain, volume.files().chain)
        volume.write(16 * _MIB, _MIB, 0x15)
        self.assert_as_modelled(volume)
        volume.delete_server()
        restored = self.restore(backup, view)
        self.assert_restored(volume, restored)

    def test_a_snapshot(self) -> None:
        volume = self.volume_with_data()
        snapshot = volume.take_snapshots(2)[1]
        volume.write(0, _MIB, 0x16)

        backup = self.tenant.create_backup(
            volume.volume, snapshot_id=snapshot.id
        )

        restored = self.restore(backup, volume.model.snapshots[snapshot.id])
        self.assert_restored(volume, restored)

    def test_increments(self) -> None:
        volume = self.volume_with_data()
        views = [volume.model.active.copy()]
        backups = [self.tenant.create_backup(volume.volume)]
        for pattern in (0x17, 0x18):
            volume.write(2 * _MIB, 4 * _MIB, pattern)
            volume.take_snapshots(1)
            views.append(volume.model.active.copy())
            backups.append(
                self.tenant.create_backup(
                    volume.volume, incremental=True, force=True
                )
            )
            self.assertTrue(backups[-1].is_incremental)

        restored = [
            self.restore(backup, view)
            for backup, view in zip(backups, views, strict=True)
        ]
        self.assert_restored(volume, *restored)
        for backup in reversed(backups):
            self.tenant.delete_backup(backup)


class RestoreOverTest(BackupTestCase):
    def test_a_volume_without_snapshots(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)
        view = volume.model.active.copy()
        volume.write(_MIB, 16 * _MIB, 0x21)

        self.restore_over(backup, view, volume)

        self.assert_restored(volume)
        volume.take_snapshots(1)
        self.assert_restored(volume)
        self.tenant.delete_volume(volume.volume, cascade=True)
        left = list(self.cinder.share().glob(f'{volume.name}*'))
        self.assertEqual([], left)

    def test_a_volume_with_snapshots(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)
        view = volume.model.active.copy()
        older, newer = volume.take_snapshots(2)
        volume.write(_MIB, 16 * _MIB, 0x22)
        snapshots = copy.deepcopy(volume.model.snapshots)

        self.restore_over(backup, view, volume)

        self.assertEqual(snapshots, volume.model.snapshots)
        self.assert_restored(volume)
        volume.delete_snapshot(older)
        self.assert_restored(volume)
        volume.revert(newer)
        self.assert_restored(volume)

    def test_a_larger_volume_of_somebody_else(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)
        target = self.create_volume(2)
        target.take_snapshots(1)

        self.restore_over(backup, volume.model.active, target)

        self.assertEqual(2 * checked.GIB, target.model.active.size)
        self.assert_restored(volume, target)

    def test_not_over_a_smaller_volume(self) -> None:
        volume = self.volume_with_data(2)
        backup = self.tenant.create_backup(volume.volume)
        target = self.create_volume()
        self.assertRaises(
            exceptions.BadRequest, self.tenant.restore, backup, target.volume
        )
        self.assert_restored(volume, target)

    def test_not_over_a_volume_in_use(self) -> None:
        volume = self.volume_with_data()
        backup = self.tenant.create_backup(volume.volume)
        volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertRaises(
            exceptions.BadRequest, self.tenant.restore, backup, volume.volume
        )
        volume.delete_server()
        self.assert_restored(volume)


class RawBackupTest(BackupTestCase):
    backends = (configuration.qcow2(volume_format='raw'),)
    base_format = 'raw'

    def test_a_volume(self) -> None:
        volume = self.volume_with_data()
        view = volume.model.active.copy()
        backup = self.tenant.create_backup(volume.volume)

        restored = self.restore(backup, view)
        self.assert_restored(volume, restored)

        volume.take_snapshots(1)
        self.restore_over(backup, view, volume)
        self.assert_restored(volume, restored)

    def test_a_snapshot(self) -> None:
        volume = self.volume_with_data()
        snapshot = volume.take_snapshots(1)[0]

        backup = self.tenant.create_backup(
            volume.volume, snapshot_id=snapshot.id
        )

        view = volume.model.snapshots[snapshot.id]
        restored = self.restore(backup, view)
        self.assert_restored(volume, restored)
