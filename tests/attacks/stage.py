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

"""A volume, set up by writing its files, with an attack in one of them."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import shutil
import tempfile

from tests.attacks import attack as attacks
from tests.attacks import canary as canaries
from tests.attacks import qcow2
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools

GIB = drivers.GIB
RECORD = drivers.volume(id='a77acced-0000-4000-8000-000000000001')
SNAPSHOT = drivers.snapshot(RECORD, 'a77acced-0000-4000-8000-00000000000a')
OTHER = 'volume-a77acced-0000-4000-8000-000000000002'
VOLUME = RECORD.name
OVERLAY = f'{VOLUME}.{SNAPSHOT.id}'
# What is written at the end of a raw volume, and into the overlay.
END, TOP = 0x13, 0x14

# Where an attack stands.
GUEST = 'at the start of a raw base'
BASE = 'as the base'
ACTIVE = 'as the overlay'
UPLOAD = 'as a new file'
BYTES = 'as an image of Glance'
PLACES = (GUEST, BASE, ACTIVE, UPLOAD, BYTES)


def fits(attack: attacks.Attack, place: str) -> bool:
    """Tell whether an attack can stand in a place."""
    if place == BYTES:
        return attack.kind != attacks.NODE
    return attack.guest or place != GUEST


def scene(canary: canaries.Canary) -> attacks.Scene:
    return attacks.Scene(VOLUME, OVERLAY, canary.secret, OTHER, canary.port)


@dataclasses.dataclass(frozen=True)
class Shape:
    """How a volume is set up.

    :ivar snapshot: it has one
    :ivar recorded: the format of its base is
    :ivar base: what its base holds, empty for an empty image
    :ivar file: name of the file that is uploaded, empty for none
    """

    snapshot: bool = False
    recorded: bool = True
    base: bytes = b''
    file: str = ''


@dataclasses.dataclass(frozen=True)
class Stage:
    """A directory in which a volume is set up, again and again.

    :ivar directory: where the volumes are
    :ivar place: where the attack stands
    """

    directory: pathlib.Path
    canary: canaries.Canary
    attack: attacks.Attack
    place: str

    @property
    def base_format(self) -> str:
        return 'raw' if self.place == GUEST else 'qcow2'

    def path(self, name: str) -> pathlib.Path:
        return self.directory / name

    @property
    def base(self) -> tuple[pathlib.Path, str]:
        """Return the base and its format."""
        return self.path(VOLUME), self.base_format

    @property
    def overlay(self) -> tuple[pathlib.Path, str]:
        """Return the overlay and its format."""
        return self.path(OVERLAY), 'qcow2'

    @property
    def active(self) -> tuple[pathlib.Path, str]:
        """Return the active image and its format, before any call."""
        taken = self.path(f'{VOLUME}.info').exists()
        return self.overlay if taken else self.base

    @property
    def attacked(self) -> frozenset[str]:
        """Return the name of the image that is the attack."""
        found = {GUEST: {VOLUME}, BASE: {VOLUME}, ACTIVE: {OVERLAY}}
        return frozenset(found.get(self.place, ()))

    def set_up(self, shape: Shape) -> None:
        """Write all files anew."""
        self.clear()
        self.path(OTHER).write_bytes(_other(self.canary.content))
        if shape.recorded:
            record = {'version': 1, 'base_format': self.base_format}
            self.path(f'{VOLUME}.record').write_text(json.dumps(record))
        if self.place == GUEST:
            self._write_raw()
        elif self.place == BASE:
            self._attack(self.path(VOLUME))
        else:
            self.path(VOLUME).write_bytes(shape.base or qcow2.Image().made())
        if shape.snapshot or self.place == ACTIVE:
            self._write_overlay()
        if shape.file:
            self._attack(self.path(shape.file))

    def clear(self) -> None:
        for path in self.directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _attack(self, path: pathlib.Path) -> None:
        self.attack.write(path, scene(self.canary))

    def bytes(self) -> bytes:
        """Return what stands in the file of the attack."""
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / 'attack'
            self._attack(path)
            return path.read_bytes()

    def _write_raw(self) -> None:
        with self.path(VOLUME).open('wb') as stream:
            stream.write(self.bytes())
            stream.truncate(GIB)
            stream.seek(GIB - 4096)
            stream.write(bytes([END]) * 4096)

    def _write_overlay(self) -> None:
        info = {'active': OVERLAY, SNAPSHOT.id: OVERLAY}
        self.path(f'{VOLUME}.info').write_text(json.dumps(info))
        if self.place == ACTIVE:
            self._attack(self.path(OVERLAY))
        else:
            self.path(OVERLAY).write_bytes(_overlay(self.base_format))


def _other(data: bytes) -> bytes:
    """Return an image that shows some data at its beginning."""
    at = qcow2.Image().first_free
    image = qcow2.Image(
        l1=(qcow2.standard(at), 0),
        clusters=(qcow2.table(qcow2.standard(at + (1 << 16)), 1), data),
    )
    return image.made()


@functools.cache
def _overlay(base_format: str) -> bytes:
    """Return an overlay with some data in the middle."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / OVERLAY
        base = path.with_name(VOLUME)
        image_tools.qemu_img('create', '-q', '-f', base_format, base, '1G')
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', VOLUME),
            *('-F', base_format, path, '1G'),
        )
        image_tools.qemu_io_write(path, 'qcow2', GIB // 2, 4096, TOP)
        return path.read_bytes()
