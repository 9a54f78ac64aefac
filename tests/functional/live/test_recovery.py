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

"""The driver is killed at every point of an operation under a guest.

The next call on the volume finishes it, whether the guest still runs, or its
QEMU was killed too.
"""

from __future__ import annotations

import dataclasses
import itertools

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import model as models
from tests.functional.live import case
from tests.functional.live import child
from tests.functional.live import jobs
from volume_driver import exception

KIB = case.KIB
MIB = case.MIB

# What is deleted, counted from the oldest of three, and how; or created.
OPERATIONS = {
    'create': None,
    'intermediate commit': (1, 'commit'),
    'active commit': (2, 'commit'),
    'pull': (2, 'pull'),
}
MERGES = {name: each for name, each in OPERATIONS.items() if each}
# Each has a base of one format here and of the other one there: a test that
# goes through all points of an operation takes long. The fault matrix has all.
IN_TURN = list(zip(OPERATIONS, itertools.cycle(case.FORMATS), strict=False))
IN_TURN_TOO = list(
    zip(OPERATIONS, itertools.cycle(reversed(case.FORMATS)), strict=False)
)


class RecoveryTestCase(case.LiveTestCase):
    def prepare(
        self, volume: case.GuestVolume, name: str, number: int
    ) -> child.Call:
        """Bring a volume to three snapshots, and say what comes next.

        :param number: how often this was done before
        """
        for _ in range(3 - len(volume.snapshots)):
            volume.create_snapshot()
            value = number % 100 + 1
            volume.write(len(volume.snapshots) * 68 * KIB, 100 * KIB, value)
            volume.write((number % 512) * MIB, 64 * KIB, value + 100)
        wanted = OPERATIONS[name]
        if wanted is None:
            snapshot = drivers.snapshot(volume.record)
            method, direction = 'create_snapshot', 'auto'
        else:
            snapshot = list(volume.snapshots.values())[wanted[0]]
            method, direction = 'delete_snapshot', wanted[1]
        return child.Call(
            method=method,
            snapshot_id=snapshot.id,
            volume_id=volume.record.id,
            directory=str(volume.made.directory),
            options={**volume.made.options, 'merge_direction': direction},
            point=number,
        )

    def call_again(self, volume: case.GuestVolume, call: child.Call) -> None:
        """Make the same call once more, and note what it does."""
        direction = call.options['merge_direction']
        driver = volume.made.make(merge_direction=direction)
        getattr(driver, call.method)(call.snapshot())
        self.know(volume, call)

    def make_large(self, volume_format: str) -> case.GuestVolume:
        """Make a volume whose images hold enough for a merge to last."""
        volume, _ = self.make_running(volume_format)
        for number in range(4):
            volume.write((100 + 4 * number) * MIB, 8 * MIB, 0x61 + number)
            if number < 3:
                volume.create_snapshot()
        return volume

    def start_merge(self, volume: case.GuestVolume, name: str) -> child.Call:
        """Start a merge of 8 MiB, and kill the driver while it runs."""
        call = self.prepare(volume, name, 0)
        options = {**call.options, 'merge_bandwidth': 1}
        call = dataclasses.replace(call, options=options, point=-1)
        process = child.start(call)
        jobs.wait_for_job(volume.guest)
        child.kill(process)
        return call

    def know(self, volume: case.GuestVolume, call: child.Call) -> None:
        """Put what a call does into the model."""
        record = drivers.snapshot(volume.record, call.snapshot_id)
        if call.method == 'create_snapshot':
            volume.know_snapshot(record)
        else:
            volume.forget_snapshot(record)

    def drop_oldest(self, volume: case.GuestVolume) -> None:
        """Delete snapshots until there are at most two."""
        for snapshot in list(volume.snapshots.values())[:-2]:
            volume.delete_snapshot(snapshot)


