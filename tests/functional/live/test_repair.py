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

"""Repair where guests run, or would be started."""

from __future__ import annotations

import os
import time

import ddt

from tests.fixtures import image_tools
from tests.functional.live import case
from tests.functional.live import test_check
from volume_driver.checking import facts
from volume_driver.operations import repair

_MIB = 1 << 20


@ddt.ddt
class RepairTest(test_check.CheckTestCase):
    def outcomes(
        self, volume: case.GuestVolume, do: bool = True
    ) -> list[tuple[str, str]]:
        """Repair; return kind and outcome of each finding."""
        known = {
            volume.record.name: facts.Known(1, frozenset(volume.snapshots))
        }
        report = volume.made.driver.repair(
            volume.record, do=do, known=known, settle=0
        )
        return [(each.finding.kind, each.outcome) for each in report.outcomes]

    @ddt.data(0, 1)
    def test_frozen_start(self, position: int) -> None:
        volume, _ = self.make_frozen(position)
        with self.definition_kept(volume.guest):
            self.assertEqual(
                [('frozen-start', repair.PROPOSED)],
                self.outcomes(volume, do=False),
            )
        self.assertEqual(
            [('frozen-start', repair.DONE)], self.outcomes(volume)
        )
        self.assertEqual([], self.told(volume))
        volume.guest.start()
        volume.write(0, _MIB, 0x44)
        self.assertEqual([], self.told(volume))
        volume.guest.destroy()
        self.assertEqual([], volume.differences())

    def test_frozen_image_that_was_written_to_is_left(self) -> None:
        volume, _ = self.make_frozen(1)
        # A guest that was started from it would do so.
        time.sleep(0.01)
        volume.made.path(volume.files().chain[1]).touch()
        with self.definition_kept(volume.guest):
            self.assertEqual(
                [('frozen-start', repair.REFUSED)], self.outcomes(volume)
            )

    def test_no_other_repair_makes_it_look_right(self) -> None:
        """What mends a header changes no time that is proof of anything."""
        volume, _ = self.make_frozen(0)
        base, lower, _ = map(volume.made.path, volume.files().chain)
        time.sleep(0.01)
        base.touch()
        image_tools.qemu_img(
            *('rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2'),
            *('-b', base, lower),
        )
        os.utime(lower, ns=(0, base.stat().st_mtime_ns - 1))
        with self.definition_kept(volume.guest):
            self.assertEqual(
                [
                    ('foreign-backing', repair.DONE),
                    ('frozen-start', repair.REFUSED),
                ],
                self.outcomes(volume),
            )

    def test_frozen_guest_is_left(self) -> None:
        volume, _ = self.make_frozen(1)
        volume.guest.start()
        with self.definition_kept(volume.guest):
            self.assertEqual(
                [('frozen-guest', repair.REFUSED)], self.outcomes(volume)
            )
        self.assertTrue(volume.guest.is_active())

    def test_guest_is_ahead_of_info(self) -> None:
        volume, _ = self.make_running(snapshots=2)
        path = volume.made.path(f'{volume.record.name}.info')
        text = path.read_bytes()
        volume.create_snapshot()
        volume.write(2 * _MIB, _MIB, 0x45)
        path.write_bytes(text)
        self.assertEqual(
            [('guest-mismatch', repair.DONE)], self.outcomes(volume)
        )
        self.assertEqual([], self.told(volume))
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
        volume.guest.destroy()
        self.assertEqual([], volume.differences())

    def test_leftover_beside_a_guest(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        part = volume.made.path(f'{volume.record.name}.x.part')
        part.write_bytes(b'half')
        self.assertEqual([('leftover', repair.DONE)], self.outcomes(volume))
        self.assertFalse(part.exists())
        self.assertEqual([], self.told(volume))
