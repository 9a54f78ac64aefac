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

"""A volume drawn as a tree, its images from the base up.

::

    volume-u: 1 GiB, 392 KiB allocated
    guest: demo (running)
    +-- volume-u
    |   qcow2, 1 GiB, 196 KiB allocated, data of snapshot a
    `-- volume-u.a (active)
        qcow2, 1 GiB, 196 KiB allocated

A chain may have a hundred images with names of eighty characters, so all of
them hang from the volume, each with its details below its name.
"""

from __future__ import annotations

import argparse
import collections.abc
import dataclasses
import typing

from cliff.formatters import base
from rich import console as rich_console
from rich import text as rich_text
from rich import tree as rich_tree

# Wider than any line: a name that was broken could not be copied.
WIDTH = 10_000
_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')

Facts = collections.abc.Mapping[str, typing.Any]


class Image(typing.TypedDict):
    """An image as ``volume show`` tells of it."""

    name: str
    format: str
    size_bytes: int
    allocated_bytes: int
    backing: str | None
    snapshot: str | None
    active: bool


class TreeFormatter(base.SingleFormatter):
    """cliff's formatter ``tree``: colours on a terminal, else plain ASCII."""

    def add_argument_group(self, parser: argparse.ArgumentParser) -> None:
        """Add no arguments."""

    def emit_one(
        self,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Sequence[typing.Any],
        stdout: typing.TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        """Write the tree of what ``volume show`` found."""
        write(dict(zip(column_names, data, strict=True)), stdout)


def write(facts: Facts, stdout: typing.TextIO) -> None:
    """Write a volume's tree.

    :param facts: what is known of it, by the columns of ``volume show``;
        what is missing is not drawn
    """
    console = rich_console.Console(file=stdout, width=WIDTH)
    drawn = draw(facts)
    if console.is_terminal:
        console.print(drawn)
        return
    options = dataclasses.replace(console.options, encoding='ascii')
    for line in console.render_lines(drawn, options, pad=False):
        text = ''.join(segment.text for segment in line)
        stdout.write(text.rstrip() + '\n')


def draw(facts: Facts) -> rich_tree.Tree:
    """Return a volume's tree."""
    drawn = rich_tree.Tree(_heading(facts))
    for image in facts.get('images', ()):
        drawn.add(_label(image))
    return drawn


def _heading(facts: Facts) -> rich_text.Text:
    heading = rich_text.Text()
    heading.append(facts.get('volume', 'volume'), 'bold')
    sizes = []
    if 'size_bytes' in facts:
        sizes.append(human(facts['size_bytes']))
    if 'allocated_bytes' in facts:
        sizes.append(human(facts['allocated_bytes']) + ' allocated')
    if sizes:
        heading.append(': ' + ', '.join(sizes))
    if 'guest' in facts:
        heading.append(f'\nguest: {facts["guest"] or "none"}', 'yellow')
    for holder in facts.get('holders', ()):
        does = 'writes to' if holder['writes'] else 'reads'
        heading.append(
            f'\nheld by: {holder["program"]} (process {holder["pid"]}), '
            f'which {does} {holder["image"]}'
        )
    if facts.get('unfinished'):
        heading.append(f'\nunfinished: {facts["unfinished"]}', 'red')
    return heading


def _label(image: Image) -> rich_text.Text:
    label = rich_text.Text(image['name'])
    if image['active']:
        label.stylize('green')
        label.append(' (active)', 'bold green')
    label.append(
        f'\n{image["format"]}, {human(image["size_bytes"])}, '
        f'{human(image["allocated_bytes"])} allocated'
    )
    if image['snapshot'] is not None:
        label.append(', ')
        label.append(f'data of snapshot {image["snapshot"]}', 'cyan')
    return label


def human(size: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    value = float(size)
    unit, *larger = _UNITS
    for candidate in larger:
        if value < 1024:
            break
        value, unit = value / 1024, candidate
    return f'{round(value, 1):g} {unit}'