@ddt.ddt
class KilledDriverTest(RecoveryTestCase):
    @ddt.data(*IN_TURN)
    @ddt.unpack
    def test_next_call_finishes_it_under_the_guest(
        self, name: str, volume_format: str
    ) -> None:
        volume, _ = self.make_running(volume_format)
        suspended = 0
        for number in itertools.count():
            call = self.prepare(volume, name, number)
            killed = child.ended_by_kill(child.start(call))
            suspended += not volume.is_running()
            if volume.is_running() and call.method == 'delete_snapshot':
                # It goes on meanwhile.
                volume.write(600 * MIB + number * 64 * KIB, 64 * KIB, 0x5A)
            self.call_again(volume, call)
            self.assertTrue(volume.is_running(), f'killed at point {number}')
            self.check(volume)
            if not killed:
                break
            self.drop_oldest(volume)
        # The journal's two ends, and the two of each step, at least.
        self.assertGreaterEqual(number, 8)
        # Every merge suspends the guest, and some points are within that.
        self.assertEqual(name in MERGES, suspended > 0)
        self.check_next_start(volume)

    @ddt.data(*IN_TURN_TOO)
    @ddt.unpack
    def test_next_call_finishes_it_without_the_guest(
        self, name: str, volume_format: str
    ) -> None:
        volume, _ = self.make_running(volume_format)
        for number in itertools.count():
            call = self.prepare(volume, name, number)
            volume.guest.flush()
            killed = child.ended_by_kill(child.start(call))
            volume.guest.kill()
            self.call_again(volume, call)
            self.check(volume)
            if not killed:
                break
            volume.guest.start()
            self.drop_oldest(volume)
        self.assertGreaterEqual(number, 8)
        self.check_next_start(volume)

    @ddt.data(*[each for each in IN_TURN if each[0] in MERGES])
    @ddt.unpack
    def test_guest_started_too_early_is_put_right(
        self, name: str, volume_format: str
    ) -> None:
        volume, _ = self.make_running(volume_format)
        refusals = 0
        for number in itertools.count():
            call = self.prepare(volume, name, number)
            volume.guest.flush()
            killed = child.ended_by_kill(child.start(call))
            if not killed:
                self.know(volume, call)
                break
            volume.guest.kill()
            # Nobody let the driver put things right before this.
            volume.guest.start(paused=True)
            try:
                self.call_again(volume, call)
            except exception.RecoveryFailed as error:
                refusals += 1
                self.assertIn('shut the guest down', str(error))
                volume.guest.destroy()
                self.call_again(volume, call)
                volume.guest.start(paused=True)
            self.check(volume)
            self.drop_oldest(volume)
        # After a pivot a guest misses nothing, whichever image it has.
        self.assertEqual(name != 'active commit', refusals > 0)
        self.check_next_start(volume)

    @ddt.data(*OPERATIONS)
    def test_set_up_finishes_it_too(self, name: str) -> None:
        volume, _ = self.make_running('raw')
        for number in (1, 3, 5):
            call = self.prepare(volume, name, number)
            self.assertTrue(child.ended_by_kill(child.start(call)))
            volume.made.make().do_setup(None)
            self.know(volume, call)
            self.check(volume)
            self.drop_oldest(volume)


@ddt.ddt
class KilledMergeTest(RecoveryTestCase):
    @ddt.data(*itertools.product(MERGES, case.FORMATS))
    @ddt.unpack
    def test_job_that_runs_on_is_adopted(
        self, name: str, volume_format: str
    ) -> None:
        volume = self.make_large(volume_format)
        call = self.start_merge(volume, name)
        self.assertTrue(volume.guest.domain.blockJobInfo('vda', 0))
        volume.write(700 * MIB, 64 * KIB, 0x5B)
        self.call_again(volume, call)
        self.assertIn('runs already', self.log.output)
        self.assertTrue(volume.is_running())
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(*itertools.product(MERGES, case.FORMATS))
    @ddt.unpack
    def test_job_died_with_qemu(self, name: str, volume_format: str) -> None:
        volume = self.make_large(volume_format)
        volume.guest.flush()
        call = self.start_merge(volume, name)
        volume.guest.kill()
        self.call_again(volume, call)
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(*itertools.product(MERGES, case.FORMATS))
    @ddt.unpack
    def test_guest_was_started_again_before_the_next_call(
        self, name: str, volume_format: str
    ) -> None:
        volume = self.make_large(volume_format)
        volume.guest.flush()
        call = self.start_merge(volume, name)
        volume.guest.kill()
        volume.guest.start()
        self.assertEqual([], volume.unseen())
        volume.write(700 * MIB, 64 * KIB, 0x5C)
        self.call_again(volume, call)
        self.check(volume)
        self.check_next_start(volume)


@ddt.ddt
class CancelledJobTest(RecoveryTestCase):
    @ddt.data(*itertools.product(MERGES, case.FORMATS))
    @ddt.unpack
    def test_somebody_cancels_our_job(
        self, name: str, volume_format: str
    ) -> None:
        volume = self.make_large(volume_format)
        call = self.prepare(volume, name, 0)
        before = self.read_files(volume)
        slow = volume.made.make(**{**call.options, 'merge_bandwidth': 1})
        with jobs.in_background(
            lambda: slow.delete_snapshot(call.snapshot())
        ) as background:
            jobs.wait_for_job(volume.guest, background)
            volume.guest.domain.blockJobAbort('vda', 0)
        self.assertIsInstance(background.exception(), exception.JobFailed)
        self.assertTrue(volume.is_running())
        self.assertEqual([], volume.unseen())
        volume.guest.flush()
        after = self.read_files(volume)
        self.assertEqual(before.chain, after.chain)
        self.assertEqual(before.snapshots, after.snapshots)
        # The one that is being deleted may be on its way already.
        for snapshot_id in set(volume.snapshots) - {call.snapshot_id}:
            image = after.below(after.snapshots[snapshot_id])
            view = volume.model.snapshots[snapshot_id]
            self.assertIsNone(after.compare(image, view))
        self.call_again(volume, call)
        self.check(volume)
        self.check_next_start(volume)

    def read_files(self, volume: case.GuestVolume) -> models.Files:
        """Read the files of a volume that the guest has open."""
        return models.Files(
            volume.made.directory,
            volume.record.name,
            volume.model.base_format,
            share=True,
        )
