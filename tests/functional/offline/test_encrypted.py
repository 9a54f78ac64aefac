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

"""Volumes whose images are encrypted, and stay so."""

from __future__ import annotations

import collections.abc
import copy
import functools
import itertools
import os
import pathlib
import signal
import subprocess
import tempfile
import typing

import ddt
import fixtures
from oslo_concurrency import processutils

from tests.fixtures import driver as drivers
from tests.fixtures import encrypted
from tests.fixtures import image_tools
from tests.functional.offline import case
from tests.functional.offline import children
from volume_driver import driver as volume_drivers
from volume_driver import exception
from volume_driver.images import luks
from volume_driver.operations import faults
from volume_driver.operations import seal

Driver = volume_drivers.Qcow2Driver
Call = collections.abc.Callable[[Driver], object]

POSITIONS = {'oldest': 0, 'middle': 1, 'newest': 2}


@functools.cache
def template() -> encrypted.EncryptedVolume:
    """Return a volume with three snapshots, which is only ever copied.

    To make an encrypted image takes seconds: QEMU finds out how fast it is.
    """
    directory = tempfile.TemporaryDirectory()
    made = drivers.DriverFixture(directory.name, passphrase=encrypted.Keys())
    made.setUp()
    volume = encrypted.EncryptedVolume.create(made)
    volume.kept = directory  # type: ignore[attr-defined]
    volume.write(0, 256 * case.KIB, 0x11)
    volume.write(512 * case.MIB, 128 * case.KIB, 0x12)
    volume.write(case.GIB - 96 * case.KIB, 96 * case.KIB, 0x13)
    volume.take_snapshots(3)
    return volume


