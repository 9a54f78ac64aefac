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

"""A disk in the definition of a domain, for when it is next started."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import typing

from volume_driver import exception
from volume_driver import native
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import domain_xml

IsOurs = collections.abc.Callable[[domain_xml.Disk], bool]


class LibvirtDefinedDisk(base.DefinedDisk):
    """A disk in the definition of a domain, for when it is next started."""

    def __init__(
        self,
        guest: str,
        domain: typing.Any,
        device: str,
        is_ours: IsOurs = lambda _: True,
    ) -> None:
        super().__init__(guest)
        self._is_ours = is_ours
        self._domain = domain
        self._device = device
        self._libvirt = connection.module()

    def active(self) -> str | None:
        with self._failing('reading its definition'):
            _, disk = self._read()
        return disk.sources[0].name if disk else None

    def start_from(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        """Let the domain start from an image; see :class:`.base.DefinedDisk`.

        A live snapshot makes libvirt write the images below into the
        definition, too. They are dropped: a merge may remove one of them
        later, and without them libvirt reads them from the headers. Only
        encrypted ones have to be named: libvirt 9.0 fails to start a guest
        whose encrypted images it finds in the headers.
        """
        with self._failing(f'letting it start from {active}'):
            xml, disk = self._read()
            if disk is None:
                return
            if disk.encryption is None:
                below = ()
            wanted = (*reversed(below), active)
            if (disk.names, disk.format) == (wanted, image_format):
                return
            path = os.path.join(os.path.dirname(disk.sources[0].path), active)
            changed = domain_xml.with_source(
                xml, self._device, path, image_format, below
            )
            native.call(self._domain.connect().defineXML, changed)

    def _read(self) -> tuple[str, domain_xml.Disk | None]:
        flags = (
            self._libvirt.VIR_DOMAIN_XML_INACTIVE
            | self._libvirt.VIR_DOMAIN_XML_SECURE
        )
        xml = native.call(self._domain.XMLDesc, flags)
        for disk in domain_xml.disks(xml):
            # A disk that was plugged into the running domain alone may have
            # the name of another one in the definition.
            if disk.target == self._device and self._is_ours(disk):
                return xml, disk
        return xml, None

    @contextlib.contextmanager
    def _failing(self, operation: str) -> collections.abc.Iterator[None]:
        try:
            yield
        except self._libvirt.libvirtError as error:
            raise exception.LiveOperationFailed(
                operation=operation, guest=self.guest, reason=str(error)
            ) from error
