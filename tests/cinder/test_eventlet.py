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

"""While one volume is merged for long, everything else goes on.

With eventlet all of Cinder is one thread of the system: whoever blocks it
stops the reports that the service is up, and every other call. With native
threads there is nobody to be blocked, and the same has to work.
"""

from __future__ import annotations

import math
import time

from tests.cinder import attached
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import services

_MIB = 1 << 20
_ROUNDS = 6


class EventletTest(attached.AttachedTestCase):
    backends = (configuration.qcow2(merge_bandwidth=1),)

    def create_slow(
        self, volume: checked.CheckedVolume
    ) -> tuple[clients.Resource, checked.CheckedVolume]:
        """Return a snapshot that is long in being deleted, and a volume.

        The other volume can be used some times meanwhile, however slow this
        machine is: a MiB is merged in a second.
        """
        other = self.create_volume()
        other.write(0, _MIB, 0x12)
        begin = time.monotonic()
        self.use(other, 0)
        seconds = _ROUNDS * (time.monotonic() - begin)
        mib = max(16, 4 * math.ceil(seconds / 4))
        return attached.make_slow(volume, mib), other

    def use(self, other: checked.CheckedVolume, number: int) -> set[str]:
        """Use a volume; return the reports of the service meanwhile."""
        made = other.create_snapshot()
        other.write(number * _MIB, 64 << 10, 0x50 + number)
        reports = self.reports()
        other.delete_snapshot(made)
        return reports | self.reports()

    def check_others_go_on(
        self,
        volume: checked.CheckedVolume,
        snapshot: clients.Resource,
        other: checked.CheckedVolume,
    ) -> None:
        """Use another volume while a snapshot is being deleted."""
        rounds = 0
        reports = set()
        while True:
            reports |= self.use(other, rounds)
            if snapshot.id not in self.being_deleted():
                break
            rounds += 1
        self.assertGreater(rounds, 1)
        # One each second.
        self.assertGreater(len(reports), 3)
        self.tenant.wait_gone(snapshot)
        volume.forget_snapshot(snapshot)
        self.assert_as_modelled(volume, other)

    def reports(self) -> set[str]:
        """Return when the volume service last reported; it has to be up."""
        (found,) = self.admin.api.services.list(binary='cinder-volume')
        self.assertEqual('up', found.state)
        return {found.updated_at}

    def being_deleted(self) -> set[str]:
        """Return which snapshots are being deleted."""
        listed = self.tenant.api.volume_snapshots.list()
        return {each.id for each in listed if each.status == 'deleting'}

    def test_live_deletion(self) -> None:
        volume, _ = self.boot()
        snapshot, other = self.create_slow(volume)
        attached.begin_deletion(volume, snapshot)
        self.check_others_go_on(volume, snapshot, other)

    def test_offline_deletion(self) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        snapshot, other = self.create_slow(volume)
        self.tenant.api.volume_snapshots.delete(snapshot)
        self.check_others_go_on(volume, snapshot, other)


class ThreadsTest(EventletTest):
    def shared_cinder(self) -> services.CinderServices:
        """Return a Cinder of this test's own, with native threads."""
        return self.useFixture(services.ThreadedServices(self.backends))

    def assert_recorded(self, volume: checked.CheckedVolume) -> None:
        """Nothing: the records are not in SQLite."""
