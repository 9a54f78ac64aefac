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

"""What the driver refuses while guests run, and that it changes nothing."""

from __future__ import annotations

import collections.abc

import ddt
import libvirt

from tests.fixtures import driver as drivers
from tests.fixtures import guest as guests
from tests.fixtures import image_tools
from tests.fixtures import modelled
from tests.functional.live import case
from tests.functional.live import jobs
from volume_driver import driver as volume_drivers
from volume_driver import exception

KIB = case.KIB
MIB = case.MIB

UNREACHABLE = 'qemu+unix:///system?socket=/nonexistent'
# The host of the attachment becomes a part of the socket's path here.
BY_HOST = 'qemu+unix:///system?socket=/run/libvirt/%(host)s'
SOCKET = 'libvirt-sock'


class SharingGuest(guests.Guest):
    """A guest that lets others write to its disks, which must be raw."""

    def _build_xml(self) -> str:
        return super()._build_xml().replace('</disk>', '<shareable /></disk>')


class RefusalTestCase(case.LiveTestCase):
    def check_all_refused(
        self,
        volume: modelled.ModelledVolume,
        driver: volume_drivers.Qcow2Driver,
        error: type[exception.VolumeDriverError],
        words: str = '.',
    ) -> None:
        """Check that nothing that changes the volume is begun."""
        snapshots = list(volume.snapshots.values())
        calls: list[collections.abc.Callable[[], object]] = [
            lambda: driver.create_snapshot(drivers.snapshot(volume.record)),
            lambda: driver.extend_volume(volume.record, 2),
            *(
                lambda each=each: driver.delete_snapshot(each)
                for each in snapshots
            ),
        ]
        for call in calls:
            with self.refused(error, volume.made.directory, words):
                call()


@ddt.ddt
class TwoGuestsTest(RefusalTestCase):
    @ddt.data(True, False)
    def test_two_guests_on_a_volume(self, running: bool) -> None:
        volume = case.GuestVolume.attached(self.make_driver('raw'))
        machines = [SharingGuest([volume.disk()]) for _ in range(2)]
        for machine in machines:
            self.useFixture(machine)
            if running:
                machine.start()
        with self.definition_kept(*machines):
            self.check_all_refused(
                volume,
                volume.made.driver,
                exception.AmbiguousGuest,
                f'{machines[0].name}(.|\n)*{machines[1].name}'
                f'|{machines[1].name}(.|\n)*{machines[0].name}',
            )

    @ddt.data(*case.FORMATS)
    def test_one_runs_and_another_is_defined(self, volume_format: str) -> None:
        volume, _ = self.make_running(volume_format, snapshots=1)
        second = self.make_guest(volume.disk())
        volume.guest.flush()
        with self.definition_kept(volume.guest, second):
            self.check_all_refused(
                volume, volume.made.driver, exception.AmbiguousGuest
            )
        self.check(volume)

    def test_second_guest_gone_it_goes_on(self) -> None:
        volume, (snapshot,) = self.make_running(snapshots=1)
        with guests.Guest([volume.disk()]):
            self.assertRaises(
                exception.AmbiguousGuest, volume.delete_snapshot, snapshot
            )
        volume.delete_snapshot(snapshot)
        self.check(volume)


class HypervisorTest(RefusalTestCase):
    def make_flushed(self, **options: object) -> case.GuestVolume:
        """Make a volume under a running guest, all of it on disk."""
        volume, _ = self.make_running(snapshots=2, options=dict(options))
        volume.guest.flush()
        return volume

    def test_attached_and_libvirt_does_not_answer(self) -> None:
        volume = self.make_flushed()
        driver = volume.made.make(libvirt_uri=UNREACHABLE)
        with self.definition_kept(volume.guest):
            self.check_all_refused(
                volume,
                driver,
                exception.HypervisorUnreachable,
                f"/nonexistent.*{volume.record.name}.*'/nonexistent'",
            )
        self.check(volume)

    def test_not_attached_and_libvirt_does_not_answer(self) -> None:
        volume = self.make_flushed()
        volume.record.volume_attachment.clear()
        driver = volume.made.make(libvirt_uri=UNREACHABLE)
        self.check_all_refused(
            volume, driver, exception.ImageOpenElsewhere, 'no libvirt'
        )
        self.check(volume)

    def test_no_hypervisor_and_a_guest_all_the_same(self) -> None:
        volume = self.make_flushed()
        driver = volume.made.make(hypervisor='none')
        self.check_all_refused(
            volume, driver, exception.HypervisorUnreachable, '"none"'
        )
        volume.record.volume_attachment.clear()
        self.check_all_refused(
            volume, driver, exception.ImageOpenElsewhere, 'nowhere'
        )
        self.check(volume)

    def test_guest_is_found_though_no_attachment_is_recorded(self) -> None:
        volume = self.make_flushed()
        volume.record.volume_attachment.clear()
        volume.delete_snapshot(next(iter(volume.snapshots.values())))
        self.check(volume)

    def test_attached_on_a_host_that_is_not_asked(self) -> None:
        made = self.make_driver()
        volume = modelled.ModelledVolume.create(made)
        self.take_snapshots(volume, 1)
        volume.record.volume_attachment.append(drivers.Attachment())
        volume.record.volume_attachment[0].attached_host = 'far-away'
        self.check_all_refused(
            volume, made.driver, exception.GuestNotFound, 'far-away'
        )
        self.check(volume)

    def test_uri_names_the_host(self) -> None:
        volume = self.make_flushed()
        driver = volume.made.make(libvirt_uri=BY_HOST)
        volume.record.volume_attachment[0].attached_host = SOCKET
        record = drivers.snapshot(volume.record)
        driver.create_snapshot(record)
        volume.know_snapshot(record)
        self.check(volume)
        guest = driver.describe(volume.record).guest
        self.assertIn(volume.guest.name, guest or '')

    def test_uri_names_a_host_that_does_not_answer(self) -> None:
        volume = self.make_flushed()
        driver = volume.made.make(libvirt_uri=BY_HOST)
        volume.record.volume_attachment[0].attached_host = 'gone'
        self.check_all_refused(
            volume, driver, exception.HypervisorUnreachable, 'libvirt/gone'
        )

    def test_uri_needs_a_host_and_the_attachment_has_none(self) -> None:
        volume = self.make_flushed()
        driver = volume.made.make(libvirt_uri=BY_HOST)
        volume.record.volume_attachment[0].attached_host = ''
        self.check_all_refused(
            volume,
            driver,
            exception.HypervisorUnreachable,
            'no host is named',
        )


