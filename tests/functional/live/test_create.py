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

"""Snapshots taken while a guest runs on the volume."""

from __future__ import annotations

import json
import os
import shutil

import ddt
import libvirt

from tests.fixtures import domain_xml
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures import modelled
from tests.functional.live import case
from volume_driver import exception

KIB = case.KIB
MIB = case.MIB
GIB = case.GIB


@ddt.ddt
class CreateTest(case.LiveTestCase):
    @ddt.data(*case.FORMATS)
    def test_guest_goes_on_above_each_snapshot(
        self, volume_format: str
    ) -> None:
        volume, _ = self.make_running(volume_format, snapshots=3)
        self.check(volume)
        volume.guest.destroy()
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_definition_follows(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format, snapshots=2)
        active = str(volume.made.active(volume.record))
        self.assertEqual((active, 'qcow2'), volume.next_start())
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_transient_guest_needs_no_definition(
        self, volume_format: str
    ) -> None:
        volume, _ = self.make_running(
            volume_format, snapshots=2, persistent=False
        )
        self.assertFalse(volume.guest.domain.isPersistent())
        self.check(volume)
        volume.guest.destroy()
        self.check(volume)

    def test_paused_guest_stays_paused(self) -> None:
        volume, _ = self.make_running(snapshots=1, paused=True)
        self.assertEqual(libvirt.VIR_DOMAIN_PAUSED, volume.state())
        self.check(volume)

    def test_running_guest_stays_running(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        self.assertTrue(volume.is_running())

    def test_taken_again_it_changes_nothing(self) -> None:
        volume, snapshots = self.make_running(snapshots=2)
        volume.guest.flush()
        before = models.fingerprint(volume.made.directory)
        with self.definition_kept(volume.guest):
            volume.made.driver.create_snapshot(snapshots[0])
        self.assertEqual(before, models.fingerprint(volume.made.directory))
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_backing_names_are_plain(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format, snapshots=3)
        volume.guest.destroy()
        moved = self.temp_dir() / 'moved'
        shutil.move(volume.made.directory, moved)
        found = volume.model.differences(moved, volume.record.name)
        self.assertEqual([], found)

    def test_info_is_that_of_remotefs(self) -> None:
        volume, (first, second) = self.make_running(snapshots=2)
        name = volume.record.name
        text = volume.made.path(f'{name}.info').read_text()
        self.assertEqual(
            {
                'active': f'{name}.{second.id}',
                first.id: f'{name}.{first.id}',
                second.id: f'{name}.{second.id}',
            },
            json.loads(text),
        )


@ddt.ddt
class SizeTest(case.LiveTestCase):
    @ddt.data(*case.FORMATS)
    def test_disk_that_others_grew_keeps_its_size(
        self, volume_format: str
    ) -> None:
        volume, _ = self.make_running(volume_format, snapshots=1)
        volume.guest.domain.blockResize(
            'vda', 2 * GIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
        )
        volume.know_size(2)
        volume.create_snapshot()
        volume.write(2 * GIB - 64 * KIB, 64 * KIB, 0x77)
        self.check(volume)
        self.check_next_start(volume)

    def test_overlay_is_as_large_as_the_guest_says(self) -> None:
        volume, _ = self.make_running('raw')
        # QEMU read the size of the file when it opened it.
        os.truncate(volume.made.active(volume.record), 2 * GIB)
        self.assertEqual([], volume.unseen())
        snapshot = volume.create_snapshot()
        overlay = volume.made.path(f'{volume.record.name}.{snapshot.id}')
        self.assertEqual(GIB, models.size_of(overlay, 'qcow2'))
        self.assertEqual([], volume.unseen())


@ddt.ddt
class OtherDisksTest(case.LiveTestCase):
    @ddt.data(*case.FORMATS)
    def test_other_disk_is_not_touched(self, volume_format: str) -> None:
        other = self.temp_dir() / 'other'
        image_tools.qemu_img('create', '-q', '-f', 'qcow2', other, '16M')
        image_tools.qemu_io_write(other, 'qcow2', 0, MIB, 0x55)
        made = self.make_driver(volume_format)
        volume = case.GuestVolume.attached(made)
        volume.guest = self.make_guest(volume.disk(), domain_xml.Disk(other))
        volume.guest.start()
        volume.guest.flush(disk=1)
        before = self.look_at_second(volume), other.read_bytes()
        snapshots = self.take_snapshots(volume, 2)
        volume.delete_snapshot(snapshots[0])
        volume.delete_snapshot(snapshots[1])
        self.assertEqual(
            before, (self.look_at_second(volume), other.read_bytes())
        )
        self.assertTrue(volume.guest.read_is(0, MIB, 0x55, disk=1))
        self.check(volume)

    def test_two_volumes_of_one_guest_are_told_apart(self) -> None:
        made = self.make_driver()
        volume = case.GuestVolume.attached(made)
        second = case.GuestVolume.attached(made)
        volume.guest = self.make_guest(volume.disk(), second.disk())
        volume.guest.start()
        volume.guest.write(0, MIB, 0x66, disk=1)
        second.model.active.write(0, MIB, 0x66)
        self.take_snapshots(volume, 1)
        second.create_snapshot()
        volume.guest.write(0, 64 * KIB, 0x67, disk=1)
        second.model.active.write(0, 64 * KIB, 0x67)
        self.check(volume)
        volume.guest.destroy()
        second.guest = volume.guest
        self.check(volume, second)

    def look_at_second(self, volume: case.GuestVolume) -> tuple[str, str]:
        """Return what the live and the inactive XML say of vdb."""
        return (
            case.disk_xml(volume.guest.live_xml(), 'vdb'),
            case.disk_xml(volume.guest.inactive_xml(), 'vdb'),
        )


@ddt.ddt
class QuiesceTest(case.LiveTestCase):
    @ddt.data(False, True)
    def test_auto_goes_on_though_no_agent_answers(self, agent: bool) -> None:
        volume, _ = self.make_running(snapshots=2, guest_agent=agent)
        self.check(volume)

    @ddt.data(False, True)
    def test_require_fails_and_changes_nothing(self, agent: bool) -> None:
        volume, _ = self.make_running(snapshots=1, guest_agent=agent)
        volume.guest.flush()
        strict = volume.made.make(quiesce='require')
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.QuiesceFailed, volume.made.directory),
        ):
            strict.create_snapshot(drivers.snapshot(volume.record))
        self.check(volume)
        volume.create_snapshot()
        self.check(volume)

    def test_never_does_not_ask_the_agent(self) -> None:
        volume, _ = self.make_running(
            snapshots=1, guest_agent=True, options={'quiesce': 'never'}
        )
        self.assertNotIn('without quiescing', self.log.output)
        self.check(volume)


