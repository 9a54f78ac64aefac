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

"""The speed of the last merge is remembered, and any nonsense is not."""

from __future__ import annotations

from tests import base
from volume_driver.operations import speed

MIB = 1 << 20


class SpeedTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = str(self.temp_dir())

    def test_the_last_one(self) -> None:
        self.assertIsNone(speed.recall(self.directory))
        for seconds in (1, 2):
            speed.remember(self.directory, 100 * MIB, seconds)
        self.assertEqual(50 * MIB, speed.recall(self.directory))

    def test_what_is_too_little_says_nothing(self) -> None:
        speed.remember(self.directory, MIB, 1)
        speed.remember(self.directory, 100 * MIB, 0)
        self.assertIsNone(speed.recall(self.directory))

    def test_nonsense(self) -> None:
        speed.remember(self.directory, 100 * MIB, 1)
        (path,) = self.temp_dir().parent.glob(
            f'{self.directory.rpartition("/")[2]}/.merge_speed'
        )
        for text in ('', '{', '-1', '[]', 'true', '"x"', '1' * 100):
            path.write_text(text)
            found = speed.recall(self.directory)
            self.assertTrue(found is None or found > 0, text)

    def test_directory_that_cannot_be_written_to(self) -> None:
        speed.remember(f'{self.directory}/none', 100 * MIB, 1)
        self.assertIsNone(speed.recall(f'{self.directory}/none'))
