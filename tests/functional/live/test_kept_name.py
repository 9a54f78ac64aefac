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

"""The active image keeps its name when snapshots are deleted.

Somebody else starts the guest by that name, and does not ask first: at every
instant it has to be the right one.
"""

from __future__ import annotations

import itertools
import os

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import model as models
from tests.functional.live import case
from tests.functional.live import child
from tests.functional.live import test_recovery as recovery
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver.operations import run

KIB = case.KIB
MIB = case.MIB

KEPT = {'keep_active_name': True}
_RENAME = files.rename


class KeptNameTestCase(recovery.RecoveryTestCase):
    def make_kept(
        self, volume_format: str, **options: object
    ) -> case.GuestVolume:
        volume, _ = self.make_running(
            volume_format, options={**KEPT, **options}
        )
        volume.model.nameless = 1
        return volume

    def active(self, volume: case.GuestVolume) -> str:
        """Return the path that somebody else keeps."""
        return str(volume.made.active(volume.record))

    def start_by_name(self, volume: case.GuestVolume, path: str) -> None:
        """Start the guest as one who knows a path and asks nobody."""
        volume.guest.set_disk_path(path, 'qcow2')
        volume.guest.start()

    def chain(self, volume: case.GuestVolume) -> tuple[str, ...]:
        files = models.Files(
            volume.made.directory,
            volume.record.name,
            volume.model.base_format,
            share=True,
        )
        return tuple(files.chain)

    def info(self, volume: case.GuestVolume) -> info.Info:
        found = info.read(str(volume.made.directory), volume.record.name)
        assert found is not None
        return found


