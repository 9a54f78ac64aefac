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

"""What stands in for Glance, and for Cinder's records, where images go."""

from __future__ import annotations

import dataclasses
import pathlib
import types
import typing
import uuid

from tests.attacks import content
from tests.attacks import stage as stages
from tests.fixtures import driver as drivers

# Formats that QEMU calls otherwise.
_QEMU = {'iso': 'raw', 'vhd': 'vpc', 'ploop': 'parallels'}


def qemu_format(disk_format: str) -> str:
    return _QEMU.get(disk_format, disk_format)


class ImageService:
    """A Glance that has one image, and takes another one.

    :param given: the image that it has
    :param out: where one goes that it is given
    """

    temp_images = None

    def __init__(
        self, disk_format: str, given: bytes = b'', out: str = ''
    ) -> None:
        self._given, self._out = given, out
        self.meta = {
            'id': str(uuid.uuid4()),
            'disk_format': disk_format,
            'container_format': 'bare',
            'size': len(given),
        }

    def show(self, _context: object, _image: str) -> dict[str, object]:
        return dict(self.meta)

    def download(
        self, _context: object, _image: str, stream: typing.Any
    ) -> None:
        stream.write(self._given)

    def update(
        self,
        _context: object,
        _image: str,
        _meta: object,
        stream: typing.Any,
        **_options: object,
    ) -> None:
        content.copy(pathlib.Path(stream.name), pathlib.Path(self._out))


REQUEST = types.SimpleNamespace(user_id='tenant', project_id='tenant')


@dataclasses.dataclass
class _Volume(drivers.Volume):
    """A volume as our adapter's functions need it."""

    encryption_key_id: str | None = None
    glance_metadata: None = None
    volume_type: object = dataclasses.field(
        default_factory=lambda: types.SimpleNamespace(extra_specs={})
    )


def volume() -> _Volume:
    return _Volume(**vars(stages.RECORD))
