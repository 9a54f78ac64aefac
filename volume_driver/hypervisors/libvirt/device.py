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

"""What a disk of a running domain is like at this moment.

The outcome of everything done to it is the chain in the domain's XML, read
afterwards: the old one, the expected one, or an error. That a call returned,
or that a job is gone, is not a success.
"""

from __future__ import annotations

import collections.abc
import contextlib
import typing

from volume_driver import exception
from volume_driver import native
from volume_driver import opts
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import domain_xml


class Device:
    """A disk of a running domain, read anew with every question.

    :param guest: which guest it is, in words
    :param domain: libvirt's domain
    :param device: target name of the disk, such as ``vda``
    """

    def __init__(
        self,
        guest: str,
        domain: typing.Any,
        device: str,
        settings: opts.Settings,
    ) -> None:
        self.guest = guest
        self.domain = domain
        self.device = device
        self.settings = settings
        self.libvirt = connection.module()

    def read(self) -> domain_xml.Disk:
        """Return what the live XML says of it.

        :raises GuestGone: when the domain does not run any more
        """
        try:
            xml = native.call(self.domain.XMLDesc, 0)
            running = native.call(self.domain.isActive)
        except self.libvirt.libvirtError as error:
            raise self._gone(str(error)) from error
        if not running:
            raise self._gone('it does not run any more')
        for disk in domain_xml.disks(xml):
            if disk.target == self.device:
                return disk
        raise self._gone(f'it has no disk {self.device} any more')

    def _gone(self, reason: str) -> exception.GuestGone:
        return exception.GuestGone(guest=self.guest, reason=reason)

    def chain(self) -> tuple[str, ...]:
        return self.read().names

    def image_format(self) -> str | None:
        return self.read().format or None

    def size(self) -> int:
        with self.failing('asking for the size'):
            return int(native.call(self.domain.blockInfo, self.device)[0])

    def job(self) -> str | None:
        info = self.job_info()
        if not info:
            return None
        return f'type {info["type"]}, {info["cur"]} of {info["end"]} bytes'

    def job_progress(self) -> tuple[int, int]:
        info = self.job_info()
        return info.get('cur', 0), info.get('end', 0)

    def job_info(self) -> dict[str, int]:
        with self.failing('asking for block jobs'):
            return native.call(self.domain.blockJobInfo, self.device) or {}

    def limit_job(self, bandwidth: int) -> bool:
        with self.failing(f'limiting its block job to {bandwidth} MiB/s'):
            if not self._has_merge():
                return False
            native.call(self.domain.blockJobSetSpeed, self.device, bandwidth)
        return True

    def _has_merge(self) -> bool:
        """Tell whether a job of a kind that merges runs; a copy is none."""
        return self.job_info().get('type') in (
            self.libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL,
            self.libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT,
            self.libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT,
        )

    def cancel_job(self) -> bool:
        with self.failing('ending its block job'):
            if not self._has_merge():
                return False
            native.call(self.domain.blockJobAbort, self.device, 0)
        return True

    @contextlib.contextmanager
    def failing(self, operation: str) -> collections.abc.Iterator[None]:
        """Make libvirt's errors ours.

        :raises GuestUnknown: instead
        """
        try:
            yield
        except self.libvirt.libvirtError as error:
            raise exception.GuestUnknown(
                operation=operation, guest=self.guest, reason=str(error)
            ) from error

    def outcome(
        self,
        before: tuple[str, ...],
        after: tuple[str, ...],
        operation: str,
    ) -> bool:
        """Tell the expected chain from the old one.

        :raises UnexpectedChain: when it is neither
        """
        found = self.chain()
        if found == after:
            return True
        if found == before:
            return False
        raise exception.UnexpectedChain(
            operation=operation,
            guest=self.guest,
            found=' <- '.join(found),
            expected=' <- '.join(after),
        )
