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

"""Commands about merges that run."""

from __future__ import annotations

import argparse

from cliff import command

from volume_driver.cli import app
from volume_driver.cli import arguments


class LimitJob(command.Command):
    """Limit the merge that runs under a volume's guest, or lift its limit.

    The limit holds for this merge only; option merge_bandwidth is that of
    every merge from its beginning.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        parser.add_argument(
            'bandwidth',
            type=arguments.bandwidth,
            metavar='MIB',
            help='MiB a second, 0 for no limit.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        # Not set up: that would wait for the merge.
        app.of(self).reading().limit_merge(
            arguments.volume(parsed_args), parsed_args.bandwidth
        )
