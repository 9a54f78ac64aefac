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

"""What every operation works with, and the state that it starts from."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import os

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import opts
from volume_driver.executors import base as executors
from volume_driver.executors import live
from volume_driver.executors import offline
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import locks as image_locks
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import secrets
from volume_driver.operations import locking
from volume_driver.operations import meter as meters

# Where the passphrases of encrypted volumes come from; None for none.
Passphrases = collections.abc.Callable[[hypervisors.Target], str | None]


@dataclasses.dataclass(frozen=True)
class Context:
    """The driver's parts, made once.

    :param passphrase: asks for the passphrase of a volume
    :param meter: counts what is done
    """

    settings: opts.Settings
    execute: qemu_img.Execute
    hypervisor: hypervisors.Hypervisor
    locks: locking.Locks
    passphrase: Passphrases | None = None
    meter: meters.Meter = dataclasses.field(default_factory=meters.Meter)

    @property
    def directory(self) -> str:
        return self.settings.directory

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def executor(
        self, target: hypervisors.Target, found: hypervisors.Found
    ) -> executors.Executor:
        """Return who carries out steps now: live or offline."""
        where = (self.directory, target.name, self.execute)
        unlock = functools.partial(self.key, target)
        if found.live is not None:
            return live.LiveExecutor(*where, found.live, found.defined, unlock)
        return offline.OfflineExecutor(
            *where, found.defined, self.settings.merge_bandwidth, unlock
        )

    def keeps_name_of(
        self, target: hypervisors.Target, found: hypervisors.Found
    ) -> bool:
        """Tell whether a volume's active image is to keep its name now."""
        if not (self.settings.keep_active_name or self.hypervisor.keeps_names):
            return False
        used = found.live is not None or bool(found.defined)
        return used or target.attached is not False

    def key(self, target: hypervisors.Target) -> secrets.Key:
        """Return what opens the images of an encrypted volume.

        :raises PassphraseMissing: when nobody knows it
        """
        if self.passphrase is None:
            raise exception.PassphraseMissing(
                volume=target.name, reason='no key manager is asked here'
            )
        found = self.passphrase(target)
        if not found:
            raise exception.PassphraseMissing(
                volume=target.name, reason='its record has no key'
            )
        return secrets.Key(found)

    def key_of(
        self, target: hypervisors.Target, image: chain.Image
    ) -> secrets.Key | None:
        """Return what opens an image of a volume, tried; None if it is plain.

        :raises PassphraseMissing, PassphraseWrong: when it stays closed
        """
        if not image.encrypted:
            return None
        key = self.key(target)
        path = self.path(image.name)
        qemu_img.probe(self.execute, path, target.name, key)
        return key


@dataclasses.dataclass(frozen=True)
class State:
    """What there is, read under the volume's lock.

    :param chain: from the headers of the images
    :param info: from ``.info``, or what it would say
    :param found: the guest disks that use the volume
    """

    chain: chain.Chain
    info: info.Info
    found: hypervisors.Found

    @property
    def live(self) -> bool:
        return self.found.live is not None

    @property
    def size(self) -> int:
        """Size of the volume in bytes, the guest's own view if one runs."""
        if self.found.live is not None:
            return self.found.live.size()
        return self.chain.active.size

    def refuse_live(self, volume: str, operation: str) -> None:
        """Refuse an operation while a guest runs, or is saved to go on.

        :raises VolumeInUse: when one does, or is
        """
        for disk in self.found.defined:
            if disk.is_saved():
                raise exception.VolumeInUse(
                    volume=volume,
                    holder=f'{disk.guest}, suspended to disk,',
                    operation=operation,
                )
        if self.found.live is not None:
            raise exception.VolumeInUse(
                volume=volume,
                holder=self.found.live.guest,
                operation=operation,
            )


def exists(context: Context, volume: str) -> bool:
    """Tell whether a volume has any file of its own."""
    return files.is_file(context.path(volume)) or files.is_file(
        info.path_of(context.directory, volume)
    )


def read_files(
    context: Context, volume: str, cascade: bool = False
) -> tuple[chain.Chain, info.Info]:
    """Read a volume's chain and ``.info`` and check one against the other.

    :raises VolumeNotFound: when it has no file
    :raises InfoCorrupt, ImageInvalid, ImageNotTrusted, ChainMismatch: when
        they cannot be trusted
    """
    if not exists(context, volume):
        raise exception.VolumeNotFound(
            volume=volume, directory=context.directory
        )
    content = info.read(context.directory, volume) or info.Info(volume)
    found = reader.read_chain(
        context.directory,
        volume,
        content.active,
        context.settings.volume_format,
    )
    reader.check_info(found, content, volume, context.directory, cascade)
    return found, content


def read(
    context: Context, target: hypervisors.Target, cascade: bool = False
) -> State:
    """Read the whole state of a volume.

    :raises GuestMismatch: when the guest runs on another chain
    :raises GuestFormatWrong: when it reads the active image as another format
    :raises JobConflict: when somebody else's block job runs on the disk
    :raises ImageOpenElsewhere: when no guest was found, and yet a process
        may write to the active image

    Raises what :func:`read_files` and the hypervisor's ``find`` do, too.
    """
    images, content = read_files(context, target.name, cascade)
    found = context.hypervisor.find(target)
    if found.live is None:
        refuse_open(context, images.active.name, found)
    elif found.live.chain() != images.names:
        raise exception.GuestMismatch(
            guest=found.live.guest,
            found=' <- '.join(found.live.chain()),
            expected=' <- '.join(images.names),
        )
    else:
        _check_format(target.name, found.live, images.active)
        job = found.live.job()
        if job is not None:
            # Ours would have a journal, and recovery would have ended it.
            raise exception.JobConflict(guest=found.live.guest, job=job)
    return State(images, content, found)


def _check_format(
    volume: str, disk: hypervisors.GuestDisk, active: chain.Image
) -> None:
    """Refuse a guest that reads the bytes of an image in another format.

    libvirt takes an image whose format is not said for raw; then the guest
    has a disk as large as the file, and writes over the image's tables.

    :raises GuestFormatWrong: when one does
    """
    found = disk.image_format()
    if found is not None and found != active.format:
        raise exception.GuestFormatWrong(
            guest=disk.guest,
            volume=volume,
            found=found,
            expected=active.format,
        )


def refuse_open(
    context: Context, active: str, found: hypervisors.Found
) -> None:
    """Refuse to go offline while a process may write to the active image.

    :raises ImageOpenElsewhere: when one may
    """
    path = context.path(active)
    if image_locks.is_open_for_writing(path):
        raise exception.ImageOpenElsewhere(
            path=path, looked_at=found.looked_at
        )
