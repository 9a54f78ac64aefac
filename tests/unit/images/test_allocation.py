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

import hypothesis
from hypothesis import strategies

from tests import base
from volume_driver.images import allocation


def _extent(depth: int, length: int, data: bool = True) -> dict[str, object]:
    return {
        'start': 0,
        'length': length,
        'depth': depth,
        'present': True,
        'zero': not data,
        'data': data,
    }


class FromExtentsTest(base.TestCase):
    def test_nothing_is_allocated(self) -> None:
        self.assertEqual(allocation.Pair(0, 0), allocation.from_extents([]))

    def test_each_depth_counts_for_its_way(self) -> None:
        found = allocation.from_extents(
            [_extent(0, 3), _extent(1, 5), _extent(0, 10)]
        )
        self.assertEqual(allocation.Pair(commit=13, pull=5), found)

    def test_zeros_count_nowhere(self) -> None:
        found = allocation.from_extents(
            [_extent(0, 3, data=False), _extent(1, 5, data=False)]
        )
        self.assertEqual(allocation.Pair(0, 0), found)

    def test_images_further_below_stay_where_they_are(self) -> None:
        found = allocation.from_extents([_extent(2, 7), _extent(9, 7)])
        self.assertEqual(allocation.Pair(0, 0), found)

    @hypothesis.given(
        strategies.lists(
            strategies.tuples(
                strategies.integers(0, 5),
                strategies.integers(1, 1 << 40),
                strategies.booleans(),
            )
        )
    )
    def test_no_more_is_copied_than_there_is(
        self, extents: list[tuple[int, int, bool]]
    ) -> None:
        found = allocation.from_extents(_extent(*each) for each in extents)
        total = sum(length for _, length, data in extents if data)
        self.assertLessEqual(found.commit + found.pull, total)


class OfPairTest(base.TestCase):
    def test_the_map_of_the_overlay_is_asked_for(self) -> None:
        def execute(*command: str, **_: object) -> tuple[str, str]:
            self.assertEqual('/volumes/v.a', command[-1])
            return (
                '[{"start": 0, "length": 65536, "depth": 1, "present": true,'
                ' "zero": false, "data": true, "offset": 0}]',
                '',
            )

        found = allocation.of_pair(execute, '/volumes/v.a')
        self.assertEqual(allocation.Pair(commit=0, pull=65536), found)
