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

"""What steps do to the images of a volume, by qemu-img.

Everything that is written is on the disk when a method returns.
"""

from __future__ import annotations

import contextlib
import os

from volume_driver import access
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.executors import base
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import allocation
from volume_driver.images import header
from volume_driver.images import qemu_img
from volume_driver.images import secrets
from volume_driver.images import trust
from volume_driver.planning import plan


class ImageExecutor(base.Executor):
    """The images of one volume.

    :param defined: disks of guests that are shut off
    :param bandwidth: limit of a merge in MiB/s, 0 for none
    :param unlock: asks for the key if the volume is encrypted
    """

    def __init__(
        self,
        directory: str,
        volume: str,
        execute: qemu_img.Execute,
        defined: tuple[hypervisor.DefinedDisk, ...] = (),
        bandwidth: int = 0,
        unlock: secrets.Unlock | None = None,
    ) -> None:
        self.directory = directory
        self.volume = volume
        self.execute = execute
        self.defined = defined
        self.bandwidth = bandwidth
        self._unlock = unlock

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def backing_of(self, name: str) -> str | None:
        backing = header.read(self.path(name)).backing
        return trust.plain(backing) if backing else None

    def key_of(
        self, name: str, image_format: str = 'qcow2'
    ) -> secrets.Key | None:
        """Return what opens an image and all below it; None if it is plain.

        It is tried: nothing may be changed on the strength of a wrong one.

        :raises PassphraseMissing, PassphraseWrong: when they stay closed
        """
        path = self.path(name)
        if not secrets.is_encrypted(path, image_format):
            return None
        if self._unlock is None:
            raise exception.PassphraseMissing(
                volume=self.volume, reason='nobody can be asked for it'
            )
        key = self._unlock()
        qemu_img.probe(self.execute, path, self.volume, key)
        return key

    def make_overlay(
        self,
        name: str,
        backing: tuple[str, str],
        size: int,
        guard: contextlib.AbstractContextManager[None] | None = None,
    ) -> None:
        """Make an overlay, in the place of one of that name if it is there.

        :param guard: is held while it gets its name
        """
        part = self.prepare_overlay(name, backing, size)
        try:
            with guard or contextlib.nullcontext():
                files.rename(part, self.path(name))
        except Exception:
            files.discard(part)
            raise

    def prepare_overlay(
        self, name: str, backing: tuple[str, str], size: int
    ) -> str:
        """Make an overlay that has not got its name yet; return its path."""
        key = self.key_of(*backing)
        if key is not None:
            key = key.like(self.path(backing[0]))
        part = self.path(name) + names.PART
        files.discard(part)
        try:
            qemu_img.create_overlay(self.execute, part, *backing, size, key)
            files.cover(part, self.path(backing[0]))
            access.give(part, self.path(backing[0]))
            files.sync(part)
        except Exception:
            files.discard(part)
            raise
        return part

    def commit(self, step: plan.Commit) -> None:
        # The image above is opened later on, to be pointed elsewhere.
        key = self.key_of(step.top) and self.key_of(step.above or step.top)
        top = self.path(step.top)
        access.ensure(self.path(step.base))
        between = self.backing_of(step.top) != step.base
        if not between and allocation.is_whole_data(self.directory, step.top):
            qemu_img.commit_pair(self.execute, top, step.base, self.bandwidth)
        else:
            into = step.base if between else None
            qemu_img.commit(self.execute, top, into, self.bandwidth, key)
        files.sync(self.path(step.base))

    def point(self, overlay: str, backing: str, backing_format: str) -> None:
        path = self.path(overlay)
        qemu_img.point(
            self.execute, path, backing, backing_format, self.key_of(overlay)
        )
        files.sync(path)

    def point_back(self, step: plan.Pull) -> None:
        if self.backing_of(step.overlay) != step.pulled:
            self.point(step.overlay, step.pulled, step.pulled_format)
