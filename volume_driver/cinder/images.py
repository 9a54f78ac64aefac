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

"""Glance's images into volumes, and volumes into images."""

from __future__ import annotations

import os
import typing

from cinder.image import image_utils
from cinder.volume import volume_utils

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.cinder import keys
from volume_driver.cinder import records
from volume_driver.operations import copies
from volume_driver.operations import seal

_FLAT = ('raw', 'qcow2')


def fetch(
    core: core_driver.Qcow2Driver,
    context: typing.Any,
    volume: typing.Any,
    image: tuple[typing.Any, str],
    blocksize: str,
) -> None:
    """Let a volume hold an image, which Cinder checks before it is converted.

    :param image: the image service, and the image's id
    :param blocksize: option volume_dd_blocksize
    """
    found = records.images(core, volume)
    if volume.encryption_key_id is not None:
        raise exception.EncryptionUnsupported(
            volume=volume.name,
            operation='taking the bytes of an encrypted image',
            reason='the image is a LUKS container and no qcow2 image',
        )
    active = found.active
    name = names.export(core.target(volume).name, 'image')
    path = core.context.path(name)
    try:
        image_utils.fetch_to_volume_format(
            context,
            *image,
            path,
            active.format,
            blocksize,
            size=volume.size,
            run_as_root=False,
        )
        copies.write_over(
            core.context, core.target(volume), path, active.format
        )
    finally:
        files.discard(path)


def fetch_encrypted(
    core: core_driver.Qcow2Driver,
    context: typing.Any,
    volume: typing.Any,
    image: tuple[typing.Any, str],
    blocksize: str,
) -> None:
    """Let a new encrypted volume hold an image, which is not encrypted.

    The image is kept off the volume's share, and encrypted on its way there.

    :param image: the image service, and the image's id
    :param blocksize: option volume_dd_blocksize
    """
    prefix = f'{volume.id}.temp_image.{image[1]}'
    with image_utils.temporary_file(prefix=prefix, suffix='.img') as path:
        image_utils.fetch_to_volume_format(
            context,
            *image,
            path,
            'raw',
            blocksize,
            size=volume.size,
            run_as_root=False,
        )
        seal.write_over(core.context, core.target(volume), path)


def upload(
    core: core_driver.Qcow2Driver,
    context: typing.Any,
    volume: typing.Any,
    image_service: typing.Any,
    image_meta: dict[str, typing.Any],
) -> None:
    """Make an image of what a volume shows, in use or not.

    It is written flat in the image's own format, so that nothing has to be
    converted twice, where qemu-img and Glance have the same word for it. What
    Cinder then converts, it probes: that is written in qcow2, since raw could
    begin with the header of another image, which the guest wrote.
    """
    wanted = image_meta['disk_format']
    found = records.images(core, volume)
    keys.refuse(found, volume.name, 'being made an image')
    own = found.active.format
    image_utils.check_image_conversion_disable(
        wanted, own, image_meta['id'], upload=True
    )
    as_it_is = image_meta.get('container_format') != 'compressed'
    written = wanted if wanted in _FLAT and as_it_is else 'qcow2'
    prefix = f'{volume.id}.temp_image.{image_meta["id"]}'
    with image_utils.temporary_file(prefix=prefix, suffix='.img') as path:
        copies.read_out(core.source(volume), path, written)
        os.chmod(path, 0o600)
        volume_utils.upload_volume(
            context,
            image_service,
            image_meta,
            path,
            volume,
            volume_format=written,
            run_as_root=False,
        )
