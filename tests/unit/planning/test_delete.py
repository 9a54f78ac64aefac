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

import typing

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from tests.unit.planning import chains
from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver.images import allocation
from volume_driver.planning import delete
from volume_driver.planning import plan


def _plan(
    snapshots: str,
    snapshot: str,
    direction: str = 'auto',
    live: bool = False,
    base_format: str = 'raw',
    allocated: tuple[int, ...] = (),
) -> plan.Plan:
    found, content = chains.make(snapshots, base_format, allocated)
    return delete.plan_delete(
        chains.VOLUME, (snapshot,), found, content, live, direction
    )


def _record(content: plan.Plan) -> dict[str, str]:
    """Return what ``.info`` says afterwards."""
    (found,) = (
        step.content for step in content.steps if isinstance(step, plan.Record)
    )
    return found


def _in_place(content: plan.Plan) -> plan.CommitInPlace:
    """Return the first step."""
    step = content.steps[0]
    assert isinstance(step, plan.CommitInPlace)
    return step


@ddt.ddt
class InPlaceTest(base.TestCase):
    """The active image keeps its name."""

    def make(
        self,
        snapshots: str,
        snapshot: str,
        direction: str = 'auto',
        nameless: str = '',
        **values: typing.Any,
    ) -> plan.Plan:
        found, content = chains.make(snapshots, 'raw', **values)
        for name in nameless:
            content = content.without_snapshot(name)
        return delete.plan_delete(
            chains.VOLUME,
            (snapshot,),
            found,
            content,
            True,
            direction,
            in_place=True,
        )

    def test_newest(self) -> None:
        found = self.make('abc', 'c', 'commit')
        step = _in_place(found)
        self.assertEqual(('volume-u.c', 'volume-u.b'), (step.top, step.base))
        self.assertEqual(
            (
                step,
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Remember('volume-u.c'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'a': 'volume-u.a',
                        'b': 'volume-u.b',
                    }
                ),
            ),
            found.steps,
        )

    @ddt.data('a', 'b')
    def test_others_are_merged_as_ever(self, snapshot: str) -> None:
        found = self.make('abc', snapshot, 'commit')
        self.assertEqual(
            _plan('abc', snapshot, 'commit', live=True).steps, found.steps
        )

    def test_pull_keeps_the_name_by_itself(self) -> None:
        found = self.make('abc', 'c', 'pull')
        self.assertEqual(
            _plan('abc', 'c', 'pull', live=True).steps, found.steps
        )

    def test_what_was_left_goes_along(self) -> None:
        found = self.make('abc', 'c', 'commit', nameless='b')
        step = _in_place(found)
        self.assertEqual(('volume-u.c', 'volume-u.a'), (step.top, step.base))
        self.assertEqual(plan.Remove('volume-u.b'), found.steps[-1])
        self.assertEqual(
            {'active': 'volume-u.c', 'a': 'volume-u.a'}, _record(found)
        )

    def test_pull_of_what_was_left_leaves_another(self) -> None:
        found = self.make('abc', 'c', 'pull', nameless='b')
        self.assertIn(plan.Remember('volume-u.c'), found.steps)
        self.assertEqual(
            {'active': 'volume-u.c', 'a': 'volume-u.a'}, _record(found)
        )

    def test_empty_one_is_pulled(self) -> None:
        found = self.make('ab', 'b', nameless='a', allocated=(1000, 0, 500))
        self.assertEqual('pull', found.way)

    def test_what_would_be_pulled_again_and_again_is_committed(self) -> None:
        found = self.make('ab', 'b', nameless='a', allocated=(1000, 500, 10))
        self.assertEqual('commit', found.way)

    def test_images_of_snapshots_are_never_absorbed(self) -> None:
        found, content = chains.make('abc')
        images = delete.merged(found, content, ('c',))
        self.assertEqual((), delete.absorbed(found, content, images))

    def test_encrypted_ones_are_not_absorbed(self) -> None:
        found, content = chains.make('ab', encrypted=True)
        content = content.without_snapshot('a')
        images = delete.merged(found, content, ('b',))
        self.assertEqual((), delete.absorbed(found, content, images))


@ddt.ddt
class EncryptedTest(base.TestCase):
    def plan(self, direction: str, live: bool) -> plan.Plan:
        found, content = chains.make(
            'abc', allocated=(10, 20, 1000, 1000), encrypted=True
        )
        return delete.plan_delete(
            chains.VOLUME, ('c',), found, content, live, direction
        )

    @ddt.data(False, True)
    def test_it_is_committed_whatever_that_costs(self, live: bool) -> None:
        found = self.plan('auto', live)
        self.assertEqual('commit', found.way)
        self.assertEqual(1000, found.cost)
        self.assertIn('encrypted', found.reason)

    @ddt.data(False, True)
    def test_pull_is_refused(self, live: bool) -> None:
        error = self.assertRaises(
            exception.DirectionImpossible, self.plan, 'pull', live
        )
        self.assertIn('encrypted', str(error))


