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

"""The table: operation and fault, and what came of it."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import json
import pathlib

from tests.faults import cases
from tests.faults import verdict as verdicts
from tests.fixtures import columns

OURS = 'this driver'
UPSTREAM = 'Cinder RemoteFS'

_ROWS = (
    'create',
    'delete by commit',
    'delete by pull',
    'delete by active commit',
    'delete two by commit',
    'delete two by pull',
    'delete two by active commit',
    'clone',
    'extend',
    'revert',
    'delete volume',
)
_NOTHING = '-'


@dataclasses.dataclass(frozen=True)
class Result:
    """A case that was played, for one driver."""

    driver: str
    case: cases.Case
    verdict: verdicts.Verdict

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return {
            'driver': self.driver,
            'case': str(self.case),
            'operation': self.case.operation.row,
            'where': self.case.operation.where,
            'fault': self.case.fault.kind,
            'state': self.verdict.state,
            'reason': self.verdict.reason,
            'leaks': self.verdict.leaks,
            'seconds': round(self.verdict.seconds, 2),
            'log': self.verdict.log,
        }


@dataclasses.dataclass
class Tally:
    """Cases by their outcome."""

    cases: int = 0
    lost: int = 0
    stuck: int = 0

    def add(self, state: str) -> None:
        self.cases += state != verdicts.INVALID
        self.lost += state == verdicts.LOST
        self.stuck += state == verdicts.STUCK

    def cells(self) -> tuple[str, str, str]:
        if not self.cases:
            return (_NOTHING, _NOTHING, _NOTHING)
        return str(self.cases), str(self.lost), str(self.stuck)


Key = tuple[str, str, str]


class Table:
    """Results, counted."""

    def __init__(self, results: collections.abc.Iterable[Result]) -> None:
        self.results = list(results)

    def tally(
        self,
        driver: str,
        chosen: collections.abc.Callable[[cases.Case], bool] = lambda _: True,
    ) -> Tally:
        """Count the results of a driver."""
        tally = Tally()
        for result in self.results:
            if result.driver == driver and chosen(result.case):
                tally.add(result.verdict.state)
        return tally

    def invalid(self) -> list[Result]:
        """Return the results that say nothing."""
        return [
            result
            for result in self.results
            if result.verdict.state == verdicts.INVALID
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells: operation, where, fault, three per driver."""
        tallies: dict[Key, dict[str, Tally]] = collections.defaultdict(
            lambda: {OURS: Tally(), UPSTREAM: Tally()}
        )
        for result in self.results:
            tallies[result.case.key][result.driver].add(result.verdict.state)
        found: list[tuple[str, ...]] = [
            (
                *key,
                *tallies[key][OURS].cells(),
                *tallies[key][UPSTREAM].cells(),
            )
            for key in sorted(tallies, key=_order)
        ]
        for where in ('offline', 'live', ''):
            found.append(self._total(where))
        return found

    def _total(self, where: str) -> tuple[str, ...]:
        def chosen(case: cases.Case) -> bool:
            return where in ('', case.operation.where)

        ours, upstream = (
            self.tally(driver, chosen).cells() for driver in (OURS, UPSTREAM)
        )
        return ('all', where, '', *ours, *upstream)

    def text(self) -> str:
        """Return it for a terminal."""
        head = (
            ('', '', '', OURS, '', '', UPSTREAM, '', ''),
            ('operation', 'volume', 'fault', *('cases', 'lost', 'stuck') * 2),
        )
        lines = [*head, *self.rows()]
        widths = [24, 8, 27, 12, 5, 6, 16, 5, 6]
        return columns.aligned(lines, widths)

    def rst(self, how: str, seed: int) -> str:
        """Return it for the documentation.

        :param how: the command that made it
        """
        ours = self.tally(OURS)
        live = self.tally(OURS, lambda case: case.operation.live)
        other = self.tally(UPSTREAM)
        lines = [
            f'.. Made by ``{how}``; do not edit.',
            '',
            f'{ours.cases} cases of this driver, {live.cases} of them with a '
            f'running QEMU:',
            f'{ours.lost} lost, {ours.stuck} stuck. '
            f'{other.cases} cases of the RemoteFS code of Cinder 29:',
            f'{other.lost} lost, {other.stuck} stuck. (Seed {seed}.)',
            '',
            '.. csv-table::',
            '   :header: "operation", "volume", "fault", "cases", "lost", '
            '"stuck", "RemoteFS: cases", "lost", "stuck"',
            '',
        ]
        lines += [
            '   ' + ', '.join(f'"{cell}"' for cell in row)
            for row in self.rows()
        ]
        return '\n'.join(lines) + '\n'

    def save_json(self, path: pathlib.Path, seed: int) -> None:
        content = {
            'seed': seed,
            'results': [result.as_dict() for result in self.results],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + '\n')


def _order(key: Key) -> tuple[int, bool, int]:
    row, where, kind = key
    return _ROWS.index(row), where == 'live', cases.KINDS.index(kind)
