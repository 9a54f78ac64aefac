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

"""The tables, for a terminal and for the documentation; pure functions."""

from __future__ import annotations

import collections.abc
import dataclasses

from benchmarks import aims
from benchmarks import results

_MIB = 1 << 20
NOTHING = '-'

Format = collections.abc.Callable[[float], str]


@dataclasses.dataclass(frozen=True)
class Column:
    """A figure of a contestant."""

    contestant: str
    measure: str
    head: str
    format: Format

    def cell(self, row: results.Row) -> str:
        value = row.median(self.contestant, self.measure)
        return NOTHING if value is None else self.format(value)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times the time of one is that of another."""

    above: str
    below: str
    head: str

    def cell(self, row: results.Row) -> str:
        value = row.ratio(results.SECONDS, self.above, self.below)
        return NOTHING if value is None else f'{value:.2f}'


@dataclasses.dataclass(frozen=True)
class Part:
    """One table: rows of a group, columns of figures."""

    group: str
    title: str
    columns: tuple[Column | Ratio, ...]
    note: str = ''


def milliseconds(seconds: float) -> str:
    found = seconds * 1000
    return f'{found:.1f}' if found < 100 else f'{found:.0f}'


def thousandths(number: float) -> str:
    return f'{number:.3f}'


def mebibytes(count: float) -> str:
    return f'{count / _MIB:.1f}'


def whole(number: float) -> str:
    return f'{number:.0f}'


def tenths(number: float) -> str:
    return f'{number:.1f}'


_THREE = results.CONTESTANTS[:3]


def _columns(
    measures: collections.abc.Sequence[tuple[str, str, Format]],
    contestants: collections.abc.Sequence[str] = _THREE,
) -> tuple[Column, ...]:
    return tuple(
        Column(contestant, measure, f'{contestant}: {head}', form)
        for measure, head, form in measures
        for contestant in contestants
    )


_RATIOS = (
    Ratio(results.OURS, results.BARE, 'times bare'),
    Ratio(results.UPSTREAM, results.OURS, 'times faster than upstream'),
)
_TIME = (results.SECONDS, 'ms', milliseconds)
_LONG_TIME = (results.SECONDS, 'seconds', thousandths)
_CHILDREN = (results.CHILDREN, 'children', whole)
_WRITTEN = (results.WRITTEN, 'MiB written', mebibytes)
_GAP = (results.GAP, 'longest gap, ms', milliseconds)

_QUIET = Column(results.OURS, results.QUIET, 'no work: gap, ms', milliseconds)
_NOVA_ALONE = Column(
    results.UPSTREAM, results.NOVA, 'Nova alone: ms', milliseconds
)
_NOVA_NOTE = (
    'Upstream is the RemoteFS code of Cinder around what Nova does: its calls '
    'of libvirt, their flags, and its look at the job every 0.5 s, written '
    'from the description of Nova and not run from it. Cinder looks every '
    'second whether Nova is ready; "Nova alone" is without that. The gap '
    'without any work is what the guest needs from one write to the next '
    'where nothing is done.'
)

PARTS = (
    Part(
        'create',
        'Create a snapshot, offline',
        (*_columns([_TIME]), *_RATIOS, *_columns([_CHILDREN])),
    ),
    Part(
        'delete',
        'Delete a snapshot with almost no data, offline',
        (*_columns([_TIME]), *_RATIOS, *_columns([_CHILDREN])),
    ),
    Part(
        'data',
        'Delete a snapshot with data, offline',
        (
            *_columns([_LONG_TIME], results.CONTESTANTS),
            *_RATIOS,
            *_columns([_WRITTEN], results.CONTESTANTS),
        ),
    ),
    Part(
        'live create',
        'Create a snapshot under a running guest',
        (
            *_columns([_TIME]),
            _NOVA_ALONE,
            *_columns([_GAP]),
            _QUIET,
        ),
        _NOVA_NOTE,
    ),
    Part(
        'live delete',
        'Delete a snapshot under a running guest',
        (
            *_columns([_LONG_TIME]),
            Column(
                results.UPSTREAM,
                results.NOVA,
                'Nova alone: seconds',
                thousandths,
            ),
            *_columns([_WRITTEN, _GAP]),
            _QUIET,
        ),
        _NOVA_NOTE,
    ),
    Part(
        'at once',
        'Several volumes at once: snapshots created and deleted',
        _columns([(results.RATE, 'operations per second', tenths)]),
    ),
    Part(
        'many',
        'Very many volumes',
        _columns([_TIME]),
        'Upstream has no list, and nothing to recover.',
    ),
)


def cells(part: Part, row: results.Row) -> list[str]:
    """Return the cells of a row."""
    return [row.name, *(column.cell(row) for column in part.columns)]


def text(rows: collections.abc.Sequence[results.Row]) -> str:
    """Return all tables for a terminal."""
    lines: list[str] = []
    for part in PARTS:
        found = results.of_group(rows, part.group)
        if found:
            head = ['', *(column.head for column in part.columns)]
            body = [cells(part, row) for row in found]
            lines += [part.title, *_aligned(head, body), '']
    return '\n'.join(lines)


def _aligned(head: list[str], body: list[list[str]]) -> list[str]:
    widths = [
        max(len(line[index]) for line in (head, *body))
        for index in range(len(head))
    ]
    return [
        '  '.join(
            cell.ljust(width) if not index else cell.rjust(width)
            for index, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in (head, *body)
    ]


def verdicts(
    judgements: collections.abc.Iterable[aims.Judgement],
) -> list[list[str]]:
    """Return the cells: work, aim, the worst row, its number, met or not."""
    return [
        [
            each.aim.work,
            each.aim.text,
            each.row,
            f'{each.value:.2f} {each.aim.unit}',
            'met' if each.met else f'missed in {len(each.missed)}',
        ]
        for each in judgements
    ]


def verdict_text(judgements: collections.abc.Iterable[aims.Judgement]) -> str:
    """Return the aims for a terminal."""
    head = ['work', 'aim', 'farthest from it', 'there', '']
    return '\n'.join(['Aims', *_aligned(head, verdicts(judgements)), ''])


# -- for the documentation ---------------------------------------------------


def rst(
    rows: collections.abc.Sequence[results.Row],
    machine: collections.abc.Mapping[str, str],
    how: str,
    charts: collections.abc.Collection[str] = (),
) -> str:
    """Return all tables for the documentation.

    :param how: the command that made them
    :param charts: groups that there is a chart of
    """
    lines = [f'.. Made by ``{how}``; do not edit.', '']
    lines += _csv(['', ''], [list(item) for item in machine.items()])
    lines += _heading('Aims')
    lines += _csv(
        ['work', 'aim', 'row that is the farthest from it', 'there', ''],
        verdicts(aims.judge(rows)),
    )
    for part in PARTS:
        found = results.of_group(rows, part.group)
        if not found:
            continue
        lines += _heading(part.title)
        lines += [part.note, ''] if part.note else []
        head = ['', *(column.head for column in part.columns)]
        lines += _csv(head, [cells(part, row) for row in found])
        if part.group in charts:
            name = chart_name(part.group)
            lines += [
                f'.. image:: _generated/{name}',
                f'   :alt: {part.title}',
            ]
            lines.append('')
    return '\n'.join(lines).rstrip() + '\n'


def chart_name(group: str) -> str:
    """Return the name of the file with the chart of a group."""
    return f'benchmark-{group.replace(" ", "-")}.svg'


def _heading(title: str) -> list[str]:
    return [title, '-' * len(title), '']


def _csv(head: list[str], body: list[list[str]]) -> list[str]:
    lines = ['.. csv-table::']
    if any(head):
        lines.append(f'   :header: {_line(head)}')
    return [*lines, '', *(f'   {_line(line)}' for line in body), '']


def _line(line: list[str]) -> str:
    return ', '.join('"' + cell.replace('"', '""') + '"' for cell in line)
