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
from volume_driver.planning import plan
from volume_driver.planning import revert


@ddt.ddt
class RevertTest(base.TestCase):
    def make_plan(
        self, snapshots: str, snapshot: str, nameless: str = ''
    ) -> plan.Plan:
        found, content = chains.make(snapshots, 'raw')
        for each in nameless:
            content = content.without_snapshot(each)
        return revert.plan_revert(chains.VOLUME, snapshot, found, content)

    def test_active_overlay_becomes_empty_and_keeps_its_name(self) -> None:
        self.assertEqual(
            (plan.Empty('volume-u.b', 'volume-u.a', 'qcow2', 1000),),
            self.make_plan('ab', 'b').steps,
        )

    def test_format_below_is_that_of_the_base(self) -> None:
        self.assertEqual(
            (plan.Empty('volume-u.a', 'volume-u', 'raw', 1000),),
            self.make_plan('a', 'a').steps,
        )

    def test_what_a_newer_one_left_goes_too(self) -> None:
        self.assertEqual(
            (
                plan.Empty('volume-u.d', 'volume-u.a', 'qcow2', 1000),
                plan.Record(
                    {
                        'active': 'volume-u.d',
                        'a': 'volume-u.a',
                        'b': 'volume-u.d',
                    }
                ),
                plan.Remove('volume-u.c'),
                plan.Remove('volume-u.b'),
            ),
            self.make_plan('abcd', 'b', nameless='cd').steps,
        )

    @ddt.data('a', 'b')
    def test_older_snapshots_are_refused(self, snapshot: str) -> None:
        error = self.assertRaises(
            exception.NotNewestSnapshot, self.make_plan, 'abc', snapshot
        )
        self.assertEqual('c', error.newest)
