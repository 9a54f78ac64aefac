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

"""The command that finds what is wrong, and changes nothing."""

from __future__ import annotations

import abc
import argparse
import collections.abc
import typing

from cliff import lister
from oslo_config import cfg

from volume_driver import exception
from volume_driver.checking import findings
from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import known
from volume_driver.cli import records

CLEAN, BROKEN, UNSEEN = range(3)


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add what lets a command do what else it only shows."""
    parser.add_argument(
        '--yes', action='store_true', help='Do it; else it is only shown.'
    )


class Looking(app.Exemplified, lister.Lister, metaclass=abc.ABCMeta):
    """A command that looks at a volume, or at all; its exit code says more.

    :cvar COLUMNS: of its list
    :cvar DEEP: it can let qemu-img look, too
    """

    COLUMNS: tuple[str, ...]
    DEEP = True
    _clean = ''

    @property
    def formatter_namespace(self) -> str:
        # Our own: in cliff's, every program of the environment would get
        # the report.
        return 'volume_driver.cli.list_formatters'

    @property
    def formatter_default(self) -> str:
        return 'report'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser, optional=True)
        parser.add_argument(
            '--all',
            action='store_true',
            help='All volumes of the directory; so it is, too, when none is '
            'named.',
        )
        if self.DEEP:
            parser.add_argument(
                '--deep',
                action='store_true',
                help='Let qemu-img check the images that nobody has open, '
                'which takes long for large ones.',
            )
        known.add_records(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; return its own exit code."""
        if parsed_args.all and parsed_args.volume is not None:
            app.of(self).parser.error('either a volume or --all')
        self._code = CLEAN
        try:
            super().run(parsed_args)
        except (exception.VolumeDriverError, cfg.Error) as error:
            if self.app_args is not None and self.app_args.debug:
                raise
            app.of(self).LOG.error(error)
            return UNSEEN
        return self._code

    def about(
        self, parsed_args: argparse.Namespace
    ) -> tuple[records.Volume | None, tuple[str, ...]]:
        """Return the volume, None for all, and where guests of all are."""
        if parsed_args.volume is not None:
            return arguments.volume(parsed_args), ()
        if parsed_args.host is not None:
            return None, (parsed_args.host,)
        return None, ()

    def conclude(
        self,
        volumes: collections.abc.Sized,
        found: collections.abc.Sequence[findings.Finding],
    ) -> None:
        """Take the exit code from what is wrong."""
        self._clean = ''
        if not found:
            self._clean = (
                f'Nothing is wrong (volumes looked at: {len(volumes)}).'
            )
        elif any(each.severity != findings.UNKNOWN for each in found):
            self._code = BROKEN
        else:
            self._code = UNSEEN

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Iterable[collections.abc.Sequence[typing.Any]],
    ) -> int:
        """Write the list; for a reader a sentence where it is empty."""
        rows = list(data)
        if self._clean and not rows and parsed_args.formatter == 'report':
            if self.app.stdout.isatty():
                self.app.stdout.write(f'{self._clean}\n')
            return 0
        return int(super().produce_output(parsed_args, column_names, rows))


class Check(Looking):
    """Find what is wrong with a volume, or with all of them.

    Compares .info, the headers of the images, the guests, running and
    defined, the journal, the files on disk, and records that are given.
    Changes nothing, and waits for nobody. Lists what was found, the worst
    first.

    The exit code is 0 when nothing is wrong, 1 when something was found, and
    2 when nothing was found but not all could be looked at.
    """

    EXAMPLE = 'check --records records.json'
    COLUMNS = ('volume', 'severity', 'kind', 'file', 'text')

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        driver = app.of(self).reading()
        volume, hosts = self.about(parsed_args)
        report = driver.check(
            volume, parsed_args.deep, hosts, parsed_args.records
        )
        self.conclude(report.volumes, report.findings)
        return self.COLUMNS, [
            (
                findings.printable(each.volume),
                each.severity,
                each.kind,
                findings.printable(each.file),
                each.text,
            )
            for each in report.findings
        ]
