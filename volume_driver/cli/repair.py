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

"""The command that puts right what a check finds."""

from __future__ import annotations

import argparse

from volume_driver.checking import findings
from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import check
from volume_driver.operations import repair


class Repair(check.Looking):
    """Put right what "check" finds, where that loses nothing for sure.

    Without --yes it only says what it would do. What it takes away it moves
    into the folder .quarantine of the directory, with a note; what it did it
    writes into a log there. What cannot be proved right is left as it is, and
    the reason is told.

    The exit code is 0 when nothing is wrong any more, 1 when something is
    left (without --yes: is found), and 2 when nothing is, but not all could
    be looked at.
    """

    EXAMPLE = 'repair 5f0c --deep --yes'
    COLUMNS = ('volume', 'kind', 'file', 'outcome', 'text')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--settle',
            type=arguments.seconds,
            default=repair.SETTLE,
            metavar='SECONDS',
            help='For how long nobody may have changed the files of a volume '
            '(default: %(default)d); another driver may be at work on it.',
        )
        check.add_yes(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        # Not set up: that would recover all volumes without a word.
        driver = app.of(self).reading()
        volume, hosts = self.about(parsed_args)
        report = driver.repair(
            volume,
            parsed_args.yes,
            parsed_args.deep,
            hosts,
            parsed_args.records,
            parsed_args.settle,
        )
        self.conclude(report.volumes, report.left)
        return self.COLUMNS, [
            (
                findings.printable(each.finding.volume),
                each.finding.kind,
                findings.printable(each.finding.file),
                each.outcome,
                each.text,
            )
            for each in report.outcomes
        ]
