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

import ddt

from tests import base
from volume_driver import foreign


@ddt.ddt
class ShownTest(base.TestCase):
    @ddt.data('', 'volume-u.a', 'ä and 猫', "it's {}")
    def test_words_stay(self, words: str) -> None:
        self.assertEqual(words, foreign.shown(words))

    @ddt.data(
        ('a\nb', r'a\nb'),
        ('\x1b[2J', r'\x1b[2J'),
        ('\ud800', r'\ud800'),
        ('\u202e', r'\u202e'),
        (ValueError('a\0'), r'a\x00'),
    )
    @ddt.unpack
    def test_what_a_terminal_would_obey(
        self, words: object, expected: str
    ) -> None:
        self.assertEqual(expected, foreign.shown(words))

    def test_long_words_are_cut(self) -> None:
        found = foreign.shown('x' * 100000)
        self.assertEqual('x' * 500 + '...', found)
