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

"""Commands on volumes."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import typing

from cliff import columns
from cliff import command
from cliff import lister
from cliff import show

from volume_driver import exception
from volume_driver import files
from volume_driver.cli import app
from volume_driver.cli import arguments
from volume_driver.cli import picture
from volume_driver.cli import records
from volume_driver.cli import tree
from volume_driver.operations import describe

_GIB = 1 << 30


def _add_size(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        '--size',
        type=arguments.gibibytes,
        metavar='GIB',
        required=True,
        help=f'{what} in GiB.',
    )


class CreateVolume(app.Exemplified, command.Command):
    """Create an empty volume; it takes next to no space yet."""

    EXAMPLE = 'volume create 5f0c --size 10'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        _add_size(parser, 'Its size')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        volume = arguments.volume(parsed_args, parsed_args.size)
        app.of(self).changing().create_volume(volume)


class DeleteVolume(app.Exemplified, command.Command):
    """Delete a volume that has no snapshots and that no guest runs on.

    One that is gone already is no error.
    """

    EXAMPLE = 'volume delete 5f0c'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        app.of(self).changing().delete_volume(arguments.volume(parsed_args))


class ExtendVolume(app.Exemplified, command.Command):
    """Grow a volume, in use or not."""

    EXAMPLE = 'volume extend 5f0c --size 20'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        _add_size(parser, 'Its new size')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        driver = app.of(self).changing()
        driver.extend_volume(arguments.volume(parsed_args), parsed_args.size)


class ListVolumes(app.Exemplified, lister.Lister):
    """List all volumes.

    One that cannot be read is listed with the error in its place.
    """

    EXAMPLE = 'volume list -f csv'
    COLUMNS = (
        'volume',
        'size_gib',
        'images',
        'snapshots',
        'allocated_bytes',
        'active',
        'error',
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[typing.Any, ...]]]:
        driver = app.of(self).reading()
        rows = []
        for name in driver.list_volumes():
            try:
                row = _row(driver.describe(records.named(name), guest=False))
            except exception.VolumeDriverError as error:
                row = {'error': str(error)}
            row['volume'] = name
            rows.append(tuple(row.get(key) for key in self.COLUMNS))
        return self.COLUMNS, [tuple(map(_blank, row)) for row in rows]


class ShowVolume(app.Exemplified, show.ShowOne):
    """Show what a volume is made of.

    The images are shown from the base up. What else is told are the guest
    that has the volume, the processes of this host that have an image open,
    and an operation that was cut off.
    """

    EXAMPLE = 'volume show 5f0c --svg chain.svg'

    @property
    def formatter_namespace(self) -> str:
        # Our own: in cliff's, every program of the environment would get
        # the tree.
        return 'volume_driver.cli.formatters'

    @property
    def formatter_default(self) -> str:
        return 'tree'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        arguments.add_volume(parser)
        for form, what in (
            ('svg', 'an SVG image'),
            ('dot', "a graph in Graphviz' language"),
        ):
            parser.add_argument(
                f'--{form}',
                type=pathlib.Path,
                metavar='FILE',
                help=f'Write a picture of the chain, too: {what}.',
            )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[typing.Any, ...]]:
        found = facts(
            app.of(self).reading().describe(arguments.volume(parsed_args))
        )
        for path, draw in (
            (parsed_args.svg, picture.svg),
            (parsed_args.dot, picture.dot),
        ):
            if path is not None:
                with files.typed(str(path)):
                    path.write_text(draw(found), encoding='utf-8')
        return self.dict2columns(found)


class _Blank(columns.FormattableColumn[None]):
    """A value that is not there, for a reader an empty field."""

    def human_readable(self) -> str:
        return ''


def _blank(value: object) -> object:
    return _Blank(None) if value is None else value


def _row(found: describe.Description) -> dict[str, object]:
    """Return a volume as the list shows it, by column."""
    return {
        'size_gib': _gib(found.size),
        'images': len(found.layers),
        'snapshots': sum(layer.snapshot is not None for layer in found.layers),
        'allocated_bytes': found.allocated,
        'active': found.layers[-1].image.name,
    }


def _gib(size: int) -> int | float:
    """Return a size in GiB, as a whole number if it is one."""
    return size // _GIB if size % _GIB == 0 else round(size / _GIB, 3)


def facts(found: describe.Description) -> dict[str, object]:
    """Return a volume as plain values, by name."""
    return {
        'volume': found.name,
        'size_bytes': found.size,
        'allocated_bytes': found.allocated,
        'active': found.layers[-1].image.name,
        'guest': found.guest,
        'looked_at': found.looked_at,
        'holders': [dataclasses.asdict(each) for each in found.holders],
        'unfinished': found.unfinished,
        'images': [_image(layer) for layer in found.layers],
    }


def _image(layer: describe.Layer) -> tree.Image:
    return {
        'name': layer.image.name,
        'format': layer.image.format,
        'size_bytes': layer.image.size,
        'allocated_bytes': layer.image.allocated,
        'backing': layer.image.backing,
        'snapshot': layer.snapshot,
        'active': layer.active,
    }
