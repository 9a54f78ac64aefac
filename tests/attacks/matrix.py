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

"""Plays the attack corpus, and makes the table of it.

python -m tests.attacks.matrix [--upstream] [--table FILE] [--only WORDS]
"""

from __future__ import annotations

import argparse
import collections.abc
import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
import sys
import tempfile

from tests.attacks import attack as attacks
from tests.attacks import canary as canaries
from tests.attacks import corpus
from tests.attacks import ours
from tests.attacks import play
from tests.attacks import table as tables
from tests.attacks import upstream


def attack(driver: str, name: str) -> list[tables.Result]:
    """Play one attack against all that a driver has."""
    (chosen,) = (each for each in corpus.CORPUS if each.name == name)
    with canaries.Canary() as canary, tempfile.TemporaryDirectory() as base:
        volumes, before, out = (
            pathlib.Path(base) / each for each in ('volumes', 'before', 'out')
        )
        for place in (volumes, before, out):
            place.mkdir()
        player = play.Player(canary, volumes, before, out, upstream.TYPED)
        if driver == tables.UPSTREAM:
            return _play(driver, player, chosen, upstream.entries())
        player = dataclasses.replace(
            player, typed=ours.TYPED, unchanged=ours.UNCHANGED
        )
        with ours.Ours(volumes) as made:
            return _play(driver, player, chosen, made.entries())


def _play(
    driver: str,
    player: play.Player,
    chosen: attacks.Attack,
    entries: list[play.Entry],
) -> list[tables.Result]:
    return [
        tables.Result(
            driver, chosen.kind, case.entry.name, str(case), player.play(case)
        )
        for case in play.cases([chosen], entries)
    ]


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def run(
    chosen: collections.abc.Sequence[attacks.Attack],
    drivers: collections.abc.Sequence[str],
    workers: int,
) -> list[tables.Result]:
    """Play attacks, some at a time; say at once what is bad."""
    results: list[tables.Result] = []
    for driver in drivers:
        # Each driver has processes of its own: what forks has no threads.
        with concurrent.futures.ProcessPoolExecutor(
            workers, multiprocessing.get_context('spawn')
        ) as pool:
            futures = [
                pool.submit(attack, driver, each.name) for each in chosen
            ]
            for future in futures:
                found = future.result()
                results += found
                for each in found:
                    _tell(each)
    return results


def _tell(result: tables.Result) -> None:
    verdict = result.verdict
    if not verdict.good:
        text = verdict.text.replace('\n', ' ')[:200]
        say(f'{result.driver}: {result.case}: {verdict.state}: {text}')


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.attacks.matrix',
        description='Play the attack corpus.',
    )
    parser.add_argument(
        '--upstream',
        action='store_true',
        help="play it for Cinder's own RemoteFS code, too",
    )
    parser.add_argument(
        '--only', default='', metavar='WORD', help='attacks with that word'
    )
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument(
        '--table', type=pathlib.Path, help='the table goes there, for the docs'
    )
    options = parser.parse_args(arguments)
    chosen = [each for each in corpus.CORPUS if options.only in each.name]
    drivers = tables.DRIVERS if options.upstream else tables.DRIVERS[:1]
    table = tables.Table(run(chosen, drivers, options.workers))
    say(table.text())
    if options.table:
        how = 'python -m tests.attacks.matrix'
        how += ' --upstream' if options.upstream else ''
        options.table.parent.mkdir(parents=True, exist_ok=True)
        options.table.write_text(table.rst(how, len(chosen)))
    bad = len(table.bad(tables.OURS))
    say(f'{len(chosen)} attacks, {bad} failed')
    return 1 if bad or not table.results else 0


if __name__ == '__main__':
    sys.exit(main())