@ddt.ddt
class KeptNameTest(KeptNameTestCase):
    @ddt.data(*itertools.product(case.FORMATS, ('commit', 'pull', 'auto')))
    @ddt.unpack
    def test_newest_goes_and_the_name_stays(
        self, volume_format: str, direction: str
    ) -> None:
        volume = self.make_kept(volume_format)
        self.take_snapshots(volume, 3)
        kept = self.active(volume)
        for snapshot in reversed(list(volume.snapshots.values())):
            volume.delete_snapshot(snapshot, direction)
            self.assertEqual(kept, self.active(volume))
            self.assertTrue(volume.is_running())
            self.assertEqual((kept, 'qcow2'), volume.next_start())
            self.check(volume)
        self.assertEqual(
            {'active': os.path.basename(kept)}, self.info(volume).as_dict()
        )
        report = volume.made.driver.check(volume.record)
        self.assertEqual((), tuple(report.findings))
        volume.write(300 * MIB, 64 * KIB, 0x77)
        volume.guest.flush()
        volume.guest.destroy()
        self.start_by_name(volume, kept)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_commit_copies_what_was_written_since(
        self, volume_format: str
    ) -> None:
        volume = self.make_kept(volume_format)
        volume.write(100 * MIB, 32 * MIB, 0x21)
        (snapshot,) = self.take_snapshots(volume, 1)
        kept = self.active(volume)
        volume.delete_snapshot(snapshot)
        self.assertEqual(
            [volume.record.name, os.path.basename(kept)],
            list(self.chain(volume)),
        )
        self.assertLess(os.stat(kept).st_blocks * 512, MIB)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_chain_does_not_grow(self, volume_format: str) -> None:
        """What is left of a deletion goes with the next ones."""
        volume = self.make_kept(volume_format)
        volume.write(100 * MIB, 32 * MIB, 0x21)
        for number in range(8):
            snapshot = volume.create_snapshot()
            volume.write((200 + 5 * number) * MIB, 256 * KIB, 0x31 + number)
            volume.delete_snapshot(snapshot)
            self.assertLessEqual(len(self.chain(volume)), 2)
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_guest_that_is_shut_off(self, volume_format: str) -> None:
        volume = self.make_kept(volume_format)
        self.take_snapshots(volume, 3)
        kept = self.active(volume)
        volume.guest.destroy()
        for snapshot in reversed(list(volume.snapshots.values())):
            volume.delete_snapshot(snapshot, 'commit')
            self.assertEqual(kept, self.active(volume))
            self.assertEqual((kept, 'qcow2'), volume.next_start())
            self.check(volume)
        self.start_by_name(volume, kept)
        self.assertEqual([], volume.unseen())

    def test_suspended_guest_stays_so(self) -> None:
        volume, _ = self.make_running('qcow2', paused=True, options=KEPT)
        volume.model.nameless = 1
        (snapshot,) = self.take_snapshots(volume, 1)
        kept = self.active(volume)
        volume.delete_snapshot(snapshot, 'commit')
        self.assertFalse(volume.is_running())
        self.assertEqual(kept, self.active(volume))
        self.check(volume)

    def test_volume_that_is_not_attached(self) -> None:
        """Nobody else knows a name: nothing is left behind."""
        volume = self.make_kept('qcow2')
        (snapshot,) = self.take_snapshots(volume, 1)
        volume.guest.destroy()
        volume.guest.undefine()
        volume.record.volume_attachment = []
        volume.delete_snapshot(snapshot, 'commit')
        self.assertEqual((volume.record.name,), self.chain(volume))
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_revert_to_what_is_the_newest_then(
        self, volume_format: str
    ) -> None:
        volume = self.make_kept(volume_format)
        _, newest, deleted = self.take_snapshots(volume, 3)
        kept = self.active(volume)
        volume.delete_snapshot(deleted, 'commit')
        volume.write(300 * MIB, 64 * KIB, 0x77)
        volume.guest.destroy()
        volume.revert(newest)
        self.assertEqual(kept, self.active(volume))
        self.check(volume)
        self.start_by_name(volume, kept)
        volume.write(310 * MIB, 64 * KIB, 0x78)
        volume.delete_snapshot(newest)
        self.check(volume)

    def test_copy_gives_the_name_back(self) -> None:
        volume = self.make_kept('qcow2')
        self.take_snapshots(volume, 1)
        kept = self.active(volume)
        clone = volume.clone(1)
        self.assertEqual(kept, self.active(volume))
        self.check(volume, clone)

    def test_guest_that_writes_all_the_time(self) -> None:
        volume = self.make_volume(
            'qcow2',
            options=KEPT,
            kernel=True,
            writer_slots=4096,
            writer_offset=512 * MIB,
        )
        volume.guest.start()
        volume.guest.wait_acknowledged(20)
        for _ in range(3):
            record = drivers.snapshot(volume.record)
            volume.made.driver.create_snapshot(record)
            seen = volume.guest.acknowledged()
            volume.guest.wait_acknowledged(seen + 20)
            volume.made.merging('commit').delete_snapshot(record)
        acknowledged = volume.guest.wait_acknowledged(
            volume.guest.acknowledged() + 20
        )
        kept = self.active(volume)
        volume.guest.kill()
        self.start_by_name(volume, kept)
        # It goes on behind what was acknowledged last, and reads that first.
        volume.guest.wait_acknowledged(acknowledged + 20)


