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

"""A guest that writes the header of an image over its own raw volume.

It does so through its running QEMU. Whatever is called then, the volume stays
raw, and what the header names stays closed: for us and for QEMU.
"""

from __future__ import annotations

import dataclasses

import ddt

from tests.attacks import attack as attacks
from tests.attacks import canary as canaries
from tests.attacks import content
from tests.attacks import corpus
from tests.attacks import stage as stages
from tests.fixtures import model as models
from tests.fixtures import modelled
from tests.fixtures import monitor
from tests.functional.live import case
from volume_driver.operations import copies

_CHOSEN = (
    'backing: an absolute name',
    'backing: json: of a file',
    'data file: raw, by its path',
    'VMDK: a description',
    'GPT and qcow2',
)


@ddt.ddt
class GuestHeaderTest(case.LiveTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.canary = self.useFixture(canaries.Canary())

    def written(self, name: str) -> case.GuestVolume:
        """Let a guest write an attack over the beginning of its volume."""
        (attack,) = (each for each in corpus.CORPUS if each.name == name)
        volume = self.make_volume('raw')
        volume.guest.start()
        volume.write(512 * case.MIB, 128 * case.KIB, 0x12)
        path = self.temp_dir() / 'header'
        attack.write(path, self.scene(volume))
        header = path.read_bytes()
        header = header.ljust(-(-len(header) // models.BLOCK) * models.BLOCK)
        path.write_bytes(header)
        monitor.qemu_io(
            volume.guest.domain, 0, f'write -s {path} 0 {len(header)}'
        )
        volume.guest.flush()
        view = volume.model.active
        volume.model.active = models.HeadedView(view.size, view.blocks, header)
        return volume

    def scene(self, volume: case.GuestVolume) -> attacks.Scene:
        return dataclasses.replace(
            stages.scene(self.canary), volume=volume.record.name
        )

    @ddt.data(*_CHOSEN)
    def test_it_stays_data(self, name: str) -> None:
        volume = self.written(name)
        with self.canary.watched() as touched:
            snapshot = volume.create_snapshot()
            volume.write(9 * case.MIB, case.MIB, 0x47)
            made = [volume.clone(1), volume.copy_snapshot(snapshot, 1)]
            found = volume.made.driver.initialize_connection(volume.record, {})
            self.read_out(volume)
            volume.delete_snapshot(snapshot)
            volume.extend(2)
            # It is started anew from what its definition says by now.
            volume.guest.destroy()
            volume.guest.start()
        self.assertEqual([], touched)
        self.assertIn('qcow2', str(found))  # the overlay of that moment
        self.assertEqual('raw', volume.next_start()[1])
        self.check(volume, *made)
        self.look_for_the_secret(volume, *made)

    def read_out(self, volume: case.GuestVolume) -> None:
        path = self.temp_dir() / 'image'
        source = volume.made.driver.source(volume.record)
        copies.read_out(source, str(path), 'raw')
        expected = self.temp_dir() / 'expected'
        volume.model.active.save(expected)
        self.assertEqual(
            dict(content.pieces(expected)), dict(content.pieces(path))
        )

    def look_for_the_secret(self, *volumes: modelled.ModelledVolume) -> None:
        for volume in volumes:
            for path in volume.made.directory.glob(f'{volume.record.name}*'):
                self.assertFalse(content.holds(path, self.canary.words), path)
