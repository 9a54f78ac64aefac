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

"""Pictures of a chain, for a ticket: as SVG, and as text for Graphviz."""

from __future__ import annotations

import io
import json

from rich import console as rich_console

from volume_driver.cli import tree

# rich's own has a font from another host in it.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}"
 xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
font-family: monospace;
font-size: {char_height}px;
line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})"
 clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def svg(facts: tree.Facts) -> str:
    """Return the tree of a volume as an SVG image.

    :param facts: what ``volume show`` found
    """
    drawn = tree.draw(facts)
    measure = rich_console.Console(file=io.StringIO(), width=tree.WIDTH)
    width = measure.measure(drawn).maximum
    console = rich_console.Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True
    )
    console.print(drawn)
    return console.export_svg(title=str(facts['volume']), code_format=_SVG)


def dot(facts: tree.Facts) -> str:
    """Return the chain of a volume as a graph in Graphviz' language.

    :param facts: what ``volume show`` found
    """
    lines = ['digraph chain {', '    rankdir=BT;', '    node [shape=box];']
    for image in facts['images']:
        label = [
            image['name'],
            f'{image["format"]}, {tree.human(image["size_bytes"])}, '
            f'{tree.human(image["allocated_bytes"])} allocated',
        ]
        if image['snapshot'] is not None:
            label.append(f'data of snapshot {image["snapshot"]}')
        if image['active']:
            label.append('active')
        style = ', style=bold' if image['active'] else ''
        text = _quoted('\n'.join(label))
        lines.append(f'    {_quoted(image["name"])} [label={text}{style}];')
        if image['backing'] is not None:
            lines.append(
                f'    {_quoted(image["name"])} -> {_quoted(image["backing"])};'
            )
    if facts['guest']:
        active = _quoted(facts['active'])
        guest = _quoted(facts['guest'])
        lines.append(f'    {guest} [shape=ellipse];')
        lines.append(f'    {guest} -> {active};')
    return '\n'.join([*lines, '}', ''])


def _quoted(text: str) -> str:
    # As in JSON: a quotation mark by a backslash, a line's end as \\n.
    return json.dumps(text, ensure_ascii=False)
