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

"""The model of a volume sees what is wrong with the files."""

from __future__ import annotations

import json

import ddt

from tests.fixtures import image_tools
from tests.fixtures import modelled
from tests.functional.offline import case


@ddt.ddt
class ModelTest(case.OfflineTestCase):
    @ddt.data(*case.FORMATS)
    def test_one_wrong_byte_is_seen(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, 2)
        self.check(volume)
        base = volume.made.path(volume.record.name)
        for offset, pattern in ((300 * case.MIB, 1), (case.GIB - 1, 0)):
            old = 0x13 if pattern == 0 else 0
            image_tools.qemu_io_write(base, volume_format, offset, 1, pattern)
            # The first snapshot, the second, and the active view.
            self.assertEqual(1 if pattern == 0 else 3, self.count(volume))
            image_tools.qemu_io_write(base, volume_format, offset, 1, old)
            self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_another_size_is_seen(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        volume.made.driver.extend_volume(volume.record, 2)
        self.assertEqual(1, self.count(volume))

    def test_a_file_too_many_is_seen(self) -> None:
        volume = self.make_volume()
        for tail in ('.journal', '.part', '.x', '.x.part', '.info.part'):
            extra = volume.made.path(volume.record.name + tail)
            extra.write_text('')
            self.assertEqual(1, self.count(volume))
            extra.unlink()

    def test_wrong_info_is_seen(self) -> None:
        volume = self.make_volume()
        (snapshot,) = self.make_snapshots(volume, 1)
        path = volume.made.path(f'{volume.record.name}.info')
        content = json.loads(path.read_text())
        del content[snapshot.id]
        path.write_text(json.dumps(content))
        self.assertEqual(2, self.count(volume))

    def test_absolute_backing_name_is_seen(self) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 1)
        image_tools.qemu_img(
            *('rebase', '-u', '-f', 'qcow2', '-F', 'qcow2'),
            *('-b', volume.made.path(volume.record.name)),
            volume.made.active(volume.record),
        )
        self.assertEqual(1, self.count(volume))

    def test_missing_backing_format_is_seen(self) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 1)
        path = volume.made.active(volume.record)
        data = path.read_bytes()
        # The header extension of the backing format, made an unknown one.
        path.write_bytes(data.replace(b'\xe2\x79\x2a\xca', b'\1\2\3\4', 1))
        self.assertEqual(1, self.count(volume))

    def count(self, volume: modelled.ModelledVolume) -> int:
        """Return how many differences there are."""
        return len(volume.differences())
