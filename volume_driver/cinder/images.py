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
from oslo_utils import units

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.cinder import keys
from volume_driver.cinder import records
from volume_driver.cinder import throttle
from volume_driver.images import secrets
from volume_driver.operations import containers
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

    The image is encrypted if the volume is: one that is not comes to
    :func:`fetch_encrypted`.

    :param image: the image service, and the image's id
    :param blocksize: option volume_dd_blocksize
    """
    if volume.encryption_key_id is not None:
        _fetch_container(core, context, volume, image)
        return
    active = records.images(core, volume).active
    name = names.export(core.target(volume).name, 'image')
    path = core.context.path(name)
    try:
        _convert(context, volume, image, path, active.format, blocksize)
        copies.write_over(
            core.context, core.target(volume), path, active.format
        )
    finally:
        files.discard(path)


def _fetch_container(
    core: core_driver.Qcow2Driver,
    context: typing.Any,
    volume: typing.Any,
    image: tuple[typing.Any, str],
) -> None:
    """Let an encrypted volume hold an image that is encrypted itself.

    What others made is not taken as it is, but encrypted anew. A volume that
    was made of the image has a copy of its key, another one has its own.
    """
    service, image_id = image
    key_id = service.show(context, image_id).get('cinder_encryption_key_id')
    opened = secrets.Key(keys.passphrase_of_image(volume, key_id))
    with _temporary(volume, image_id) as path:
        known = image_utils.TemporaryImages.for_image_service(service)
        ready = known.get(context, image_id)
        if not ready:
            image_utils.fetch(context, service, image_id, path, None, None)
        target = core.target(volume)
        seal.write_over(core.context, target, ready or path, opened)


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
    with _temporary(volume, image[1]) as path:
        _convert(context, volume, image, path, 'raw', blocksize)
        seal.write_over(core.context, core.target(volume), path)


def _convert(
    context: typing.Any,
    volume: typing.Any,
    image: tuple[typing.Any, str],
    path: str,
    image_format: str,
    blocksize: str,
) -> None:
    """Let Cinder fetch, check and convert an image, within limits of ours.

    :raises LimitReached: when it takes more than a sound image does
    """
    with throttle.limited(volume.size * units.Gi):
        image_utils.fetch_to_volume_format(
            context,
            *image,
            path,
            image_format,
            blocksize,
            size=volume.size,
            run_as_root=False,
        )


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

    An encrypted volume becomes LUKS alone: that is what Cinder's API lets it
    be (raw and bare only, and with a copy of its key), and what its drivers of
    devices make of it. It has the whole volume and a header of 2 MiB.
    """
    wanted = image_meta['disk_format']
    found = records.images(core, volume)
    own = 'raw' if found.encrypted else found.active.format
    image_utils.check_image_conversion_disable(
        wanted, own, image_meta['id'], upload=True
    )
    as_it_is = image_meta.get('container_format') != 'compressed'
    written = wanted if wanted in _FLAT and as_it_is else 'qcow2'
    if found.encrypted and written != 'raw':
        raise exception.EncryptionUnsupported(
            volume=volume.name,
            operation=f'being made an image of format {wanted}',
            reason='only one that is raw and bare is taken for encrypted',
        )
    with _temporary(volume, image_meta['id']) as path:
        if found.encrypted:
            containers.read_out_luks(core.source(volume), path)
        else:
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


def _temporary(volume: typing.Any, image_id: str) -> typing.Any:
    """Return a file off the volume's share, that is gone afterwards."""
    prefix = f'{volume.id}.temp_image.{image_id}'
    return image_utils.temporary_file(prefix=prefix, suffix='.img')
