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

import dataclasses

import ddt

from tests import base
from tests.unit import fakes
from tests.unit.planning import chains
from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import allocation
from volume_driver.operations import space
from volume_driver.planning import delete
from volume_driver.planning import plan

_MIB = 1 << 20
COMMIT = plan.Commit('volume-u.a', 'volume-u', None)
OTHER = plan.Commit('volume-v.a', 'volume-v', None)
PULL = plan.Pull('volume-u.a', 'volume-u', 'qcow2', None, None)


@ddt.ddt
class CheckTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.context = fakes.context(self.directory)
        self.chain, _ = chains.make('a')
        self.asked: list[tuple[str, ...]] = []
        self.exact = allocation.Costs(10 * _MIB, 20 * _MIB)
        self.patch(allocation, 'measure', self.measure)
        self.free(100 * _MIB)

    def measure(
        self, _: str, images: tuple[chain.Image, ...], limit: int | None
    ) -> allocation.Costs:
        self.assertIsNone(limit)
        self.asked.append(tuple(image.name for image in images))
        return self.exact

    def free(self, size: int) -> None:
        self.patch(files, 'available', lambda _: size)

    def make_plan(
        self,
        cost: int,
        step: plan.Step = COMMIT,
        volume: str = fakes.VOLUME,
        way: str | None = None,
        exact: bool = False,
    ) -> plan.Plan:
        if way is None:
            way = 'commit' if isinstance(step, plan.Commit) else 'pull'
        operation = 'delete snapshot a'
        return plan.Plan(operation, volume, (step,), way, '', cost, exact)

    def check(self, content: plan.Plan) -> None:
        space.check(self.context, content, self.chain)

    def test_what_fits_at_most_is_not_asked_for(self) -> None:
        self.check(self.make_plan(50 * _MIB))
        self.assertEqual([], self.asked)

    @ddt.data(COMMIT, PULL)
    def test_what_fits_exactly_is_asked_for(self, step: plan.Step) -> None:
        self.check(self.make_plan(500 * _MIB, step))
        self.assertEqual([('volume-u', 'volume-u.a')], self.asked)

    def test_what_is_exact_is_not_asked_for(self) -> None:
        content = self.make_plan(500 * _MIB, exact=True)
        error = self.assertRaises(
            exception.MergeNeedsSpace, self.check, content
        )
        assert isinstance(error.needed, int)
        self.assertLess(500 * _MIB, error.needed)
        self.assertEqual([], self.asked)

    @ddt.data('commit', 'pull')
    def test_all_images_of_a_run_are_looked_at(self, way: str) -> None:
        self.chain, content = chains.make('abc')
        (found,) = delete.runs(self.chain, content, 'bc')
        made = delete.plan_delete(
            fakes.VOLUME, found, self.chain, content, False, way
        )
        self.check(dataclasses.replace(made, cost=500 * _MIB))
        self.assertEqual(
            [('volume-u.a', 'volume-u.b', 'volume-u.c')], self.asked
        )

    @ddt.data((COMMIT, 10), (PULL, 20))
    @ddt.unpack
    def test_what_does_not_fit(self, step: plan.Step, size: int) -> None:
        self.free(5 * _MIB)
        error = self.assertRaises(
            exception.MergeNeedsSpace,
            self.check,
            self.make_plan(500 * _MIB, step),
        )
        assert isinstance(error.needed, int)
        self.assertGreater(error.needed, size * _MIB)
        self.assertLess(error.needed, (size + 2) * _MIB)
        self.assertEqual(5 * _MIB, error.available)

    def test_merges_of_other_volumes_are_counted_in(self) -> None:
        content = self.make_plan(90 * _MIB)
        self.exact = allocation.Costs(90 * _MIB, 0)
        self.check(content)
        journals.begin(
            str(self.directory),
            self.make_plan(60 * _MIB, OTHER, 'volume-v'),
            hypervisors.Target('v', 'volume-v', str(self.directory)),
            {},
        )
        error = self.assertRaises(
            exception.MergeNeedsSpace, self.check, content
        )
        self.assertEqual(40 * _MIB, error.available)

    def test_a_corrupt_journal_promises_nothing(self) -> None:
        (self.directory / 'volume-v.journal').write_text('{')
        self.check(self.make_plan(50 * _MIB))

    def test_less_than_nothing_is_shown_as_nothing(self) -> None:
        self.free(0)
        journals.begin(
            str(self.directory),
            self.make_plan(60 * _MIB, OTHER, 'volume-v'),
            hypervisors.Target('v', 'volume-v', str(self.directory)),
            {},
        )
        error = self.assertRaises(
            exception.MergeNeedsSpace, self.check, self.make_plan(1)
        )
        self.assertEqual(0, error.available)

    def test_what_merges_nothing_needs_nothing(self) -> None:
        self.free(0)
        self.check(self.make_plan(0))
        self.check(self.make_plan(100, way=''))
