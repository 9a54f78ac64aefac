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

"""Writes findings for a reader: what it is about, and below it the text.

::

    volume-u  error  missing-image  volume-u.a
        There is no such file, and volume-u.b names it as its backing image.
"""

from __future__ import annotations

import argparse
import collections.abc
import typing

from cliff.formatters import base
from rich import console as rich_console
from rich import padding
from rich import text as rich_text

_INDENT = 4
# Of a pipe: nothing is wrapped there.
_WIDTH = 100_000
_STYLES = {
    'critical': 'bold red',
    'error': 'red',
    'failed': 'red',
    'refused': 'yellow',
    'warning': 'yellow',
    'proposed': 'cyan',
    'done': 'green',
}


class ReportFormatter(base.ListFormatter):
    """cliff's formatter ``report``: the last column below the others."""

    def add_argument_group(self, parser: argparse.ArgumentParser) -> None:
        """Add no arguments."""

    def emit_list(
        self,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Iterable[collections.abc.Sequence[typing.Any]],
        stdout: typing.TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        """Write each row, with an empty line between two."""
        width = None if stdout.isatty() else _WIDTH
        console = rich_console.Console(
            file=stdout, width=width, highlight=False, soft_wrap=False
        )
        for number, (*about, text) in enumerate(data):
            if number:
                console.print()
            heading = rich_text.Text('  ').join(
                rich_text.Text(word, _STYLES.get(word, ''))
                for word in map(str, about)
                if word
            )
            console.print(heading, soft_wrap=True)
            body = rich_text.Text(str(text))
            console.print(
                padding.Padding(body, (0, 0, 0, _INDENT), expand=False)
            )
