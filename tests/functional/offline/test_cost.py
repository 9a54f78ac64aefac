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

"""What offline work costs: child processes and bytes, counted, never timed."""

from __future__ import annotations

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import effort
from tests.fixtures import modelled
from tests.functional.offline import case

DEPTHS = (1, 60)
# What is written besides the data: tables, journal, .info.
_OVERHEAD = 1.05


class CostTestCase(case.OfflineTestCase):
    def make_deep(
        self, depth: int, *deleted: int
    ) -> tuple[modelled.ModelledVolume, list[drivers.Snapshot]]:
        """Make a volume with so many snapshots and almost no data.

        :param deleted: snapshots; the images that meet where one of them is
            deleted, and the one above, have data of their own
        """
        volume = self.make_volume()
        snapshots = []
        for number in range(depth):
            snapshots.append(volume.create_snapshot())
            if any(abs(number - each) <= 1 for each in deleted):
                offset = (number + 1) * case.MIB
                volume.write(offset, 64 * case.KIB, 0x30 + number)
        return volume, snapshots

    def check_depth(self, volume: modelled.ModelledVolume, depth: int) -> None:
        """Check that what was counted was done; others look at the data."""
        self.assertEqual(depth + 1, len(volume.files().chain))

    def verbs(self, watch: effort.Watch) -> list[str]:
        """Return the verb of each child, all of which have to be qemu-img."""
        found = []
        for command in watch.effort.commands:
            # Before it stands what limits it, and becomes it.
            self.assertIn('qemu-img', command)
            found.append(command[command.index('qemu-img') + 1])
        return found


@ddt.ddt
class ChildrenTest(CostTestCase):
    def deletions(self, depth: int, way: str) -> list[list[str]]:
        """Delete the newest snapshot, a middle one and the oldest.

        :returns: the verbs of the children of each
        """
        numbers = sorted({depth - 1, depth // 2, 0}, reverse=True)
        volume, snapshots = self.make_deep(depth, *numbers)
        found = []
        for number in numbers:
            with effort.Watch() as watch:
                volume.delete_snapshot(snapshots[number], way)
            found.append(self.verbs(watch))
        self.check_depth(volume, depth - len(numbers))
        return found

    @ddt.data(*DEPTHS)
    def test_create_is_one_child_at_any_depth(self, depth: int) -> None:
        volume, _ = self.make_deep(depth)
        with effort.Watch() as watch:
            volume.create_snapshot()
        self.assertEqual(['create'], self.verbs(watch))
        self.check_depth(volume, depth + 1)

    @ddt.data(*DEPTHS)
    def test_deletion_by_commit(self, depth: int) -> None:
        newest, *below = self.deletions(depth, 'commit')
        # Nothing is above the newest one, so nothing is pointed elsewhere.
        self.assertEqual(['commit'], newest)
        self.assertEqual([['commit', 'rebase']] * len(below), below)

    @ddt.data(*DEPTHS)
    def test_deletion_by_pull(self, depth: int) -> None:
        found = self.deletions(depth, 'pull')
        self.assertEqual([['rebase']] * len(found), found)

    @ddt.data(*DEPTHS)
    def test_deletion_by_the_cheaper_way(self, depth: int) -> None:
        found = self.deletions(depth, 'auto')
        self.assertLessEqual(max(len(verbs) for verbs in found), 2)

    def test_looking_is_no_child(self) -> None:
        volume, _ = self.make_deep(1)
        driver = volume.made.driver
        with effort.Watch() as watch:
            driver.get_volume_stats(refresh=True)
            driver.list_volumes()
            driver.local_path(volume.record)
            driver.initialize_connection(volume.record, {})
            driver.recover()
        self.assertEqual((), watch.effort.commands)

    def test_cascade_is_no_child(self) -> None:
        volume, snapshots = self.make_deep(3)
        volume.record.status = 'deleting'
        with effort.Watch() as watch:
            for snapshot in snapshots:
                volume.made.driver.delete_snapshot(snapshot)
            volume.made.driver.delete_volume(volume.record)
        self.assertEqual((), watch.effort.commands)


@ddt.ddt
class WrittenTest(CostTestCase):
    @ddt.data((48, 16), (16, 48), (32, 32))
    @ddt.unpack
    def test_deletion_writes_what_the_cheaper_way_has_to(
        self, lower: int, upper: int
    ) -> None:
        volume, [_, snapshot] = self.make_layers(lower, upper)
        with effort.Watch() as watch:
            volume.delete_snapshot(snapshot)
        self.check_written(watch, min(lower, upper))
        self.check(volume)

    @ddt.data(('commit', 16), ('pull', 48))
    @ddt.unpack
    def test_way_that_is_forced_writes_what_it_has_to(
        self, way: str, wanted: int
    ) -> None:
        volume, [_, snapshot] = self.make_layers(48, 16)
        with effort.Watch() as watch:
            volume.delete_snapshot(snapshot, way)
        self.check_written(watch, wanted)
        self.check(volume)

    def make_layers(
        self, lower: int, upper: int
    ) -> tuple[modelled.ModelledVolume, list[drivers.Snapshot]]:
        """Make a volume with two overlays that have so many MiB."""
        volume = self.make_volume()
        snapshots = []
        offset = 100 * case.MIB
        for number, size in enumerate((lower, upper)):
            snapshots.append(volume.create_snapshot())
            volume.write(offset, size * case.MIB, 0x21 + number)
            offset += size * case.MIB
        return volume, snapshots

    def check_written(self, watch: effort.Watch, minimum: int) -> None:
        """Compare with a number of MiB that cannot be done without."""
        self.assertGreaterEqual(watch.effort.written, minimum * case.MIB)
        self.assertLessEqual(
            watch.effort.written, _OVERHEAD * minimum * case.MIB
        )
