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

"""Rows of deletions that copy data: the newest snapshot of two.

::

    base  <-  lower  <-  upper^

``lower`` is what the snapshot froze last, ``upper`` what was written since. A
commit copies what ``upper`` has, a pull what ``lower`` has; no byte is in
both. Cinder's code always commits.
"""

from __future__ import annotations

import collections.abc

from benchmarks import bare
from benchmarks import results
from benchmarks import rounds
from benchmarks import stage as stages

Sizes = tuple[int, int]


def cases(
    stage: stages.Stage, sizes: collections.abc.Iterable[Sizes], count: int
) -> collections.abc.Iterator[rounds.Case]:
    """Yield the work for each pair of sizes, lower and upper, in MiB."""
    for pair in sizes:
        yield _case(stage, *pair, count)


def _case(
    stage: stages.Stage, lower: int, upper: int, count: int
) -> rounds.Case:
    total = (lower + upper) * stages.MIB
    template = stage.make_chain(
        total // stages.GIB + 1,
        [
            [(total, stages.MIB)],
            [(0, lower * stages.MIB)],
            [(lower * stages.MIB, upper * stages.MIB)],
        ],
    )
    by_commit = upper <= lower
    # The file with the bytes that must move, and its size on disk.
    cheaper = template.image(-1 if by_commit else -2)

    def ours() -> results.Sample:
        stage.put(template)
        snapshot = stage.snapshot(template, -1)
        return stages.measure(lambda: stage.driver.delete_snapshot(snapshot))

    def upstream() -> results.Sample:
        stage.put(template)
        snapshot = stage.cinder_snapshot(template, -1)
        delete = stage.cinder.driver.delete_snapshot
        return stages.measure(lambda: delete(snapshot))

    def limit() -> results.Sample:
        stage.put(template)
        top = stage.path(template.image(-1))
        below = stage.path(template.image(-2))
        if by_commit:
            return stages.measure(lambda: bare.commit(top))
        return stages.measure(lambda: bare.pull(top, below, template.image(0)))

    def raw() -> results.Sample:
        stage.put(template)
        source, target = stage.path(cheaper), stage.path('copy')
        return stages.measure(lambda: bare.copy(source, target))

    return rounds.Case(
        'data',
        f'snapshot {lower} MiB, top {upper} MiB',
        {
            results.OURS: ours,
            results.UPSTREAM: upstream,
            results.BARE: limit,
            results.RAW: raw,
        },
        count,
        {
            'snapshot': lower,
            'top': upper,
            'minimum': min(lower, upper) * stages.MIB,
        },
        warm_up=False,
    )
