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

"""The volume of a guest that is defined and shut off."""

from __future__ import annotations

import itertools

import ddt

from tests.functional.live import case
from volume_driver import exception

GIB = case.GIB
KIB = case.KIB
MIB = case.MIB


@ddt.ddt
class ShutOffTest(case.LiveTestCase):
    def make_shut_off(
        self, volume_format: str, snapshots: int = 0
    ) -> case.GuestVolume:
        """Make a volume with data and snapshots, its guest shut off."""
        volume = self.make_volume(volume_format)
        volume.write(0, MIB, 0x11)
        volume.write(GIB - 64 * KIB, 64 * KIB, 0x12)
        self.take_snapshots(volume, snapshots)
        return volume

    def check_start(self, volume: case.GuestVolume) -> None:
        """Look at the definition, then let the guest start and look."""
        disk = volume.disk()
        self.assertEqual((str(disk.path), disk.format), volume.next_start())
        self.check(volume)
        volume.guest.start()
        volume.write(700 * MIB, 64 * KIB, 0x88)
        self.check(volume)
        volume.guest.destroy()
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_definition_follows_a_snapshot(self, volume_format: str) -> None:
        volume = self.make_shut_off(volume_format, snapshots=2)
        self.assertEqual('qcow2', volume.next_start()[1])
        self.check_start(volume)

    @ddt.data(*itertools.product(case.FORMATS, ('commit', 'pull')))
    @ddt.unpack
    def test_definition_follows_a_deletion(
        self, volume_format: str, direction: str
    ) -> None:
        volume = self.make_shut_off(volume_format, snapshots=3)
        oldest, middle, newest = volume.snapshots.values()
        for snapshot in (middle, newest, oldest):
            volume.delete_snapshot(snapshot, direction)
            self.check_start(volume)
        # A commit leaves the base, a pull the newest overlay.
        wanted = volume_format if direction == 'commit' else 'qcow2'
        self.assertEqual(wanted, volume.next_start()[1])

    @ddt.data(*case.FORMATS)
    def test_guest_starts_with_a_larger_disk(self, volume_format: str) -> None:
        volume = self.make_shut_off(volume_format, snapshots=1)
        volume.extend(2)
        volume.write(2 * GIB - 64 * KIB, 64 * KIB, 0x44)
        self.check_start(volume)

    @ddt.data(*case.FORMATS)
    def test_guest_starts_from_what_was_reverted_to(
        self, volume_format: str
    ) -> None:
        volume = self.make_shut_off(volume_format, snapshots=2)
        newest = list(volume.snapshots.values())[-1]
        volume.revert(newest)
        self.check_start(volume)

    @ddt.data(*itertools.product(case.FORMATS, (0, 1, 2), ('commit', 'pull')))
    @ddt.unpack
    def test_definition_knows_no_image_that_went(
        self, volume_format: str, position: int, direction: str
    ) -> None:
        # libvirt writes a chain that it knows into the definition, too.
        volume, snapshots = self.make_running(volume_format, snapshots=3)
        volume.guest.destroy()
        volume.guest.start()
        volume.write(5 * MIB, MIB, 0x45)
        snapshots.append(volume.create_snapshot())
        volume.guest.destroy()
        volume.delete_snapshot(snapshots[position + 1], direction)
        self.check_start(volume)

    def test_it_goes_on_live_and_off_again(self) -> None:
        volume = self.make_shut_off('raw', snapshots=2)
        oldest, newest = volume.snapshots.values()
        volume.guest.start()
        volume.delete_snapshot(newest)
        self.check(volume)
        volume.guest.destroy()
        volume.delete_snapshot(oldest)
        self.check_start(volume)

    def test_other_disks_in_the_definition_stay(self) -> None:
        made = self.make_driver('raw')
        volume = case.GuestVolume.attached(made)
        other = case.GuestVolume.attached(made)
        volume.guest = self.make_guest(other.disk(), volume.disk())
        before = case.disk_xml(volume.guest.inactive_xml(), 'vda')
        volume.create_snapshot()
        xml = volume.guest.inactive_xml()
        self.assertEqual(before, case.disk_xml(xml, 'vda'))
        self.assertIn(
            str(made.active(volume.record)), case.disk_xml(xml, 'vdb')
        )

    def test_volume_is_deleted_under_its_definition(self) -> None:
        volume = self.make_shut_off('qcow2', snapshots=1)
        (snapshot,) = list(volume.snapshots.values())
        with self.refused(
            exception.VolumeHasSnapshots, volume.made.directory, snapshot.id
        ):
            volume.made.driver.delete_volume(volume.record)
        volume.delete_snapshot(snapshot)
        volume.made.driver.delete_volume(volume.record)
        left = [
            path.name
            for path in volume.made.directory.iterdir()
            if path.name != '.locks'
        ]
        self.assertEqual([], left)


@ddt.ddt
class SavedTest(case.LiveTestCase):
    """The guest is suspended to disk: it goes on with its memory."""

    def make_saved(self, volume_format: str) -> case.GuestVolume:
        volume, _ = self.make_running(volume_format, snapshots=2)
        volume.guest.domain.managedSave(0)
        return volume

    def go_on(self, volume: case.GuestVolume) -> None:
        """Let the guest go on, write, and be suspended again."""
        volume.guest.domain.create()
        volume.write(700 * MIB, 64 * KIB, len(volume.snapshots) + 0x91)
        self.check(volume)
        volume.guest.domain.managedSave(0)

    @ddt.data(*itertools.product(case.FORMATS, ('commit', 'pull')))
    @ddt.unpack
    def test_it_goes_on_on_the_active_image(
        self, volume_format: str, direction: str
    ) -> None:
        volume = self.make_saved(volume_format)
        oldest, newest = volume.snapshots.values()
        volume.create_snapshot()
        self.go_on(volume)
        for snapshot in (newest, oldest, *list(volume.snapshots.values())[2:]):
            volume.delete_snapshot(snapshot, direction)
            self.go_on(volume)
        volume.guest.domain.create()
        self.check(volume)

    def test_what_it_has_in_memory_is_not_changed_below_it(self) -> None:
        volume = self.make_saved('qcow2')
        newest = list(volume.snapshots.values())[-1]
        with self.refused(
            exception.VolumeInUse, volume.made.directory, 'suspended to disk'
        ):
            volume.revert(newest)
        self.go_on(volume)
