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

"""Volumes that are made once, and copied for each case.

A copy gets an id of its own: guests of other cases must not be taken for
users of it. Ids have one length, so they can be replaced in place.
"""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import random
import struct
import subprocess
import uuid

from tests.fixtures import driver as drivers
from tests.fixtures import model as models
from tests.fixtures import modelled

KIB = 1 << 10
MIB = 1 << 20
GIB = drivers.GIB

_LAYERS = 4
# A table of 64 KiB clusters maps 512 MiB: these are in, around and behind.
_PLACES = (0, 96 * KIB, 300 * MIB, 512 * MIB - 64 * KIB, 512 * MIB + 4 * KIB)
_BIG = 4 * MIB
_BIG_COUNT = 8


@dataclasses.dataclass
class Copy:
    """A volume of a case.

    :ivar snapshots: ids, the oldest first
    """

    directory: pathlib.Path
    record: drivers.Volume
    model: models.Model
    snapshots: list[str]


class Templates:
    """The templates of one process.

    :param directory: where they are kept
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._made: dict[tuple[str, str], modelled.ModelledVolume] = {}

    def copy(
        self, kind: str, base_format: str, directory: pathlib.Path
    ) -> Copy:
        """Copy a template into a directory, under a new id.

        :param kind: ``chain``, ``big`` (a chain with more data) or
            ``single`` (no snapshot, but an ``.info``)
        """
        key = (kind, base_format)
        if key not in self._made:
            self._made[key] = self._make(*key)
        made = self._made[key]
        new = str(uuid.uuid4())
        old = made.record.id
        for path in made.made.directory.iterdir():
            if path.is_file():
                target = directory / path.name.replace(old, new)
                _copy_file(path, target)
                _replace_id(target, old, new)
        return Copy(
            directory,
            drivers.volume(id=new),
            copy.deepcopy(made.model),
            list(made.snapshots),
        )

    def _make(self, kind: str, base_format: str) -> modelled.ModelledVolume:
        directory = self._directory / f'{kind}-{base_format}'
        directory.mkdir()
        made = drivers.DriverFixture(directory, volume_format=base_format)
        made.setUp()
        volume = modelled.ModelledVolume.create(made)
        rng = random.Random(f'{kind} {base_format}')
        _write_layer(volume, 0, kind, rng)
        if kind == 'single':
            volume.delete_snapshot(volume.create_snapshot(), 'commit')
            return volume
        for layer in range(1, _LAYERS):
            volume.create_snapshot()
            _write_layer(volume, layer, kind, rng)
        return volume


def _write_layer(
    volume: modelled.ModelledVolume, layer: int, kind: str, rng: random.Random
) -> None:
    """Cover a part of the layers below, add data, and zeros over data."""
    value = 0x10 * (layer + 1)
    for number, place in enumerate(_PLACES):
        volume.write(place + layer * 24 * KIB, 40 * KIB, value + number)
    for number in range(6):
        at = rng.randrange((GIB - MIB) // models.BLOCK) * models.BLOCK
        volume.write(at, rng.randrange(1, 20) * models.BLOCK, value + number)
    volume.write(GIB - (layer + 1) * 12 * KIB, 12 * KIB, value + 7)
    if layer:
        volume.write(96 * KIB + layer * 8 * KIB, 8 * KIB, 0)
    if kind == 'big':
        for number in range(_BIG_COUNT):
            at = (16 + 4 * (number * 5 + layer * 3)) * MIB
            volume.write(at, _BIG, value + number % 7)


def _copy_file(source: pathlib.Path, target: pathlib.Path) -> None:
    subprocess.run(
        ['cp', '--sparse=always', '--reflink=auto', source, target],
        check=True,
    )


def _replace_id(path: pathlib.Path, old: str, new: str) -> None:
    if path.suffix in ('.info', '.record'):
        path.write_text(path.read_text().replace(old, new))
        return
    with path.open('r+b') as stream:
        head = stream.read(20)
        if head[:4] != b'QFI\xfb':
            return
        offset, length = struct.unpack('>8xQI', head)
        if not offset:
            return
        stream.seek(offset)
        name = stream.read(length).replace(old.encode(), new.encode())
        stream.seek(offset)
        stream.write(name)
