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

"""The fixtures of the functional tests do what they say."""

import pathlib
import subprocess
import sys
import typing

from tests import base
from tests.fixtures import daemons
from tests.fixtures import domain_xml
from tests.fixtures import guest
from tests.fixtures import guest_image
from tests.fixtures import image_tools
from tests.fixtures import monitor

MIB = 1024 * 1024
SLOTS = 64


class FixtureTestCase(base.TestCase):
    """With a directory and a qcow2 image of 16 MiB in it."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.image = self.make_image('image')

    def make_image(self, name: str) -> pathlib.Path:
        """Make an empty qcow2 image of 16 MiB."""
        path = self.directory / name
        image_tools.qemu_img('create', '-q', '-f', 'qcow2', path, '16M')
        return path

    def make_guest(
        self, *paths: pathlib.Path, **options: typing.Any
    ) -> guest.Guest:
        """Set a guest up, not started, on some qcow2 images."""
        machine = guest.Guest(
            [domain_xml.Disk(path) for path in paths], **options
        )
        self.useFixture(machine)
        return machine


class GuestWithoutKernelTest(FixtureTestCase):
    def test_writes_through_qemu_are_in_the_image(self) -> None:
        machine = self.make_guest(self.image)
        machine.start(paused=True)
        machine.write(MIB, MIB, 0x55)
        machine.flush()
        machine.destroy()
        self.assertEqual(
            bytes(MIB) + b'\x55' * MIB + bytes(14 * MIB),
            image_tools.content(self.image, 'qcow2'),
        )

    def test_reads_tell_what_is_there(self) -> None:
        image_tools.qemu_io_write(self.image, 'qcow2', 0, MIB, 0x11)
        machine = self.make_guest(self.image)
        machine.start()
        self.assertTrue(machine.read_is(0, MIB, 0x11))
        self.assertFalse(machine.read_is(0, MIB, 0x12))
        self.assertFalse(machine.read_is(0, 2 * MIB, 0x11))

    def test_disks_are_told_apart(self) -> None:
        machine = self.make_guest(self.image, self.make_image('other'))
        machine.start(paused=True)
        machine.write(0, MIB, 0x22, disk=1)
        self.assertTrue(machine.read_is(0, MIB, 0x00))
        self.assertTrue(machine.read_is(0, MIB, 0x22, disk=1))

    def test_failed_access_is_an_error(self) -> None:
        machine = self.make_guest(self.image)
        machine.start(paused=True)
        beyond = 16 * MIB
        error = monitor.MonitorError
        self.assertRaises(error, machine.write, beyond, MIB, 1)
        self.assertRaises(error, machine.read_is, beyond, MIB, 1)
        self.assertRaises(error, machine.write, 0, MIB, 1, disk=1)
        self.assertRaises(error, machine.flush, disk=1)

    def test_transient_domain_is_gone_when_killed(self) -> None:
        machine = self.make_guest(self.image, persistent=False)
        machine.start()
        machine.kill()
        self.assertFalse(machine.is_active())
        self.assertRaises(guest.GuestError, machine.pid)

    def test_disk_path_holds_from_the_next_start(self) -> None:
        other = self.make_image('other')
        machine = self.make_guest(self.image)
        machine.start(paused=True)
        machine.set_disk_path(other)
        self.assertIn(f"'{self.image}'", machine.live_xml())
        self.assertIn(f"'{other}'", machine.inactive_xml())
        machine.destroy()
        machine.start(paused=True)
        self.assertIn(f"'{other}'", machine.live_xml())

    def test_clean_up_removes_a_running_domain(self) -> None:
        machine = guest.Guest([domain_xml.Disk(self.image)])
        with machine:
            machine.start(paused=True)
            pid = machine.pid()
        self.assertFalse(pathlib.Path(f'/proc/{pid}').exists())
        again = self.make_guest(self.image)
        again.start(paused=True)

    def test_guest_agent_channel_is_there(self) -> None:
        machine = self.make_guest(self.image, guest_agent=True)
        machine.start(paused=True)
        self.assertIn('org.qemu.guest_agent.0', machine.live_xml())


class GuestWithKernelTest(FixtureTestCase):
    def test_acknowledged_blocks_survive_the_death_of_qemu(self) -> None:
        machine = self.make_guest(
            self.image, kernel=True, writer_slots=SLOTS, writer_offset=MIB
        )
        machine.start()
        machine.wait_up()
        machine.wait_acknowledged(3 * SLOTS // 2)
        machine.kill()
        first = machine.acknowledged()
        self.assertEqual(0, self.lost(first))
        # The writer goes on where it was.
        machine.start()
        machine.wait_acknowledged(first + SLOTS)
        machine.kill()
        self.assertEqual(0, self.lost(machine.acknowledged()))

    def test_suspended_guest_writes_nothing(self) -> None:
        machine = self.make_guest(self.image, kernel=True, writer_slots=SLOTS)
        machine.start()
        machine.wait_acknowledged(10)
        machine.suspend()
        before = image_tools.digest(self.image, 'qcow2', force_share=True)
        after = image_tools.digest(self.image, 'qcow2', force_share=True)
        self.assertEqual(before, after)
        seen = machine.acknowledged()
        machine.resume()
        machine.wait_acknowledged(seen + 10)

    def lost(self, last_ack: int) -> int:
        """Return how many slots lost an acknowledged block."""
        return image_tools.verify_acknowledged(
            self.image, 'qcow2', SLOTS, last_ack, offset=MIB
        )


class VerifyAcknowledgedTest(FixtureTestCase):
    """Four slots in a raw image, six blocks acknowledged: 4 5 6 3."""

    def lost(self, *blocks: bytes, last_ack: int = 6) -> int:
        path = self.directory / 'raw'
        path.write_bytes(b''.join(blocks))
        return image_tools.verify_acknowledged(path, 'raw', 4, last_ack)

    def blocks(self, *numbers: int) -> list[bytes]:
        return [guest_image.block_content(number) for number in numbers]

    def test_the_acknowledged_blocks_are_good(self) -> None:
        self.assertEqual(0, self.lost(*self.blocks(4, 5, 6, 3)))

    def test_a_block_in_flight_is_good(self) -> None:
        self.assertEqual(0, self.lost(*self.blocks(4, 5, 6, 7)))

    def test_older_blocks_are_lost(self) -> None:
        self.assertEqual(2, self.lost(*self.blocks(4, 1, 2, 3)))

    def test_a_block_of_another_slot_is_lost(self) -> None:
        self.assertEqual(1, self.lost(*self.blocks(9, 5, 6, 3)))

    def test_a_torn_block_is_lost(self) -> None:
        good = self.blocks(4, 5, 6)
        torn = self.blocks(3)[0][:2048] + self.blocks(7)[0][2048:]
        self.assertEqual(1, self.lost(*good, torn))

    def test_zero_is_good_only_where_nothing_was_acknowledged(self) -> None:
        zero = bytes(guest_image.BLOCK_SIZE)
        blocks = [zero, *self.blocks(1, 2), zero]
        self.assertEqual(0, self.lost(*blocks, last_ack=2))
        self.assertEqual(1, self.lost(*blocks, last_ack=3))
        self.assertEqual(2, self.lost(*blocks, last_ack=4))


class DaemonsTest(base.TestCase):
    def test_exit_code_is_that_of_the_command(self) -> None:
        command = [sys.executable, '-m', 'tests.fixtures.daemons']
        result = subprocess.run([*command, 'sh', '-c', 'exit 7'])
        self.assertEqual(7, result.returncode)

    def test_qemu_is_configured_once(self) -> None:
        text = daemons.configured('# user = "qemu"\n')
        for name, value in daemons.SETTINGS.items():
            self.assertIn(f'\n{name} = {value}\n', text)
        self.assertEqual(text, daemons.configured(text))

    def test_settings_already_made_are_not_made_again(self) -> None:
        made = 'user="root"\nnamespaces = [ ]\n'
        text = daemons.configured(made)
        self.assertNotIn('user = ', text)
        self.assertNotIn('namespaces = []', text)

    def test_other_settings_are_an_error(self) -> None:
        error = self.assertRaises(
            daemons.DaemonError, daemons.configured, 'user = "qemu"\n'
        )
        self.assertIn('user', str(error))
