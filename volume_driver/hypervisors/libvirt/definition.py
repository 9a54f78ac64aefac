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
            disk = self._find(self._saved() or self._defined())
        return disk.sources[0].name if disk else None

    def defined(self) -> str | None:
        """Return the same by the definition alone; see :meth:`active`."""
        with self._failing('reading its definition'):
            disk = self._find(self._defined())
        return disk.sources[0].name if disk else None

    def is_saved(self) -> bool:
        with self._failing('asking whether it is suspended to disk'):
            return bool(native.call(self._domain.hasManagedSaveImage, 0))

    def start_from(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        """Let the domain start from an image; see :class:`.base.DefinedDisk`.

        A live snapshot makes libvirt write the images below into the
        definition, too. They are dropped: a merge may remove one of them
        later, and without them libvirt reads them from the headers. Only
        encrypted ones have to be named: libvirt 9.0 fails to start a guest
        whose encrypted images it finds in the headers.

        A guest that is suspended to disk starts from what was saved with it
        instead, which is changed likewise.
        """
        with self._failing(f'letting it start from {active}'):
            owner = self._domain.connect()
            changed = self._changed(
                self._defined(), active, image_format, below
            )
            if changed:
                native.call(owner.defineXML, changed)
            saved = self._saved()
            changed = saved and self._changed(
                saved, active, image_format, below
            )
            if changed:
                native.call(self._domain.managedSaveDefineXML, changed, 0)

    def _changed(
        self,
        xml: str,
        active: str,
        image_format: str,
        below: tuple[str, ...],
    ) -> str | None:
        """Return XML that starts from an image; None if it does already."""
        disk = self._find(xml)
        if disk is None:
            return None
        if disk.encryption is None:
            below = ()
        wanted = (*reversed(below), active)
        if (disk.names, disk.format) == (wanted, image_format):
            return None
        path = os.path.join(os.path.dirname(disk.sources[0].path), active)
        return domain_xml.with_source(
            xml, self._device, path, image_format, below
        )

    def _find(self, xml: str) -> domain_xml.Disk | None:
        for disk in domain_xml.disks(xml):
            # A disk that was plugged into the running domain alone may have
            # the name of another one in the definition.
            if disk.target == self._device and self._is_ours(disk):
                return disk
        return None

    def _defined(self) -> str:
        flags = (
            self._libvirt.VIR_DOMAIN_XML_INACTIVE
            | self._libvirt.VIR_DOMAIN_XML_SECURE
        )
        return str(native.call(self._domain.XMLDesc, flags))

    def _saved(self) -> str | None:
        """Return the XML that was saved with the guest's memory, if it was."""
        if not native.call(self._domain.hasManagedSaveImage, 0):
            return None
        flags = self._libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
        return str(native.call(self._domain.managedSaveGetXMLDesc, flags))

    @contextlib.contextmanager
    def _failing(self, operation: str) -> collections.abc.Iterator[None]:
        try:
            yield
        except self._libvirt.libvirtError as error:
            raise exception.LiveOperationFailed(
                operation=operation, guest=self.guest, reason=str(error)
            ) from error
