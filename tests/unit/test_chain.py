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

import dataclasses

from tests import base
from volume_driver import chain

BASE = chain.Image('volume-u', 'raw', 100)
MIDDLE = chain.Image('volume-u.a', 'qcow2', 100, 10, 'volume-u', 'raw')
TOP = chain.Image('volume-u.b', 'qcow2', 200, 20, 'volume-u.a', 'qcow2')
CHAIN = chain.Chain((BASE, MIDDLE, TOP))


class ChainTest(base.TestCase):
    def test_base_is_the_first_and_active_the_last(self) -> None:
        self.assertIs(BASE, CHAIN.base)
        self.assertIs(TOP, CHAIN.active)
        self.assertEqual(3, len(CHAIN))

    def test_text_is_a_drawing(self) -> None:
        self.assertEqual('volume-u <- volume-u.a <- volume-u.b^', str(CHAIN))

    def test_images_are_found_by_name(self) -> None:
        self.assertIs(MIDDLE, CHAIN['volume-u.a'])
        self.assertIn('volume-u.a', CHAIN)
        self.assertNotIn('volume-u.c', CHAIN)
        self.assertNotIn(BASE, CHAIN)

    def test_below(self) -> None:
        self.assertIs(MIDDLE, CHAIN.below('volume-u.b'))
        self.assertIs(BASE, CHAIN.below('volume-u.a'))
        self.assertIsNone(CHAIN.below('volume-u'))

    def test_above(self) -> None:
        self.assertIs(MIDDLE, CHAIN.above('volume-u'))
        self.assertIs(TOP, CHAIN.above('volume-u.a'))
        self.assertIsNone(CHAIN.above('volume-u.b'))

    def test_frozen_is_what_an_overlay_covers(self) -> None:
        self.assertIs(BASE, CHAIN.frozen('volume-u.a'))
        self.assertRaises(KeyError, CHAIN.frozen, 'volume-u')

    def test_chain_of_one_image(self) -> None:
        alone = chain.Chain((BASE,))
        self.assertIs(alone.base, alone.active)
        self.assertEqual('volume-u^', str(alone))

    def test_three_quarters_of_what_is_allowed_are_deep(self) -> None:
        found = [depth for depth in range(12) if chain.is_deep(depth, 10)]
        self.assertEqual([8, 9, 10, 11], found)

    def test_single_image_is_never_deep(self) -> None:
        self.assertFalse(chain.is_deep(1, 1))
        self.assertTrue(chain.is_deep(2, 2))

    def test_images_cannot_be_changed(self) -> None:
        self.assertRaises(
            dataclasses.FrozenInstanceError, setattr, BASE, 'size', 1
        )
