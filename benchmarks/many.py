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

"""Rows of several volumes at once, and of a directory with very many."""

from __future__ import annotations

import collections.abc
import concurrent.futures
import os
import pathlib

from benchmarks import bare
from benchmarks import results
from benchmarks import rounds
from benchmarks import stage as stages
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers

_DATA = 64 * stages.KIB
# Of how many volumes one has a snapshot.
_EVERY = 100
_BLOCK = 4096

Turn = collections.abc.Callable[[drivers.Volume], None]


# -- several at once ---------------------------------------------------------


def at_once(
    stage: stages.Stage,
    numbers: collections.abc.Iterable[int],
    repeats: int,
    count: int,
) -> collections.abc.Iterator[rounds.Case]:
    """Yield a case for each number of volumes that are worked on at once.

    :param repeats: snapshots that are created, and deleted, of each
    """
    for number in numbers:
        yield _at_once(stage, number, repeats, count)


def _at_once(
    stage: stages.Stage, number: int, repeats: int, count: int
) -> rounds.Case:
    stage.clear()
    records = [stage.create(data=[(0, _DATA)]) for _ in range(number)]
    template = stage.keep(records[0])

    def ours(record: drivers.Volume) -> None:
        snapshot = drivers.snapshot(record)
        stage.driver.create_snapshot(snapshot)
        stage.driver.delete_snapshot(snapshot)

    def upstream(record: drivers.Volume) -> None:
        assert isinstance(record, cinder_remotefs.Volume)
        snapshot = stage.cinder.snapshot(record)
        stage.cinder.driver.create_snapshot(snapshot)
        stage.cinder.driver.delete_snapshot(snapshot)

    def limit(record: drivers.Volume) -> None:
        overlay = stage.path(f'{record.name}.new')
        bare.create_overlay(overlay, record.name, record.size * stages.GIB)
        bare.commit(overlay)

    def measure(
        turn: Turn, adopted: collections.abc.Callable[[], list[drivers.Volume]]
    ) -> results.Sample:
        stage.put(template)
        sample = stages.measure(lambda: _together(turn, adopted(), repeats))
        rate = 2 * number * repeats / sample.values[results.SECONDS]
        return results.Sample(
            {**sample.values, results.RATE: rate}, sample.commands
        )

    return rounds.Case(
        'at once',
        f'{number} at once',
        {
            results.OURS: lambda: measure(ours, lambda: records),
            results.UPSTREAM: lambda: measure(
                upstream,
                lambda: [stage.cinder.adopt(each) for each in records],
            ),
            results.BARE: lambda: measure(limit, lambda: records),
        },
        count,
        {'volumes': number},
    )


def _together(
    turn: Turn, records: collections.abc.Sequence[drivers.Volume], repeats: int
) -> None:
    """Let each volume have its turns, all at once."""

    def repeat(record: drivers.Volume) -> None:
        for _ in range(repeats):
            turn(record)

    with concurrent.futures.ThreadPoolExecutor(len(records)) as pool:
        # All results are asked for, so that an error is raised.
        list(pool.map(repeat, records))


# -- very many ---------------------------------------------------------------


def very_many(
    stage: stages.Stage, number: int, count: int
) -> collections.abc.Iterator[rounds.Case]:
    """Yield what has to look at a directory with so many volumes."""
    _fill(stage, number)
    directory = os.fspath(stage.directory)
    cinder = stage.cinder.driver
    # What Cinder's manager does once the share is mounted.
    cinder._mounted_shares = [cinder_remotefs.SHARE]
    cinder._ensure_shares_mounted = lambda: None

    def start() -> None:
        driver = stage.ours.make()
        driver.do_setup(None)
        driver.check_for_setup_error()

    works: dict[str, dict[str, collections.abc.Callable[[], object]]] = {
        'stats': {
            results.OURS: lambda: stage.driver.get_volume_stats(True),
            results.UPSTREAM: cinder._update_volume_stats,
            results.BARE: lambda: os.statvfs(directory),
        },
        'list': {
            results.OURS: stage.driver.list_volumes,
            results.BARE: lambda: sorted(os.listdir(directory)),
        },
        'start-up': {
            results.OURS: start,
            results.BARE: lambda: sorted(os.listdir(directory)),
        },
    }
    for name, contestants in works.items():
        yield rounds.Case(
            'many',
            f'{number} volumes, {name}',
            {
                contestant: _measuring(work)
                for contestant, work in contestants.items()
            },
            count,
            {'volumes': number},
        )


def _measuring(
    work: collections.abc.Callable[[], object],
) -> rounds.Measure:
    return lambda: stages.measure(work)


def _fill(stage: stages.Stage, number: int) -> None:
    """Make many volumes, all of them sparse, some of them with a snapshot."""
    stage.clear()
    content = stage.path(stage.create().name).read_bytes()
    for index in range(number - 1):
        record = drivers.volume()
        _write_sparse(stage.path(record.name), content)
        if index % _EVERY == 0:
            stage.driver.create_snapshot(drivers.snapshot(record))
    os.sync()


def _write_sparse(path: pathlib.Path, content: bytes) -> None:
    with path.open('wb') as stream:
        for offset in range(0, len(content), _BLOCK):
            block = content[offset : offset + _BLOCK]
            if block.strip(b'\0'):
                stream.seek(offset)
                stream.write(block)
        stream.truncate(len(content))
