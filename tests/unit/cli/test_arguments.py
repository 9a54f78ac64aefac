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

"""Numbers as they are typed: what is none is refused, and why."""

from __future__ import annotations

import argparse

from tests import base
from volume_driver.cli import arguments


class NumbersTest(base.TestCase):
    def assert_refused(self, text: str, reason: str) -> None:
        error = self.assertRaises(
            argparse.ArgumentTypeError, arguments.gibibytes, text
        )
        self.assertIn(reason, str(error))

    def test_a_whole_number_is_taken(self) -> None:
        self.assertEqual(20, arguments.gibibytes('20'))
        self.assertEqual(0, arguments.seconds('0'))
        self.assertEqual(0, arguments.bandwidth('0'))

    def test_all_else_is_refused(self) -> None:
        for text in ('-1', '1.5', '1G', '', '\u0663', '1' * 5000):
            self.assert_refused(text, 'is no whole number of GiB')

    def test_a_volume_has_a_size(self) -> None:
        self.assert_refused('0', 'at least 1 GiB')
