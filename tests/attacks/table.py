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

"""The table: what was attacked, and what came of it."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses

from tests.attacks import attack as attacks
from tests.attacks import play
from tests.fixtures import columns

OURS = 'this driver'
UPSTREAM = 'Cinder RemoteFS'
DRIVERS = (OURS, UPSTREAM)

_HEAD = ('cases', 'refused', 'right', 'escaped', 'hung', 'else')
_COUNTED: dict[str, str] = {
    play.REFUSED: 'refused',
    play.FAILED: 'refused',
    play.RIGHT: 'right',
    play.ESCAPED: 'escaped',
    play.SLOW: 'hung',
}
_NOTHING = ('-',) * len(_HEAD)


@dataclasses.dataclass(frozen=True)
class Result:
    """A case that was played, for one driver."""

    driver: str
    kind: str
    entry: str
    case: str
    verdict: play.Verdict


class Table:
    """Results, counted."""

    def __init__(self, results: collections.abc.Iterable[Result]) -> None:
        self.results = list(results)

    def bad(self, driver: str) -> list[Result]:
        """Return what should not have been."""
        return [
            each
            for each in self.results
            if each.driver == driver and not each.verdict.good
        ]

    def count(self, driver: str, **chosen: str) -> tuple[str, ...]:
        """Return the cells of one driver.

        :param chosen: what is counted, by names of fields
        """
        found = collections.Counter(
            _COUNTED.get(each.verdict.state, 'else')
            for each in self.results
            if each.driver == driver
            and all(getattr(each, k) == v for k, v in chosen.items())
        )
        if not found:
            return _NOTHING
        cells = (found.total(), *(found[name] for name in _HEAD[1:]))
        return tuple(str(cell) for cell in cells)

    def rows(self, field: str) -> list[tuple[str, ...]]:
        """Return a row for each value of a field, and one for all."""
        values = dict.fromkeys(getattr(each, field) for each in self.results)
        if field == 'kind':
            values = {each: None for each in attacks.KINDS if each in values}
        found = [(value, *self._cells(**{field: value})) for value in values]
        return [*found, ('all', *self._cells())]

    def _cells(self, **chosen: str) -> tuple[str, ...]:
        return tuple(
            cell for each in DRIVERS for cell in self.count(each, **chosen)
        )

    def text(self) -> str:
        """Return it for a terminal."""
        lines = []
        for field in ('kind', 'entry'):
            lines += [(field, *_HEAD * 2), *self.rows(field), ('',) * 13]
        widths = [36, *(8,) * 12]
        return columns.aligned(lines, widths)

    def rst(self, how: str, attacks_: int) -> str:
        """Return it for the documentation.

        :param how: the command that made it
        :param attacks_: how many there are
        """
        ours, other = (self.count(each) for each in DRIVERS)
        lines = [
            f'.. Made by ``{how}``; do not edit.',
            '',
            f'{attacks_} attacks. {ours[0]} cases of this driver:',
            f'{ours[3]} escaped, {ours[4]} hung, {ours[5]} else. '
            f'{other[0]} cases of the RemoteFS code of Cinder 29:',
            f'{other[3]} escaped, {other[4]} hung, {other[5]} else.',
        ]
        for field, label in (
            ('kind', 'what it is'),
            ('entry', 'what is called'),
        ):
            head = (label, *_HEAD, 'RemoteFS: cases', *_HEAD[1:])
            lines += ['', '.. csv-table::']
            lines += [f'   :header: {_csv(head)}', '']
            lines += [f'   {_csv(row)}' for row in self.rows(field)]
        return '\n'.join(lines) + '\n'


def _csv(row: tuple[str, ...]) -> str:
    return ', '.join(f'"{cell}"' for cell in row)
