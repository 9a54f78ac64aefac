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

"""Findings as a reader sees them, on a terminal and in a pipe."""

from __future__ import annotations

import argparse
import io

import fixtures

from tests import base
from tests.unit.cli import test_tree
from volume_driver.cli import report

LONG = 'It is ' + 'long ' * 40 + 'and [red] is no markup.'
ROWS = [
    ('volume-u', 'error', 'cycle', '', 'A ring.'),
    ('volume-v', 'warning', 'stray', 'volume-v.x', LONG),
]


class ReportTest(base.TestCase):
    def written(self, stream: io.StringIO) -> str:
        formatter = report.ReportFormatter()
        formatter.add_argument_group(argparse.ArgumentParser())
        formatter.emit_list((), ROWS, stream, argparse.Namespace())
        return stream.getvalue()

    def test_a_pipe_gets_plain_lines(self) -> None:
        self.assertEqual(
            'volume-u  error  cycle\n'
            '    A ring.\n'
            '\n'
            'volume-v  warning  stray  volume-v.x\n'
            f'    {LONG}\n',
            self.written(io.StringIO()),
        )

    def test_a_terminal_gets_colours_and_short_lines(self) -> None:
        for name, value in (('TERM', 'xterm'), ('COLUMNS', '60')):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.useFixture(fixtures.EnvironmentVariable('NO_COLOR'))
        text = self.written(test_tree.Terminal())
        self.assertIn('\x1b[31merror\x1b[0m', text)
        self.assertLessEqual(max(map(len, text.splitlines()[4:])), 60)
