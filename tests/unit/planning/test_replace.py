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
from volume_driver import chain
from volume_driver.planning import plan
from volume_driver.planning import replace


class ReplaceTest(base.TestCase):
    def test_one_step_that_knows_both_formats(self) -> None:
        name = f'{chains.VOLUME}.export-image'
        found = replace.plan_replace(
            chains.VOLUME,
            chain.Image(name, 'raw', 1000),
            chain.Image(chains.VOLUME, 'qcow2', 1000),
        )
        self.assertEqual(
            (plan.Replace(chains.VOLUME, name, 'raw', 'qcow2'),), found.steps
        )
        self.assertEqual('', found.way)
        self.assertEqual(found, plan.Plan.from_dict(found.as_dict()))
        self.assertEqual([chains.VOLUME, name], plan.names_in(found.steps[0]))