class FindTest(case.LiveTestCase):
    def test_disk_without_serial_is_found_by_its_file(self) -> None:
        volume = case.GuestVolume.attached(self.make_driver())
        self.attach(volume, serial='').guest.start()
        self.take_snapshots(volume, 2)
        self.check(volume)

    def test_disk_is_found_through_another_path(self) -> None:
        volume = case.GuestVolume.attached(self.make_driver())
        link = self.temp_dir() / 'link'
        link.symlink_to(volume.made.directory)
        self.attach(volume, link / volume.record.name, '').guest.start()
        (snapshot,) = self.take_snapshots(volume, 1)
        self.check(volume)
        path, _ = volume.next_start()
        self.assertEqual(
            str(link / f'{volume.record.name}.{snapshot.id}'), path
        )
        self.check_next_start(volume)

    def test_disk_with_our_serial_is_found_under_any_name(self) -> None:
        volume = case.GuestVolume.attached(self.make_driver('raw'))
        other = self.temp_dir() / 'other'
        os.link(volume.disk().path, other)
        self.attach(volume, other).guest.start()
        with self.refused(
            exception.GuestMismatch, volume.made.directory, 'found other'
        ):
            volume.create_snapshot()

    def test_file_of_that_name_elsewhere_is_another_volume(self) -> None:
        volume = modelled.ModelledVolume.create(self.make_driver())
        other = self.temp_dir() / volume.record.name
        image_tools.qemu_img('create', '-q', '-f', 'qcow2', other, '1G')
        stranger = self.make_guest(domain_xml.Disk(other))
        stranger.start()
        with self.definition_kept(stranger):
            self.take_snapshots(volume, 1)
        self.check(volume)
