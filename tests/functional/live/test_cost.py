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

"""What work under a guest costs: children and bytes, counted, never timed."""

from __future__ import annotations

from tests.fixtures import effort
from tests.functional.live import case

_BASE = 64 * case.MIB
_SINCE = 16 * case.MIB
_OVERHEAD = 1.05


class LiveCostTest(case.LiveTestCase):
    def test_create_is_one_child(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        with effort.Watch() as watch:
            volume.create_snapshot()
        verbs = [command[:2] for command in watch.effort.commands]
        self.assertEqual([('qemu-img', 'create')], verbs)
        self.check(volume)

    def test_deletion_of_the_only_one_copies_what_was_written_since(
        self,
    ) -> None:
        volume, _ = self.make_running()
        volume.write(128 * case.MIB, _BASE, 0x31)
        snapshot = volume.create_snapshot()
        volume.write(128 * case.MIB + _BASE // 2, _SINCE, 0x32)
        volume.guest.flush()
        pid = volume.guest.pid()
        before = effort.written(pid)
        with effort.Watch() as watch:
            volume.delete_snapshot(snapshot)
        written = effort.written(pid) - before
        self.assertEqual(0, watch.effort.children)
        self.assertGreaterEqual(written, _SINCE)
        self.assertLessEqual(written, _OVERHEAD * _SINCE)
        self.check(volume)
