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

"""Tests of a tenant whose servers run on his volumes."""

from __future__ import annotations

from tests.cinder import case
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute

_MIB = 1 << 20
_TIMEOUT = 60.0


class AttachedTestCase(case.CinderTestCase):
    """Tests with servers on volumes.

    :cvar base_format: of the volumes that the backend makes
    """

    base_format = 'qcow2'

    def setUp(self) -> None:
        super().setUp()
        self.host = self.useFixture(compute.ComputeHost())

    def boot(self) -> tuple[checked.CheckedVolume, compute.Server]:
        """Start a server on a new volume that has some data."""
        volume = self.create_volume(base_format=self.base_format)
        volume.write(0, 8 * _MIB, 0x11)
        return volume, volume.boot(self.host)

    def assert_as_modelled(self, *volumes: checked.CheckedVolume) -> None:
        """Compare all that volumes are, their records as well."""
        super().assert_as_modelled(*volumes)
        for volume in volumes:
            self.assert_recorded(volume)

    def assert_recorded(self, volume: checked.CheckedVolume) -> None:
        """Compare what Cinder's records say with the files."""
        files, record = volume.files(), self.record(volume)
        name = files.chain[-1]
        active = {'name': name, 'format': files.format(name)}
        for info in record.connections:
            self.assertEqual(active, {key: info[key] for key in active})
        formats = {'format': active['format']}
        if 'base_format' in record.admin_metadata or len(files.chain) > 1:
            formats['base_format'] = files.format(files.chain[0])
        self.assertEqual(formats, record.admin_metadata)
        self.assertEqual(self.address(), record.location)

    def defined_source(self, server: compute.Server) -> str:
        """Return the line of the definition that names the first disk."""
        lines = server.guest.inactive_xml().splitlines()
        return next(line for line in lines if '<source file=' in line)


def make_slow(volume: checked.CheckedVolume, mib: int) -> clients.Resource:
    """Take two snapshots; return the one that is long in being deleted.

    Whichever way it is merged, that many MiB are copied, from all over the
    volume.

    :param mib: a multiple of four
    """
    _spread(volume, 64, mib, 0x61)
    snapshot = volume.create_snapshot()
    _spread(volume, 128, mib, 0x62)
    volume.create_snapshot()
    volume.write(192 * _MIB, _MIB, 0x63)
    return snapshot


def _spread(
    volume: checked.CheckedVolume, first: int, mib: int, byte: int
) -> None:
    for part in range(4):
        offset = (first + part * 256) * _MIB
        volume.write(offset, mib // 4 * _MIB, byte)


def begin_deletion(
    volume: checked.CheckedVolume, snapshot: clients.Resource
) -> None:
    """Delete a snapshot under a server; return when its block job runs."""
    volume.tenant.api.volume_snapshots.delete(snapshot)
    processes.wait_until(lambda: has_job(volume), 'a block job runs', _TIMEOUT)


def has_job(volume: checked.CheckedVolume) -> bool:
    """Tell whether a block job runs on the first disk of the server."""
    assert volume.server is not None
    return bool(volume.server.guest.domain.blockJobInfo('vda', 0))
