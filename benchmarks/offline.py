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

"""Rows of volumes that no guest uses, with almost no data in them."""

from __future__ import annotations

import collections.abc
import functools

from benchmarks import bare
from benchmarks import results
from benchmarks import rounds
from benchmarks import stage as stages

_LAYER = 64 * stages.KIB


def cases(
    stage: stages.Stage,
    create_depths: collections.abc.Collection[int],
    delete_depths: collections.abc.Collection[int],
    count: int,
) -> collections.abc.Iterator[rounds.Case]:
    """Yield the work at each depth.

    :param create_depths: how many snapshots a volume has before one is taken
    :param delete_depths: how many it has before one is deleted
    :param count: rounds
    """
    templates = _grow(stage, {*create_depths, *delete_depths})
    for depth in create_depths:
        yield _create(stage, templates[depth], depth, count)
    for depth in delete_depths:
        for position, number in positions(depth).items():
            yield _delete(stage, templates[depth], position, number, count)


def positions(depth: int) -> dict[str, int]:
    """Return which of so many snapshots is deleted."""
    return {'oldest': 0, 'middle': depth // 2, 'newest': depth - 1}


def _grow(
    stage: stages.Stage, depths: collections.abc.Collection[int]
) -> dict[int, stages.Template]:
    """Let a chain grow, and keep it as it is at some depths."""
    stage.clear()
    record = stage.create(data=[(0, _LAYER)])
    snapshots: list[str] = []
    found = {}
    for depth in range(1, max(depths) + 1):
        snapshots.append(
            stage.add_layer(record, [(depth * stages.MIB, _LAYER)])
        )
        if depth in depths:
            found[depth] = stage.keep(record, snapshots)
    return found


def _create(
    stage: stages.Stage, template: stages.Template, depth: int, count: int
) -> rounds.Case:
    def ours() -> results.Sample:
        stage.put(template)
        snapshot = stage.snapshot(template)
        return stages.measure(lambda: stage.driver.create_snapshot(snapshot))

    def upstream() -> results.Sample:
        stage.put(template)
        snapshot = stage.cinder_snapshot(template)
        create = stage.cinder.driver.create_snapshot
        return stages.measure(lambda: create(snapshot))

    def limit() -> results.Sample:
        stage.put(template)
        new = stage.path(f'{template.record.name}.new')
        size = template.record.size * stages.GIB
        return stages.measure(
            lambda: bare.create_overlay(new, template.image(-1), size)
        )

    return rounds.Case(
        'create',
        f'depth {depth}',
        {results.OURS: ours, results.UPSTREAM: upstream, results.BARE: limit},
        count,
        {'depth': depth},
    )


def _delete(
    stage: stages.Stage,
    template: stages.Template,
    position: str,
    number: int,
    count: int,
) -> rounds.Case:
    depth = len(template.snapshots)

    def ours() -> results.Sample:
        stage.put(template)
        snapshot = stage.snapshot(template, number)
        return stages.measure(lambda: stage.driver.delete_snapshot(snapshot))

    def upstream() -> results.Sample:
        stage.put(template)
        snapshot = stage.cinder_snapshot(template, number)
        delete = stage.cinder.driver.delete_snapshot
        return stages.measure(lambda: delete(snapshot))

    def limit() -> results.Sample:
        stage.put(template)
        # The base is image 0, so the overlay of a snapshot is one further.
        return stages.measure(
            functools.partial(_commit, stage, template, number + 1)
        )

    return rounds.Case(
        'delete',
        f'depth {depth}, {position}',
        {results.OURS: ours, results.UPSTREAM: upstream, results.BARE: limit},
        count,
        {'depth': depth},
    )


def _commit(
    stage: stages.Stage, template: stages.Template, number: int
) -> None:
    bare.commit(stage.path(template.image(number)))
    if number < len(template.snapshots):
        above = stage.path(template.image(number + 1))
        bare.point(above, template.image(number - 1))
