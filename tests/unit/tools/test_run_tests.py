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

import os
import pathlib
import subprocess
import sys

from testtools import content

from tests import base
from tools import run_tests

ROOT = pathlib.Path(__file__).resolve().parents[3]


def tests(*statuses: str) -> list[run_tests.Test]:
    return [run_tests.Test('a', status) for status in statuses]


class TestCount(base.TestCase):
    def test_all_passed(self) -> None:
        counts = run_tests.count(tests('success', 'success'))
        self.assertTrue(counts.good)
        self.assertEqual('2 passed, 0 failed', str(counts))

    def test_none_ran(self) -> None:
        counts = run_tests.count([])
        self.assertFalse(counts.good)
        self.assertEqual('0 passed, 0 failed', str(counts))

    def test_failed(self) -> None:
        counts = run_tests.count(tests('success', 'fail'))
        self.assertFalse(counts.good)
        self.assertEqual('1 passed, 1 failed', str(counts))

    def test_skipped_or_expected_to_fail(self) -> None:
        counts = run_tests.count(tests('success', 'skip', 'xfail'))
        self.assertFalse(counts.good)
        self.assertEqual('1 passed, 0 failed, 2 skipped', str(counts))

    def test_never_ended(self) -> None:
        counts = run_tests.count(tests('inprogress', 'unknown'))
        self.assertEqual('0 passed, 2 failed', str(counts))

    def test_live(self) -> None:
        live = run_tests.Test('live.a', 'success')
        other = run_tests.Test('lively.b', 'success')
        counts = run_tests.count([live, other], 'live')
        self.assertEqual(1, counts.live)


class TestReport(base.TestCase):
    def test_the_end_of_it_is_shown(self) -> None:
        lines = '\n'.join(f'line {number}' for number in range(100))
        shown = str(run_tests.Test('a', 'fail', lines)).splitlines()
        self.assertEqual('a: fail', shown[0])
        self.assertEqual('    line 99', shown[-1])
        self.assertNotIn('    line 9', shown)


class TestRun(base.TestCase):
    """Runs stestr on a project made for the test."""

    def run_on(self, module: str) -> tuple[int, list[str], str]:
        """Return exit code, the lines printed, and the counts file."""
        project = self.temp_dir()
        cases = project / 'cases'
        cases.mkdir()
        (cases / '__init__.py').touch()
        (cases / 'test_it.py').write_text(module)
        counts = project / 'counts' / 'unit'
        run_tests_command = [sys.executable, '-m', 'tools.run_tests']
        stestr_command = ['stestr', '--test-path', 'cases', 'run', '--serial']
        result = subprocess.run(
            [*run_tests_command, '--counts', str(counts), *stestr_command],
            cwd=project,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHON': 'python'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addDetail('output', content.text_content(result.stdout))
        printed = result.stdout.splitlines()
        return result.returncode, printed, counts.read_text()

    def check(self, body: str, exit_code: int, line: str) -> None:
        found, printed, counts = self.run_on(
            'import unittest\n'
            'class TestIt(unittest.TestCase):\n'
            '    def test_it(self):\n'
            f'        {body}\n'
        )
        self.assertEqual(line, printed[-1])
        self.assertEqual(f'{line}\n', counts)
        self.assertEqual(exit_code, found)

    def test_passed(self) -> None:
        self.check('pass', 0, '1 passed, 0 failed')

    def test_failed(self) -> None:
        self.check('self.fail()', 1, '0 passed, 1 failed')

    def test_failed_ones_are_named_at_the_end(self) -> None:
        _, printed, _ = self.run_on(
            'import unittest\n'
            'class TestIt(unittest.TestCase):\n'
            '    def test_it(self):\n'
            '        self.fail("what it said")\n'
        )
        name = printed.index('cases.test_it.TestIt.test_it: fail')
        self.assertIn('AssertionError: what it said', printed[-2])
        self.assertLess(name, len(printed) - 2)

    def test_skipped(self) -> None:
        self.check('self.skipTest("")', 1, '0 passed, 0 failed, 1 skipped')

    def test_worker_dies(self) -> None:
        self.check('import os; os._exit(0)', 1, '0 passed, 1 failed')

    def test_no_tests(self) -> None:
        exit_code, printed, _ = self.run_on('')
        self.assertNotEqual(0, exit_code)
        self.assertEqual('0 passed, 0 failed', printed[-1])

    def test_module_cannot_be_imported(self) -> None:
        exit_code, printed, _ = self.run_on('import no_such_module')
        self.assertNotEqual(0, exit_code)
        self.assertIn(' passed, ', printed[-1])
