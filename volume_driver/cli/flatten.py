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

"""The command that shortens a chain."""

from __future__ import annotations

import argparse

from cliff import command

from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import check
from volume_driver.cli import known
from volume_driver.cli import progress
from volume_driver.cli import records
from volume_driver.cli import snapshot


class Flatten(app.Exemplified, command.Command):
    """Merge all images of a volume into one, in use or not.

    That deletes all its snapshots; without --yes it is only shown what would
    be done. With --keep-snapshots only images are merged that belong to no
    snapshot; which snapshots there are has to be told with --records.
    """

    EXAMPLE = 'flatten 5f0c --keep-snapshots --records records.csv --yes'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        parser.add_argument(
            '--keep-snapshots',
            action='store_true',
            help='Merge only what belongs to no snapshot.',
        )
        known.add_records(parser)
        check.add_yes(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        volume = arguments.volume(parsed_args)
        if parsed_args.keep_snapshots:
            self._keep(parsed_args, volume)
            return
        if not parsed_args.yes:
            driver = app.of(self).reading()
            layers = driver.describe(volume, guest=False).layers
            found = [
                records.Snapshot(layer.snapshot, volume)
                for layer in layers
                if layer.snapshot
            ]
            for each in driver.forecast_deletion(found):
                self.app.stdout.write(f'{snapshot.in_words(each)}\n')
            return
        driver = app.of(self).changing()
        with progress.shown(driver.watch(volume), self.app.stderr):
            driver.flatten(volume)

    def _keep(
        self, parsed_args: argparse.Namespace, volume: records.Volume
    ) -> None:
        record = (parsed_args.records or {}).get(volume.name)
        if record is None or record.snapshots is None:
            app.of(self).parser.error(
                '--keep-snapshots needs --records with the snapshots of '
                f'{volume.name}'
            )
        driver = app.of(self).changing()
        with progress.shown(driver.watch(volume), self.app.stderr):
            merged = driver.flatten_around(
                volume, record.snapshots, parsed_args.yes
            )
        what = 'was merged' if parsed_args.yes else 'would be merged'
        for each in merged:
            self.app.stdout.write(f'{each} {what}\n')
