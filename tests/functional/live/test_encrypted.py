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

"""Encrypted volumes while a guest runs on them."""

from __future__ import annotations

import dataclasses
import subprocess
import typing
import uuid

import ddt

from tests.fixtures import domain_xml
from tests.fixtures import driver as drivers
from tests.fixtures import encrypted
from tests.fixtures import hypervisor
from tests.fixtures import image_tools
from tests.functional.live import case
from volume_driver import exception
from volume_driver.operations import containers

KIB = case.KIB
MIB = case.MIB

POSITIONS = {'oldest': 0, 'middle': 1, 'newest': 2}


class EncryptedGuestVolume(case.GuestVolume, encrypted.EncryptedVolume):
    """An encrypted volume, and the guest that has it as its first disk.

    :ivar secret: uuid of the secret that libvirt has
    """

    secret: str

    def disk(self) -> domain_xml.Disk:
        return dataclasses.replace(super().disk(), secret=self.secret)


@ddt.ddt
class EncryptedTest(case.LiveTestCase):
    def make_encrypted(
        self, snapshots: int = 0, **guest: typing.Any
    ) -> tuple[EncryptedGuestVolume, list[drivers.Snapshot]]:
        """Make an encrypted volume with data under a running guest."""
        made = drivers.DriverFixture(
            passphrase=encrypted.Keys(), hypervisor='libvirt'
        )
        self.useFixture(made)
        volume = EncryptedGuestVolume.create(made)
        assert isinstance(volume, EncryptedGuestVolume)
        volume.record.status = 'in-use'
        volume.record.volume_attachment.append(drivers.Attachment())
        volume.secret = self.make_secret(volume.model.passphrase)
        self.attach(volume, **guest)
        volume.guest.start()
        volume.write(0, 256 * KIB, 0x11)
        volume.write(512 * MIB, 128 * KIB, 0x12)
        volume.write(case.GIB - 96 * KIB, 96 * KIB, 0x13)
        return volume, volume.take_snapshots(snapshots)

    def make_secret(self, passphrase: str) -> str:
        """Let libvirt have a secret; return its uuid."""
        connection = hypervisor.connect()
        self.addCleanup(connection.close)
        made = str(uuid.uuid4())
        secret = connection.secretDefineXML(
            f"<secret ephemeral='yes' private='yes'><uuid>{made}</uuid>"
            f"<usage type='volume'><volume>{made}</volume></usage></secret>"
        )
        self.addCleanup(secret.undefine)
        secret.setValue(passphrase.encode())
        return made

    def settle(self, volume: EncryptedGuestVolume) -> None:
        """Bring all files onto the disk: then their holes stay the same."""
        subprocess.run(['sync', *volume.made.directory.iterdir()], check=True)

    def test_snapshot_is_encrypted_too(self) -> None:
        volume, _ = self.make_encrypted(snapshots=2)
        self.assertTrue(volume.is_running())
        self.check(volume)
        self.check_next_start(volume)
        volume.write(3 * MIB, MIB, 0x99)
        volume.create_snapshot()
        self.check(volume)

    @ddt.data(*POSITIONS)
    def test_deletion_leaves_all_others_bit_for_bit(self, name: str) -> None:
        volume, snapshots = self.make_encrypted(snapshots=3)
        volume.delete_snapshot(snapshots[POSITIONS[name]])
        self.assertTrue(volume.is_running())
        self.check(volume)
        volume.write(3 * MIB, MIB, 0x99)
        self.check_next_start(volume)

    def test_all_go_one_after_the_other(self) -> None:
        volume, snapshots = self.make_encrypted(snapshots=3)
        for position in (1, 2, 0):
            volume.delete_snapshot(snapshots[position])
            self.check(volume)
        self.check_next_start(volume)
        volume.create_snapshot()
        self.check_next_start(volume)

    def test_disk_grows(self) -> None:
        volume, _ = self.make_encrypted(snapshots=1)
        volume.extend(2)
        self.check(volume)
        self.check_next_start(volume)

    def test_clone_of_what_a_guest_runs_on(self) -> None:
        volume, _ = self.make_encrypted(snapshots=1)
        clone = volume.copy()
        self.assertEqual([], clone.differences())
        self.check(volume)

    def test_container_of_what_a_guest_runs_on(self) -> None:
        volume, _ = self.make_encrypted(snapshots=1)
        path = self.temp_dir() / 'container'
        source = volume.made.driver.source(volume.record)
        containers.read_out(source, str(path))
        view = volume.model.active.copy()
        volume.write(3 * MIB, MIB, 0x99)
        self.check(volume)
        view.save(expected := self.temp_dir() / 'expected')
        with image_tools.unlocked([path], volume.model.passphrase) as found:
            image_tools.qemu_img(
                *('compare', '-f', 'raw', *found[:-1]), *(expected, found[-1])
            )

    def test_pull_is_refused(self) -> None:
        volume, snapshots = self.make_encrypted(snapshots=1)
        volume.guest.flush()
        self.settle(volume)
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.DirectionImpossible, volume.made.directory),
        ):
            volume.made.merging('pull').delete_snapshot(snapshots[0])

    def test_wrong_passphrase_changes_nothing(self) -> None:
        volume, _ = self.make_encrypted()
        volume.guest.flush()
        self.settle(volume)
        volume.keys.known[volume.record.id] = 'wrong'
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.PassphraseWrong, volume.made.directory),
        ):
            volume.made.driver.create_snapshot(drivers.snapshot(volume.record))
        self.check(volume)

    def test_definition_follows_what_is_done_offline(self) -> None:
        volume, snapshots = self.make_encrypted(snapshots=2)
        volume.guest.destroy()
        volume.create_snapshot()
        self.check_next_start(volume)
        volume.guest.destroy()
        volume.delete_snapshot(snapshots[1])
        self.check_next_start(volume)
        volume.guest.destroy()
        volume.delete_snapshot(snapshots[0])
        self.check_next_start(volume)

    def test_transient_guest(self) -> None:
        volume, snapshots = self.make_encrypted(2, persistent=False)
        volume.delete_snapshot(snapshots[1])
        volume.delete_snapshot(snapshots[0])
        self.check(volume)
