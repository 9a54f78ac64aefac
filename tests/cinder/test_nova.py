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

"""Snapshots of the volumes of Nova's servers, with plugin ``nova``.

A server is started from the connection info that Nova keeps. Nova's side is
played, with the libvirt calls that it makes; a server is a real guest.
"""

from __future__ import annotations

import libvirt

from tests.cinder import attached
from tests.fixtures import ports
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import nova
from tests.fixtures.cloud import services

_MIB = 1 << 20


_PORT = ports.free()
_URL = f'http://127.0.0.1:{_PORT}'


class NovaTestCase(attached.AttachedTestCase):
    backends = (configuration.qcow2(hypervisor='nova'),)

    def setUp(self) -> None:
        super().setUp()
        self.nova = self.useFixture(
            nova.AssistedSnapshots(_PORT, self.host.servers)
        )

    def shared_cinder(self) -> services.CinderServices:
        options = {
            'nova': {
                'auth_type': 'none',
                'endpoint': _URL,
                'endpoint_override': _URL,
            }
        }
        return services.shared(*self.backends, options=options)

    def boot(self) -> tuple[checked.CheckedVolume, compute.Server]:
        volume, server = super().boot()
        volume.model.nameless = 1
        return volume, server

    def start_again(
        self, volume: checked.CheckedVolume, server: compute.Server
    ) -> None:
        """Stop and start the server as Nova does, and let it write."""
        if server.guest.is_active():
            server.power_off()
        self.assert_as_modelled(volume)
        server.power_on()
        name = volume.files().chain[-1]
        self.assertIn(f"/{name}'", self.defined_source(server))
        volume.write(900 * _MIB, _MIB, len(self.nova.asked) + 0x41)
        self.assert_as_modelled(volume)


class StartTest(NovaTestCase):
    def test_running_server(self) -> None:
        volume, server = self.boot()
        oldest, middle, newest = volume.take_snapshots(3)
        self.nova.settle()
        self.assertEqual(3, len(self.nova.asked))
        self.start_again(volume, server)
        for snapshot in (newest, oldest, middle):
            kept = volume.files().chain[-1]
            volume.delete_snapshot(snapshot)
            self.assertEqual(kept, volume.files().chain[-1])
            self.start_again(volume, server)
        self.assertEqual([], self.nova.problems)

    def test_server_that_is_shut_off(self) -> None:
        """Nobody waits for Nova between a snapshot and the start."""
        volume, server = self.boot()
        server.power_off()
        first = volume.create_snapshot()
        self.start_again(volume, server)
        server.power_off()
        second = volume.create_snapshot()
        self.start_again(volume, server)
        for snapshot in (second, first):
            server.power_off()
            kept = volume.files().chain[-1]
            volume.delete_snapshot(snapshot)
            self.assertEqual(kept, volume.files().chain[-1])
            self.start_again(volume, server)
        self.assertEqual([], self.nova.problems)

    def test_server_that_is_suspended_to_disk(self) -> None:
        volume, server = self.boot()
        first = volume.create_snapshot()
        self.nova.settle()
        domain = server.guest.domain
        domain.managedSave(0)
        second = volume.create_snapshot()
        domain.create()
        volume.write(40 * _MIB, _MIB, 0x31)
        self.assert_as_modelled(volume)
        for snapshot in (second, first):
            domain.managedSave(0)
            volume.delete_snapshot(snapshot)
            domain.create()
            volume.write(50 * _MIB, _MIB, 0x32)
            self.assert_as_modelled(volume)
        self.start_again(volume, server)

    def test_clone_does_not_trouble_nova(self) -> None:
        volume, server = self.boot()
        volume.create_snapshot()
        self.nova.settle()
        kept = volume.files().chain[-1]
        clone = volume.clone()
        self.assertEqual(kept, volume.files().chain[-1])
        self.assertEqual(1, len(self.nova.asked))
        self.assert_as_modelled(clone)
        self.start_again(volume, server)

    def test_chain_does_not_grow(self) -> None:
        volume, server = self.boot()
        for number in range(4):
            snapshot = volume.create_snapshot()
            volume.write(60 * _MIB + number * _MIB, _MIB, 0x51 + number)
            # Nova would miss a snapshot that is gone when it looks.
            volume.delete_snapshot(snapshot)
            self.assertEqual(2, len(volume.files().chain))
        self.nova.settle()
        self.assertEqual([], self.nova.problems)
        self.start_again(volume, server)


class RefusedTest(NovaTestCase):
    def fail_snapshot(self, volume: checked.CheckedVolume) -> clients.Resource:
        api = self.tenant.api.volume_snapshots
        snapshot = api.create(volume.volume.id, force=True)
        self.tenant.wait_status(snapshot, 'error')
        return snapshot

    def test_libvirt_refuses(self) -> None:
        volume, server = self.boot()
        self.nova.works = False
        snapshot = self.fail_snapshot(volume)
        self.assertEqual([volume.name], volume.files().chain)
        self.tenant.delete_snapshot(snapshot)
        self.nova.works = True
        volume.create_snapshot()
        self.nova.settle()
        self.start_again(volume, server)

    def test_nova_knows_no_such_server(self) -> None:
        volume, server = self.boot()
        self.host.servers.remove(server)
        snapshot = self.fail_snapshot(volume)
        self.assertEqual([volume.name], volume.files().chain)
        self.tenant.delete_snapshot(snapshot)
        self.start_again(volume, server)


class KilledTest(NovaTestCase):
    def test_while_nova_is_waited_for(self) -> None:
        volume, server = self.boot()
        self.nova.delay = 6.0
        api = self.tenant.api.volume_snapshots
        snapshot = api.create(volume.volume.id, force=True)
        processes.wait_until(
            lambda: bool(self.nova.asked), 'Nova is asked', 60
        )
        self.cinder.kill()
        domain = server.guest.domain
        processes.wait_until(
            lambda: snapshot.id in domain.XMLDesc(0), 'it is switched', 60
        )
        self.nova.delay = 0.0
        self.cinder.start()
        self.nova.settle()
        # Cinder clears what was being created; the files are complete.
        self.tenant.wait_status(snapshot, 'error')
        self.assertEqual(
            libvirt.VIR_DOMAIN_RUNNING, server.guest.domain.state()[0]
        )
        volume.write(70 * _MIB, _MIB, 0x61)
        self.tenant.delete_snapshot(snapshot)
        self.start_again(volume, server)
