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

"""One disk of a guest under libvirt: the port that the plugin offers."""

from __future__ import annotations

import os
import typing

from oslo_log import log

from volume_driver import exception
from volume_driver import native
from volume_driver import opts
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import barrier
from volume_driver.hypervisors.libvirt import converge
from volume_driver.hypervisors.libvirt import definition
from volume_driver.hypervisors.libvirt import device as devices
from volume_driver.hypervisors.libvirt import domain_xml
from volume_driver.hypervisors.libvirt import merge
from volume_driver.hypervisors.libvirt import metadata

LOG = log.getLogger(__name__)


class LibvirtDisk(devices.Device, base.GuestDisk):
    """A disk of a running domain, with what can be done to it."""

    def __init__(
        self,
        domain: typing.Any,
        device: str,
        host: str,
        settings: opts.Settings,
        is_ours: definition.IsOurs,
    ) -> None:
        guest = f'{domain.name()} on {host}'
        super().__init__(guest, domain, device, settings)
        self._is_ours = is_ours

    def as_defined(self) -> definition.LibvirtDefinedDisk:
        """Return the same disk as that of a guest that does not run."""
        return definition.LibvirtDefinedDisk(
            self.guest, self.domain, self.device, self._is_ours
        )

    # -- switch --------------------------------------------------------------

    def switch_to(self, overlay: str) -> None:
        with self.failing('asking who made it'):
            by_nova = metadata.is_of_nova(self.domain)
        if by_nova:
            LOG.warning(
                '%s is a server of Nova, which would start it from %s again '
                'once it was stopped; set option hypervisor to nova',
                self.guest,
                self.chain()[-1],
            )
        self._switch_to(overlay, self.settings.quiesce)

    def _switch_to(self, overlay: str, how: str) -> None:
        """Switch to an overlay.

        :param how: option quiesce; an agent does not answer when its guest is
            suspended
        """
        disk = self.read()
        flags = (
            self.libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | self.libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
            | self.libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
        )
        quiesce = self.libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
        with self.failing('reading its disks'):
            targets = domain_xml.targets(native.call(self.domain.XMLDesc, 0))
        others = tuple(name for name in targets if name != self.device)
        path = os.path.join(os.path.dirname(disk.sources[0].path), overlay)
        xml = domain_xml.snapshot(self.device, others, path, disk.encryption)
        before, after = disk.names, (*disk.names, overlay)
        if how != 'never':
            problem = self._snapshot(xml, flags | quiesce)
            if problem is None or self.outcome(before, after, 'snapshot'):
                return
            if how == 'require':
                raise exception.QuiesceFailed(guest=self.guest, reason=problem)
            LOG.info('%s: snapshot without quiescing: %s', self.guest, problem)
        problem = self._snapshot(xml, flags)
        if not self.outcome(before, after, 'snapshot'):
            raise exception.LiveOperationFailed(
                operation=f'snapshot onto {overlay}',
                guest=self.guest,
                reason=problem or 'the guest was not switched',
            )

    def _snapshot(self, xml: str, flags: int) -> str | None:
        """Take a snapshot; return what libvirt says went wrong, or None."""
        try:
            native.call(self.domain.snapshotCreateXML, xml, flags)
        except self.libvirt.libvirtError as error:
            return str(error)
        return None

    # -- merge ---------------------------------------------------------------

    def commit(self, top: str, base: str, progress: base.Progress) -> None:
        merge.commit(self, top, base, progress)

    def commit_in_place(
        self,
        top: str,
        base: str,
        renewal: base.Renewal,
        progress: base.Progress,
    ) -> None:
        def go_on() -> None:
            renewal.renew()
            self._switch_to(top, 'never')

        in_place = merge.InPlace(renewal, go_on)
        merge.commit(self, top, base, progress, in_place)

    def pull(
        self, pulled: str, backing: str | None, progress: base.Progress
    ) -> None:
        merge.pull(self, pulled, backing, progress)

    def let_go(self, progress: base.Progress) -> None:
        converge.restore(self.domain, progress)
        if progress.held:
            barrier.resume(self.domain, self.guest)
            progress.release()

    # -- the rest ------------------------------------------------------------

    def identity(self) -> str:
        with self.failing('asking who it is'):
            return metadata.run_of(self.domain)

    def resize(self, size: int) -> None:
        with self.failing(f'growth to {size} bytes'):
            native.call(
                self.domain.blockResize,
                self.device,
                size,
                self.libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES,
            )

    def start_from(self, active: str, image_format: str) -> None:
        with self.failing('asking whether it is defined'):
            persistent = native.call(self.domain.isPersistent)
        if not persistent:
            return
        disk = self.read()
        below: tuple[str, ...] = ()
        if disk.encryption is not None and active in disk.names:
            at = disk.names.index(active)
            below = tuple(reversed(disk.names[:at]))
        self.as_defined().start_from(active, image_format, below)
