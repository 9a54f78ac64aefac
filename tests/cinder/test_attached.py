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

"""What a tenant does with a volume that his server runs on."""

from __future__ import annotations

import typing

import ddt

from tests.cinder import attached
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import configuration

_MIB = 1 << 20
_POSITIONS = {'oldest': 0, 'middle': 1, 'newest': 2}


@ddt.ddt
class SnapshotsTest(attached.AttachedTestCase):
    @ddt.data(*_POSITIONS)
    def test_delete_one_of_three(self, position: str) -> None:
        volume, _ = self.boot()
        snapshots = volume.take_snapshots(3)
        self.assertEqual('in-use', volume.refresh().status)
        self.assertEqual(1, len(self.record(volume).connections))
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshots[_POSITIONS[position]])
        self.assert_as_modelled(volume)
        volume.write(_MIB, _MIB, 0x12)
        self.assert_as_modelled(volume)

    def test_delete_all_then_detach_and_attach_again(self) -> None:
        volume, server = self.boot()
        snapshots = volume.take_snapshots(3)
        for number in (1, 2, 0):
            volume.delete_snapshot(snapshots[number])
            self.assert_as_modelled(volume)
        # The base was larger than what lay above: it was committed to.
        self.assertEqual([volume.name], volume.files().chain)
        self.assertIn(f"{volume.name}'", self.defined_source(server))

        volume.delete_server()
        self.assertEqual('available', volume.refresh().status)
        self.assert_as_modelled(volume)
        volume.boot(self.host)
        volume.write(2 * _MIB, _MIB, 0x13)
        volume.create_snapshot()
        self.assert_as_modelled(volume)

    def test_power_off_and_on(self) -> None:
        volume, server = self.boot()
        _, newer = volume.take_snapshots(2)
        server.power_off()
        self.assert_as_modelled(volume)
        server.refresh()
        server.power_on()
        self.assertTrue(server.guest.read_is(1 << 29, 8 << 10, 0))
        volume.delete_snapshot(newer)
        self.assert_as_modelled(volume)
        # Whichever image is active now, Nova is told of it.
        server.power_off()
        server.refresh()
        server.power_on()
        volume.write(3 * _MIB, _MIB, 0x14)
        self.assert_as_modelled(volume)

    def test_delete_while_the_server_is_shut_off(self) -> None:
        volume, server = self.boot()
        snapshots = volume.take_snapshots(3)
        server.power_off()
        for number in (1, 2, 0):
            volume.delete_snapshot(snapshots[number])
            self.assert_as_modelled(volume)
            # A start by libvirt alone finds the right image as well.
            active = f"{volume.files().chain[-1]}'"
            self.assertIn(active, self.defined_source(server))
        created = volume.create_snapshot()
        self.assert_as_modelled(volume)
        server.refresh()
        server.power_on()
        volume.write(3 * _MIB, _MIB, 0x15)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(created)
        self.assert_as_modelled(volume)


class RawSnapshotsTest(SnapshotsTest):
    """The same on a raw base, which only overlays say the format of."""

    backends = (configuration.qcow2(volume_format='raw'),)
    base_format = 'raw'


@ddt.ddt
class CopiesTest(attached.AttachedTestCase):
    @ddt.data(None, 2)
    def test_volume_from_a_snapshot(self, size: int | None) -> None:
        volume, _ = self.boot()
        older, _ = volume.take_snapshots(2)
        copy = volume.copy_snapshot(older, size)
        self.assertEqual(size or 1, copy.volume.size)
        self.assertEqual('in-use', volume.refresh().status)
        self.assert_as_modelled(volume, copy)

    @ddt.data((None, 0), (2, 1))
    @ddt.unpack
    def test_clone(self, size: int | None, snapshots: int) -> None:
        volume, _ = self.boot()
        volume.take_snapshots(snapshots)
        chain = volume.files().chain
        # Not flushed: what the server was told to be written is in it.
        volume.write(4 * _MIB, _MIB, 0x16)
        copy = volume.clone(size)
        self.assertEqual(size or 1, copy.volume.size)
        self.assertEqual(len(chain), len(volume.files().chain))
        self.assertEqual('in-use', volume.refresh().status)
        volume.write(5 * _MIB, _MIB, 0x17)
        # The model has no passing snapshot, in files or in .info.
        self.assert_as_modelled(volume, copy)


@ddt.ddt
class ExtendTest(attached.AttachedTestCase):
    @ddt.data(0, 2)
    def test_the_server_sees_it(self, count: int) -> None:
        volume, server = self.boot()
        snapshots = volume.take_snapshots(count)
        volume.extend(2)
        self.assertEqual('in-use', volume.volume.status)
        self.assertEqual(2, volume.volume.size)
        info: typing.Any = server.guest.domain.blockInfo('vda')
        self.assertEqual(2 * checked.GIB, info[0])
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x18)
        self.assert_as_modelled(volume)
        for snapshot in snapshots:
            volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)
        server.power_off()
        server.refresh()
        server.power_on()
        self.assert_as_modelled(volume)
