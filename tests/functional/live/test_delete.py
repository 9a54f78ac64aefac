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

"""Snapshots deleted while a guest runs on the volume."""

from __future__ import annotations

import itertools

import ddt
import libvirt

from tests.fixtures import driver as drivers
from tests.functional.live import case
from tests.functional.live import jobs
from volume_driver import exception
from volume_driver.operations import jobs as running

MIB = case.MIB

# Which snapshot of how many, counted from the oldest, and the ways it can go.
MERGES = {
    'oldest, intermediate commit': (0, 3, 'commit'),
    'middle, intermediate commit': (1, 3, 'commit'),
    'newest, active commit': (2, 3, 'commit'),
    'newest, pull': (2, 3, 'pull'),
    'the only one, active commit': (0, 1, 'commit'),
    'the only one, pull of the base': (0, 1, 'pull'),
}


@ddt.ddt
class DeleteTest(case.LiveTestCase):
    @ddt.data(*itertools.product(case.FORMATS, MERGES))
    @ddt.unpack
    def test_all_that_stays_is_as_it_was(
        self, volume_format: str, name: str
    ) -> None:
        position, count, direction = MERGES[name]
        volume, snapshots = self.make_running(volume_format, count)
        volume.delete_snapshot(snapshots[position], direction)
        self.assertTrue(volume.is_running())
        self.check(volume)
        volume.write(3 * MIB, MIB, 0x99)
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_flatten(self, volume_format: str) -> None:
        volume, snapshots = self.make_running(volume_format, 3)
        volume.made.driver.flatten(volume.record)
        for snapshot in snapshots:
            volume.forget_snapshot(snapshot)
        self.assertTrue(volume.is_running())
        layers = volume.made.driver.describe(volume.record).layers
        self.assertEqual(1, len(layers))
        self.check_next_start(volume)

    @ddt.data(*MERGES)
    def test_paused_guest_stays_paused(self, name: str) -> None:
        position, count, direction = MERGES[name]
        volume, snapshots = self.make_running('raw', count, paused=True)
        volume.delete_snapshot(snapshots[position], direction)
        self.assertEqual(libvirt.VIR_DOMAIN_PAUSED, volume.state())
        self.check(volume)
        volume.guest.resume()
        self.check_next_start(volume)

    @ddt.data('newest, active commit', 'newest, pull')
    def test_transient_guest_needs_no_definition(self, name: str) -> None:
        position, count, direction = MERGES[name]
        volume, snapshots = self.make_running('raw', count, persistent=False)
        volume.delete_snapshot(snapshots[position], direction)
        self.check(volume)
        volume.guest.destroy()
        self.check(volume)

    @ddt.data(*itertools.product(case.FORMATS, ('0123', '3210', '2031')))
    @ddt.unpack
    def test_all_go_one_after_the_other(
        self, volume_format: str, order: str
    ) -> None:
        volume, snapshots = self.make_running(volume_format, 4)
        for position in order:
            volume.delete_snapshot(snapshots[int(position)])
            self.check(volume)
        volume.create_snapshot()
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_a_volume_lives_on_without_its_base(
        self, volume_format: str
    ) -> None:
        volume, snapshots = self.make_running(volume_format, 2)
        volume.delete_snapshot(snapshots[0])
        volume.delete_snapshot(snapshots[1], 'pull')
        self.assertFalse(volume.made.path(volume.record.name).exists())
        third, fourth = self.take_snapshots(volume, 2)
        volume.delete_snapshot(third)
        volume.delete_snapshot(fourth, 'commit')
        self.check(volume)
        self.check_next_start(volume)

    def test_a_snapshot_is_gone_once(self) -> None:
        volume, snapshots = self.make_running(snapshots=2)
        volume.delete_snapshot(snapshots[0])
        volume.made.driver.delete_snapshot(snapshots[0])
        self.check(volume)

    @ddt.data(0, 1)
    def test_pull_below_the_active_image_is_refused(
        self, position: int
    ) -> None:
        volume, snapshots = self.make_running(snapshots=3)
        volume.guest.flush()
        pulling = volume.made.merging('pull')
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.DirectionImpossible, volume.made.directory),
        ):
            pulling.delete_snapshot(snapshots[position])
        self.check(volume)


