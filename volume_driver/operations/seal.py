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

"""Data into an encrypted volume, encrypted on its way."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import secrets
from volume_driver.operations import context as contexts
from volume_driver.operations import copies
from volume_driver.operations import recovery


def write_over(
    context: contexts.Context,
    target: hypervisor.Target,
    path: str,
    opened: secrets.Key | None = None,
) -> None:
    """Let an encrypted volume without snapshots hold what a file holds.

    The file may be anywhere, and stays. What it holds is encrypted into a new
    file beside the volume, which becomes the base by a plan.

    :param path: of a raw image, or of one that is encrypted
    :param opened: what opens the file, None for a raw image
    :raises VolumeHasSnapshots: when the volume has any
    :raises VolumeInUse: when a guest runs on the volume
    :raises InvalidSize: when the file holds more than fits
    :raises ImageInvalid, ImageNotTrusted: when the file is none of these
    :raises PassphraseWrong: when it stays closed
    """
    with recovery.locked(context, target):
        state = copies.read_unused(context, target)
        base = state.chain.active
        if len(state.chain) > 1:
            raise exception.VolumeHasSnapshots(
                volume=target.name, snapshots=', '.join(state.info.snapshots)
            )
        if opened is None:
            given = reader.read_flat(path, 'raw')
        else:
            given = reader.read_container(path)
            qemu_img.probe(
                context.execute, path, target.name, opened, given.format
            )
        key = context.key(target).like(context.path(base.name))
        try:
            made = convert(
                context, target, path, given, (opened, key), base.size
            )
            copies.become_base(context, target, made, base)
        finally:
            discard(context, target)


def convert(
    context: contexts.Context,
    target: hypervisor.Target,
    path: str,
    given: chain.Image,
    keys: tuple[secrets.Key | None, secrets.Key],
    size: int,
) -> chain.Image:
    """Encrypt what an image holds into a new file beside a volume.

    :param given: the image
    :param keys: what opens it, and what the file is encrypted with
    :param size: of the file in bytes, as an image
    :raises InvalidSize: when the image holds more
    """
    if given.size > size:
        raise exception.InvalidSize(
            volume=path, wanted=size, minimum=given.size
        )
    there = _place(context, target)
    files.discard(there)
    formats = (given.format, 'qcow2')
    qemu_img.convert(context.execute, path, there, formats, given.size, keys)
    if given.size < size:
        qemu_img.resize(context.execute, there, 'qcow2', size, keys[1])
    return reader.read_container(there)


def discard(context: contexts.Context, target: hypervisor.Target) -> None:
    """Drop a file that :func:`convert` made and nobody took."""
    files.discard(_place(context, target))


def _place(context: contexts.Context, target: hypervisor.Target) -> str:
    return context.path(names.export(target.name, 'sealed'))
