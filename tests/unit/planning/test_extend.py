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
from tests.unit.planning import chains
from volume_driver import exception
from volume_driver.planning import extend
from volume_driver.planning import plan


class ExtendTest(base.TestCase):
    def make_plan(self, snapshots: str, size: int) -> plan.Plan:
        found, _ = chains.make(snapshots, 'raw')
        return extend.plan_extend(chains.VOLUME, found, 1000, size)

    def test_only_the_active_image_grows(self) -> None:
        self.assertEqual(
            (plan.Resize('volume-u.b', 'qcow2', 2000),),
            self.make_plan('ab', 2000).steps,
        )

    def test_raw_base(self) -> None:
        self.assertEqual(
            (plan.Resize('volume-u', 'raw', 2000),),
            self.make_plan('', 2000).steps,
        )

    def test_same_size_is_allowed(self) -> None:
        self.assertEqual(1, len(self.make_plan('', 1000).steps))

    def test_smaller_is_refused(self) -> None:
        error = self.assertRaises(
            exception.InvalidSize, self.make_plan, 'a', 999
        )
        self.assertEqual(1000, error.minimum)
