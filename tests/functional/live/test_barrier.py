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

"""QEMU is killed as soon as a call has returned, and nothing is lost.

A merge that has ended leaves L2 tables in QEMU's memory; many of them are
involved here, since each covers 512 MiB of a volume.
"""

from __future__ import annotations

import itertools

import ddt

from tests.fixtures import driver as drivers
from tests.functional.live import case

KIB = case.KIB
MIB = case.MIB

SIZE = 12
TABLES = range(0, SIZE * 1024, 512)
ROUNDS = 3
MERGES = {
    'intermediate commit': (1, 'commit'),
    'active commit': (2, 'commit'),
    'pull': (2, 'pull'),
}


class KillTestCase(case.LiveTestCase):
    def scatter(self, volume: case.GuestVolume, number: int) -> None:
        """Write 128 KiB under each L2 table, with a byte for this time.

        Half of it is over what was written the time before.
        """
        for index, table in enumerate(TABLES):
            offset = table * MIB + number * 64 * KIB
            volume.write(offset, 128 * KIB, (16 * number + index) % 251 + 1)

    def make_scattered(
        self, volume_format: str
    ) -> tuple[case.GuestVolume, list[drivers.Snapshot]]:
        """Make a volume with three snapshots under a running guest."""
        volume = self.make_volume(volume_format, size=SIZE)
        volume.guest.start()
        taken = []
        self.scatter(volume, 0)
        for number in range(1, 4):
            taken.append(volume.create_snapshot())
            self.scatter(volume, number)
        return volume, taken


@ddt.ddt
class BarrierTest(KillTestCase):
    @ddt.data(*itertools.product(case.FORMATS, MERGES))
    @ddt.unpack
    def test_merged_data_is_on_disk_once_it_returned(
        self, volume_format: str, name: str
    ) -> None:
        position, direction = MERGES[name]
        volume, snapshots = self.make_scattered(volume_format)
        for number in range(4, 4 + ROUNDS):
            volume.guest.flush()
            volume.delete_snapshot(snapshots.pop(position), direction)
            volume.guest.kill()
            self.check(volume)
            volume.guest.start()
            snapshots.append(volume.create_snapshot())
            self.scatter(volume, number)

    @ddt.data(*case.FORMATS)
    def test_snapshot_is_on_disk_once_it_returned(
        self, volume_format: str
    ) -> None:
        volume, _ = self.make_scattered(volume_format)
        for _ in range(ROUNDS):
            volume.create_snapshot()
            volume.guest.kill()
            self.check(volume)
            volume.guest.start()
            self.scatter(volume, len(volume.snapshots))

    @ddt.data(*MERGES)
    def test_no_flush_of_the_guest_is_needed_for_what_is_older(
        self, name: str
    ) -> None:
        """The driver's own barrier covers what the guest never flushed."""
        position, direction = MERGES[name]
        volume, snapshots = self.make_scattered('qcow2')
        volume.delete_snapshot(snapshots[position], direction)
        volume.guest.kill()
        self.check(volume)
