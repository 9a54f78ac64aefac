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

"""libvirt on another host, by TLS: both sides prove who they are."""

from __future__ import annotations

import pathlib

import ddt

from tests.fixtures import certificates
from tests.fixtures import daemons
from tests.fixtures import own_libvirtd
from tests.fixtures import ports
from tests.functional.live import case
from volume_driver import exception


@ddt.ddt
class TlsTest(case.LiveTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.known = certificates.Authority.make('known')
        self.stranger = certificates.Authority.make('stranger')

    def serve(self, server: pathlib.Path) -> own_libvirtd.Libvirtd:
        """Let a libvirtd listen that has a certificate.

        :param server: directory of its certificate; it believes clients that
            the same one signed
        """
        self.port = ports.free()
        settings = {
            'listen_tls': '1',
            'listen_tcp': '0',
            'listen_addr': '"127.0.0.1"',
            'tls_port': f'"{self.port}"',
            'ca_file': f'"{server}/cacert.pem"',
            'cert_file': f'"{server}/servercert.pem"',
            'key_file': f'"{server}/serverkey.pem"',
            'crl_file': '""',
        }
        return self.useFixture(
            own_libvirtd.Libvirtd(
                libvirtd=settings,
                qemu=daemons.AS_ROOT,
                arguments=['--listen'],
            )
        )

    def volume(
        self, server: pathlib.Path, client: pathlib.Path
    ) -> case.GuestVolume:
        """Make a volume with a guest that the driver asks about by TLS."""
        libvirtd = self.serve(server)
        volume = self.make_volume(
            uri=libvirtd.uri,
            options={
                'libvirt_uri': f'qemu+tls://%(host)s:{self.port}/system'
                f'?pkipath={client}'
            },
        )
        volume.record.volume_attachment[0].attached_host = '127.0.0.1'
        volume.guest.start()
        return volume

    def test_main_job(self) -> None:
        volume = self.volume(
            self.known.issue(self.directory / 'server', 'server'),
            self.known.issue(self.directory / 'client', 'client'),
        )
        volume.write(0, case.MIB, 0x11)
        first = volume.create_snapshot()
        volume.write(0, case.MIB, 0x12)
        second = volume.create_snapshot()
        volume.write(case.MIB, case.MIB, 0x13)
        self.assertIn('.', volume.made.active(volume.record).name)
        for snapshot in (first, second):
            volume.delete_snapshot(snapshot)
            self.assertEqual([], volume.unseen())

    @ddt.data(
        ('stranger', '127.0.0.1', 'known'),
        ('known', '127.0.0.2', 'known'),
        ('known', '127.0.0.1', 'stranger'),
    )
    @ddt.unpack
    def test_refused(self, server: str, host: str, client: str) -> None:
        """Each has a certificate that the other one does not believe."""
        serving = getattr(self, server).issue(
            self.directory / 'server', 'server', host
        )
        asking = getattr(self, client).issue(
            self.directory / 'client', 'client'
        )
        self.known.believe(asking)
        volume = self.volume(serving, asking)
        before = sorted(path.name for path in volume.made.directory.iterdir())
        error = self.assertRaises(
            exception.HypervisorUnreachable, volume.create_snapshot
        )
        self.assertIn('certificate', str(error))
        after = sorted(path.name for path in volume.made.directory.iterdir())
        self.assertEqual(before, after)
        self.assertTrue(volume.is_running())
