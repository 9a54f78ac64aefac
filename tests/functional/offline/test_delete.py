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

"""A snapshot is deleted, and nothing else changes."""

from __future__ import annotations

import itertools
import json

import ddt

from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case

DIRECTIONS = ('commit', 'pull')
POSITIONS = {'oldest': 0, 'middle': 1, 'newest': 3}
CASES = list(itertools.product(POSITIONS, DIRECTIONS, case.FORMATS))


@ddt.ddt
class DeleteOneOfFourTest(case.OfflineTestCase):
    @ddt.data(*CASES)
    @ddt.unpack
    def test_all_others_stay_bit_for_bit(
        self, position: str, direction: str, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 4)
        # Names, formats and the set of files are compared as well.
        volume.delete_snapshot(snapshots[POSITIONS[position]], direction)
        self.check(volume)

    @ddt.data(*CASES)
    @ddt.unpack
    def test_images_stay_without_fault(
        self, position: str, direction: str, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 4)
        volume.delete_snapshot(snapshots[POSITIONS[position]], direction)
        self.check_images(volume)

    @ddt.data(*itertools.product(DIRECTIONS, case.FORMATS))
    @ddt.unpack
    def test_info_says_which_overlay_each_snapshot_has(
        self, direction: str, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        a, b, c = self.make_snapshots(volume, 3)
        name = volume.record.name
        volume.delete_snapshot(b, direction)
        # commit: base <- a <- c^     pull: base <- b <- c^, b is a's overlay
        overlay = a if direction == 'commit' else b
        wanted = {
            'active': f'{name}.{c.id}',
            a.id: f'{name}.{overlay.id}',
            c.id: f'{name}.{c.id}',
        }
        text = volume.made.path(f'{name}.info').read_text()
        self.assertEqual(wanted, json.loads(text))


@ddt.ddt
class DeleteAllTest(case.OfflineTestCase):
    @ddt.data(
        *itertools.product(
            ((0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 0, 3)),
            (('commit',), ('pull',), ('pull', 'commit'), ('auto',)),
            case.FORMATS,
        )
    )
    @ddt.unpack
    def test_every_order_ends_with_one_image(
        self,
        order: tuple[int, ...],
        directions: tuple[str, ...],
        volume_format: str,
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 4)
        for number, direction in zip(order, itertools.cycle(directions)):
            volume.delete_snapshot(snapshots[number], direction)
            self.check(volume)
        there = model.fingerprint(volume.made.directory)
        active = volume.made.active(volume.record).name
        name = volume.record.name
        self.assertEqual({active, f'{name}.info', f'{name}.record'}, {*there})

    def test_volume_goes_on_after_its_base_was_pulled(self) -> None:
        volume = self.make_volume('raw')
        for _ in range(2):
            (snapshot,) = self.make_snapshots(volume, 1)
            volume.delete_snapshot(snapshot, 'pull')
            self.check(volume)
        self.assertFalse(volume.made.path(volume.record.name).exists())
        volume.extend(2)
        self.make_snapshots(volume, 2)
        self.check(volume)
        self.assertEqual(
            [volume.record.name], volume.made.driver.list_volumes()
        )
        volume.record.status = 'deleting'
        for snapshot in list(volume.snapshots.values()):
            volume.made.driver.delete_snapshot(snapshot)
        volume.made.driver.delete_volume(volume.record)
        self.assertEqual({}, model.fingerprint(volume.made.directory))


# Which of five snapshots go by one call, and in how many passes.
TOGETHER = {
    'two oldest': ('01', 1),
    'two newest': ('34', 1),
    'three between': ('321', 1),
    'apart': ('024', 3),
    'two and two': ('1043', 2),
    'all': ('01234', 1),
}


@ddt.ddt
class DeleteTogetherTest(case.OfflineTestCase):
    @ddt.data(*itertools.product(TOGETHER, DIRECTIONS, case.FORMATS))
    @ddt.unpack
    def test_all_others_stay_bit_for_bit(
        self, name: str, direction: str, volume_format: str
    ) -> None:
        positions, passes = TOGETHER[name]
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 5)
        deleted = [snapshots[int(position)] for position in positions]
        driver = volume.made.merging(direction)
        self.assertEqual(passes, len(driver.plan_delete_snapshots(deleted)))
        volume.delete_snapshots(deleted, direction)
        self.check(volume)
        self.check_images(volume)

    def test_of_two_volumes(self) -> None:
        first = self.make_volume('raw')
        second = modelled.ModelledVolume.create(first.made)
        deleted = []
        for volume in (first, second):
            deleted += self.make_snapshots(volume, 3)[:2]
        first.made.driver.delete_snapshots(deleted[::2] + deleted[1::2])
        for record in deleted:
            owner = first if record.volume is first.record else second
            owner.forget_snapshot(record)
        for volume in (first, second):
            self.check(volume)

    def test_one_that_is_gone_already(self) -> None:
        volume = self.make_volume('raw')
        first, second, _ = self.make_snapshots(volume, 3)
        volume.delete_snapshot(second)
        volume.made.driver.delete_snapshots([first, second])
        volume.forget_snapshot(first)
        self.check(volume)

    def test_nothing_is_copied_twice(self) -> None:
        """What is written again and again goes down once."""
        volume = self.make_volume()
        snapshots = []
        volume.write(0, 64 * case.MIB, 0x55)
        for number in range(4):
            snapshots.append(volume.create_snapshot())
            volume.write(0, 8 * case.MIB, 0x60 + number)
        (plan,) = volume.made.driver.plan_delete_snapshots(snapshots)
        self.assertEqual(('commit', 8 * case.MIB), (plan.way, plan.cost))
        self.assertTrue(plan.exact)
        volume.delete_snapshots(snapshots)
        self.check(volume)


