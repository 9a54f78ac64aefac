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

"""A server of Nova's with a volume, and what there has to be in it."""

from __future__ import annotations

import atexit
import collections.abc
import contextlib
import copy
import functools
import os
import signal
import typing
from xml.etree import ElementTree

import libvirt

from tests import base
from tests.fixtures import hypervisor
from tests.fixtures import monitor
from tests.fixtures import processes
from tests.fixtures.cloud import configuration
from tests.fixtures.openstack import catalog
from tests.fixtures.openstack import cloud
from tests.fixtures.openstack import tenant

_MIB = 1 << 20
_TIMEOUT = 120.0

_BACKENDS = {
    'qcow2': configuration.qcow2(
        hypervisor='nova',
        # Of the compute host that Nova names in the attachment.
        libvirt_uri='qemu+unix:///system?socket={directory}/../../run/'
        '%(host)s/libvirt-sock',
        # A MiB a second: as slow as a test needs it to come in between.
        merge_bandwidth=1,
    ),
    # Cinder's own, to see what it does.
    'nfs': configuration.nfs(),
}
VARIABLE = 'VOLUME_DRIVER_NOVA_BACKEND'
"""The variable of the environment that says which backend is tested."""


class Volume:
    """A volume of a tenant's, and what was written to it.

    :ivar id: the volume's
    :ivar written: the byte of each MiB
    """

    def __init__(self, of: tenant.Tenant, image: str = '') -> None:
        self.tenant = of
        self.id = of.create_volume(image)
        self.written: dict[int, int] = {}
        self._next = 0x10

    def pattern(self) -> int:
        """Return a byte that was not written lately."""
        self._next = 0x10 + (self._next - 0x0F) % 0xE0
        return self._next

    def take_snapshot(self) -> str:
        """Take a snapshot; return its id."""
        return self.tenant.create_snapshot(self.id)


class Server:
    """A server, and its volume.

    :ivar id: the server's, which is its domain's as well
    """

    def __init__(
        self,
        of: cloud.Cloud,
        user: tenant.Tenant,
        volume: Volume,
        *,
        root: bool = False,
    ) -> None:
        """Boot it.

        :param root: it boots from the volume
        """
        self.cloud = of
        self.tenant = user
        self.volume = volume
        self.admin = catalog.connect(of.at, 'admin')
        self.id = user.boot(volume.id if root else '')
        self._have(volume, root)

    @classmethod
    def of(cls, other: Server) -> Server:
        """Boot another server with a volume that no server has any more."""
        return cls(other.cloud, other.tenant, other.volume)

    def also(self, volume: Volume) -> Server:
        """Attach one more volume; return the same server, with that one."""
        self.tenant.attach(self.id, volume.id)
        found = copy.copy(self)
        found.volume = volume
        return found

    def _have(self, volume: Volume, root: bool) -> None:
        user = self.tenant
        if root:
            user.wait_volume(volume.id, 'in-use')
        else:
            user.attach(self.id, volume.id)

    def host(self) -> str:
        """Return the compute host that has it."""
        return str(self.admin.compute.get_server(self.id).compute_host)

    def status(self) -> str:
        """Return the state that Nova says it is in."""
        return self.tenant.server_status(self.id)

    def wait_host(self, host: str) -> None:
        """Wait until a compute host has it."""
        processes.wait_until(
            lambda: self.host() == host, f'{self.id} is on {host}', _TIMEOUT
        )

    @contextlib.contextmanager
    def domain(self) -> collections.abc.Iterator[typing.Any]:
        """Have its domain, and the alias of the volume's disk."""
        connection = hypervisor.connect(self.cloud.at.libvirt(self.host()))
        try:
            yield connection.lookupByUUIDString(self.id)
        finally:
            connection.close()

    def write(self, *places: int) -> None:
        """Write a MiB at each place, all of one new byte, and flush."""
        pattern = self.volume.pattern()
        with self.domain() as domain:
            disk = _alias(domain, self.volume.id)
            for place in places:
                monitor.write(domain, disk, place * _MIB, _MIB, pattern)
                self.volume.written[place] = pattern
            monitor.flush(domain, disk)

    def differences(self) -> list[str]:
        """Read all that was written; return what is otherwise."""
        with self.domain() as domain:
            disk = _alias(domain, self.volume.id)
            return [
                f'MiB {place} is not {pattern:#x}'
                for place, pattern in self.volume.written.items()
                if not monitor.read_is(
                    domain, disk, place * _MIB, _MIB, pattern
                )
            ]

    def kill(self) -> None:
        """End its QEMU by SIGKILL."""
        with self.domain() as domain:
            name = str(domain.name())
            run = self.cloud.at.run(self.host())
            pid = int((run / 'qemu' / f'{name}.pid').read_text())
            os.kill(pid, signal.SIGKILL)
            processes.wait_until(
                lambda: not domain.isActive(), f'{name} is off', _TIMEOUT
            )

    def delete(self) -> None:
        """Delete it; the volume stays."""
        self.tenant.delete_server(self.id)
        self.tenant.wait_volume(self.volume.id, 'available')


class NovaTestCase(base.TestCase):
    """With a cloud, which all tests of a process share, and a tenant."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = _cloud()
        self.cloud.wait_up()
        self.tenant = tenant.Tenant(self.cloud.at)

    def make_server(self, *, root: bool = False) -> tuple[Server, Volume]:
        """Boot a server with a volume that has data.

        :param root: it boots from the volume
        """
        volume = Volume(self.tenant, catalog.IMAGE if root else '')
        server = Server(self.cloud, self.tenant, volume, root=root)
        self.addCleanup(self._delete, server)
        server.write(0, 1, 2)
        return server, volume

    def take_snapshots(self, server: Server, count: int) -> list[str]:
        """Take snapshots, and write after each."""
        found = []
        for index in range(count):
            found.append(server.volume.take_snapshot())
            server.write(0, 3 + index)
        return found

    def assert_right(self, server: Server) -> None:
        """Check all data, through the server."""
        self.assertEqual([], server.differences())

    def start_again(self, server: Server) -> None:
        """Stop and start a server, check all data, and write."""
        self.tenant.act('stop_server', server.id, 'SHUTOFF')
        self.tenant.act('start_server', server.id, 'ACTIVE')
        self.assert_right(server)
        server.write(40)

    def _delete(self, server: Server) -> None:
        """Leave nothing for the next test."""
        if self.tenant.server_status(server.id):
            self.tenant.delete_server(server.id)
        self.tenant.delete_all(server.volume.id)


@functools.cache
def _cloud() -> cloud.Cloud:
    """Return the cloud of this process, which ends with it."""
    found = cloud.Cloud(_BACKENDS[os.environ.get(VARIABLE, 'qcow2')])
    found.setUp()
    atexit.register(found.cleanUp)
    return found


def _alias(domain: typing.Any, volume_id: str) -> str:
    """Return the alias of the disk that has a volume."""
    root = ElementTree.fromstring(  # noqa: S314
        domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    )
    for disk in root.findall('./devices/disk'):
        if disk.findtext('serial') == volume_id:
            alias = disk.find('alias')
            if alias is not None:
                return alias.get('name', '')
    raise LookupError(f'no disk has volume {volume_id}')
