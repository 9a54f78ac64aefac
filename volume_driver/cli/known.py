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

"""What the caller's records say of volumes, from a file: JSON or CSV."""

from __future__ import annotations

import argparse
import collections.abc
import csv
import json
import pathlib
import typing

from volume_driver.checking import facts
from volume_driver.cli import records

_IDS = frozenset({'id', 'volume'})

Row = collections.abc.Mapping[str, typing.Any]


def add_records(parser: argparse.ArgumentParser) -> None:
    """Add the file of records."""
    parser.add_argument(
        '--records',
        type=read,
        metavar='FILE',
        help='Records of all volumes that should be there, as a JSON list or '
        'as CSV: "id", and where wanted "size" (GiB) and "snapshots" (ids).',
    )


def read(path: str) -> dict[str, facts.Known]:
    """Read a file of records; return them by the name of the volume.

    Each is an object of a JSON list, or a line of CSV below a line of names.
    ``id`` is that of the volume, or its name; ``size`` (GiB) and
    ``snapshots`` (ids; in CSV with blanks between) may be left out. Case does
    not matter, and all else is left alone, so that what ``openstack volume
    list -f json`` writes will do.

    :raises ArgumentTypeError: when it is neither
    """
    try:
        text = pathlib.Path(path).read_text(encoding='utf-8')
        found = dict(map(_record, _rows(text)))
    except (OSError, ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(
            f'{path!r} cannot be read as records: {error}'
        ) from error
    return found


def _rows(text: str) -> list[Row]:
    if not text.lstrip().startswith('['):
        rows = csv.DictReader(text.splitlines())
        named = {str(each).lower() for each in rows.fieldnames or ()}
        if not named & _IDS:
            raise ValueError(
                'it is neither a JSON list nor CSV with a column "id"'
            )
        return list(rows)
    found = json.loads(text)
    if not all(isinstance(row, dict) for row in found):
        raise ValueError('not all in the list are objects')
    return list(found)


def _record(row: Row) -> tuple[str, facts.Known]:
    fields = {str(key).lower(): value for key, value in row.items()}
    named = fields.get('id') or fields.get('volume')
    if not isinstance(named, str):
        raise ValueError('a record has no id')
    size, snapshots = fields.get('size'), fields.get('snapshots')
    if isinstance(snapshots, str):
        snapshots = snapshots.split()
    if snapshots is not None and not isinstance(snapshots, list):
        raise ValueError(f'the snapshots of {named} are no list')
    return records.named(named).name, facts.Known(
        size=int(str(size)) if size not in (None, '') else None,
        snapshots=None
        if snapshots is None
        else frozenset(map(str, snapshots)),
    )
