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

"""One run: which rows are measured, and where the results go."""

from __future__ import annotations

import collections.abc
import json
import logging
import pathlib
import tempfile
import time

from benchmarks import aims
from benchmarks import charts
from benchmarks import data
from benchmarks import errors
from benchmarks import live
from benchmarks import machine
from benchmarks import many
from benchmarks import offline
from benchmarks import results
from benchmarks import rounds
from benchmarks import sizes
from benchmarks import stage as stages
from benchmarks import table
from tests.fixtures import cinder_remotefs
from tests.fixtures import guest_image
from tests.fixtures import hypervisor

ERRORS = (
    errors.BenchmarkError,
    cinder_remotefs.CinderMissing,
    guest_image.GuestImageError,
    hypervisor.HypervisorError,
)
_ALL = 4

Groups = collections.abc.Collection[str]


def run(
    quick: bool, groups: Groups, directory: pathlib.Path, output: pathlib.Path
) -> None:
    """Measure, print and write.

    :param quick: few rounds and small sizes
    :param groups: some of ``offline``, ``data``, ``many``, ``live``
    :param directory: the volumes are in a new one below it
    :param output: directory for the results
    """
    logging.getLogger().setLevel(logging.ERROR)
    # What is missing is said at once, and not after half an hour.
    charts.require()
    cinder_remotefs.import_cinder('cinder.volume.drivers.nfs')
    found = machine.describe(directory)
    size = sizes.QUICK if quick else sizes.FULL
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        # All fixtures make their directories in it.
        tempfile.tempdir = temporary
        try:
            rows = list(_rows(size, groups))
        finally:
            tempfile.tempdir = None
    _report(rows, found, command(quick, groups), output)


def command(quick: bool, groups: Groups) -> str:
    """Return the command that makes the same run again."""
    words = ['python -m benchmarks']
    if quick:
        words.append('--quick')
    if len(set(groups)) < _ALL:
        words.append(f'--only {",".join(groups)}')
    return ' '.join(words)


def _rows(
    size: sizes.Sizes, groups: Groups
) -> collections.abc.Iterator[results.Row]:
    began = time.monotonic()
    for case in _cases(size, groups):
        yield case.play()
        _say(f'{time.monotonic() - began:5.0f} s  {case.group}: {case.name}')


def _cases(
    size: sizes.Sizes, groups: Groups
) -> collections.abc.Iterator[rounds.Case]:
    with stages.Stage() as stage:
        if 'offline' in groups:
            depths = size.create_depths, size.delete_depths
            yield from offline.cases(stage, *depths, size.rounds)
        if 'data' in groups:
            yield from data.cases(stage, size.data, size.data_rounds)
        if 'many' in groups:
            repeats, count = size.repeats, size.data_rounds
            yield from many.at_once(stage, size.at_once, repeats, count)
            yield from many.very_many(stage, size.volumes, count)
    if 'live' in groups:
        with stages.Stage('libvirt') as stage:
            yield from live.cases(
                stage, size.base, size.changed, size.live_rounds
            )


def _report(
    rows: list[results.Row],
    found: dict[str, str],
    how: str,
    output: pathlib.Path,
) -> None:
    judgements = aims.judge(rows)
    _say('', table.text(rows), table.verdict_text(judgements))
    output.mkdir(parents=True, exist_ok=True)
    content = {
        'command': how,
        'machine': found,
        'aims': [each.as_dict() for each in judgements],
        'rows': [row.as_dict() for row in rows],
    }
    path = output / 'benchmark.json'
    path.write_text(json.dumps(content, indent=1) + '\n')
    drawn = charts.save(rows, output)
    path = output / 'benchmark.inc'
    path.write_text(table.rst(rows, found, how, drawn))
    met = sum(each.met for each in judgements)
    _say(f'written to {output}', f'{met} of {len(judgements)} aims met')


def _say(*lines: str) -> None:
    print(*lines, sep='\n', flush=True)
