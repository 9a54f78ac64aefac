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

"""cinder-volume dies alone, among services that go on."""

from __future__ import annotations

from tests import base
from tests.cinder import attached
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import separate

_MIB = 1 << 20


class SeparateTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cinder = self.useFixture(
            separate.SeparateServices([configuration.qcow2(merge_bandwidth=1)])
        )
        self.cinder.show_logs_of(self)
        self.tenant = self.cinder.tenant()

    def test_killed_during_a_live_deletion(self) -> None:
        volume = checked.CheckedVolume(
            self.tenant, self.cinder.share(), self.tenant.create_volume(1)
        )
        volume.write(0, 8 * _MIB, 0x11)
        volume.boot(self.useFixture(compute.ComputeHost()))
        snapshot = attached.make_slow(volume, 8)
        attached.begin_deletion(volume, snapshot)

        self.cinder.kill_volume()

        self.assertEqual('deleting', self.tenant.refresh(snapshot).status)
        volume.write(_MIB, _MIB, 0x12)
        # It waits in the queue until there is a service again.
        late = self.tenant.create_volume(1, wait=False)
        self.cinder.start()
        self.tenant.wait_status(late, 'available')
        self.assertEqual('error', self.tenant.refresh(snapshot).status)
        self.assertEqual('in-use', volume.refresh().status)
        volume.delete_snapshot(snapshot)
        self.assertEqual([], volume.differences())
        volume.write(2 * _MIB, _MIB, 0x13)
        volume.create_snapshot()
        self.assertEqual([], volume.differences())
        left = [path.name for path in self.cinder.share().glob('*.journal')]
        self.assertEqual([], left)
