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

"""What a tenant does with volumes that nobody has attached."""

from __future__ import annotations

import ddt

from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import configuration

_MIB = 1 << 20
_POSITIONS = {'oldest': 0, 'middle': 1, 'newest': 2}


class VolumesTest(case.CinderTestCase):
    def test_a_volume_is_sparse_and_of_the_size_asked(self) -> None:
        volume = self.create_volume(3)
        path, image_format = volume.active()
        self.assertEqual('qcow2', image_format)
        self.assertIn(
            f'"virtual-size": {3 * checked.GIB}',
            image_tools.qemu_img('info', '--output=json', path),
        )
        self.assertLess(path.stat().st_blocks * 512, _MIB)

    def test_records_are_as_cinders_own_driver_writes_them(self) -> None:
        volume = self.create_volume()
        record = self.record(volume)
        self.assertEqual(self.address(), record.location)
        self.assertEqual({'format': 'qcow2'}, record.admin_metadata)

    def test_the_pool_of_a_volume_is_its_share(self) -> None:
        volume = self.create_volume()
        found = self.admin.api.volumes.get(volume.volume.id)
        host = getattr(found, 'os-vol-host-attr:host')
        self.assertEqual(self.address(), host.partition('#')[2])

    def test_extend(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x11)
        volume.extend(2)
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x12)
        self.assert_as_modelled(volume)

    def test_extend_with_snapshots(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x11)
        older, newer = volume.take_snapshots(2)
        volume.extend(3)
        volume.write(3 * checked.GIB - _MIB, _MIB, 0x12)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(older)
        volume.delete_snapshot(newer)
        self.assert_as_modelled(volume)

    def test_a_volume_with_snapshots_is_deleted_with_them(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x11)
        volume.take_snapshots(3)
        self.tenant.delete_volume(volume.volume, cascade=True)
        left = list(self.cinder.share().glob(f'{volume.name}*'))
        self.assertEqual([], left)

    def test_read_only_flag(self) -> None:
        volume = self.create_volume()
        self.tenant.api.volumes.update_readonly_flag(volume.volume, True)
        self.assertEqual('True', volume.refresh().metadata['readonly'])

    def test_transfer_to_another_project(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x13)
        volume.take_snapshots(1)
        made = self.tenant.api.transfers.create(volume.volume.id)
        other = self.cinder.tenant()
        other.api.transfers.accept(made.id, made.auth_key)
        found = other.api.volumes.get(volume.volume.id)
        self.assertEqual('available', found.status)
        self.assert_as_modelled(volume)


class RawVolumesTest(case.CinderTestCase):
    backends = (configuration.qcow2(volume_format='raw'),)

    def test_formats_follow_the_chain(self) -> None:
        volume = self.create_volume(base_format='raw')
        volume.write(0, _MIB, 0x11)

        def formats() -> dict[str, str]:
            return self.record(volume).admin_metadata

        self.assertEqual({'format': 'raw'}, formats())
        snapshot = volume.take_snapshots(1)[0]
        both = {'format': 'qcow2', 'base_format': 'raw'}
        self.assertEqual(both, formats())
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)
        chain = volume.files().chain
        self.assertEqual(volume.files().format(chain[-1]), formats()['format'])


@ddt.ddt
class SnapshotsTest(case.CinderTestCase):
    @ddt.data('oldest', 'middle', 'newest')
    def test_delete_one_of_three(self, position: str) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = volume.take_snapshots(3)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshots[_POSITIONS[position]])
        self.assert_as_modelled(volume)
        volume.write(_MIB, _MIB, 0x12)
        self.assert_as_modelled(volume)

    def test_delete_all_in_mixed_order(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = volume.take_snapshots(4)
        for number in (1, 3, 0, 2):
            volume.delete_snapshot(snapshots[number])
            self.assert_as_modelled(volume)

    def test_revert(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        older, newer = volume.take_snapshots(2)
        volume.revert(newer)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(newer)
        volume.revert(older)
        self.assert_as_modelled(volume)
