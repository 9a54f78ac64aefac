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

import json

from benchmarks import results
from tests import base
from tests.unit.benchmarks import rows


class RowTest(base.TestCase):
    def make(self, *seconds: float) -> results.Row:
        samples = [results.Sample({results.SECONDS: each}) for each in seconds]
        bare = [results.Sample({results.SECONDS: 2.0})]
        return results.Row(
            'create',
            'depth 1',
            {'depth': 1},
            {results.OURS: samples, results.BARE: bare},
        )

    def test_one_slow_sample_does_not_move_the_median(self) -> None:
        found = self.make(1.0, 3.0, 900.0, 2.9, 3.1)
        self.assertEqual(3.0, found.median(results.OURS, results.SECONDS))

    def test_what_was_not_measured_has_no_median(self) -> None:
        found = self.make(1.0)
        self.assertIsNone(found.median(results.OURS, results.GAP))
        self.assertIsNone(found.median(results.UPSTREAM, results.SECONDS))
        self.assertIsNone(self.make().median(results.OURS, results.SECONDS))

    def test_ratio_is_of_medians(self) -> None:
        found = self.make(4.0, 6.0)
        ratio = found.ratio(results.SECONDS, results.OURS, results.BARE)
        self.assertEqual(2.5, ratio)

    def test_no_ratio_to_nothing(self) -> None:
        found = rows.row('create', ours=1.0, bare=0.0)
        for below in (results.BARE, results.UPSTREAM):
            ratio = found.ratio(results.SECONDS, results.OURS, below)
            self.assertIsNone(ratio)

    def test_every_sample_is_kept(self) -> None:
        found = json.loads(json.dumps(self.make(1.0, 3.0).as_dict()))
        self.assertEqual(
            [{'seconds': 1.0}, {'seconds': 3.0}],
            found['samples'][results.OURS],
        )
        self.assertEqual({'seconds': 2.0}, found['medians'][results.OURS])


class PlainTest(base.TestCase):
    def test_directories_are_left_out(self) -> None:
        for words, wanted in (
            (('qemu-img', 'create', '/a/b/c.d', '1'), 'qemu-img create c.d 1'),
            (('/usr/bin/python', '-m', 'x'), 'python -m x'),
            (
                ('-o', 'backing_file=/a/b/c,fmt=qcow2'),
                '-o backing_file=c,fmt=qcow2',
            ),
            (('LC_ALL=C',), 'LC_ALL=C'),
        ):
            self.assertEqual(wanted, results.plain(words))

    def test_ids_are_short(self) -> None:
        volume = '12345678-1234-1234-1234-123456789abc'
        self.assertEqual(
            'volume-12345678.12345678',
            results.plain([f'volume-{volume}.{volume}']),
        )
