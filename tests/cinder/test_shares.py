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

"""Shares of the kinds that are no NFS and no directory."""

from __future__ import annotations

import pathlib

import ddt

from tests import base
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import commands
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import gluster
from tests.fixtures.cloud import services

_MIB = 1 << 20


class SharesTestCase(base.TestCase):
    def start(
        self, kind: str, address: str, **options: object
    ) -> tuple[services.CinderServices, pathlib.Path]:
        """Start Cinder with one share; return where that is mounted, too."""
        listed = self.temp_dir() / 'shares'
        listed.write_text(f'{address}\n')
        backend = configuration.qcow2_shares(
            kind, shares_config=str(listed), **options
        )
        cinder = self.useFixture(services.CinderServices([backend]))
        cinder.show_logs_of(self)
        mounts = configuration.mounts_of(cinder.place(backend.name))
        name = configuration.mounted_as(address)
        self.assertEqual([mounts / name], commands.mounted_below(mounts))
        return cinder, mounts / name

    def use_detached(
        self, cinder: services.CinderServices, share: pathlib.Path
    ) -> checked.CheckedVolume:
        """Take snapshots of a new volume, and delete one of each position."""
        tenant = cinder.tenant()
        volume = checked.CheckedVolume(tenant, share, tenant.create_volume(1))
        volume.write(0, _MIB, 0x11)
        older, middle, newer = volume.take_snapshots(3)
        copy = volume.clone()
        for snapshot in (middle, newer, older):
            volume.delete_snapshot(snapshot)
            self.assertEqual([], volume.differences())
        volume.extend(2)
        for each in (volume, copy):
            self.assertEqual([], each.differences())
        return volume


class GlusterTest(SharesTestCase):
    """On a real GlusterFS, mounted by its own client."""

    def test_detached_and_under_a_server(self) -> None:
        served = self.useFixture(gluster.Gluster())
        cinder, share = self.start('glusterfs', served.address)
        volume = self.use_detached(cinder, share)
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        older, newer = volume.take_snapshots(2)
        volume.delete_snapshot(older)
        volume.delete_snapshot(newer)
        self.assertTrue(server.guest.is_active())
        self.assertEqual([], volume.differences())
        volume.delete_server()
        self.assertEqual([], volume.differences())


@ddt.ddt
class PlayedTest(SharesTestCase):
    """On what plays a share of such a kind: os-brick's way to mount it."""

    @ddt.data('cephfs', 'quobyte')
    def test_detached(self, kind: str) -> None:
        exported = self.temp_dir()
        cinder, share = self.start(kind, configuration.address_of(exported))
        volume = self.use_detached(cinder, share)
        self.assertIn(volume.name, {each.name for each in exported.iterdir()})
