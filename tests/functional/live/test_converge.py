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

"""A commit of the active image that does not catch up with the guest.

A low bandwidth stands for a guest that writes faster than the job copies.
"""

from __future__ import annotations

import ddt

from tests.fixtures import driver as drivers
from tests.functional.live import case
from volume_driver import exception

MIB = case.MIB


@ddt.ddt
class ConvergeTest(case.LiveTestCase):
    def make_slow(
        self, volume_format: str, size: int, **options: int
    ) -> tuple[case.GuestVolume, drivers.Snapshot]:
        """Make a volume whose newest image takes that many seconds."""
        wanted = {'merge_bandwidth': 1, 'merge_direction': 'commit', **options}
        volume, (snapshot,) = self.make_running(
            volume_format, snapshots=1, options=wanted
        )
        volume.write(256 * MIB, size * MIB, 0x71)
        return volume, snapshot

    def limits(self, volume: case.GuestVolume) -> dict[str, int]:
        """Return the limits that the guest's disk has."""
        found = volume.guest.domain.blockIoTune('vda')
        return {key: value for key, value in found.items() if value}

    @ddt.data(*case.FORMATS)
    def test_guest_is_suspended_until_it_has(self, volume_format: str) -> None:
        volume, snapshot = self.make_slow(
            volume_format, 6, convergence_timeout=1, longest_pause=60
        )
        volume.delete_snapshot(snapshot, 'commit')
        self.assertIn('are limited to', self.log.output)
        self.assertTrue(volume.is_running())
        self.assertEqual({}, self.limits(volume))
        self.check(volume)
        self.check_next_start(volume)

    @ddt.data(*case.FORMATS)
    def test_it_is_given_up_after_the_longest_pause(
        self, volume_format: str
    ) -> None:
        volume, snapshot = self.make_slow(
            volume_format, 60, convergence_timeout=1, longest_pause=1
        )
        before = volume.guest.live_xml().count('<backingStore')
        error = self.assertRaises(
            exception.JobFailed, volume.made.driver.delete_snapshot, snapshot
        )
        self.assertIn('did not converge', str(error))
        self.assertTrue(volume.is_running())
        self.assertEqual({}, self.limits(volume))
        self.assertEqual(
            before, volume.guest.live_xml().count('<backingStore')
        )
        self.assertEqual([], volume.unseen())
        # It is finished by the next call, when it may go faster.
        volume.made.make(
            merge_direction='commit', merge_bandwidth=0
        ).delete_snapshot(snapshot)
        volume.forget_snapshot(snapshot)
        self.check(volume)

    def test_limit_of_the_operator_stays(self) -> None:
        volume, snapshot = self.make_slow(
            'qcow2', 6, convergence_timeout=1, longest_pause=60
        )
        volume.guest.domain.setBlockIoTune('vda', {'write_bytes_sec': 5 * MIB})
        volume.delete_snapshot(snapshot, 'commit')
        self.assertEqual(5 * MIB, self.limits(volume)['write_bytes_sec'])
        self.check(volume)
