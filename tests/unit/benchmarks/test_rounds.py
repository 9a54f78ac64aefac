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

from __future__ import annotations

from benchmarks import errors
from benchmarks import results
from benchmarks import rounds
from tests import base


class CaseTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.order: list[str] = []

    def contestant(self, name: str) -> rounds.Measure:
        def measure() -> results.Sample:
            self.order.append(name)
            return results.Sample({results.SECONDS: len(self.order)})

        return measure

    def play(self, count: int, warm_up: bool) -> results.Row:
        contestants = {name: self.contestant(name) for name in 'abc'}
        return rounds.Case(
            'create', 'x', contestants, count, warm_up=warm_up
        ).play()

    def test_they_take_turns_and_another_one_begins(self) -> None:
        self.play(4, warm_up=False)
        self.assertEqual(
            ['abc', 'bca', 'cab', 'abc'],
            [''.join(self.order[n : n + 3]) for n in range(0, 12, 3)],
        )

    def test_warm_up_is_not_kept(self) -> None:
        row = self.play(2, warm_up=True)
        self.assertEqual(9, len(self.order))
        seconds = [
            sample.values[results.SECONDS] for sample in row.samples['a']
        ]
        self.assertEqual([4, 9], seconds)

    def test_failure_says_whose_and_of_what(self) -> None:
        def fail() -> results.Sample:
            raise ValueError('broken')

        case = rounds.Case('create', 'depth 1', {'ours': fail}, 1)
        error = self.assertRaises(errors.WorkFailed, case.play)
        self.assertEqual(
            'create, depth 1: ours failed: ValueError: broken', str(error)
        )
