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

"""Findings as they are listed."""

from __future__ import annotations

import pathlib

from tests import base
from volume_driver.checking import findings

DOCS = pathlib.Path(__file__).parents[3] / 'doc/source/checking.rst'


def finding(kind: str, volume: str = 'volume-u') -> findings.Finding:
    return findings.Finding(volume, kind, 'file', 'it', 'that', 'Do so.')


class FindingsTest(base.TestCase):
    def test_text(self) -> None:
        self.assertEqual('it; expected: that. Do so.', finding('orphan').text)

    def test_nothing_in_it_moves_a_terminal(self) -> None:
        found = findings.Finding('v', 'stray', '', '\x1b[2J\n\udc80', '', 'x')
        self.assertEqual(r'\x1b[2J\n\udc80. x', found.text)

    def test_worst_first_and_each_once(self) -> None:
        kinds = ('deep', 'busy', 'orphan', 'size', 'frozen-guest', 'size')
        self.assertEqual(
            ['frozen-guest', 'size', 'orphan', 'deep', 'busy'],
            [each.kind for each in findings.ordered(map(finding, kinds))],
        )

    def test_one_volume_after_the_other(self) -> None:
        found = [
            finding(kind, volume)
            for kind in ('size', 'cycle')
            for volume in ('b', 'a')
        ]
        self.assertEqual(
            ['a cycle', 'a size', 'b cycle', 'b size'],
            [f'{each.volume} {each.kind}' for each in findings.ordered(found)],
        )

    def test_report(self) -> None:
        for kinds, clean, broken in (
            ((), True, False),
            (('busy',), False, False),
            (('busy', 'deep'), False, True),
        ):
            report = findings.Report(('volume-u',), tuple(map(finding, kinds)))
            self.assertEqual((clean, broken), (report.clean, report.broken))

    def test_every_kind_is_documented(self) -> None:
        text = DOCS.read_text()
        for kind in findings.KINDS:
            self.assertIn(f'``{kind}``', text)
