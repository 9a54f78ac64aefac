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

"""The fault matrix: whatever dies, whenever, nothing is lost.

    python -m tests.faults.matrix [--bounded | --full | --cases N]

Each case is an operation with a fault in it; then the same call is made once
more, and everything is compared. Below ``python -m tests.fixtures.daemons``,
and as root: live cases need a libvirtd, a full filesystem a loop device.
"""

from __future__ import annotations

import argparse
import collections.abc
import concurrent.futures
import multiprocessing
import multiprocessing.util
import pathlib
import random
import sys
import time

from tests.faults import cases
from tests.faults import moments
from tests.faults import player as players
from tests.faults import processes
from tests.faults import restart
from tests.faults import table as tables
from tests.faults import upstream
from tests.faults import verdict as verdicts

_player: players.Player | None = None


def _prepare(run: processes.Run) -> None:
    """Prepare a worker; it ends with the process."""
    global _player
    _player = players.Player(run)
    _player.setUp()
    # A worker is ended by its parent, which then needs no cleaning up.
    multiprocessing.util.Finalize(None, _player.cleanUp, exitpriority=1)


def _play(case: cases.Case) -> verdicts.Verdict:
    assert _player is not None
    return _player.play(case)


def _count_points(case: cases.Case) -> int:
    assert _player is not None
    # The beginning and the end are none.
    return len(_player.times(case)) - 2


class Matrix:
    """One run.

    :param workers: how many cases are played at a time
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._began = time.monotonic()
        self.results: list[tables.Result] = []

    def pool(
        self, run: processes.Run
    ) -> concurrent.futures.ProcessPoolExecutor:
        """Return workers that run children in one way."""
        return concurrent.futures.ProcessPoolExecutor(
            self._workers,
            multiprocessing.get_context('spawn'),
            _prepare,
            (run,),
        )

    def play(
        self, driver: str, chosen: collections.abc.Sequence[cases.Case]
    ) -> None:
        """Play cases of one driver, in any order."""
        run = processes.run if driver == tables.OURS else upstream.run
        with self.pool(run) as pool:
            futures = {pool.submit(_play, case): case for case in chosen}
            for future in concurrent.futures.as_completed(futures):
                self.note(driver, futures[future], future.result())

    def play_upstream(self, seed: int) -> None:
        """Play the offline cases for Cinder's own code."""
        begun = list(upstream.beginnings())
        with self.pool(upstream.run) as pool:
            counts = list(pool.map(_count_points, begun))
        chosen: list[cases.Case] = []
        for case, count in zip(begun, counts, strict=True):
            chosen += upstream.boundaries(case, count)
        chosen += upstream.random_moments(seed)
        self.play(tables.UPSTREAM, chosen)

    def play_restarts(self, seed: int) -> None:
        """Play the cases in which libvirtd is restarted, one at a time."""
        daemon = restart.find_own()
        if daemon is None:
            say(
                'libvirtd was not started by tests.fixtures.daemons: the '
                'cases in which it is restarted are left out'
            )
            return
        with players.Player() as player:
            for case in moments.restarts(seed):
                verdict = player.play(case, daemon.restart)
                self.note(tables.OURS, case, verdict)

    def note(
        self, driver: str, case: cases.Case, verdict: verdicts.Verdict
    ) -> None:
        """Keep a result; say at once what went wrong with our driver."""
        self.results.append(tables.Result(driver, case, verdict))
        if verdict.state != verdicts.OK and driver == tables.OURS:
            say(f'{verdict.state}: {case}: {verdict.reason}')
        if len(self.results) % 50 == 0:
            seconds = time.monotonic() - self._began
            say(f'{len(self.results)} cases, {seconds:.0f} s')


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def choose(options: argparse.Namespace) -> list[cases.Case]:
    """Return the cases of this driver that are asked for."""
    found = moments.everything(options.seed)
    if options.only:
        words = options.only.split(',')
        found = [c for c in found if all(word in str(c) for word in words)]
    count = options.cases or (cases.BOUNDED if not options.full else 0)
    if count:
        return cases.sample(found, count, options.seed)
    random.Random(options.seed).shuffle(found)
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m tests.faults.matrix',
        description='Play the fault matrix.',
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--cases', type=int, metavar='N', help='play N cases')
    size.add_argument(
        '--bounded',
        action='store_true',
        help='a sample with every operation and every fault (the default)',
    )
    size.add_argument(
        '--full',
        action='store_true',
        help='all cases, and those of Cinder, too',
    )
    parser.add_argument('--seed', type=int, help='which sample, which moments')
    parser.add_argument(
        '--only', metavar='WORDS', help='cases whose text has these words'
    )
    parser.add_argument(
        '--upstream',
        action='store_true',
        help="also play the offline cases for Cinder's own RemoteFS code",
    )
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--json', type=pathlib.Path, help='results go there')
    parser.add_argument(
        '--table', type=pathlib.Path, help='the table goes there, for the docs'
    )
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.randrange(1 << 16)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    say(f'seed {options.seed}')
    if options.upstream or options.full:
        upstream.require()
    matrix = Matrix(options.workers)
    matrix.play(tables.OURS, choose(options))
    if (options.full or options.cases) and not options.only:
        matrix.play_restarts(options.seed)
    if options.upstream or options.full:
        matrix.play_upstream(options.seed)
    return report(matrix.results, options)


def command(options: argparse.Namespace) -> str:
    """Return the command that makes the same run again."""
    words = ['python -m tests.faults.matrix']
    if options.full:
        words.append('--full')
    elif options.cases:
        words.append(f'--cases {options.cases}')
    if options.only:
        words.append(f"--only '{options.only}'")
    if options.upstream:
        words.append('--upstream')
    return ' '.join([*words, f'--seed {options.seed}'])


def report(results: list[tables.Result], options: argparse.Namespace) -> int:
    """Print the table and the totals; return the exit code."""
    table = tables.Table(results)
    say(table.text())
    ours, invalid = table.tally(tables.OURS), table.invalid()
    for result in invalid:
        say(
            f'invalid: {result.driver}: {result.case}: {result.verdict.reason}'
        )
    leaks = sum(result.verdict.leaks > 0 for result in results)
    say(f'seed {options.seed}; images with leaked clusters in {leaks} cases')
    if options.json:
        table.save_json(options.json, options.seed)
    if options.table:
        options.table.parent.mkdir(parents=True, exist_ok=True)
        options.table.write_text(table.rst(command(options), options.seed))
    ours_invalid = [each for each in invalid if each.driver == tables.OURS]
    failed = ours.lost + ours.stuck + len(ours_invalid)
    say(f'{ours.cases - ours.lost - ours.stuck} passed, {failed} failed')
    return 1 if failed or not ours.cases else 0


if __name__ == '__main__':
    sys.exit(main())