@ddt.ddt
class CommitTest(base.TestCase):
    """``base <- a <- b <- c^``: the overlay goes into the image below."""

    @ddt.data(False, True)
    def test_oldest(self, live: bool) -> None:
        self.assertEqual(
            (
                plan.Commit('volume-u.a', 'volume-u', 'volume-u.b'),
                plan.Point('volume-u.b', 'volume-u', 'raw'),
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'b': 'volume-u.b',
                        'c': 'volume-u.c',
                    }
                ),
                plan.Remove('volume-u.a'),
            ),
            _plan('abc', 'a', 'commit', live).steps,
        )

    @ddt.data(False, True)
    def test_middle(self, live: bool) -> None:
        self.assertEqual(
            (
                plan.Commit('volume-u.b', 'volume-u.a', 'volume-u.c'),
                plan.Point('volume-u.c', 'volume-u.a', 'qcow2'),
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'a': 'volume-u.a',
                        'c': 'volume-u.c',
                    }
                ),
                plan.Remove('volume-u.b'),
            ),
            _plan('abc', 'b', 'commit', live).steps,
        )

    @ddt.data(False, True)
    def test_newest(self, live: bool) -> None:
        self.assertEqual(
            (
                plan.Commit('volume-u.c', 'volume-u.b', None),
                plan.StartFrom('volume-u.b', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.b',
                        'a': 'volume-u.a',
                        'b': 'volume-u.b',
                    }
                ),
                plan.Remove('volume-u.c'),
            ),
            _plan('abc', 'c', 'commit', live).steps,
        )

    @ddt.data('raw', 'qcow2')
    def test_only_one(self, base_format: str) -> None:
        self.assertEqual(
            (
                plan.Commit('volume-u.a', 'volume-u', None),
                plan.StartFrom('volume-u', base_format),
                plan.Record({'active': 'volume-u'}),
                plan.Remove('volume-u.a'),
            ),
            _plan('a', 'a', 'commit', base_format=base_format).steps,
        )


@ddt.ddt
class PullTest(base.TestCase):
    """``base <- a <- b <- c^``: the image below goes into the overlay."""

    def test_oldest_consumes_the_base(self) -> None:
        self.assertEqual(
            (
                plan.Pull('volume-u.a', 'volume-u', 'raw', None, None),
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'b': 'volume-u.b',
                        'c': 'volume-u.c',
                    }
                ),
                plan.Remove('volume-u'),
            ),
            _plan('abc', 'a', 'pull').steps,
        )

    def test_middle_gives_its_overlay_to_the_older_snapshot(self) -> None:
        self.assertEqual(
            (
                plan.Pull(
                    *('volume-u.b', 'volume-u.a', 'qcow2', 'volume-u', 'raw')
                ),
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'a': 'volume-u.b',
                        'c': 'volume-u.c',
                    }
                ),
                plan.Remove('volume-u.a'),
            ),
            _plan('abc', 'b', 'pull').steps,
        )

    @ddt.data(False, True)
    def test_newest_keeps_the_active_name(self, live: bool) -> None:
        self.assertEqual(
            (
                plan.Pull(
                    *('volume-u.c', 'volume-u.b', 'qcow2'),
                    *('volume-u.a', 'qcow2'),
                ),
                plan.StartFrom('volume-u.c', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'a': 'volume-u.a',
                        'b': 'volume-u.c',
                    }
                ),
                plan.Remove('volume-u.b'),
            ),
            _plan('abc', 'c', 'pull', live).steps,
        )

    def test_only_one(self) -> None:
        self.assertEqual(
            (
                plan.Pull('volume-u.a', 'volume-u', 'raw', None, None),
                plan.StartFrom('volume-u.a', 'qcow2'),
                plan.Record({'active': 'volume-u.a'}),
                plan.Remove('volume-u'),
            ),
            _plan('a', 'a', 'pull').steps,
        )

    @ddt.data('a', 'b')
    def test_live_below_the_active_image_is_impossible(
        self, snapshot: str
    ) -> None:
        error = self.assertRaises(
            exception.DirectionImpossible,
            *(_plan, 'abc', snapshot, 'pull', True),
        )
        self.assertEqual('pull', error.direction)


