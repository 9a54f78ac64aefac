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

"""The charts, as SVG; the same numbers make the same file."""

from __future__ import annotations

import collections.abc
import pathlib
import typing

from benchmarks import errors
from benchmarks import results
from benchmarks import table

_MIB = 1 << 20
_COLORS = {
    results.OURS: '#2a6f97',
    results.UPSTREAM: '#c8553d',
    results.BARE: '#8d99ae',
    results.RAW: '#c9ada7',
}
_STYLE = {
    # Without these ids would be random.
    'svg.hashsalt': 'volume-driver',
    # Text stays text: it needs no font here, and can be searched.
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.size': 9,
    'axes.spines.right': False,
    'axes.spines.top': False,
}
# Of each group with a chart: the panels, each a measure, a scale, its name.
Panel = tuple[str, float, str]
PANELS: dict[str, tuple[Panel, ...]] = {
    'create': ((results.SECONDS, 1000, 'ms'),),
    'delete': ((results.SECONDS, 1000, 'ms'),),
    'data': (
        (results.SECONDS, 1, 'seconds'),
        (results.WRITTEN, 1 / _MIB, 'MiB written'),
    ),
    'live create': (
        (results.SECONDS, 1000, 'ms'),
        (results.GAP, 1000, 'longest gap, ms'),
    ),
    'live delete': (
        (results.SECONDS, 1, 'seconds'),
        (results.WRITTEN, 1 / _MIB, 'MiB written'),
        (results.GAP, 1000, 'longest gap, ms'),
    ),
    'at once': ((results.RATE, 1, 'operations per second'),),
}


class ChartsUnavailable(errors.PartMissing):
    """matplotlib is not installed."""


def require() -> typing.Any:
    """Return what draws.

    :raises ChartsUnavailable: naming the dependency group
    """
    try:
        import matplotlib
        from matplotlib import figure
    except ModuleNotFoundError as error:
        raise ChartsUnavailable(
            f'{error}: install the dependency group "bench" of this project'
        ) from error
    matplotlib.use('svg')
    matplotlib.rcParams.update(_STYLE)
    return figure


def save(
    rows: collections.abc.Sequence[results.Row], directory: pathlib.Path
) -> list[str]:
    """Draw a chart of each group; return the groups that have one."""
    drawn = []
    for group, panels in PANELS.items():
        found = results.of_group(rows, group)
        if found:
            path = directory / table.chart_name(group)
            _draw(found, panels, path)
            drawn.append(group)
    return drawn


def number_text(value: float) -> str:
    """Return three digits of a number, or all before the point."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def _draw(
    rows: list[results.Row],
    panels: tuple[Panel, ...],
    path: pathlib.Path,
) -> None:
    figure = require().Figure(
        figsize=(8, (0.45 * len(rows) + 1) * len(panels)),
        layout='constrained',
    )
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _bars(axes, rows, panel)
    figure.legend(
        *all_axes[0].get_legend_handles_labels(),
        loc='outside upper center',
        ncols=len(_COLORS),
        frameon=False,
    )
    figure.savefig(path, format='svg', metadata={'Date': None})


def _bars(axes: typing.Any, rows: list[results.Row], panel: Panel) -> None:
    measure, scale, name = panel
    contestants = [
        each
        for each in results.CONTESTANTS
        if any(row.median(each, measure) is not None for row in rows)
    ]
    height = 0.8 / len(contestants)
    for number, contestant in enumerate(contestants):
        values = [(row.median(contestant, measure) or 0) for row in rows]
        # A bar has to begin at zero, so no logarithms; labels tell the rest.
        bars = axes.barh(
            [index + number * height for index in range(len(rows))],
            [value * scale for value in values],
            height,
            label=contestant,
            color=_COLORS[contestant],
        )
        labels = [number_text(value * scale) for value in values]
        axes.bar_label(bars, labels, padding=2, fontsize=7)
    middle = 0.4 - height / 2
    axes.set_yticks(
        [index + middle for index in range(len(rows))],
        [row.name for row in rows],
    )
    axes.invert_yaxis()
    axes.set_xlabel(name)
