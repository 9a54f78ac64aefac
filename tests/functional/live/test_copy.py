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

"""Copies of a volume that a guest runs on, and its growth."""

from __future__ import annotations

import ddt

from tests.fixtures import driver as drivers
from tests.functional.live import case
from volume_driver import exception

GIB = case.GIB
KIB = case.KIB


@ddt.ddt
class CopyTest(case.LiveTestCase):
    @ddt.data(*case.FORMATS)
    def test_clone_has_what_the_guest_wrote(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format, snapshots=2)
        clone = volume.clone(1)
        # The passing snapshot is gone again, and nothing else is.
        self.check(volume, clone)
        volume.write(0, 64 * KIB, 0x91)
        self.check(volume, clone)
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_clone_without_any_snapshot(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format)
        clone = volume.clone(2)
        self.check(volume, clone)
        self.check_next_start(volume)

    @ddt.data('qcow2', 'raw')
    def test_clone_of_a_paused_guest(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format, 1, paused=True)
        clone = volume.clone(1)
        self.assertFalse(volume.is_running())
        self.check(volume, clone)

    @ddt.data(*case.FORMATS)
    def test_volume_from_each_snapshot(self, volume_format: str) -> None:
        volume, snapshots = self.make_running(volume_format, snapshots=3)
        copies = [volume.copy_snapshot(each, 1) for each in snapshots]
        volume.write(0, 256 * KIB, 0x92)
        for snapshot in snapshots:
            volume.delete_snapshot(snapshot)
        self.check(volume, *copies)

    def test_copy_lives_on_its_own(self) -> None:
        volume, (snapshot,) = self.make_running('raw', snapshots=1)
        copy = volume.copy_snapshot(snapshot, 2)
        copy.write(GIB, 64 * KIB, 0x93)
        copy.create_snapshot()
        copy.write(0, 64 * KIB, 0x94)
        self.check(volume, copy)

    def test_copy_too_small_leaves_the_guest_alone(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        volume.extend(2)
        with self.definition_kept(volume.guest):
            self.assertRaises(exception.InvalidSize, volume.clone, 1)
        self.check(volume)


@ddt.ddt
class ExtendTest(case.LiveTestCase):
    @ddt.data(*case.FORMATS)
    def test_running_guest_sees_it_grow(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format)
        volume.extend(2)
        volume.write(2 * GIB - 64 * KIB, 64 * KIB, 0x95)
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(
        *(
            (volume_format, order, direction)
            for volume_format in case.FORMATS
            for order in ('01', '10')
            for direction in ('commit', 'pull')
        )
    )
    @ddt.unpack
    def test_snapshots_of_a_smaller_disk_go(
        self, volume_format: str, order: str, direction: str
    ) -> None:
        volume, snapshots = self.make_running(volume_format, snapshots=2)
        volume.extend(3)
        volume.write(3 * GIB - 64 * KIB, 64 * KIB, 0x96)
        self.check(volume)
        for position in order:
            # Only the overlay of the newest is the active image.
            newest = len(volume.snapshots) == 1 or position == '1'
            way = direction if newest else 'auto'
            volume.delete_snapshot(snapshots[int(position)], way)
            self.check(volume)
        self.check_next_start(volume)

    def test_size_between_two_snapshots(self) -> None:
        volume, _ = self.make_running('raw', snapshots=1)
        volume.extend(2)
        volume.write(2 * GIB - 64 * KIB, 64 * KIB, 0x97)
        middle = volume.create_snapshot()
        volume.extend(3)
        volume.write(3 * GIB - 64 * KIB, 64 * KIB, 0x98)
        volume.create_snapshot()
        self.check(volume)
        volume.delete_snapshot(middle)
        self.check_next_start(volume)

    def test_it_never_shrinks(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        volume.extend(2)
        volume.guest.flush()
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.InvalidSize, volume.made.directory),
        ):
            volume.made.driver.extend_volume(volume.record, 1)
        self.check(volume)

    def test_clone_of_a_grown_disk(self) -> None:
        volume, _ = self.make_running('raw', snapshots=1)
        volume.extend(2)
        record = drivers.volume(size=2)
        volume.made.driver.create_cloned_volume(record, volume.record)
        self.check(volume, volume.clone(3))