@ddt.ddt
class ChoiceTest(base.TestCase):
    @ddt.data(
        # overlay and image below, in bytes, and the way that copies less
        (10, 100, 'commit'),
        (100, 10, 'pull'),
        (50, 50, 'commit'),
        (0, 0, 'commit'),
    )
    @ddt.unpack
    def test_auto_copies_less(self, top: int, below: int, way: str) -> None:
        for live in (False, True):
            found = _plan(
                *('a', 'a', 'auto', live, 'qcow2'), allocated=(below, top)
            )
            self.assertEqual(way, found.way)
            self.assertEqual(min(top, below), found.cost)
            self.assertIn(f'at most {top} bytes', found.reason)

    @ddt.data((999, 'commit'), (1001, 'pull'))
    @ddt.unpack
    def test_auto_counts_the_holes_of_a_raw_image(
        self, top: int, way: str
    ) -> None:
        found = _plan('a', 'a', allocated=(1, top))
        self.assertEqual(way, found.way)
        self.assertIn('reads all 1000 of a raw image', found.reason)

    @ddt.data('commit', 'pull')
    def test_option_prevails_over_cost(self, direction: str) -> None:
        dear = {'commit': (10, 100), 'pull': (100, 10)}[direction]
        found = _plan('a', 'a', direction, allocated=dear)
        self.assertEqual(direction, found.way)
        self.assertEqual('option merge_direction', found.reason)
        self.assertEqual(100, found.cost)

    def test_live_below_the_active_image_auto_is_a_commit(self) -> None:
        found = _plan('abc', 'a', live=True, allocated=(1, 100, 1, 1))
        self.assertEqual('commit', found.way)
        self.assertIn('only way', found.reason)
        self.assertEqual(100, found.cost)

    def test_offline_below_the_active_image_auto_may_pull(self) -> None:
        found = _plan(
            *('abc', 'a', 'auto', False, 'qcow2'), allocated=(1, 100, 1, 1)
        )
        self.assertEqual('pull', found.way)

    def test_plan_says_what_it_is(self) -> None:
        found = _plan('ab', 'a')
        self.assertEqual('delete snapshot a', found.operation)
        self.assertEqual(chains.VOLUME, found.volume)


_orders = strategies.permutations('abcde')
_ways = strategies.lists(
    strategies.sampled_from(['commit', 'pull', 'auto']),
    min_size=5,
    max_size=5,
)


class MeaningTest(base.TestCase):
    """Each snapshot shows the same writes after any deletions of others.

    An image is the set of writes that it holds; a snapshot shows what is in
    the images below its overlay.
    """

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self) -> None:
        self.found, self.content = chains.make('abcde')
        self.images = {name: {name} for name in self.found.names}
        self.everything = set(self.found.names)
        self.views = {
            key: set(self.below(name))
            for key, name in self.content.snapshots.items()
        }

    @hypothesis.given(_orders, _ways)
    def test_one_after_the_other(
        self, order: list[str], ways: list[str]
    ) -> None:
        self.begin()
        for snapshot, way in zip(order, ways, strict=True):
            self.delete((snapshot,), way)

    @hypothesis.given(
        strategies.lists(
            strategies.frozensets(strategies.sampled_from('abcde'))
        ),
        _ways,
    )
    def test_some_together(
        self, groups: list[frozenset[str]], ways: list[str]
    ) -> None:
        self.begin()
        for group, way in zip(groups, ways, strict=False):
            # Each pass changes what the next one goes by.
            while runs := delete.runs(self.found, self.content, group):
                self.delete(runs[0], way)

    def delete(self, run: tuple[str, ...], way: str) -> None:
        content = delete.plan_delete(
            chains.VOLUME, run, self.found, self.content, False, way
        )
        names = self.carry_out(content)
        after = _record(content)
        self.content = info.Info(after.pop('active'), after)
        self.found = chain.Chain(
            tuple(chain.Image(name, 'qcow2', 1000, 100) for name in names)
        )
        for snapshot in run:
            del self.views[snapshot]
        self.assertEqual(names[-1], self.content.active)
        self.assertEqual(set(self.views), set(self.content.snapshots))
        for key, expected in self.views.items():
            below = self.below(self.content.snapshots[key])
            self.assertEqual(expected, self.seen(below))
        self.assertEqual(self.everything, self.seen(names))

    def below(self, name: str) -> list[str]:
        return list(self.found.names[: self.found.names.index(name)])

    def seen(self, names: list[str]) -> set[str]:
        return {write for name in names for write in self.images[name]}

    def carry_out(self, content: plan.Plan) -> list[str]:
        """Merge the sets as the steps say; return the chain afterwards."""
        names = list(self.found.names)
        gone = set()
        for step in content.steps:
            if isinstance(step, plan.Commit):
                merged = names[names.index(step.base) :]
                merged = merged[: merged.index(step.top) + 1]
                self.images[step.base] |= self.seen(merged)
                gone = {*merged[1:]}
            elif isinstance(step, plan.Pull):
                first = names.index(step.backing) + 1 if step.backing else 0
                merged = names[first : names.index(step.overlay) + 1]
                self.assertEqual(step.pulled, merged[-2])
                self.images[step.overlay] |= self.seen(merged)
                gone = {*merged[:-1]}
            elif isinstance(step, plan.Remove):
                # What is above it has gone, or names another image by now.
                gone.remove(step.name)
                names.remove(step.name)
        self.assertEqual(set(), gone)
        return names


