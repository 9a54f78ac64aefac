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
from volume_driver import exception
from volume_driver import opts
from volume_driver.hypervisors import base as hypervisors


class NoHypervisorTest(base.TestCase):
    def find(self, attached: bool) -> hypervisors.Found:
        plugin = hypervisors.NoHypervisor(opts.Settings())
        return plugin.find(
            hypervisors.Target('u', 'volume-u', '/volumes', (), attached)
        )

    def test_there_is_no_guest(self) -> None:
        found = self.find(attached=False)
        self.assertIsNone(found.live)
        self.assertEqual((), found.defined)
        self.assertEqual('nowhere', found.looked_at)

    def test_attached_volume_is_refused(self) -> None:
        error = self.assertRaises(
            exception.HypervisorUnreachable, self.find, attached=True
        )
        self.assertEqual('volume-u', error.volume)
        self.assertIn('hypervisor is "none"', str(error))
