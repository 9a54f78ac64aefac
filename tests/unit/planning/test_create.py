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
from tests.unit.planning import chains
from volume_driver import exception
from volume_driver.planning import create
from volume_driver.planning import plan


@ddt.ddt
class CreateTest(base.TestCase):
    def make_plan(
        self, snapshots: str, base_format: str = 'qcow2', limit: int = 100
    ) -> plan.Plan:
        found, content = chains.make(snapshots, base_format)
        return create.plan_create(
            chains.VOLUME, 'n', 'volume-u.n', found, content, 4096, limit
        )

    @ddt.data('qcow2', 'raw')
    def test_first_snapshot(self, base_format: str) -> None:
        self.assertEqual(
            (
                plan.CreateOverlay(
                    'volume-u.n', 'volume-u', base_format, 4096
                ),
                plan.Switch('volume-u.n', 'volume-u', base_format),
                plan.Record({'active': 'volume-u.n', 'n': 'volume-u.n'}),
            ),
            self.make_plan('', base_format).steps,
        )

    def test_next_snapshot_covers_the_active_image(self) -> None:
        self.assertEqual(
            (
                plan.CreateOverlay('volume-u.n', 'volume-u.b', 'qcow2', 4096),
                plan.Switch('volume-u.n', 'volume-u.b', 'qcow2'),
                plan.Record(
                    {
                        'active': 'volume-u.n',
                        'a': 'volume-u.a',
                        'b': 'volume-u.b',
                        'n': 'volume-u.n',
                    }
                ),
            ),
            self.make_plan('ab', 'raw').steps,
        )

    def test_operation_is_named(self) -> None:
        self.assertEqual('create snapshot n', self.make_plan('').operation)

    def test_depth_below_the_limit(self) -> None:
        self.make_plan('ab', limit=4)

    @ddt.data(1, 2, 3)
    def test_depth_at_the_limit(self, limit: int) -> None:
        error = self.assertRaises(
            exception.ChainTooDeep, self.make_plan, 'ab', limit=limit
        )
        self.assertEqual(3, error.depth)
        self.assertEqual(limit, error.limit)