class EncryptedTestCase(case.OfflineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')

    def again(
        self, made: collections.abc.Callable[..., typing.Any] = template
    ) -> encrypted.EncryptedVolume:
        """Return a copy of a template, on its own directory."""
        source = made()
        directory = self.temp_dir()
        subprocess.run(
            [
                *('cp', '-a', '--sparse=always'),
                *(f'{source.made.directory}/.', directory),
            ],
            check=True,
        )
        fixture = drivers.DriverFixture(
            directory, passphrase=copy.deepcopy(source.keys)
        )
        self.useFixture(fixture)
        volume = encrypted.EncryptedVolume(
            fixture, copy.deepcopy(source.record), copy.deepcopy(source.model)
        )
        volume.snapshots = copy.deepcopy(source.snapshots)
        return volume

    def snapshot(
        self, volume: encrypted.EncryptedVolume, position: int
    ) -> drivers.Snapshot:
        return list(volume.snapshots.values())[position]

    def run_killed(
        self, volume: encrypted.EncryptedVolume, call: Call, point: int
    ) -> bool:
        """Run a call in a child that kills itself at a point.

        :returns: False when there are not so many points
        """
        numbers = itertools.count()

        def reach() -> None:
            if next(numbers) == point:
                os.kill(os.getpid(), signal.SIGKILL)

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            reach()
            found = processutils.execute(*command, **options)
            reach()
            return found

        def run() -> None:
            faults.hook = lambda moment, step: reach()
            driver = Driver(
                configuration=volume.made.make().configuration,
                execute=execute,
                passphrase=volume.keys,
            )
            call(driver)

        return not children.runs_to_its_end(run)


@ddt.ddt
class ChainTest(EncryptedTestCase):
    def test_every_view_is_right(self) -> None:
        self.check(self.again())

    @ddt.data(*POSITIONS)
    def test_deletion_leaves_all_others_bit_for_bit(self, name: str) -> None:
        volume = self.again()
        volume.delete_snapshot(self.snapshot(volume, POSITIONS[name]))
        self.check(volume)

    @ddt.data((0, 1, 2), (2, 1, 0), (1, 2, 0))
    def test_every_order_ends_with_the_base(
        self, order: tuple[int, ...]
    ) -> None:
        volume = self.again()
        snapshots = list(volume.snapshots.values())
        for number in order:
            volume.delete_snapshot(snapshots[number])
            self.check(volume)
        self.assertEqual([volume.record.name], volume.files().chain)

    def test_merge_says_why_it_is_a_commit(self) -> None:
        volume = self.again()
        driver = volume.made.driver
        plan = driver.plan_delete_snapshot(self.snapshot(volume, 1))
        assert plan is not None
        self.assertEqual('commit', plan.way)
        self.assertIn('encrypted', plan.reason)

    def test_pull_is_refused(self) -> None:
        volume = self.again()
        driver = volume.made.merging('pull')
        with self.refused(
            exception.DirectionImpossible, volume.made.directory
        ):
            driver.delete_snapshot(self.snapshot(volume, 1))

    def test_volume_goes_on_after_everything(self) -> None:
        volume = self.again()
        volume.extend(2)
        self.check(volume)
        newest = self.snapshot(volume, 2)
        volume.revert(newest)
        self.check(volume)
        volume.create_snapshot()
        volume.write(case.GIB + 64 * case.KIB, 64 * case.KIB, 0x77)
        volume.delete_snapshot(newest)
        self.check(volume)

    def test_overlay_that_grew_is_committed_into_a_smaller_base(self) -> None:
        volume = self.again()
        volume.extend(2)
        volume.write(2 * case.GIB - 64 * case.KIB, 64 * case.KIB, 0x66)
        volume.delete_snapshot(self.snapshot(volume, 2))
        self.check(volume)

    def test_it_goes_whole(self) -> None:
        volume = self.again()
        volume.record.status = 'deleting'
        for snapshot in list(volume.snapshots.values()):
            volume.made.driver.delete_snapshot(snapshot)
        volume.made.driver.delete_volume(volume.record)
        self.assertEqual([], list(volume.made.directory.glob('volume*')))

    def test_overlay_has_the_cipher_of_what_it_covers(self) -> None:
        made = drivers.DriverFixture(passphrase=encrypted.Keys())
        self.useFixture(made)
        cipher = luks.Cipher('aes-128', 'cbc', 'essiv:sha256')
        volume = encrypted.EncryptedVolume.create(made, cipher=cipher)
        volume.create_snapshot()
        found = [
            luks.cipher_of(str(made.directory / name))
            for name in volume.files().chain
        ]
        self.assertEqual([cipher, cipher], found)

    def test_raw_is_no_format_of_an_encrypted_volume(self) -> None:
        made = drivers.DriverFixture(
            passphrase=encrypted.Keys(), volume_format='raw'
        )
        self.useFixture(made)
        self.check(encrypted.EncryptedVolume.create(made))


class CopyTest(EncryptedTestCase):
    def test_copies_have_keys_of_their_own(self) -> None:
        volume = self.again()
        clone = volume.copy(size=2)
        older = volume.copy(self.snapshot(volume, 1))
        self.check(volume, clone, older)
        keys = {each.model.passphrase for each in (volume, clone, older)}
        self.assertEqual(3, len(keys))

    def test_plain_volume_can_be_copied_to_an_encrypted_one(self) -> None:
        made = drivers.DriverFixture(passphrase=encrypted.Keys())
        self.useFixture(made)
        plain = drivers.volume()
        made.driver.create_volume(plain)
        path = made.active(plain)
        image_tools.qemu_io_write(path, 'qcow2', 4096, 4096, 0x31)
        record = drivers.volume()
        self.assertTrue(made.passphrase.make(record))  # type: ignore
        made.driver.copy(record, made.driver.source(plain), encrypted.CIPHER)
        self.assertNotIn(b'1' * 64, made.active(record).read_bytes())

    def test_nothing_is_copied_out_of_it_in_the_clear(self) -> None:
        volume = self.again()
        record = drivers.volume()
        with self.refused(
            exception.EncryptionUnsupported, volume.made.directory
        ):
            volume.made.driver.create_cloned_volume(record, volume.record)


@ddt.ddt
class PassphraseTest(EncryptedTestCase):
    def calls(self, volume: encrypted.EncryptedVolume) -> dict[str, Call]:
        """Return the calls that need the passphrase."""
        taken = drivers.snapshot(volume.record)
        clone = drivers.volume()
        volume.keys.make(clone)
        return {
            'create': lambda driver: driver.create_snapshot(taken),
            **{
                f'delete_{name}': lambda driver, at=at: driver.delete_snapshot(  # type: ignore
                    self.snapshot(volume, at)
                )
                for name, at in POSITIONS.items()
            },
            'revert': lambda driver: driver.revert_to_snapshot(
                None, volume.record, self.snapshot(volume, 2)
            ),
            'extend': lambda driver: driver.extend_volume(volume.record, 2),
            'clone': lambda driver: driver.copy(
                clone, driver.source(volume.record), encrypted.CIPHER
            ),
        }

    def test_wrong_one_changes_nothing(self) -> None:
        volume = self.again()
        calls = self.calls(volume)
        volume.keys.known[volume.record.id] = 'wrong'
        for name, call in calls.items():
            with (
                self.subTest(name),
                self.refused(exception.PassphraseWrong, volume.made.directory),
            ):
                call(volume.made.driver)

    def test_missing_one_changes_nothing(self) -> None:
        volume = self.again()
        calls = self.calls(volume)
        del volume.keys.known[volume.record.id]
        for name, call in calls.items():
            with (
                self.subTest(name),
                self.refused(
                    exception.PassphraseMissing, volume.made.directory
                ),
            ):
                call(volume.made.driver)

    def test_new_volume_without_one_is_refused(self) -> None:
        made = drivers.DriverFixture(passphrase=encrypted.Keys())
        self.useFixture(made)
        with self.refused(exception.PassphraseMissing, made.directory):
            made.driver.create(drivers.volume(), encrypted.CIPHER)

    def test_mixed_chain_is_refused(self) -> None:
        volume = self.again()
        chain = volume.files().chain
        path = volume.made.path(chain[-1])
        path.unlink()
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', chain[-2]),
            *('-F', 'qcow2', path, str(case.GIB)),
        )
        with self.refused(exception.EncryptionMixed, volume.made.directory):
            volume.made.driver.create_snapshot(drivers.snapshot(volume.record))

    def test_it_is_seen_nowhere(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=0))
        volume = self.again()
        seen: list[str] = []
        passphrase = volume.model.passphrase

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            seen.append(' '.join(command))
            for journal in volume.made.directory.glob('*.journal'):
                seen.append(journal.read_text())
            return processutils.execute(*command, **options)

        driver = Driver(
            configuration=volume.made.make().configuration,
            execute=execute,
            passphrase=volume.keys,
        )
        calls = self.calls(volume)
        for name in ('revert', 'delete_middle', 'clone', 'extend', 'create'):
            calls[name](driver)
        self.assertIn('secret,id=s1', ' '.join(seen))
        for text in (*seen, log.output, repr(volume.keys.known.keys())):
            self.assertNotIn(passphrase, text)
        for path in volume.made.directory.iterdir():
            if path.is_file():
                self.assertFalse(self.holds(path, passphrase.encode()), path)

    def holds(self, path: pathlib.Path, text: bytes) -> bool:
        """Tell whether a file holds a text."""
        command = ['grep', '-qF', text.decode(), str(path)]
        return subprocess.run(command).returncode == 0


