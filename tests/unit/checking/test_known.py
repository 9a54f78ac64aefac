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

"""A volume and what the caller's records say of it."""

from __future__ import annotations

from tests import base
from tests.unit.checking import seen
from volume_driver.checking import facts
from volume_driver.checking import known

GIB = 1 << 30


class KnownTest(base.TestCase):
    def told(
        self, found: facts.Facts, record: facts.Known | None
    ) -> list[tuple[str, str]]:
        return [(each.kind, each.file) for each in known.judge(found, record)]

    def volume(self) -> facts.Facts:
        return seen.having(
            seen.volume('a'),
            seen.qcow2('volume-u.a', seen.VOLUME, size=2 * GIB),
        )

    def test_same(self) -> None:
        for record in (
            facts.Known(),
            facts.Known(2),
            facts.Known(2, frozenset('a')),
        ):
            self.assertEqual([], self.told(self.volume(), record))

    def test_another_size(self) -> None:
        self.assertEqual(
            [('record-mismatch', 'volume-u.a')],
            self.told(self.volume(), facts.Known(1)),
        )

    def test_other_snapshots(self) -> None:
        for ids, count in (('', 1), ('ab', 1), ('b', 2)):
            self.assertEqual(
                [('record-mismatch', 'volume-u.info')] * count,
                self.told(self.volume(), facts.Known(2, frozenset(ids))),
            )

    def test_no_record(self) -> None:
        self.assertEqual(
            [('unrecorded', 'volume-u')], self.told(self.volume(), None)
        )

    def test_what_cannot_be_compared(self) -> None:
        journal = facts.Journal('extend', 'here', 'noon')
        record = facts.Known(1, frozenset('b'))
        for found in (
            seen.volume('a', journal=journal),
            seen.volume('a', info=None, info_problem='cut off'),
        ):
            self.assertEqual([], self.told(found, record))