@ddt.ddt
class OtherJobTest(RefusalTestCase):
    def begin_copy(self, volume: case.GuestVolume) -> None:
        target = self.temp_dir() / 'copy'
        volume.guest.domain.blockCopy(
            'vda',
            f"<disk type='file'><source file='{target}'/>"
            "<driver type='qcow2'/></disk>",
            {},
            libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB,
        )

    def begin_commit(self, volume: case.GuestVolume) -> None:
        volume.guest.domain.blockCommit(
            'vda', None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
        )

    @ddt.data('begin_copy', 'begin_commit')
    def test_job_of_somebody_else(self, begin: str) -> None:
        volume, _ = self.make_running(snapshots=2)
        getattr(self, begin)(volume)
        jobs.wait_until_ready(volume.guest)
        volume.guest.flush()
        self.check_all_refused(
            volume, volume.made.driver, exception.JobConflict, 'not ours'
        )
        # It runs on: cancelling it was not ours to do.
        self.assertTrue(volume.guest.domain.blockJobInfo('vda', 0))
        self.assertEqual([], volume.unseen())
        volume.guest.domain.blockJobAbort('vda', 0)
        jobs.wait_until_gone(volume.guest)
        volume.delete_snapshot(list(volume.snapshots.values())[1])
        self.assertEqual([], volume.unseen())


class OtherChainTest(RefusalTestCase):
    def test_somebody_else_switched_the_guest(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        path = volume.made.path('foreign.qcow2')
        active = volume.made.active(volume.record)
        image_tools.qemu_img(
            *('create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2'),
            *('-b', active.name, path, '1G'),
        )
        volume.guest.domain.snapshotCreateXML(
            "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
            f"<source file='{path}'/></disk></disks></domainsnapshot>",
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT,
        )
        volume.guest.flush()
        with self.definition_kept(volume.guest):
            self.check_all_refused(
                volume,
                volume.made.driver,
                exception.GuestMismatch,
                f'found .*foreign.qcow2, expected .*{active.name}',
            )
        self.assertEqual([], volume.unseen())

    def test_guest_was_started_from_a_frozen_image(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        volume.guest.destroy()
        volume.guest.set_disk_path(volume.made.path(volume.record.name))
        volume.guest.start(paused=True)
        with self.definition_kept(volume.guest):
            self.check_all_refused(
                volume, volume.made.driver, exception.GuestMismatch
            )
        volume.guest.destroy()
        self.check(volume)


@ddt.ddt
class InUseTest(RefusalTestCase):
    @ddt.data(False, True)
    def test_revert_under_a_guest(self, paused: bool) -> None:
        volume, snapshots = self.make_running(snapshots=2, paused=paused)
        volume.guest.flush()
        with (
            self.definition_kept(volume.guest),
            self.refused(
                exception.VolumeInUse,
                volume.made.directory,
                volume.guest.name,
            ),
        ):
            volume.made.driver.revert_to_snapshot(
                None, volume.record, snapshots[-1]
            )
        self.check(volume)

    @ddt.data(False, True)
    def test_deletion_of_the_volume_under_a_guest(self, paused: bool) -> None:
        volume, _ = self.make_running(paused=paused)
        volume.guest.flush()
        with (
            self.definition_kept(volume.guest),
            self.refused(
                exception.VolumeInUse,
                volume.made.directory,
                volume.guest.name,
            ),
        ):
            volume.made.driver.delete_volume(volume.record)
        self.check(volume)


class WrongFormatTest(case.LiveTestCase):
    """libvirt takes an image for raw whose format nobody has said."""

    def test_guest_that_reads_it_as_raw(self) -> None:
        volume = self.make_volume('qcow2')
        path = volume.made.active(volume.record)
        volume.guest.set_disk_path(path, 'raw')
        volume.guest.start(paused=True)
        with self.refused(
            exception.GuestFormatWrong, volume.made.directory, 'as raw'
        ):
            volume.create_snapshot()
        volume.guest.destroy()
        volume.guest.set_disk_path(path, 'qcow2')
        volume.guest.start()
        volume.create_snapshot()
        self.check(volume)
