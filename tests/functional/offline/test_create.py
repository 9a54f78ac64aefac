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

"""Volumes and snapshots are created."""

from __future__ import annotations

import json
import os
import stat

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case


@ddt.ddt
class CreateVolumeTest(case.OfflineTestCase):
    @ddt.data(*case.FORMATS)
    def test_new_volume_is_zero_and_sparse(self, volume_format: str) -> None:
        made = self.make_driver(volume_format)
        volume = drivers.volume(size=3)
        made.driver.create_volume(volume)
        wanted = model.Model(volume_format, model.View(3 * case.GIB))
        self.assertEqual([], wanted.differences(made.directory, volume.name))
        status = made.path(volume.name).stat()
        self.assertLess(status.st_blocks * 512, case.MIB)

    @ddt.data(*case.FORMATS)
    def test_only_owner_and_group_may_read_it(
        self, volume_format: str
    ) -> None:
        made = self.make_driver(volume_format)
        volume = drivers.volume()
        made.driver.create_volume(volume)
        mode = stat.S_IMODE(made.path(volume.name).stat().st_mode)
        self.assertEqual(0o660, mode)

    def test_volume_without_snapshots_has_no_info(self) -> None:
        made = self.make_driver()
        volume = drivers.volume()
        made.driver.create_volume(volume)
        self.assertFalse(made.path(f'{volume.name}.info').exists())
        self.assertEqual([volume.name], made.driver.list_volumes())

    @ddt.data(*case.FORMATS)
    def test_deleted_volume_leaves_no_file(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        snapshot = volume.create_snapshot()
        volume.delete_snapshot(snapshot)
        driver = volume.made.driver
        driver.delete_volume(volume.record)
        self.assertEqual({}, model.fingerprint(volume.made.directory))
        driver.delete_volume(volume.record)

    @ddt.data(*case.FORMATS)
    def test_cascade_merges_nothing(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 3)
        volume.record.status = 'deleting'
        # The base first: a merge would have to write into it.
        base = volume.made.path(volume.record.name)
        before = base.stat().st_mtime_ns
        for snapshot in snapshots:
            volume.made.driver.delete_snapshot(snapshot)
        self.assertEqual(before, base.stat().st_mtime_ns)
        volume.made.driver.delete_volume(volume.record)
        self.assertEqual({}, model.fingerprint(volume.made.directory))


@ddt.ddt
class CreateSnapshotTest(case.OfflineTestCase):
    @ddt.data(*case.FORMATS)
    def test_every_snapshot_keeps_what_was_there(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        self.check(volume)
        self.make_snapshots(volume, 4)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_info_is_written_as_cinder_does(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        first, second = self.make_snapshots(volume, 2)
        name = volume.record.name
        wanted = {
            'active': f'{name}.{second.id}',
            first.id: f'{name}.{first.id}',
            second.id: f'{name}.{second.id}',
        }
        text = volume.made.path(f'{name}.info').read_text()
        self.assertEqual(json.dumps(wanted, indent=1, sort_keys=True), text)

    @ddt.data(*case.FORMATS)
    def test_overlay_has_mode_and_owner_of_what_it_covers(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        base = volume.made.path(volume.record.name)
        base.chmod(0o640)
        os.chown(base, 12, 34)
        volume.create_snapshot()
        for path in (
            volume.made.active(volume.record),
            volume.made.path(f'{volume.record.name}.info'),
        ):
            found = path.stat()
            self.assertEqual(0o640, stat.S_IMODE(found.st_mode))
            self.assertEqual((12, 34), (found.st_uid, found.st_gid))

    def test_snapshot_that_is_there_already_stays_as_it_is(self) -> None:
        volume = self.make_volume()
        snapshots = self.make_snapshots(volume, 2)
        before = model.fingerprint(volume.made.directory)
        for snapshot in snapshots:
            volume.made.driver.create_snapshot(snapshot)
        self.assertEqual(before, model.fingerprint(volume.made.directory))

    def test_two_volumes_do_not_touch_each_other(self) -> None:
        first = self.make_volume()
        second = first.clone(1)
        for volume in (first, second):
            volume.create_snapshot()
        first.write(0, case.MIB, 0x77)
        second.write(case.MIB, case.MIB, 0x78)
        first.delete_snapshot(next(iter(first.snapshots.values())))
        self.check(first, second)

    @ddt.data(*case.FORMATS)
    def test_guest_is_told_the_active_image(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        self.check_connection(volume.record.name, volume_format, volume)
        snapshot = volume.create_snapshot()
        overlay = f'{volume.record.name}.{snapshot.id}'
        self.check_connection(overlay, 'qcow2', volume)
        volume.delete_snapshot(snapshot, 'commit')
        self.check_connection(volume.record.name, volume_format, volume)

    def check_connection(
        self, name: str, image_format: str, volume: modelled.ModelledVolume
    ) -> None:
        """Check which image a guest would be given."""
        driver = volume.made.driver
        found = driver.initialize_connection(volume.record, None)['data']
        wanted = {
            'device_path': str(volume.made.path(name)),
            'format': image_format,
            'name': name,
        }
        self.assertEqual(wanted, found)
