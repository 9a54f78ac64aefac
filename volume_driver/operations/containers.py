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

"""Encrypted volumes as files: out, and in again, never in the clear.

A container is a qcow2 image with LUKS inside that has no other file behind
it, as Cinder's NFS driver makes of an encrypted volume, and as it hands to
whoever copies one byte by byte. What comes from volumes on devices is LUKS
alone. Who has the passphrase can open either, nobody else.
"""

from __future__ import annotations

import os

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import secrets
from volume_driver.operations import context as contexts
from volume_driver.operations import copies
from volume_driver.operations import copying
from volume_driver.operations import recovery
from volume_driver.operations import seal

_MIB = 1 << 20
# What tables and a LUKS header take, of clusters of 64 KiB: an entry of 8
# bytes, and a reference count of 2, for each; 2 MiB; and some clusters.
_TABLES = 4096
_HEADERS = 16 * _MIB


def room(size: int) -> int:
    """Return how many bytes a container of a volume has at most."""
    return size + size // _TABLES + _HEADERS


def length(context: contexts.Context, image: chain.Image) -> int:
    """Return how many bytes the file of an image has."""
    return os.stat(context.path(image.name)).st_size


def read_out(
    source: copies.Source, path: str, limit: int | None = None
) -> None:
    """Write the container of a volume, or of a snapshot, into a new file.

    All containers of a volume are of one length, with zeros at the end which
    no image refers to: Cinder's chunkeddriver (``backup``) fails at an
    increment that is longer than what it is one of. And as long as there are
    no snapshots the file has the bytes of the volume's own, so that an
    increment holds what was changed.

    :param path: of the file
    :param limit: how many bytes of it are copied, None for all; then it has
        no more than it needs
    :raises SnapshotNotFound: when there is no such snapshot
    :raises PassphraseMissing, PassphraseWrong: when it stays closed
    :raises ContainerTooLarge: when it takes more than that
    """
    with copies.frozen(source, sealed=True) as image:
        copies.write_out(
            source, image, path, lambda part: _fill(source, image, part, limit)
        )


def _fill(
    source: copies.Source, image: chain.Image, part: str, limit: int | None
) -> None:
    context = source.context
    most = limit or room(image.size)
    opened = context.key_of(source.target, image)
    if image.backing is None and length(context, image) <= most:
        # One sees just the bytes of the file through a raw image.
        _convert(source, image, part, ('raw', 'raw'), None)
    else:
        _convert(source, image, part, (image.format, 'qcow2'), opened)
    found = os.stat(part).st_size
    if found > most:
        raise exception.ContainerTooLarge(
            volume=source.target.name, length=found, limit=most
        )
    if limit is None:
        os.truncate(part, most)


def read_out_luks(source: copies.Source, path: str) -> None:
    """Write a volume, or a snapshot, into a new file as LUKS alone.

    :raises SnapshotNotFound: when there is no such snapshot
    :raises PassphraseMissing, PassphraseWrong: when it stays closed
    """
    with copies.frozen(source, sealed=True) as image:
        opened = source.context.key_of(source.target, image)
        formats = (image.format, 'luks')
        copies.write_out(
            source,
            image,
            path,
            lambda part: _convert(source, image, part, formats, opened),
        )


def _convert(
    source: copies.Source,
    image: chain.Image,
    part: str,
    formats: tuple[str, str],
    opened: secrets.Key | None,
) -> None:
    path = source.context.path(image.name)
    made = opened.like(path) if opened else None
    with copying.told(path, part):
        qemu_img.convert(
            source.context.execute,
            path,
            part,
            formats,
            image.size,
            (opened, made),
        )


def write_over(
    context: contexts.Context,
    target: hypervisor.Target,
    path: str,
    size: int,
) -> None:
    """Let a volume hold what a container holds; its snapshots stay.

    Without snapshots a qcow2 image becomes the base itself, by a plan, and
    LUKS alone becomes a qcow2 image first. With them the content is written
    into a new active overlay, which takes the place of the old one in one
    rename. The file is used up; one that is no container, or not opened by
    the volume's passphrase, is dropped, and the volume stays as it is.

    :param path: named as an export of the volume
    :param size: of the volume in bytes
    :raises VolumeInUse: when a guest runs on the volume
    :raises InvalidSize: when the container holds more than fits
    :raises ImageInvalid, ImageNotTrusted: when the file is no container
    :raises PassphraseMissing, PassphraseWrong: when it stays closed
    :raises EncryptionMixed: when the snapshots are not encrypted
    """
    copies.check_export(context, target.name, path)
    was_there = files.exists(path)
    with recovery.locked(context, target):
        if was_there and not files.exists(path):
            return  # what was cut off is finished by now
        images = copies.read_unused(context, target).chain
        try:
            given, key = _check(context, target, images, path, size)
        except exception.VolumeDriverError:
            files.discard(path)
            raise
        try:
            _take(context, target, images, given, key, size)
        finally:
            seal.discard(context, target)
        files.discard(path)


def _check(
    context: contexts.Context,
    target: hypervisor.Target,
    images: chain.Chain,
    path: str,
    size: int,
) -> tuple[chain.Image, secrets.Key]:
    """Return a container, and what opens it and the volume."""
    given = reader.read_container(path)
    if given.size > size:
        raise exception.InvalidSize(
            volume=path, wanted=size, minimum=given.size
        )
    key = context.key(target)
    qemu_img.probe(context.execute, path, target.name, key, given.format)
    active = images.active
    where = context.path(active.name)
    if len(images) > 1:
        if not active.encrypted:
            raise exception.EncryptionMixed(
                volume=target.name, encrypted=given.name, plain=active.name
            )
        qemu_img.probe(context.execute, where, target.name, key)
    return given, key.like(where if active.encrypted else path)


def _take(
    context: contexts.Context,
    target: hypervisor.Target,
    images: chain.Chain,
    given: chain.Image,
    key: secrets.Key,
    size: int,
) -> None:
    path = context.path(given.name)
    if given.format == 'luks':
        given = seal.convert(context, target, path, given, (key, key), size)
    elif given.size < size:
        qemu_img.resize(context.execute, path, given.format, size, key)
    if len(images) == 1:
        copies.become_base(context, target, given, images.active)
    else:
        copies.write_overlay(
            *(context, target, images, context.path(given.name)),
            *(given.format, key),
        )