# Which of five snapshots go by one call, the way, and in how many passes.
TOGETHER = {
    'two oldest': ('01', 'commit', 1),
    'two newest': ('34', 'commit', 1),
    'two newest, pull': ('34', 'pull', 1),
    'apart': ('024', 'commit', 3),
    'all': ('01234', 'commit', 1),
    'all, pull': ('01234', 'pull', 1),
}


@ddt.ddt
class DeleteTogetherTest(case.LiveTestCase):
    @ddt.data(*itertools.product(case.FORMATS, TOGETHER))
    @ddt.unpack
    def test_all_that_stays_is_as_it_was(
        self, volume_format: str, name: str
    ) -> None:
        positions, direction, passes = TOGETHER[name]
        volume, snapshots = self.make_running(volume_format, 5)
        deleted = [snapshots[int(position)] for position in positions]
        driver = volume.made.merging(direction)
        self.assertEqual(passes, len(driver.plan_delete_snapshots(deleted)))
        volume.delete_snapshots(deleted, direction)
        self.assertTrue(volume.is_running())
        self.check(volume)
        volume.write(3 * MIB, MIB, 0x99)
        self.check_next_start(volume)


_SLOW = (
    'middle, intermediate commit',
    'newest, active commit',
    'newest, pull',
)


class SlowTestCase(case.LiveTestCase):
    """Deletions that take long enough to be seen and steered."""

    def make_slow(
        self, name: str
    ) -> tuple[case.GuestVolume, drivers.Snapshot, str]:
        """Return a volume, the snapshot to be deleted, and the way."""
        position, count, direction = MERGES[name]
        volume, snapshots = self.make_running(
            snapshots=count, options={'merge_bandwidth': 1}
        )
        volume.write(256 * MIB, 16 * MIB, 0x71)
        if name != 'newest, active commit':
            # Now it is in the image below the active one.
            snapshots = snapshots[1:] + self.take_snapshots(volume, 1)
        return volume, snapshots[position], direction


@ddt.ddt
class BandwidthTest(SlowTestCase):
    @ddt.data(*_SLOW)
    def test_libvirt_gets_the_limit(self, name: str) -> None:
        volume, snapshot, direction = self.make_slow(name)
        with jobs.in_background(
            lambda: volume.made.merging(direction).delete_snapshot(snapshot)
        ) as call:
            info = jobs.wait_for_job(volume.guest, call)
            self.assertEqual(1, info['bandwidth'])
            volume.made.driver.limit_merge(volume.record, 2)
            info = jobs.wait_for_job(volume.guest, call)
            self.assertEqual(2, info['bandwidth'])
            # Without a limit it is soon done.
            volume.made.driver.limit_merge(volume.record, 0)
        call.result()
        volume.forget_snapshot(snapshot)
        self.check(volume)


@ddt.ddt
class CancelTest(SlowTestCase):
    @ddt.data(*_SLOW)
    def test_guest_goes_on_and_the_next_call_ends_it(self, name: str) -> None:
        volume, snapshot, direction = self.make_slow(name)
        driver = volume.made.driver

        def seen() -> tuple[str, ...]:
            target = driver.target(volume.record)
            disk = driver.context.hypervisor.find(target).live
            assert disk is not None
            return disk.chain()

        before = seen()
        with jobs.in_background(
            lambda: volume.made.merging(direction).delete_snapshot(snapshot)
        ) as call:
            jobs.wait_for_job(volume.guest, call)
            (job,) = driver.list_jobs()
            self.assertEqual(running.RUNNING, job.state)
            driver.cancel_merge(volume.record)
            self.assertRaises(exception.JobFailed, call.result)
        self.assertEqual(before, seen())
        self.assertTrue(volume.is_running())
        # What a commit has changed cannot be taken back.
        expected = [] if direction == 'pull' else [running.CUT_OFF]
        self.assertEqual(expected, [job.state for job in driver.list_jobs()])
        volume.write(3 * MIB, MIB, 0x72)
        volume.made.options['merge_bandwidth'] = 0
        volume.delete_snapshot(snapshot, direction)
        self.check(volume)
