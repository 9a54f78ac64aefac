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

"""Backups of encrypted volumes, and what is restored from them."""

from __future__ import annotations

import typing

import zstd

from tests.cinder import test_encrypted
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients

_MIB = 1 << 20


class EncryptedBackupTestCase(test_encrypted.EncryptedTestCase):
    """Tests that make volumes of backups of encrypted ones."""

    def volume_with_data(self) -> test_encrypted.EncryptedVolume:
        """Create a volume with some data at both ends."""
        volume = self.create_encrypted()
        volume.write(0, 4 * _MIB, 0x5A)
        volume.write(checked.GIB - _MIB, _MIB, 0x5B)
        return volume

    def back_up(
        self, volume: checked.CheckedVolume, **arguments: typing.Any
    ) -> clients.Resource:
        """Back a volume up; in the store there is nothing in the clear."""
        backup = self.tenant.create_backup(volume.volume, **arguments)
        store = self.cinder.directory / 'backups'
        found = [
            each
            for each in store.rglob(f'*{backup.id}*-0*')
            if each.is_file() and not each.name.endswith('metadata')
        ]
        self.assertGreater(len(found), 0)
        for each in found:
            content = each.read_bytes()
            if content[:4] == b'\x28\xb5\x2f\xfd':
                content = zstd.decompress(content)
            for pattern in (b'\x5a', b'\x5b'):
                self.assertNotIn(pattern * 64, content)
        return backup

    def restore(
        self, backup: clients.Resource, view: models.View, size: int = 1
    ) -> test_encrypted.EncryptedVolume:
        """Restore to another volume of the type."""
        volume = self.create_encrypted(size)
        self.restore_over(backup, view, volume)
        return volume

    def restore_over(
        self,
        backup: clients.Resource,
        view: models.View,
        volume: checked.CheckedVolume,
    ) -> None:
        """Restore over a volume; its snapshots keep what they had."""
        self.tenant.restore(backup, volume.volume)
        volume.model.active = view.copy(volume.model.active.size)

    def assert_used(self, volume: test_encrypted.EncryptedVolume) -> None:
        """Do with a volume what one does."""
        self.assertTrue(volume.refresh().encrypted)
        snapshot = volume.create_snapshot()
        volume.write(32 * _MIB, _MIB, 0x44)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshot)
        volume.extend(volume.volume.size + 1)
        self.assert_as_modelled(volume)


class EncryptedBackupTest(EncryptedBackupTestCase):
    def test_a_volume_over_itself(self) -> None:
        volume = self.volume_with_data()
        view = volume.model.active.copy()
        backup = self.back_up(volume)
        volume.write(_MIB, 16 * _MIB, 0x21)
        self.assert_as_modelled(volume)

        self.restore_over(backup, view, volume)

        self.assert_as_modelled(volume)
        self.assert_used(volume)

    def test_to_another_volume_when_the_first_is_gone(self) -> None:
        volume = self.volume_with_data()
        view = volume.model.active.copy()
        backup = self.back_up(volume)
        self.tenant.delete_volume(volume.volume)

        same = self.restore(backup, view)
        larger = self.restore(backup, view, 2)

        self.assert_as_modelled(same, larger)
        self.assert_used(larger)

    def test_a_volume_that_is_created_of_it(self) -> None:
        volume = self.volume_with_data()
        view = volume.model.active.copy()
        backup = self.back_up(volume)

        made = self.tenant.create_volume(
            1, volume_type=self.type, backup_id=backup.id
        )

        created = self.encrypted(made, view)
        self.assert_as_modelled(volume, created)
        self.assert_used(created)

    def test_snapshots(self) -> None:
        volume = self.volume_with_data()
        older = volume.create_snapshot()
        volume.write(2 * _MIB, 4 * _MIB, 0x31)
        newer = volume.create_snapshot()
        volume.write(_MIB, 16 * _MIB, 0x32)
        backup = self.back_up(volume, force=True)
        view = volume.model.active.copy()
        of_older = self.back_up(volume, snapshot_id=older.id)
        of_newer = self.back_up(volume, snapshot_id=newer.id)
        self.assert_as_modelled(volume)

        restored = [
            self.restore(backup, view),
            self.restore(of_older, volume.model.snapshots[older.id]),
            self.restore(of_newer, volume.model.snapshots[newer.id]),
        ]
        self.assert_as_modelled(*restored)
        volume.write(0, 8 * _MIB, 0x33)
        self.restore_over(backup, view, volume)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(older)
        volume.revert(newer)
        self.assert_as_modelled(volume)

    def test_increments(self) -> None:
        volume = self.volume_with_data()
        self.back_up(volume)
        # Its file grows, too.
        volume.write(2 * _MIB, 40 * _MIB, 0x17)
        view = volume.model.active.copy()
        backup = self.back_up(volume, incremental=True)
        self.assertTrue(backup.is_incremental)
        self.assertLess(backup.object_count, 8)
        volume.create_snapshot()
        volume.write(0, _MIB, 0x18)
        last = self.back_up(volume, incremental=True, force=True)

        restored = self.restore(backup, view)
        self.restore_over(last, volume.model.active, volume)

        self.assert_as_modelled(volume, restored)


class PlainTest(EncryptedBackupTestCase):
    """Between volumes that are encrypted, and volumes that are not."""

    def test_not_to_a_volume_of_a_plain_type(self) -> None:
        volume = self.volume_with_data()
        backup = self.back_up(volume)
        target = self.create_volume()
        target.write(0, _MIB, 0x41)

        self.tenant.api.restores.restore(backup.id, target.volume.id)

        self.tenant.wait_status(target.volume, 'error_restoring')
        self.tenant.wait_status(backup, 'available')
        self.assert_as_modelled(volume, target)

    def test_a_plain_one_makes_a_plain_volume(self) -> None:
        plain = self.create_volume()
        plain.write(0, _MIB, 0x41)
        backup = self.tenant.create_backup(plain.volume)
        volume = self.volume_with_data()

        self.tenant.restore(backup, volume.volume)

        self.assertFalse(volume.refresh().encrypted)
        restored = checked.CheckedVolume(
            *(self.tenant, self.cinder.share(), volume.volume),
            *(plain.model.active, 'raw'),
        )
        restored.take_snapshots(1)
        self.assert_as_modelled(plain, restored)

    def test_a_plain_one_not_under_encrypted_snapshots(self) -> None:
        plain = self.create_volume()
        plain.write(0, _MIB, 0x41)
        backup = self.tenant.create_backup(plain.volume)
        volume = self.volume_with_data()
        volume.create_snapshot()

        self.tenant.api.restores.restore(backup.id, volume.volume.id)

        self.tenant.wait_status(volume.volume, 'error_restoring')
        self.tenant.wait_status(backup, 'available')
        self.assertTrue(volume.refresh().encrypted)
        self.assert_as_modelled(volume)
