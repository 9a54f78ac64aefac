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

"""A volume is extended and reverted, with snapshots of other sizes."""

from __future__ import annotations

import itertools

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import modelled
from tests.functional.offline import case
from volume_driver import exception

DIRECTIONS = ('commit', 'pull')


class ExtendTestCase(case.OfflineTestCase):
    def make_grown(
        self, volume_format: str
    ) -> tuple[modelled.ModelledVolume, list[drivers.Snapshot]]:
        """Make base 1 GiB <- a 1 GiB <- b 2 GiB <- c^ 3 GiB, all written."""
        volume = self.make_volume(volume_format)
        a, b = self.make_snapshots(volume, 2)
        volume.extend(2)
        volume.write(2 * case.GIB - case.MIB, case.MIB, 0x81)
        c = volume.create_snapshot()
        volume.extend(3)
        volume.write(3 * case.GIB - case.MIB, case.MIB, 0x82)
        return volume, [a, b, c]


@ddt.ddt
class ExtendTest(ExtendTestCase):
    @ddt.data(*case.FORMATS)
    def test_new_end_is_zero_and_can_be_written(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        volume.extend(2)
        self.check(volume)
        volume.write(case.GIB - case.MIB, 2 * case.MIB, 0x71)
        volume.write(2 * case.GIB - case.MIB, case.MIB, 0x72)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_snapshots_keep_their_size(self, volume_format: str) -> None:
        volume, _ = self.make_grown(volume_format)
        self.check(volume)

    @ddt.data(
        *itertools.product(
            itertools.permutations(range(3)), DIRECTIONS, case.FORMATS
        )
    )
    @ddt.unpack
    def test_merging_images_of_different_sizes(
        self, order: tuple[int, ...], direction: str, volume_format: str
    ) -> None:
        volume, snapshots = self.make_grown(volume_format)
        for number in order:
            volume.delete_snapshot(snapshots[number], direction)
            self.check(volume)
        self.check_images(volume)

    @ddt.data(*case.FORMATS)
    def test_commit_into_a_smaller_base_grows_it(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshot = volume.create_snapshot()
        volume.extend(2)
        volume.write(case.GIB - case.MIB, 2 * case.MIB, 0x73)
        volume.delete_snapshot(snapshot, 'commit')
        self.assertEqual([volume.record.name], volume.files().chain)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_pull_of_a_smaller_base_reads_as_zeros_beyond_it(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshot = volume.create_snapshot()
        volume.extend(2)
        volume.delete_snapshot(snapshot, 'pull')
        overlay = f'{volume.record.name}.{snapshot.id}'
        self.assertEqual([overlay], volume.files().chain)
        self.check(volume)

    def test_same_size_is_no_error(self) -> None:
        volume = self.make_volume()
        volume.extend(1)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_shrinking_is_refused(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        volume.extend(2)
        with self.refused(exception.InvalidSize, volume.made.directory):
            volume.extend(1)


@ddt.ddt
class RevertTest(ExtendTestCase):
    @ddt.data(*itertools.product((1, 3), case.FORMATS))
    @ddt.unpack
    def test_newest_snapshot_is_what_one_sees_again(
        self, depth: int, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        newest = self.make_snapshots(volume, depth)[-1]
        active = volume.made.active(volume.record)
        volume.revert(newest)
        self.check(volume)
        # Whatever a guest would start from keeps its name.
        self.assertEqual(active, volume.made.active(volume.record))

    @ddt.data(*case.FORMATS)
    def test_again_and_after_new_writes(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        newest = self.make_snapshots(volume, 2)[-1]
        for pattern in (0x91, 0x92):
            volume.revert(newest)
            volume.write(32 * case.KIB, case.MIB, pattern)
            self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_size_stays_and_the_rest_is_zero(self, volume_format: str) -> None:
        volume, snapshots = self.make_grown(volume_format)
        volume.revert(snapshots[-1])
        self.assertEqual(3 * case.GIB, volume.model.active.size)
        self.check(volume)

    @ddt.data(*itertools.product(DIRECTIONS, case.FORMATS))
    @ddt.unpack
    def test_snapshot_can_be_deleted_afterwards(
        self, direction: str, volume_format: str
    ) -> None:
        volume, snapshots = self.make_grown(volume_format)
        volume.revert(snapshots[-1])
        for snapshot in reversed(snapshots):
            volume.delete_snapshot(snapshot, direction)
            self.check(volume)

    @ddt.data(0, 1)
    def test_older_snapshot_is_refused(self, number: int) -> None:
        volume = self.make_volume()
        snapshots = self.make_snapshots(volume, 3)
        with self.refused(exception.NotNewestSnapshot, volume.made.directory):
            volume.revert(snapshots[number])

    def test_older_snapshot_once_the_newer_are_deleted(self) -> None:
        volume = self.make_volume()
        snapshots = self.make_snapshots(volume, 3)
        for snapshot in reversed(snapshots[1:]):
            volume.delete_snapshot(snapshot)
        volume.revert(snapshots[0])
        self.check(volume)

    def test_snapshot_that_is_not_there_is_refused(self) -> None:
        volume = self.make_volume()
        unknown = drivers.snapshot(volume.record)
        with self.refused(exception.SnapshotNotFound, volume.made.directory):
            volume.revert(unknown)
