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

"""Reads the chain of a volume from the headers of its images."""

from __future__ import annotations

import os

from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver import names
from volume_driver.images import header
from volume_driver.images import luks
from volume_driver.images import record
from volume_driver.images import trust

# Far above any depth that works (QEMU's reads cost 7 times at 100); a cycle
# is found by its repeated name long before.
_MAX_IMAGES = 1000


def read_image(
    directory: str, volume: str, name: str, image_format: str
) -> chain.Image:
    """Read one image of a volume.

    :raises ImageInvalid: when it is missing or not of that format
    :raises ImageNotTrusted: when it refers to anything outside the volume
    """
    path = os.path.join(directory, name)
    if image_format == 'raw':
        fd = header.open_image(path)
        found = os.fstat(fd)
        os.close(fd)
        return chain.Image(name, 'raw', found.st_size, found.st_blocks * 512)
    parsed = header.read(path)
    trust.check(volume, path, parsed)
    return chain.Image(
        name=name,
        format='qcow2',
        size=parsed.size,
        allocated=os.stat(path).st_blocks * 512,
        backing=trust.plain(parsed.backing) if parsed.backing else None,
        backing_format=parsed.backing_format,
        encrypted=parsed.encrypted,
    )


def read_flat(path: str, image_format: str) -> chain.Image:
    """Read a plain image that may have no other file behind it.

    :raises ImageInvalid: when it is missing or not of that format
    :raises ImageNotTrusted: when it refers to any other file, or is encrypted
    """
    directory, name = os.path.split(path)
    image = read_image(directory, name, name, image_format)
    if image.backing is not None:
        raise exception.ImageNotTrusted(
            path=path, reason=f'it has a backing image, {image.backing!r}'
        )
    if image.encrypted:
        raise exception.ImageNotTrusted(
            path=path, reason='it is encrypted, and nobody says how to open it'
        )
    return image


def read_container(path: str) -> chain.Image:
    """Read an encrypted image that may have no other file behind it.

    That is qcow2 with LUKS inside, as volumes are; or LUKS alone, format
    ``luks``, as volumes on devices are, and what is made of them. The first
    bytes tell which: neither can be read without its passphrase.

    :raises ImageInvalid: when it is neither
    :raises ImageNotTrusted: when it refers to any other file, or would take
        long to be opened
    """
    directory, name = os.path.split(path)
    if luks.has_magic(path):
        luks.check_effort(path)
        on_disk = os.stat(path).st_blocks * 512
        return chain.Image(
            name, 'luks', luks.payload(path), on_disk, encrypted=True
        )
    image = read_image(directory, name, name, 'qcow2')
    if image.backing is not None:
        raise exception.ImageNotTrusted(
            path=path, reason=f'it has a backing image, {image.backing!r}'
        )
    if not image.encrypted:
        raise exception.ImageNotTrusted(
            path=path, reason='it is not encrypted'
        )
    luks.check_effort(path, header.read(path).luks_at)
    return image


def read_chain(
    directory: str, volume: str, active: str, default_format: str
) -> chain.Chain:
    """Follow the backing names from the active image down to the base.

    :param default_format: the format of a base without a record and without
        an overlay that names it, if it begins with a qcow2 header; a base
        that does not is raw
    :raises ChainMismatch: when the images form a cycle, or an overlay names
        another format for its backing image than the one that it has
    :raises EncryptionMixed: when some images are encrypted and some are not
    """
    images: list[chain.Image] = []
    seen: set[str] = set()
    name: str | None = active
    named: str | None = None
    while name is not None:
        if name in seen or len(images) >= _MAX_IMAGES:
            raise exception.ChainMismatch(
                volume=volume,
                found=f'{name} again below {images[-1].name}',
                expected='a base image without a backing image',
            )
        image_format = 'qcow2'
        if name == volume:
            image_format = base_format(
                directory, volume, named, default_format
            )
        if named is not None and named != image_format:
            raise exception.ChainMismatch(
                volume=volume,
                found=f'{images[-1].name} names {named} as the format of '
                f'its backing image {name}',
                expected=image_format,
            )
        image = read_image(directory, volume, name, image_format)
        if images and image.encrypted != images[0].encrypted:
            raise exception.EncryptionMixed(
                volume=volume,
                encrypted=image.name if image.encrypted else images[0].name,
                plain=images[0].name if image.encrypted else image.name,
            )
        images.append(image)
        seen.add(name)
        name, named = image.backing, image.backing_format
    return chain.Chain(tuple(reversed(images)))


def base_format(
    directory: str, volume: str, named: str | None, default_format: str
) -> str:
    """Return the format of the image named like the volume itself.

    The record knows it. A volume that another driver made has none: then the
    overlay above it does, and without one the configured format, which only
    counts if the image really begins like that.

    :param named: the format that the overlay above it names, if any does
    :raises ImageNotTrusted: when nothing but its first bytes says qcow2
    """
    known = record.base_format(directory, volume) or named
    if known:
        return known
    path = os.path.join(directory, volume)
    if not header.has_magic(path):
        return 'raw'
    if default_format != 'qcow2':
        raise exception.ImageNotTrusted(
            path=path,
            reason='it begins with a qcow2 header, but option volume_format '
            'is raw and it has no record of its format',
        )
    return 'qcow2'


def check_info(
    found: chain.Chain,
    content: info.Info,
    volume: str,
    directory: str,
    cascade: bool = False,
) -> None:
    """Check that ``.info`` describes just this chain.

    :param directory: where ``.record`` is, which has overlays that have lost
        their snapshot and had to keep their name
    :param cascade: the volume is being deleted: overlays without a snapshot
        are what its earlier steps left
    :raises ChainMismatch: when it does not
    """

    def mismatch(what: str, expected: str) -> exception.ChainMismatch:
        return exception.ChainMismatch(
            volume=volume, found=what, expected=expected
        )

    overlays = found.names[1:]
    for snapshot_id, name in content.snapshots.items():
        if name not in overlays:
            raise mismatch(
                f'the chain {found}',
                f'{name}, the overlay of snapshot {snapshot_id}, in it and '
                f'above its base',
            )
    if cascade:
        return
    for name in overlays:
        if content.snapshot_of(name) is None and (
            name not in record.nameless(directory, volume)
        ):
            raise mismatch(
                f'the overlay {name} in the chain {found}',
                'a snapshot in .info for each overlay',
            )


def images_of(directory: str, volume: str) -> list[str]:
    """Return the names of all files that can be images of a volume, sorted.

    All of them count, whether the chain holds them or not.
    """
    # Of many names a list is had in a fraction of the time of an iterator.
    return sorted(
        name
        for name in os.listdir(directory)
        if name.startswith(volume) and names.is_image_of(volume, name)
    )


def exports_of(directory: str, volume: str) -> list[str]:
    """Return the names of the flat copies of a volume, finished or not."""
    start = f'{volume}.{names.EXPORT}'
    return sorted(
        name for name in os.listdir(directory) if name.startswith(start)
    )


def referrers(directory: str, volume: str, name: str) -> list[str]:
    """Return the images of a volume whose header names an image as backing.

    An image that any of them needs is not to be removed.
    """
    found = []
    for candidate in images_of(directory, volume):
        if candidate in (volume, name):
            continue
        try:
            parsed = header.read(os.path.join(directory, candidate))
        except exception.ImageInvalid:
            continue
        if parsed.backing and trust.plain(parsed.backing) == name:
            found.append(candidate)
    return found
