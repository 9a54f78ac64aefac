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
from benchmarks import table
from tests import base
from tests.unit.benchmarks import rows


class TableTest(base.TestCase):
    ROWS = [
        rows.row('create', 'depth 1', ours=0.0314, bare=0.02, upstream=1.25),
        rows.row('create', 'depth "x"', ours=0.03),
    ]

    def rst(self, charts: tuple[str, ...] = ()) -> str:
        machine = {'date': '2026-01-02', 'QEMU': '7.2.22'}
        return table.rst(self.ROWS, machine, 'python -m x', charts)

    def test_terminal_has_the_medians(self) -> None:
        title, head, first, second = table.text(self.ROWS).splitlines()
        self.assertEqual('Create a snapshot, offline', title)
        self.assertIn('this driver: ms', head)
        self.assertEqual(
            ['depth', '1', '31.4', '1250', '20.0', '1.57', '39.81'],
            [cell for cell in first.split() if cell != table.NOTHING],
        )
        self.assertEqual(
            ['depth', '"x"', '30.0'],
            [cell for cell in second.split() if cell != table.NOTHING],
        )

    def test_documentation_says_how_when_and_on_what(self) -> None:
        text = self.rst()
        self.assertTrue(
            text.startswith('.. Made by ``python -m x``; do not edit.\n')
        )
        self.assertIn('   "date", "2026-01-02"\n', text)
        self.assertIn('   "QEMU", "7.2.22"\n', text)

    def test_documentation_has_only_what_was_measured(self) -> None:
        text = self.rst()
        self.assertIn('\nCreate a snapshot, offline\n-----', text)
        self.assertNotIn('Delete', text)
        self.assertNotIn('image::', text)

    def test_documentation_shows_charts(self) -> None:
        text = self.rst(('create',))
        self.assertIn('.. image:: _generated/benchmark-create.svg\n', text)

    def test_quotes_in_cells(self) -> None:
        self.assertIn('"depth ""x""", "30.0"', self.rst())

    def test_missed_aims_are_told(self) -> None:
        text = table.verdict_text(aims.judge(self.ROWS))
        upper, lower = text.splitlines()[2:]
        self.assertTrue(upper.endswith('met'), upper)
        self.assertIn('1.57 x', upper)
        self.assertTrue(lower.endswith('met'), lower)
        slow = [rows.row('create', ours=3.0, bare=1.0)]
        text = table.verdict_text(aims.judge(slow))
        self.assertTrue(text.rstrip().endswith('missed in 1'), text)


class FormatTest(base.TestCase):
    def test_milliseconds(self) -> None:
        for seconds, wanted in (
            (0.00004, '0.0'),
            (0.0999, '99.9'),
            (1.5, '1500'),
        ):
            self.assertEqual(wanted, table.milliseconds(seconds))

    def test_mebibytes(self) -> None:
        self.assertEqual('1.5', table.mebibytes(1.5 * rows.MIB))

    def test_every_group_has_a_table(self) -> None:
        groups = {part.group for part in table.PARTS}
        self.assertEqual(set(), {aim.group for aim in aims.AIMS} - groups)
