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

"""What is aimed at, and whether a run has reached it; pure functions.

The aims are ratios of medians of one run, so the machine hardly matters; only
the gaps are absolute. An aim is met if every row that it is about meets it.
"""

from __future__ import annotations

import collections.abc
import dataclasses

from benchmarks import results

_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Judgement:
    """How near a run came to an aim.

    :ivar row: name of the row that is the farthest from it
    :ivar value: of that row
    :ivar missed: names of the rows that do not meet it, with their values
    """

    aim: Aim
    row: str
    value: float
    missed: tuple[tuple[str, float], ...]

    @property
    def met(self) -> bool:
        return not self.missed

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return {
            'work': self.aim.work,
            'aim': self.aim.text,
            'worst': {'row': self.row, 'value': round(self.value, 3)},
            'met': self.met,
            'missed': {name: round(value, 3) for name, value in self.missed},
        }


@dataclasses.dataclass(frozen=True)
class Aim:
    """Something that is to be so in every row of a group.

    :ivar work: what is done
    :ivar text: the aim in words
    :ivar group: of the rows
    :ivar figure: the number of a row that is looked at; None if it has none
    :ivar limit: what the number may be at most, or has to be at least
    :ivar least: the limit is a lower one
    :ivar chosen: tells whether a row of the group is meant
    """

    work: str
    text: str
    group: str
    figure: collections.abc.Callable[[results.Row], float | None]
    limit: float
    least: bool = False
    chosen: collections.abc.Callable[[results.Row], bool] = lambda _: True
    unit: str = 'x'

    def judge(
        self, rows: collections.abc.Iterable[results.Row]
    ) -> Judgement | None:
        """Look at the rows; None if there is none that it is about."""
        found = []
        for row in results.of_group(rows, self.group):
            value = self.figure(row) if self.chosen(row) else None
            if value is not None:
                found.append((row.name, value))
        if not found:
            return None
        worst = (min if self.least else max)(found, key=lambda each: each[1])
        missed = tuple(each for each in found if not self._meets(each[1]))
        return Judgement(self, *worst, missed)

    def _meets(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


def _ratio(
    measure: str, above: str, below: str
) -> collections.abc.Callable[[results.Row], float | None]:
    return lambda row: row.ratio(measure, above, below)


def _over_minimum(row: results.Row) -> float | None:
    written = row.median(results.OURS, results.WRITTEN)
    minimum = row.facts.get('minimum')
    return written / minimum if written is not None and minimum else None


def _faster_than_pull(row: results.Row) -> float | None:
    """Compare with Nova's part alone: Cinder's own waiting is left out."""
    pull = row.median(results.UPSTREAM, results.NOVA)
    ours = row.median(results.OURS, results.SECONDS)
    return pull / ours if pull is not None and ours else None


def _gap(row: results.Row) -> float | None:
    gap = row.median(results.OURS, results.GAP)
    return None if gap is None else gap * 1000


def _is_only(row: results.Row) -> bool:
    return row.facts.get('only') == 1


AIMS = (
    Aim(
        'create offline, any depth',
        'at most 2.0 x the bare qemu-img create -u',
        'create',
        _ratio(results.SECONDS, results.OURS, results.BARE),
        2.0,
    ),
    Aim(
        'create offline, any depth',
        'at least 5 x faster than upstream',
        'create',
        _ratio(results.SECONDS, results.UPSTREAM, results.OURS),
        5.0,
        least=True,
    ),
    Aim(
        'delete with almost no data, any depth',
        'at most 2.5 x the bare qemu-img calls',
        'delete',
        _ratio(results.SECONDS, results.OURS, results.BARE),
        2.5,
    ),
    Aim(
        'delete with almost no data, depth 20',
        'at least 10 x faster than upstream',
        'delete',
        _ratio(results.SECONDS, results.UPSTREAM, results.OURS),
        10.0,
        least=True,
        chosen=lambda row: row.facts.get('depth') == 20,
    ),
    Aim(
        'delete with data',
        "writes at most 1.05 x the cheaper direction's minimum",
        'data',
        _over_minimum,
        1.05,
    ),
    Aim(
        'delete with data',
        'takes at most 1.3 x the bare command',
        'data',
        _ratio(results.SECONDS, results.OURS, results.BARE),
        1.3,
    ),
    Aim(
        'live delete of the only snapshot',
        "at least 20 x faster than upstream's pull",
        'live delete',
        _faster_than_pull,
        20.0,
        least=True,
        chosen=_is_only,
    ),
    Aim(
        'live delete of the only snapshot',
        "at least 20 x fewer bytes than upstream's pull",
        'live delete',
        _ratio(results.WRITTEN, results.UPSTREAM, results.OURS),
        20.0,
        least=True,
        chosen=_is_only,
    ),
    Aim(
        'longest write gap of the guest, create',
        'at most 100 ms',
        'live create',
        _gap,
        100.0,
        unit='ms',
    ),
    Aim(
        'longest write gap of the guest, pivot',
        'at most 150 ms',
        'live delete',
        _gap,
        150.0,
        chosen=_is_only,
        unit='ms',
    ),
)


def judge(rows: collections.abc.Sequence[results.Row]) -> list[Judgement]:
    """Return how near a run came to each aim that it has rows for."""
    found = [aim.judge(rows) for aim in AIMS]
    return [judgement for judgement in found if judgement is not None]
