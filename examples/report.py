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

"""Prints what happens, for a reader who never saw the project."""

from __future__ import annotations

import collections.abc
import dataclasses

from rich import console as rich_console
from rich import padding
from rich import table
from rich import text as rich_text
from rich import tree

from examples import witness
from volume_driver.cli import tree as cli_tree
from volume_driver.cli import volume as cli_volume
from volume_driver.operations import describe
from volume_driver.planning import plan

_WIDTH = 79
_INDENT = 5
_INTRODUCTION = """
A volume is drawn as its chain of images and what each takes on disk:

volume-u 9.3 MiB = snap-1     the base; what one sees of it is snap-1
    .snap-1^ 1.3 MiB          its overlay, the file volume-u.snap-1;
                              ^ is the active image, the one written to

After every step all snapshots and the volume are compared bit for bit,
and with them every block that the guest was told is on disk.
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One operation of the driver, as it went.

    :param headline: what was done
    :param before: the volume before it, None when there was none
    :param after: the volume after it, None when it is gone
    :param seconds: how long the driver took
    :param live: a guest was running on the volume
    :param meanwhile: blocks that the guest wrote in that time
    :param planned: how the driver said it would do it, for a deletion
    :param verdict: what the comparison afterwards found
    """

    headline: str
    before: describe.Description | None
    after: describe.Description | None
    seconds: float
    live: bool
    meanwhile: int
    planned: plan.Plan | None
    verdict: witness.Verdict


class Report:
    """Prints, and counts operations and lost blocks."""

    def __init__(self) -> None:
        self._console = rich_console.Console(
            width=_WIDTH, highlight=False, emoji=False, markup=False
        )
        self._operations = 0
        self.lost = 0

    def chapter(self, title: str) -> None:
        """Print the heading of several steps."""
        self._console.print()
        self._console.rule(title, style='bold', align='left')

    def introduce(self) -> None:
        """Print what one needs to know to read the rest."""
        self._print(_INTRODUCTION)

    def say(self, text: str) -> None:
        """Print what happens between the operations."""
        self._console.print()
        self._print(text, style='italic')

    def show(self, volume: describe.Description) -> None:
        """Print a volume the way ``volume-driver volume show`` does."""
        self.say('The same, as "volume-driver volume show" tells it:')
        self._print(cli_tree.draw(cli_volume.facts(volume)))

    def verdict(self, found: witness.Verdict) -> None:
        """Print what a comparison found, and count what is lost."""
        self.lost += found.lost
        for detail in found.details:
            self._print(f'LOST: {detail}', style='bold red')
        if not found.lost:
            blocks = f'{found.compared:,} blocks compared'
            text = f'{blocks if found.compared else "nothing left"}, 0 lost'
            self._print(text, style='green')

    def outcome(self, found: Outcome) -> None:
        """Print one operation, and count it."""
        self._operations += 1
        state = 'live' if found.live else 'offline'
        number = f'{self._operations:3}. '
        duration = f'{state}, {found.seconds * 1000:.0f} ms'
        line = rich_text.Text(number + found.headline, style='bold')
        line.pad_right(_WIDTH - len(line) - len(duration))
        self._console.print()
        self._console.print(line + rich_text.Text(duration))
        if found.planned is not None:
            self._print(_way(found.planned, found.live))
            self._print(f'({found.planned.reason})', style='dim')
        if found.live:
            self._print(f'guest wrote {found.meanwhile} blocks meanwhile')
        self._chains(found.before, found.after)
        self.verdict(found.verdict)

    def end(self) -> None:
        """Print the one line that counts."""
        self._console.print()
        self._console.print(
            f'{self._operations} operations, {self.lost} blocks lost'
        )

    def _chains(
        self,
        before: describe.Description | None,
        after: describe.Description | None,
    ) -> None:
        grid = table.Table.grid(padding=(0, 2), expand=True)
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        grid.add_row(
            rich_text.Text('before', style='dim'),
            rich_text.Text('after', style='dim'),
        )
        grid.add_row(_chain(before), _chain(after))
        self._print(grid)

    def _print(
        self, what: rich_console.RenderableType, style: str = ''
    ) -> None:
        indented = padding.Padding(what, (0, 0, 0, _INDENT))
        with self._console.capture() as captured:
            self._console.print(indented, style=style)
        # rich fills lines up with blanks; in a file they are a nuisance.
        for line in captured.get().splitlines():
            self._console.out(line.rstrip())


def _way(planned: plan.Plan, live: bool) -> str:
    pivots = live and any(
        isinstance(step, plan.Commit) and step.above is None
        for step in planned.steps
    )
    way = f'{planned.way} and pivot' if pivots else planned.way
    return f'by {way}, copies {cli_tree.human(planned.cost)} at most'


def _chain(
    volume: describe.Description | None,
) -> rich_console.RenderableType:
    """Draw the images, each below the one that it is an overlay of."""
    if volume is None:
        return rich_text.Text('-', style='dim')
    root: tree.Tree | None = None
    leaf: tree.Tree | None = None
    for label in _labels(volume):
        if leaf is None:
            root = leaf = tree.Tree(label)
        else:
            leaf = leaf.add(label)
    assert root is not None
    return root


def _labels(
    volume: describe.Description,
) -> collections.abc.Iterator[rich_text.Text]:
    for layer in volume.layers:
        name = layer.image.name.removeprefix(volume.name) or volume.name
        holds = f' = {layer.snapshot}' if layer.snapshot else ''
        active = '^' if layer.active else ''
        label = rich_text.Text(f'{name}{active}')
        label.append(f' {cli_tree.human(layer.image.allocated)}', style='dim')
        label.append(holds, style='cyan')
        yield label
