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

from benchmarks import aims
from benchmarks import results
from tests import base
from tests.unit.benchmarks import rows


class JudgeTest(base.TestCase):
    def judge(self, *found: results.Row) -> dict[str, aims.Judgement]:
        return {each.aim.text: each for each in aims.judge(found)}

    def test_nothing_measured_nothing_judged(self) -> None:
        self.assertEqual([], aims.judge([]))
        self.assertEqual([], aims.judge([rows.row('create', ours=1.0)]))

    def test_worst_row_counts(self) -> None:
        found = self.judge(
            rows.row('create', 'depth 1', ours=1.0, bare=1.0, upstream=9.0),
            rows.row('create', 'depth 9', ours=2.1, bare=1.0, upstream=9.0),
            rows.row('create', 'depth 2', ours=1.5, bare=1.0, upstream=9.0),
        )
        upper = found['at most 2.0 x the bare qemu-img create -u']
        self.assertEqual(('depth 9', 2.1), (upper.row, upper.value))
        self.assertFalse(upper.met)
        self.assertEqual((('depth 9', 2.1),), upper.missed)
        lower = found['at least 5 x faster than upstream']
        self.assertEqual('depth 9', lower.row)
        self.assertFalse(lower.met)

    def test_limit_itself_is_good_enough(self) -> None:
        found = self.judge(
            rows.row('create', ours=2.0, bare=1.0, upstream=10.0)
        )
        self.assertEqual([True, True], [each.met for each in found.values()])

    def test_upstream_is_compared_at_depth_20(self) -> None:
        [judgement] = [
            each
            for each in aims.judge(
                [
                    rows.row('delete', 'a', {'depth': 10}, ours=1, upstream=1),
                    rows.row(
                        'delete', 'b', {'depth': 20}, ours=1, upstream=10
                    ),
                ]
            )
            if each.aim.least
        ]
        self.assertEqual(
            ('b', 10, True), (judgement.row, judgement.value, judgement.met)
        )

    def test_bytes_are_compared_with_the_minimum(self) -> None:
        for written, met in ((105, True), (106, False)):
            [judgement] = aims.judge(
                [
                    rows.row(
                        'data',
                        'x',
                        {'minimum': 100},
                        results.WRITTEN,
                        ours=written,
                    )
                ]
            )
            self.assertEqual(met, judgement.met)

    def test_cinders_waiting_is_not_held_against_it(self) -> None:
        samples = {
            results.OURS: [results.Sample({results.SECONDS: 0.1})],
            results.UPSTREAM: [
                results.Sample({results.SECONDS: 9.0, results.NOVA: 2.0})
            ],
        }
        row = results.Row('live delete', 'only', {'only': 1}, samples)
        [judgement] = aims.judge([row])
        self.assertAlmostEqual(20.0, judgement.value)

    def test_gaps_are_judged_where_the_guest_is_switched(self) -> None:
        found = self.judge(
            rows.row('live create', 'c', None, results.GAP, ours=0.1),
            rows.row('live delete', 'p', {'only': 1}, results.GAP, ours=0.16),
            rows.row('live delete', 'i', {'only': 0}, results.GAP, ours=9.0),
        )
        self.assertEqual(
            {'at most 100 ms': True, 'at most 150 ms': False},
            {text: each.met for text, each in found.items()},
        )

    def test_figures_are_kept(self) -> None:
        [upper, _] = aims.judge(
            [rows.row('create', ours=3.0, bare=1.0, upstream=30.0)]
        )
        self.assertEqual(
            {
                'work': 'create offline, any depth',
                'aim': 'at most 2.0 x the bare qemu-img create -u',
                'worst': {'row': 'a row', 'value': 3.0},
                'met': False,
                'missed': {'a row': 3.0},
            },
            upper.as_dict(),
        )
