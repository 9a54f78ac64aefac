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
from tests.unit import fakes
from volume_driver.operations import copying


class ToldTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        fakes.make_volume(self.directory, 'ab')
        self.copy = self.directory / 'copy.part'
        self.copy.write_bytes(b'x' * 65536)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def waits(self, *answers: bool) -> None:
        """Tell with a clock of our own."""
        left = list(answers)
        copying._tell(
            self.path('volume-u.b'), str(self.copy), lambda _: left.pop(0)
        )
        self.assertEqual([], left)

    def test_all_below_counts(self) -> None:
        sizes = [
            (self.directory / name).stat().st_blocks * 512
            for name in ('volume-u', 'volume-u.a', 'volume-u.b')
        ]
        found = copying.to_copy(self.path('volume-u.b'))
        self.assertEqual(sum(sizes), found)

    def test_raw_image_is_all_there_is(self) -> None:
        path = self.directory / 'raw'
        path.write_bytes(b'x' * 8192)
        wanted = path.stat().st_blocks * 512
        self.assertEqual(wanted, copying.to_copy(str(path)))

    def test_loop_ends(self) -> None:
        (self.directory / 'volume-u').unlink()
        (self.directory / 'volume-u').symlink_to('volume-u.b')
        self.assertGreater(copying.to_copy(self.path('volume-u.b')), 0)

    def test_short_copy_says_nothing(self) -> None:
        self.waits(True)
        self.assertNotIn('copying', self.log.output)

    def test_long_copy_says_how_far_it_is(self) -> None:
        self.waits(False, False, True)
        self.assertEqual(2, self.log.output.count('copying volume-u.b:'))
        self.assertRegex(self.log.output, r'\d+ of at most \d+ bytes \(\d+ %')

    def test_copy_that_is_gone(self) -> None:
        self.copy.unlink()
        self.waits(False, True)
        self.assertIn(': 0 of at most', self.log.output)

    def test_it_ends_with_the_copy(self) -> None:
        with copying.told(self.path('volume-u.b'), str(self.copy)):
            pass
        self.assertNotIn('copying', self.log.output)
