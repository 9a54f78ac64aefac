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
import time
import typing

from cliff import command
from cliff import lister

from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import progress


class ListJobs(app.Exemplified, lister.Lister):
    """List the operations that were begun and have not ended.

    Those that are cut off are finished by "recover", or by the next operation
    on their volume. How many bytes are copied is known of merges under a
    guest only.
    """

    EXAMPLE = 'job list -f json'
    COLUMNS = (
        'volume',
        'operation',
        'way',
        'state',
        'done_bytes',
        'total_bytes',
        'begun_at',
        'begun_by',
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[typing.Any, ...]]]:
        found = app.of(self).reading().list_jobs()
        return self.COLUMNS, [
            (
                job.volume,
                job.operation,
                job.way,
                job.state,
                job.done,
                job.total,
                job.begun_at,
                job.begun_by,
            )
            for job in found
        ]


class FollowJob(app.Exemplified, command.Command):
    """Follow the merge of a volume until it is over.

    On a terminal there is a bar; elsewhere lines in the log (see -v).
    """

    EXAMPLE = 'job follow 5f0c'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        volume = arguments.volume(parsed_args)
        watch = app.of(self).reading().watch(volume)

        def ended(seconds: float) -> bool:
            time.sleep(seconds)
            return watch.look() is None

        progress.follow(watch, self.app.stderr, ended)


class LimitJob(app.Exemplified, command.Command):
    """Limit the merge that runs under a volume's guest, or lift its limit.

    The limit holds for this merge only; option merge_bandwidth is that of
    every merge from its beginning.
    """

    EXAMPLE = 'job limit 5f0c 50'

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


class CancelJob(app.Exemplified, command.Command):
    """End the merge that runs under a volume's guest before it is done.

    The guest goes on with the images that it had, and nothing is removed. A
    pull is taken back. A commit that was begun cannot be: the next operation
    on the volume, or "recover", finishes it.
    """

    EXAMPLE = 'job cancel 5f0c'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        # Not set up: that would wait for the merge.
        app.of(self).reading().cancel_merge(arguments.volume(parsed_args))