@ddt.ddt
class RunsTest(base.TestCase):
    @ddt.data(
        ('', []),
        ('b', ['b']),
        ('ba', ['ab']),
        ('ac', ['a', 'c']),
        ('abde', ['ab', 'de']),
        ('edcba', ['abcde']),
        ('bz', ['b']),
    )
    @ddt.unpack
    def test_neighbours_go_together(
        self, snapshots: str, expected: list[str]
    ) -> None:
        found = delete.runs(*chains.make('abcde'), snapshots)
        self.assertEqual([tuple(each) for each in expected], found)

    def test_encrypted_images_go_one_by_one(self) -> None:
        found = delete.runs(*chains.make('abc', encrypted=True), 'abc')
        self.assertEqual([('a',), ('b',), ('c',)], found)

    def test_a_run_is_committed_in_one_pass(self) -> None:
        found, content = chains.make('abcd')
        self.assertEqual(
            (
                plan.Commit('volume-u.c', 'volume-u.a', 'volume-u.d'),
                plan.Point('volume-u.d', 'volume-u.a', 'qcow2'),
                plan.StartFrom('volume-u.d', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.d',
                        'a': 'volume-u.a',
                        'd': 'volume-u.d',
                    }
                ),
                plan.Remove('volume-u.c'),
                plan.Remove('volume-u.b'),
            ),
            delete.plan_delete(
                chains.VOLUME, ('b', 'c'), found, content, False, 'commit'
            ).steps,
        )

    def test_a_run_is_pulled_in_one_pass(self) -> None:
        found, content = chains.make('abcd', 'raw')
        made = delete.plan_delete(
            chains.VOLUME, ('b', 'c'), found, content, False, 'pull'
        )
        self.assertEqual(
            (
                plan.Pull(
                    *('volume-u.c', 'volume-u.b', 'qcow2', 'volume-u', 'raw')
                ),
                plan.StartFrom('volume-u.d', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.d',
                        'a': 'volume-u.c',
                        'd': 'volume-u.d',
                    }
                ),
                plan.Remove('volume-u.b'),
                plan.Remove('volume-u.a'),
            ),
            made.steps,
        )
        self.assertEqual('delete snapshots b, c', made.operation)

    def test_the_costs_of_both_ways_are_told(self) -> None:
        found, content = chains.make('abc')
        costs = allocation.Costs(7, 3, frozenset({'pull'}))
        made = delete.plan_delete(
            chains.VOLUME, ('b',), found, content, False, 'auto', costs
        )
        self.assertEqual(
            ('pull', 3, True, 7),
            (made.way, made.cost, made.exact, made.other_cost),
        )
        self.assertEqual('commit copies at most 7 bytes, pull 3', made.reason)


class ForgetTest(base.TestCase):
    def test_nothing_is_merged_and_no_file_goes(self) -> None:
        _, content = chains.make('abc')
        found = delete.plan_forget(chains.VOLUME, ('b',), content)
        self.assertEqual(
            (
                plan.Record(
                    {
                        'active': 'volume-u.c',
                        'a': 'volume-u.a',
                        'c': 'volume-u.c',
                    }
                ),
            ),
            found.steps,
        )
        self.assertEqual(0, found.cost)
        self.assertEqual('delete snapshot b', found.operation)


class VolumeTest(base.TestCase):
    def test_files_go_from_the_top_down_and_the_sidecars_last(self) -> None:
        found, _ = chains.make('ab')
        content = delete.plan_delete_volume(
            chains.VOLUME, found, ('volume-u.record', 'volume-u.info')
        )
        self.assertEqual(
            [
                'volume-u.b',
                'volume-u.a',
                'volume-u',
                'volume-u.record',
                'volume-u.info',
            ],
            [
                step.name
                for step in content.steps
                if isinstance(step, plan.Remove)
            ],
        )
        self.assertEqual(5, len(content.steps))
