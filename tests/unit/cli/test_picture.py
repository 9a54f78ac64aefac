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

"""Pictures of chains that a ticket, or Graphviz, takes."""

from __future__ import annotations

from lxml import etree

from tests import base
from tests.unit.cli import test_tree
from volume_driver.cli import picture


class PictureTest(base.TestCase):
    def test_svg(self) -> None:
        text = picture.svg(test_tree.facts(guest='demo <1> (running)'))
        drawn = etree.fromstring(text.encode())
        self.assertEqual('{http://www.w3.org/2000/svg}svg', drawn.tag)
        words = ''.join(map(str, drawn.itertext())).replace('\xa0', ' ')
        for expected in ('volume-u.a (active)', 'demo <1> (running)'):
            self.assertIn(expected, words)
        # A picture in a ticket asks no other host for anything.
        self.assertEqual(1, text.count('http'))

    def test_dot(self) -> None:
        text = picture.dot(test_tree.facts(guest='"demo"\\ (running)'))
        lines = [line.strip() for line in text.splitlines()]
        self.assertEqual(('digraph chain {', '}'), (lines[0], lines[-1]))
        self.assertIn('"volume-u.a" -> "volume-u";', lines)
        self.assertIn('"\\"demo\\"\\\\ (running)" -> "volume-u.a";', lines)
        (active,) = [line for line in lines if 'style=bold' in line]
        self.assertTrue(active.startswith('"volume-u.a" [label='))
