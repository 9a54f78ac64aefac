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

"""Data of a volume out and in: copies, flat files, and back.

Whatever is copied must not change meanwhile. A snapshot does not, nor does a
volume whose lock is held while no guest runs on it; a volume that a guest
runs on is copied through a snapshot that lasts until the copy is complete.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import uuid

from oslo_log import log

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import secrets
from volume_driver.operations import context as contexts
from volume_driver.operations import copying
from volume_driver.operations import recovery
from volume_driver.operations import run
from volume_driver.operations import snapshots
from volume_driver.operations import unlocked
from volume_driver.operations import volumes
from volume_driver.planning import replace as planning_replace

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Source:
    """What is copied.

    :param context: of the directory that it is in
    :param target: the volume
    :param snapshot: one of its snapshots, None for the volume as it is
    """

    context: contexts.Context
    target: hypervisor.Target
    snapshot: str | None = None


def copy(
    context: contexts.Context,
    target: hypervisor.Target,
    source: Source,
    size: int,
    cipher: luks.Cipher | None = None,
) -> None:
    """Create a volume with the data of a snapshot, or of a volume as it is.

    The copy gets its name last: up to then the same call can be made again.

    :param source: may be in another directory
    :param size: of the new volume in bytes, 0 for the size of the data
    :param cipher: of a new volume that is encrypted, with its own passphrase
    :raises SnapshotNotFound: when the source has no such snapshot
    :raises InvalidSize: when the data is larger than size
    :raises EncryptionUnsupported: when only the source is encrypted
    """
    with volumes.new(context, target):
        key = volumes.new_key(context, target, cipher)
        image_format = volumes.format_of(context, key)
        passing = names.passing_snapshot(target.name)
        with frozen(source, passing, size, key is not None) as image:
            volumes.fill(
                context,
                target.name,
                lambda part: _flatten(
                    source, image, part, image_format, size, key
                ),
            )
        volumes.publish(context, target.name, image_format)


def read_out(source: Source, path: str, image_format: str) -> None:
    """Write what one sees of a volume, or of a snapshot, into a new file.

    It is complete once it has its name, but not synced: it is not meant to
    last.

    :param path: of the file
    :param image_format: of the file, ``raw`` or ``qcow2``
    :raises SnapshotNotFound: when there is no such snapshot
    :raises EncryptionUnsupported: when it is encrypted
    """
    with frozen(source) as image:
        write_out(
            source,
            image,
            path,
            lambda part: _flatten(source, image, part, image_format),
        )


def write_out(
    source: Source, image: chain.Image, path: str, filling: volumes.Filling
) -> None:
    """Make a file that is complete once it has its name.

    :param image: what it shows, whose mode and owner it gets
    """
    part = path + names.PART
    files.discard(part)
    try:
        filling(part)
        files.cover(part, source.context.path(image.name))
        files.rename(part, path)
    except Exception:
        files.discard(part)
        raise


def write_over(
    context: contexts.Context,
    target: hypervisor.Target,
    path: str,
    image_format: str,
    unseal: bool = False,
) -> None:
    """Let a volume hold what a file holds; its snapshots stay as they are.

    Without snapshots the file becomes the base itself, whatever its format.
    With them its content is written into a new active overlay, which takes
    the place of the old one in one rename. The file is used up; if it is
    gone, what was cut off before had used it, or there never was one.

    :param path: of a flat image, named as an export of the volume
    :param image_format: of the file, ``raw`` or ``qcow2``
    :param unseal: an encrypted volume without snapshots becomes a plain one
    :raises VolumeInUse: when a guest runs on the volume
    :raises InvalidSize: when the file holds more than fits
    :raises ImageInvalid, ImageNotTrusted: when the file is no flat image
    :raises EncryptionUnsupported: when the volume is encrypted, and has to
        stay so
    """
    check_export(context, target.name, path)
    was_there = files.exists(path)
    with recovery.locked(context, target):
        if was_there and not files.exists(path):
            return  # what was cut off is finished by now
        images = read_unused(context, target).chain
        active = images.active
        if active.encrypted and (len(images) > 1 or not unseal):
            raise exception.EncryptionUnsupported(
                volume=target.name,
                operation='taking over a file',
                reason='the file is not encrypted',
            )
        given = reader.read_flat(path, image_format)
        if given.size > active.size:
            raise exception.InvalidSize(
                volume=path, wanted=active.size, minimum=given.size
            )
        if given.size < active.size:
            qemu_img.resize(context.execute, path, image_format, active.size)
        if active.name == target.name:
            become_base(context, target, given, active)
        else:
            write_overlay(context, target, images, path, image_format)


def check_export(context: contexts.Context, volume: str, path: str) -> None:
    """Check that a file is one that a journal may name, and a deletion drops.

    :raises ImageNotTrusted: when it is not
    """
    name = os.path.basename(path)
    if path != context.path(name) or not names.is_export_of(volume, name):
        raise exception.ImageNotTrusted(
            path=path, reason=f'it is not named as an export of {volume}'
        )


def read_unused(
    context: contexts.Context, target: hypervisor.Target
) -> contexts.State:
    """Read the state of a volume that no guest runs on.

    :raises VolumeInUse: when one does
    """
    state = contexts.read(context, target)
    state.refuse_live(target.name, 'replacing its data')
    return state


def become_base(
    context: contexts.Context,
    target: hypervisor.Target,
    given: chain.Image,
    base: chain.Image,
) -> None:
    """Put a file in the place of the base, by a plan."""
    path = context.path(given.name)
    files.cover(path, context.path(base.name))
    files.sync(path)
    # The sync may have taken long enough for a guest to be started.
    found = read_unused(context, target).found
    run.run(
        context,
        target,
        planning_replace.plan_replace(target.name, given, base),
        found,
        {
            each.name: files.trace(context.path(each.name))
            for each in (given, base)
        },
    )
    if files.exists(path):
        raise exception.VolumeInUse(
            volume=target.name,
            holder='whoever wrote to it meanwhile',
            operation='replacing its data',
        )


def write_overlay(
    context: contexts.Context,
    target: hypervisor.Target,
    images: chain.Chain,
    path: str,
    image_format: str,
    key: secrets.Key | None = None,
) -> None:
    """Put an image with the content of a file in the active one's place.

    Up to the rename nothing of the volume is touched; from then on the file
    is not needed any more, and it does no harm to do all of it again.

    :param key: what the file and all images of the volume are encrypted with
    """
    active = images.active
    below = images.below(active.name)
    # A name that goes with the volume if nobody comes back.
    part = path + names.PART
    files.discard(part)
    try:
        if below is not None:
            qemu_img.create_overlay(
                *(context.execute, part, below.name, below.format),
                *(active.size, key),
            )
        else:
            qemu_img.create(context.execute, part, 'qcow2', active.size, key)
        with copying.told(path, part):
            qemu_img.convert_onto(
                *(context.execute, path, part, (image_format, active.format)),
                *(active.size, key),
            )
        files.cover(part, context.path(active.name))
        files.sync(part)
        # All that took long enough for a guest to be started.
        read_unused(context, target)
        files.rename(part, context.path(active.name))
    except Exception:
        files.discard(part)
        raise
    files.discard(path)


def frozen_image(source: Source) -> chain.Image:
    """Return the image that has the data of a snapshot; takes no lock.

    :raises SnapshotNotFound: when there is no such snapshot
    """
    images, content = contexts.read_files(source.context, source.target.name)
    overlay = content.snapshots.get(source.snapshot or '')
    if overlay is None:
        raise snapshots.unknown(
            source.target.name, source.snapshot or '', content
        )
    return images.frozen(overlay)


@contextlib.contextmanager
def frozen(
    source: Source, passing: str = '', largest: int = 0, sealed: bool = False
) -> collections.abc.Iterator[chain.Image]:
    """Hold the source's lock, and yield an image that nobody writes to.

    :param passing: id of the snapshot that is taken if a guest runs, empty
        for any
    :param largest: bytes that it may have, 0 for any
    :param sealed: what it is copied to is encrypted
    :raises InvalidSize: when it has more; before any snapshot is taken
    :raises EncryptionUnsupported: when it is encrypted, and the copy not
    """
    context, target = source.context, source.target
    passing = passing or f'{names.PASSING}{uuid.uuid4()}'
    with recovery.locked(context, target):
        state = contexts.read(context, target)
        if state.chain.encrypted and not sealed:
            raise exception.EncryptionUnsupported(
                volume=target.name,
                operation='a copy of its data',
                reason='the copy would not be encrypted',
            )
        if source.snapshot is not None:
            snapshots.check_known(target.name, source.snapshot, state)
            overlay = state.info.snapshots[source.snapshot]
            image = state.chain.frozen(overlay)
            _check_fits(target.name, image.size, largest)
            yield image
        elif not state.live:
            _check_fits(target.name, state.size, largest)
            yield state.chain.active
        else:
            _check_fits(target.name, state.size, largest)
            with _passing(context, target, passing) as image:
                yield image


def _check_fits(volume: str, size: int, largest: int) -> None:
    if largest and largest < size:
        raise exception.InvalidSize(
            volume=volume, wanted=largest, minimum=size
        )


@contextlib.contextmanager
def _passing(
    context: contexts.Context, target: hypervisor.Target, passing: str
) -> collections.abc.Iterator[chain.Image]:
    """Have a snapshot of a volume that a guest runs on, for a while."""
    unlocked.create_snapshot(context, target, passing)
    try:
        images, content = contexts.read_files(context, target.name)
        yield images.frozen(content.snapshots[passing])
    except Exception:
        try:
            unlocked.delete_snapshot(context, target, passing)
        except exception.VolumeDriverError as error:
            # The next call on the source finishes that.
            LOG.error('%s', error)
        raise
    unlocked.delete_snapshot(context, target, passing)


def _flatten(
    source: Source,
    image: chain.Image,
    path: str,
    image_format: str,
    size: int = 0,
    key: secrets.Key | None = None,
) -> None:
    """Copy what one sees through an image, grown to a size in bytes.

    :param key: what the copy is encrypted with, None for a plain one
    """
    context = source.context
    keys = (context.key_of(source.target, image), key)
    formats = (image.format, image_format)
    from_path = context.path(image.name)
    with copying.told(from_path, path):
        qemu_img.convert(
            *(context.execute, from_path, path),
            *(formats, image.size, keys),
        )
    if size > image.size:
        qemu_img.resize(context.execute, path, image_format, size, key)
