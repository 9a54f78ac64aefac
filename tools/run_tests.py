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

"""Run stestr and say plainly what came of it.

    python -m tools.run_tests [--counts FILE] [--live PREFIX] stestr ... run

stestr ends with 0 when every test was skipped. Here a run is good only if at
least one test ran, none failed and none was skipped. The last line reads
``N passed, N failed``, with ``, N skipped`` after it if there are any; it
also goes into FILE, so that several runs can be added up. The tests that
failed are named above it with the end of what they reported; that goes into
FILE.failed as well.
"""

from __future__ import annotations

import argparse
import collections.abc
import dataclasses
import pathlib
import subprocess
import sys
import typing

from stestr.repository import util
import testtools

PASSED = frozenset({'success'})
# A test that is expected to fail proves as little as one that is skipped.
SKIPPED = frozenset({'skip', 'xfail'})


# How much of a failed test is shown once more at the end.
_LINES = 50
_COLUMNS = 200


@dataclasses.dataclass(frozen=True)
class Test:
    """A test that ran.

    :param status: how it ended, as subunit names it
    :param reported: its traceback and what else came with it
    """

    id: str
    status: str
    reported: str = ''

    @property
    def failed(self) -> bool:
        """Whether it failed; a status that is not known is a failure.

        Such is that of a test whose worker died.
        """
        return self.status not in PASSED | SKIPPED

    def __str__(self) -> str:
        """Return its name, and the end of what it reported."""
        lines = [line[:_COLUMNS] for line in self.reported.splitlines()]
        return '\n'.join(
            [
                f'{self.id}: {self.status}',
                *(f'    {line}' for line in lines[-_LINES:]),
            ]
        )


@dataclasses.dataclass(frozen=True)
class Counts:
    """How the tests of one run ended.

    :param live: how many of all were below the prefix of the live tests
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    live: int = 0

    @property
    def good(self) -> bool:
        return self.passed > 0 and not self.failed and not self.skipped

    def __str__(self) -> str:
        text = f'{self.passed} passed, {self.failed} failed'
        if self.skipped:
            text += f', {self.skipped} skipped'
        return text


def count(
    tests: collections.abc.Iterable[Test], live_prefix: str = ''
) -> Counts:
    """Count tests by how they ended.

    :param live_prefix: what the ids of live tests begin with, empty for none
    """
    found = list(tests)
    return Counts(
        passed=sum(test.status in PASSED for test in found),
        failed=sum(test.failed for test in found),
        skipped=sum(test.status in SKIPPED for test in found),
        live=sum(
            bool(live_prefix) and test.id.startswith(f'{live_prefix}.')
            for test in found
        ),
    )


def _run_ids() -> list[str]:
    try:
        return list(util.get_repo_open().get_run_ids())
    except Exception:
        # stestr makes its repository in the first run.
        return []


def _tests_of(run_id: str) -> list[Test]:
    found = []

    def add(test: typing.Any) -> None:
        found.append(Test(test['id'], test['status'], _report(test)))

    result = testtools.StreamToDict(add)
    result.startTestRun()
    try:
        util.get_repo_open().get_test_run(run_id).get_test().run(result)
    finally:
        # Reports what never ended, too.
        result.stopTestRun()
    return found


def _report(test: typing.Any) -> str:
    """Return the details of a test as text, those that say most last."""
    details = sorted(
        test['details'].items(),
        key=lambda item: ('traceback' in item[0], 'errors' in item[0]),
    )
    return '\n'.join(
        detail.as_text()
        for _, detail in details
        if detail.content_type.type == 'text'
    )


def run(command: list[str]) -> tuple[int, list[Test]]:
    """Run a stestr command.

    :returns: its exit code, and the tests of the run that it added; none if
        it added no run, as when a test module cannot be imported
    """
    before = set(_run_ids())
    exit_code = subprocess.run(command).returncode
    new = [run_id for run_id in _run_ids() if run_id not in before]
    return exit_code, _tests_of(new[-1]) if new else []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description='Run stestr and say plainly what came of it.'
    )
    parser.add_argument(
        '--counts',
        type=pathlib.Path,
        help='file that gets the last line as well',
    )
    parser.add_argument(
        '--live',
        default='',
        metavar='PREFIX',
        help='say how many tests had an id below this one',
    )
    parser.add_argument('command', nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.counts:
        for path in (options.counts, _failed_beside(options.counts)):
            path.unlink(missing_ok=True)
    exit_code, tests = run(options.command)
    counts = count(tests, options.live)
    failed = ''.join(f'{test}\n' for test in tests if test.failed)
    if options.counts:
        options.counts.parent.mkdir(parents=True, exist_ok=True)
        options.counts.write_text(f'{counts}\n')
        if failed:
            _failed_beside(options.counts).write_text(failed)
    print(failed, end='')
    if options.live:
        print(f'{counts.live} of them with a running QEMU')
    print(counts, flush=True)
    return exit_code or (0 if counts.good else 1)


def _failed_beside(counts: pathlib.Path) -> pathlib.Path:
    return counts.with_name(f'{counts.name}.failed')


if __name__ == '__main__':
    sys.exit(main())
