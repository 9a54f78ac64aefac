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

"""The command that finishes what a crash left undone."""

from __future__ import annotations

import argparse

from cliff import lister

from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.operations import recovery


class Recover(app.Exemplified, lister.Lister):
    """Finish what a crash left undone, of one volume or of all.

    Lists the volumes of which something was left, and what came of it. The
    next operation on a volume does the same for it by itself. The exit code
    is 1 when something could not be finished.
    """

    EXAMPLE = 'recover'
    COLUMNS = ('volume', 'outcome')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser, optional=True)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
        # Not set up: that recovers all volumes, and would hide the outcome.
        driver = app.of(self).reading()
        volume = None
        if parsed_args.volume is not None:
            volume = arguments.volume(parsed_args)
        outcome = driver.recover(volume)
        if any(
            words.startswith(recovery.NOT_FINISHED)
            for words in outcome.values()
        ):
            self._code = 1
        return self.COLUMNS, sorted(outcome.items())

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; return its own exit code."""
        self._code = 0
        return int(super().run(parsed_args)) or self._code
