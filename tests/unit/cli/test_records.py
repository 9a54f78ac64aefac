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

from tests import base
from volume_driver.cli import records


class VolumeTest(base.TestCase):
    def test_id_and_name_give_the_same_record(self) -> None:
        self.assertEqual(records.volume('5f0c'), records.volume('volume-5f0c'))

    def test_name_is_made_of_the_id(self) -> None:
        volume = records.volume('5f0c')
        self.assertEqual('5f0c', volume.id)
        self.assertEqual('volume-5f0c', volume.name)

    def test_nobody_knows_whether_it_is_attached(self) -> None:
        volume = records.volume('5f0c')
        self.assertEqual('available', volume.status)
        self.assertIsNone(volume.volume_attachment)

    def test_only_one_prefix_is_taken_off(self) -> None:
        self.assertEqual('volume-x', records.volume('volume-volume-x').id)

    def test_no_id_is_refused(self) -> None:
        for text in ('', 'volume-'):
            self.assertRaises(ValueError, records.volume, text)


class SnapshotTest(base.TestCase):
    def test_has_the_size_of_its_volume(self) -> None:
        snapshot = records.Snapshot('a', records.Volume('5f0c', size=3))
        self.assertEqual(3, snapshot.volume_size)