@ddt.ddt
class KilledTest(KeptNameTestCase):
    """Driver and QEMU are killed at every point."""

    def test_guest_runs_on(self) -> None:
        volume = self.make_kept('qcow2')
        suspended = 0
        for number in itertools.count():
            call = self.prepare(volume, 'active commit', number)
            kept = self.active(volume)
            killed = child.ended_by_kill(child.start(call))
            suspended += not volume.is_running()
            if volume.is_running():
                volume.write(600 * MIB + number * 64 * KIB, 64 * KIB, 0x5A)
            self.call_again(volume, call)
            self.assertTrue(volume.is_running(), f'killed at point {number}')
            self.assertEqual(kept, self.active(volume))
            self.check(volume)
            if not killed:
                break
            self.drop_oldest(volume)
        self.assertGreaterEqual(number, 12)
        self.assertGreater(suspended, 4)
        self.assert_nothing_left(volume)
        self.check_next_start(volume)

    def test_guest_dies_too(self) -> None:
        volume = self.make_kept('raw')
        for number in itertools.count(step=2):
            call = self.prepare(volume, 'active commit', number)
            kept = self.active(volume)
            volume.guest.flush()
            killed = child.ended_by_kill(child.start(call))
            volume.guest.kill()
            self.call_again(volume, call)
            self.assertEqual(kept, self.active(volume))
            self.check(volume)
            if not killed:
                break
            self.start_by_name(volume, kept)
            self.drop_oldest(volume)
        self.assertGreaterEqual(number, 12)
        self.assert_nothing_left(volume)

    @ddt.data(*zip(case.FORMATS, (0, 1), (True, False), strict=True))
    @ddt.unpack
    def test_guest_is_started_by_the_name_and_writes(
        self, volume_format: str, first: int, runs: bool
    ) -> None:
        """Before anybody finishes the deletion; and it may be off by then.

        Every second point here, and the others there.
        """
        volume = self.make_kept(volume_format)
        for number in itertools.count(first, 2):
            call = self.prepare(volume, 'active commit', number)
            kept = self.active(volume)
            volume.guest.flush()
            killed = child.ended_by_kill(child.start(call))
            if not killed:
                self.know(volume, call)
                break
            volume.guest.kill()
            self.start_by_name(volume, kept)
            self.assertEqual([], volume.unseen(), f'point {number}')
            volume.write((208 + 4 * (number % 8)) * KIB, 4 * KIB, 0xEE)
            volume.guest.flush()
            if not runs:
                volume.guest.destroy()
            self.call_again(volume, call)
            self.assertEqual(kept, self.active(volume))
            self.assertEqual(
                [],
                volume.differences(share=runs),
                f'killed at point {number}',
            )
            if not runs:
                volume.guest.start()
            self.assertEqual([], volume.unseen(), f'point {number}')
            self.drop_oldest(volume)
        self.assertGreaterEqual(number, 12)
        self.assert_nothing_left(volume)

    def make_one(self) -> tuple[case.GuestVolume, drivers.Snapshot]:
        """Make a volume with a snapshot, and with what only its top has."""
        volume = self.make_kept('qcow2')
        (snapshot,) = self.take_snapshots(volume, 1)
        volume.write(300 * MIB, 64 * KIB, 0x41)
        volume.guest.flush()
        return volume, snapshot

    def fail_renames(self, times: int) -> None:
        """Let the top's renewal fail that often."""
        left = itertools.repeat(True, times)

        def fail(source: str, target: str) -> None:
            sidecar = target.endswith(('.journal', '.info', '.record'))
            if not sidecar and next(left, False):
                raise exception.FileOperationFailed(
                    path=target, reason='not today'
                )
            _RENAME(source, target)

        self.patch(files, 'rename', fail)

    def test_renewal_that_fails_for_a_moment(self) -> None:
        volume, snapshot = self.make_one()
        self.fail_renames(2)
        volume.delete_snapshot(snapshot, 'commit')
        self.assertTrue(volume.is_running())
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(True, False)
    def test_renewal_that_fails_for_long(self, killed: bool) -> None:
        """The guest writes nothing that a start by name would not see."""
        volume, snapshot = self.make_one()
        self.patch(run, '_HELD_SECONDS', 1.0)
        self.fail_renames(100)
        self.assertRaises(
            exception.VolumeDriverError,
            volume.made.merging('commit').delete_snapshot,
            snapshot,
        )
        self.assertFalse(volume.is_running())
        kept = self.active(volume)
        if killed:
            volume.guest.kill()
            self.start_by_name(volume, kept)
            volume.write(300 * MIB, 64 * KIB, 0x42)
            volume.guest.flush()
        self.fail_renames(0)
        volume.delete_snapshot(snapshot, 'commit')
        self.assertTrue(volume.is_running())
        self.assertEqual(kept, self.active(volume))
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_job_that_runs_on_is_adopted(self, volume_format: str) -> None:
        volume = self.make_kept(volume_format)
        for number in range(3):
            volume.create_snapshot()
            volume.write((100 + 10 * number) * MIB, 8 * MIB, 0x61 + number)
        call = self.start_merge(volume, 'active commit')
        volume.write(700 * MIB, 64 * KIB, 0x5B)
        kept = self.active(volume)
        self.call_again(volume, call)
        self.assertIn('runs already', self.log.output)
        self.assertEqual(kept, self.active(volume))
        self.check(volume)
        self.check_next_start(volume)

    def assert_nothing_left(self, volume: case.GuestVolume) -> None:
        left = sorted(os.listdir(volume.made.directory))
        expected = [*self.chain(volume), f'{volume.record.name}.info']
        found = [
            name
            for name in left
            if name not in expected and not name.startswith('.')
        ]
        self.assertEqual([f'{volume.record.name}.record'], found)
