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

"""Finds the guest disks that use a volume."""

from __future__ import annotations

import collections.abc
import functools
import os
import socket
import typing

from oslo_log import log

from volume_driver import exception
from volume_driver import names
from volume_driver import native
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import definition
from volume_driver.hypervisors.libvirt import disk
from volume_driver.hypervisors.libvirt import domain_xml

LOG = log.getLogger(__name__)

_HOST = '%(host)s'


class LibvirtHypervisor(base.Hypervisor):
    """Plugin ``libvirt``: asks libvirt on the hosts of the attachments."""

    def find(self, target: base.Target) -> base.Found:
        found = self.find_all(target)
        guests = [each.guest for each in found.live]
        guests += [each.guest for each in found.defined]
        if len(guests) > 1:
            raise exception.AmbiguousGuest(
                volume=target.name, guests=', '.join(guests)
            )
        return base.Found(
            live=found.live[0] if found.live else None,
            defined=found.defined,
            looked_at=found.looked_at,
        )

    def find_all(self, target: base.Target) -> base.AllFound:
        live: list[disk.LibvirtDisk] = []
        defined: list[definition.LibvirtDefinedDisk] = []
        asked: list[str] = []
        for uri in self._uris(target):
            try:
                host = self._look(uri, target, live, defined)
            except connection.Unavailable as error:
                self._unreachable(uri, target, str(error))
                continue
            asked.append(f'{uri} ({host})')
            if not live and not defined:
                self._check_host(uri, target, host)
        return base.AllFound(
            live=tuple(live),
            defined=tuple(defined),
            next_starts=tuple(each.as_defined() for each in live),
            looked_at=', '.join(asked) or 'no libvirt',
        )

    def make_disk(
        self,
        target: base.Target,
        domain: typing.Any,
        device: str,
        host: str,
        is_ours: definition.IsOurs,
    ) -> disk.LibvirtDisk:
        """Return a disk of a domain, for a plugin that has its own kind."""
        return disk.LibvirtDisk(domain, device, host, self.settings, is_ours)

    def _uris(self, target: base.Target) -> list[str]:
        uri = self.settings.libvirt_uri
        if _HOST not in uri:
            return [uri]
        if target.attached is not False and not target.hosts:
            raise exception.HypervisorUnreachable(
                uri=uri,
                volume=target.name,
                reason='it is, or may be, attached, and no host is named',
            )
        return [uri.replace(_HOST, host) for host in target.hosts]

    def _unreachable(self, uri: str, target: base.Target, why: str) -> None:
        if target.attached is not False:
            raise exception.HypervisorUnreachable(
                uri=uri, volume=target.name, reason=why
            )
        # Not attached: the lock that QEMU holds on an image is still looked
        # at before anything is done offline.
        LOG.debug('%s is not attached, and %s: %s', target.name, uri, why)

    def _check_host(self, uri: str, target: base.Target, host: str) -> None:
        """Refuse to take the silence of one host for that of another."""
        here = {host, host.partition('.')[0], 'localhost'}
        if uri.startswith('qemu:///'):
            here.add(socket.gethostname())
        elsewhere = [name for name in target.hosts if name not in here]
        if elsewhere and _HOST not in self.settings.libvirt_uri:
            raise exception.GuestNotFound(
                volume=target.name,
                hosts=', '.join(elsewhere),
                looked_at=f'{uri} ({host})',
            )

    def _look(
        self,
        uri: str,
        target: base.Target,
        live: list[disk.LibvirtDisk],
        defined: list[definition.LibvirtDefinedDisk],
    ) -> str:
        libvirt = connection.module()
        owner = connection.get(uri)
        is_ours = functools.partial(_uses, target=target)
        try:
            host = str(native.call(owner.getHostname))
            for domain in native.call(owner.listAllDomains, 0):
                for device, running in _devices(libvirt, domain, target):
                    found = self.make_disk(
                        target, domain, device, host, is_ours
                    )
                    if running:
                        live.append(found)
                    else:
                        defined.append(found.as_defined())
        except libvirt.libvirtError as error:
            raise connection.Unavailable(str(error)) from error
        return host


def _devices(
    libvirt: typing.Any, domain: typing.Any, target: base.Target
) -> collections.abc.Iterator[tuple[str, bool]]:
    """Yield the device names of a domain's disks that use a volume."""
    try:
        running = bool(native.call(domain.isActive))
        xml = native.call(domain.XMLDesc, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return
        raise
    if target.volume_id not in xml and target.name not in xml:
        return
    for found in domain_xml.disks(xml):
        if _uses(found, target):
            yield found.target, running


def _uses(found: domain_xml.Disk, target: base.Target) -> bool:
    if found.serial == target.volume_id:
        return True
    source = found.sources[0]
    if not names.is_image_of(target.name, source.name):
        return False
    ours = os.path.join(target.directory, source.name)
    if not os.path.exists(source.path) or not os.path.exists(ours):
        # The guest's host mounts it elsewhere; the name holds a uuid.
        return True
    return os.path.samefile(source.path, ours)