@ddt.ddt
class DeepTest(case.OfflineTestCase):
    """Merges of a few clusters far up a chain, whose base is not opened."""

    @ddt.data(*itertools.product(DIRECTIONS, case.FORMATS))
    @ddt.unpack
    def test_each_merge_leaves_all_the_rest(
        self, direction: str, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 2)
        for number in range(12):
            snapshots.append(volume.create_snapshot())
            # Parts of clusters, over those of others.
            volume.write(number * 24 * case.KIB, 20 * case.KIB, number + 1)
            end = case.GIB - 4 * case.KIB * (number + 1)
            volume.write(end, 4 * case.KIB, number + 0x20)
        for position in (13, 6, 0, 9, 4, 1):
            volume.delete_snapshot(snapshots.pop(position), direction)
            self.check(volume)
        self.check_images(volume)


@ddt.ddt
class AddsNothingTest(case.OfflineTestCase):
    """Snapshots between which nothing was written."""

    @ddt.data(*itertools.product(POSITIONS, DIRECTIONS, case.FORMATS))
    @ddt.unpack
    def test_all_others_stay_bit_for_bit(
        self, position: str, direction: str, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, 1)
        snapshots = [volume.create_snapshot() for _ in range(4)]
        volume.delete_snapshot(snapshots[POSITIONS[position]], direction)
        self.check(volume)
        self.check_images(volume)

    @ddt.data(*DIRECTIONS)
    def test_grown_in_between(self, direction: str) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 1)
        small = volume.create_snapshot()
        volume.extend(2)
        large = volume.create_snapshot()
        volume.write(2 * 1024 * case.MIB - case.MIB, case.MIB, 0x11)
        volume.delete_snapshot(small, direction)
        self.check(volume)
        volume.delete_snapshot(large, direction)
        self.check(volume)


@ddt.ddt
class ChooseDirectionTest(case.OfflineTestCase):
    @ddt.data(*case.FORMATS)
    def test_full_base_is_not_copied(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        volume.write(32 * case.MIB, 32 * case.MIB, 0x55)
        snapshot = volume.create_snapshot()
        volume.write(0, case.MIB, 0x56)
        plan = volume.made.driver.plan_delete_snapshot(snapshot)
        self.assertEqual('commit', getattr(plan, 'way', None))
        volume.delete_snapshot(snapshot)
        self.check(volume)
        self.assertTrue(volume.made.path(volume.record.name).exists())

    def test_full_overlay_is_not_copied(self) -> None:
        volume = self.make_volume()
        snapshot = volume.create_snapshot()
        volume.write(32 * case.MIB, 32 * case.MIB, 0x55)
        plan = volume.made.driver.plan_delete_snapshot(snapshot)
        self.assertEqual('pull', getattr(plan, 'way', None))
        volume.delete_snapshot(snapshot)
        self.check(volume)
        self.assertFalse(volume.made.path(volume.record.name).exists())

    @ddt.data(*DIRECTIONS)
    def test_plan_alone_changes_nothing(self, direction: str) -> None:
        volume = self.make_volume()
        snapshots = self.make_snapshots(volume, 2)
        before = model.fingerprint(volume.made.directory)
        driver = volume.made.merging(direction)
        plan = driver.plan_delete_snapshot(snapshots[0])
        self.assertEqual(direction, getattr(plan, 'way', None))
        self.assertEqual(before, model.fingerprint(volume.made.directory))
