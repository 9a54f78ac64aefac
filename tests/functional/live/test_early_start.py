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

"""The guest is started, and written to, before anybody cares for the volume.

Driver and QEMU were killed in the middle of a merge; somebody starts the
guest from its definition, it writes and is shut down, and only then comes the
next call on the volume.
"""

from __future__ import annotations

import itertools

import ddt

from tests.functional.live import case
from tests.functional.live import child
from tests.functional.live import test_recovery as recovery

KIB = case.KIB


@ddt.ddt
class EarlyStartTest(recovery.RecoveryTestCase):
    @ddt.data(*zip(('intermediate', 'active'), case.FORMATS, strict=True))
    @ddt.unpack
    def test_what_it_wrote_is_kept(
        self, which: str, volume_format: str
    ) -> None:
        """At every point of a commit; the write lies in what is merged."""
        volume, _ = self.make_running(volume_format)
        for number in itertools.count():
            call = self.prepare(volume, f'{which} commit', number)
            volume.guest.flush()
            killed = child.ended_by_kill(child.start(call))
            if not killed:
                break
            volume.guest.kill()
            volume.guest.start()
            volume.write((208 + 4 * (number % 8)) * KIB, 4 * KIB, 0xEE)
            volume.guest.flush()
            volume.guest.destroy()
            self.call_again(volume, call)
            self.assertEqual(
                [], volume.differences(), f'killed at point {number}'
            )
            volume.guest.start()
            self.drop_oldest(volume)
        self.assertGreaterEqual(number, 8)