@ddt.ddt
class KilledTest(EncryptedTestCase):
    @ddt.data('create', 'revert', 'extend', *POSITIONS)
    def test_same_call_again_finishes_it(self, name: str) -> None:
        for point in itertools.count():
            volume = self.again()
            call, expect = self.operation(volume, name)
            killed = self.run_killed(volume, call, point)
            call(volume.made.driver)
            expect()
            found = volume.differences()
            self.assertEqual([], found, f'killed at point {point}')
            if not killed:
                break
        self.assertGreaterEqual(point, 4)

    @ddt.data('revert', *POSITIONS)
    def test_recovery_knows_only_the_journal(self, name: str) -> None:
        for point in itertools.count():
            volume = self.again()
            call, expect = self.operation(volume, name)
            if not self.run_killed(volume, call, point):
                break
            volume.made.driver.recover()
            self.assertEqual([], list(volume.made.directory.glob('*.journal')))
            call(volume.made.driver)
            expect()
            found = volume.differences()
            self.assertEqual([], found, f'killed at point {point}')
        self.assertGreaterEqual(point, 4)

    def test_recovery_waits_for_the_passphrase(self) -> None:
        volume = self.again()
        call, expect = self.operation(volume, 'middle')
        self.assertTrue(self.run_killed(volume, call, 1))
        known = volume.keys.known.pop(volume.record.id)
        with self.refused(exception.RecoveryFailed, volume.made.directory):
            call(volume.made.driver)
        volume.keys.known[volume.record.id] = 'wrong'
        with self.refused(exception.RecoveryFailed, volume.made.directory):
            call(volume.made.driver)
        volume.keys.known[volume.record.id] = known
        call(volume.made.driver)
        expect()
        self.check(volume)

    def operation(
        self, volume: encrypted.EncryptedVolume, name: str
    ) -> tuple[Call, collections.abc.Callable[[], None]]:
        """Return a call, and what puts what it does into the model."""
        if name == 'create':
            taken = drivers.snapshot(volume.record)
            return (
                lambda driver: driver.create_snapshot(taken),
                lambda: volume.know_snapshot(taken),
            )
        if name == 'extend':
            return (
                lambda driver: driver.extend_volume(volume.record, 2),
                lambda: volume.know_size(2),
            )
        record = self.snapshot(volume, POSITIONS.get(name, 2))
        if name == 'revert':
            return (
                lambda driver: driver.revert_to_snapshot(
                    None, volume.record, record
                ),
                lambda: volume.know_revert(record),
            )
        return (
            lambda driver: driver.delete_snapshot(record),
            lambda: volume.forget_snapshot(record),
        )


class SealTest(EncryptedTestCase):
    def test_new_volume_takes_over_a_plain_file(self) -> None:
        made = drivers.DriverFixture(passphrase=encrypted.Keys())
        self.useFixture(made)
        volume = encrypted.EncryptedVolume.create(made)
        volume.write(8192, 4096, 0x44)
        given = pathlib.Path(self.temp_dir()) / 'image'
        with given.open('wb') as stream:
            stream.truncate(case.MIB)
            stream.write(b'5' * 4096)
        context = made.driver.context
        seal.write_over(context, made.driver.target(volume.record), str(given))
        volume.model.active.blocks = {0: 0x35}
        self.check(volume)
        self.assertTrue(given.exists())

    def test_volume_with_snapshots_does_not(self) -> None:
        volume = self.again()
        given = pathlib.Path(self.temp_dir()) / 'image'
        given.write_bytes(bytes(case.MIB))
        driver = volume.made.driver
        with self.refused(exception.VolumeHasSnapshots, volume.made.directory):
            seal.write_over(
                driver.context, driver.target(volume.record), str(given)
            )
