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

"""Commands on snapshots."""

from __future__ import annotations

import argparse
import itertools
import math
import typing

from cliff import command
from cliff import lister

from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import progress
from volume_driver.cli import tree
from volume_driver.operations import forecast


class CreateSnapshot(app.Exemplified, command.Command):
    """Create a snapshot of a volume, in use or not.

    One that is there already stays as it is.
    """

    EXAMPLE = 'snapshot create 5f0c before-upgrade'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_snapshot(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        app.of(self).changing().create_snapshot(
            arguments.snapshot(parsed_args)
        )


class ListSnapshots(app.Exemplified, lister.Lister):
    """List the snapshots of a volume, the oldest first."""

    EXAMPLE = 'snapshot list 5f0c'
    COLUMNS = ('snapshot', 'image', 'overlay', 'size_bytes')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[typing.Any, ...]]]:
        layers = (
            app.of(self)
            .reading()
            .describe(arguments.volume(parsed_args))
            .layers
        )
        rows = [
            (
                layer.snapshot,
                layer.image.name,
                above.image.name,
                layer.image.size,
            )
            for layer, above in itertools.pairwise(layers)
            if layer.snapshot is not None
        ]
        return self.COLUMNS, rows


class RevertToSnapshot(app.Exemplified, command.Command):
    """Drop all that was written to a volume since its newest snapshot.

    The volume must not be in use. The snapshot stays.
    """

    EXAMPLE = 'snapshot revert 5f0c before-upgrade'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_snapshot(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        found = arguments.snapshot(parsed_args)
        app.of(self).changing().revert_to_snapshot(None, found.volume, found)


class DeleteSnapshots(app.Exemplified, command.Command):
    """Delete snapshots of a volume, in use or not.

    Those that lie next to each other are merged in one pass. One that is gone
    already is no error.
    """

    EXAMPLE = 'snapshot delete 5f0c before-upgrade --dry-run'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_snapshots(parser)
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Show what would be done, and change nothing.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        found = arguments.snapshots(parsed_args)
        if not parsed_args.dry_run:
            # Of one that is gone the driver says so, in a warning.
            driver = app.of(self).changing()
            watch = driver.watch(found[0].volume)
            with progress.shown(watch, self.app.stderr):
                driver.delete_snapshots(found)
            return
        forecasts = app.of(self).reading().forecast_deletion(found)
        for each in forecasts:
            self.app.stdout.write(f'{in_words(each)}\n')
        if not forecasts:
            ids = ', '.join(snapshot.id for snapshot in found)
            self.app.stdout.write(
                f'Snapshot {ids} of {found[0].volume.name} is gone already, '
                'nothing would be done\n'
            )


def in_words(found: forecast.Forecast) -> str:
    """Return a forecast as one reads it."""
    lines = [str(found.plan)]
    if found.needed:
        lines.append(f'  needs: {tree.human(found.needed)} at the most')
    if found.seconds and found.speed:
        lines.append(
            f'  takes: about {math.ceil(found.seconds)} s, at '
            f'{tree.human(int(found.speed))} a second'
        )
    lines.append(f'  after: {" <- ".join(found.after)}')
    return '\n'.join(lines)
