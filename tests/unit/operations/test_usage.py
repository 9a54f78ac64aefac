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

import os
import pathlib

from tests import base
from volume_driver.operations import usage

BLOCKS = 64 << 10


class UsageTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()

    def make(self, *names: str) -> None:
        for name in names:
            (self.directory / name).write_bytes(b'x' * BLOCKS)

    def found(self) -> usage.Usage:
        return usage.of(str(self.directory))

    def allocated(self, *names: str) -> int:
        return sum(
            os.stat(self.directory / name).st_blocks * 512 for name in names
        )

    def test_empty_directory(self) -> None:
        self.assertEqual(usage.Usage(0, 0), self.found())

    def test_images_of_all_volumes(self) -> None:
        images = 'volume-u', 'volume-u.a', 'volume-u.b', 'volume-v'
        self.make(*images)
        found = self.found()
        self.assertEqual(3, found.deepest_chain)
        self.assertEqual(self.allocated(*images), found.allocated_bytes)
        self.assertLessEqual(4 * BLOCKS, found.allocated_bytes)

    def test_other_files_are_none(self) -> None:
        self.make(
            'volume-u.info',
            'volume-u.record',
            'volume-u.journal',
            'volume-u.export-volume',
            'volume-u.a.part',
            'other',
            '.hidden',
        )
        (self.directory / 'volume-w').mkdir()
        (self.directory / '.locks').mkdir()
        (self.directory / 'volume-x').symlink_to('other')
        self.assertEqual(usage.Usage(0, 0), self.found())

    def test_holes_take_nothing(self) -> None:
        pathlib.Path(self.directory / 'volume-u').touch()
        os.truncate(self.directory / 'volume-u', 1 << 40)
        self.assertEqual(usage.Usage(1, 0), self.found())

    def test_image_that_goes_meanwhile(self) -> None:
        self.make('volume-u', 'volume-v')
        scandir = os.scandir

        def gone(path: str) -> object:
            found = scandir(path)
            entries = list(found)
            os.unlink(self.directory / 'volume-u')

            class Entries:
                def __enter__(self) -> list[os.DirEntry[str]]:
                    return entries

                def __exit__(self, *_: object) -> None:
                    found.close()

            return Entries()

        self.patch(os, 'scandir', gone)
        self.assertEqual(1, self.found().deepest_chain)
