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

"""Fifty rounds of anything, on one server with two volumes.

Nothing is lost, and nothing stays in a state that a repeated call does not
end. The seed of a run that fails is among its details.
"""

from __future__ import annotations

import collections.abc
import random
import time

from testtools import content

from tests.nova import case

_ROUNDS = 50
_MOST_SNAPSHOTS = 6
_TRIES = 3


class RandomTest(case.NovaTestCase):
    def test_fifty_rounds(self) -> None:
        seed = random.SystemRandom().randrange(1 << 32)
        self.addDetail('seed', content.text_content(str(seed)))
        self.random = random.Random(seed)
        self.done: list[str] = []
        self.addOnException(
            lambda _: self.addDetail(
                'rounds', content.text_content('\n'.join(self.done))
            )
        )
        first, _ = self.make_server()
        volume = case.Volume(self.tenant)
        self.addCleanup(self.tenant.delete_all, volume.id)
        second = first.also(volume)
        second.write(0, 1, 2)
        # Before the volumes: they are not deleted while it has them.
        self.addCleanup(self.tenant.delete_server, first.id)
        self.servers = (first, second)
        self.snapshots: dict[str, case.Server] = {}
        self.runs = True
        actions = (
            *(self.write, self.take_snapshot, self.take_snapshot),
            *(self.delete_snapshot, self.delete_snapshot, self.stop_or_start),
            *(self.reboot, self.kill_qemu, self.kill_cinder),
        )
        for _ in range(_ROUNDS):
            self.play(self.random.choice(actions))
            if self.runs:
                self.assert_all_right()
        for snapshot in list(self.snapshots):
            self.finish(snapshot)
        if not self.runs:
            self.stop_or_start()
        self.assert_all_right()
        for server in self.servers:
            self.start_again(server)

    def play(self, action: collections.abc.Callable[[], None]) -> None:
        self.done.append(action.__name__)
        action()

    def assert_all_right(self) -> None:
        for server in self.servers:
            self.assert_right(server)

    # What happens in a round.

    def write(self) -> None:
        for server in self.servers if self.runs else ():
            server.write(*self.random.sample(range(30), 6))

    def take_snapshot(self) -> None:
        if len(self.snapshots) >= _MOST_SNAPSHOTS:
            return
        server = self.random.choice(self.servers)
        snapshot = self.tenant.begin_snapshot(server.volume.id)
        self.disturb(self.kill_cinder)
        self.snapshots[snapshot] = server
        if self.tenant.wait_settled(snapshot) != 'available':
            self.finish(snapshot)
        self.write()

    def delete_snapshot(self) -> None:
        if not self.snapshots:
            return
        snapshot = self.random.choice(list(self.snapshots))
        self.tenant.begin_deletion(snapshot)
        self.disturb(self.kill_cinder, self.reboot, self.kill_qemu)
        self.finish(snapshot)

    def stop_or_start(self) -> None:
        server = self.servers[0].id
        if self.runs:
            self.tenant.act('stop_server', server, 'SHUTOFF')
        else:
            self.tenant.act('start_server', server, 'ACTIVE')
        self.runs = not self.runs

    def reboot(self) -> None:
        if self.runs:
            self.tenant.recover_server(self.servers[0].id)

    def kill_qemu(self) -> None:
        if self.runs:
            self.servers[0].kill()
            self.reboot()

    def kill_cinder(self) -> None:
        self.cloud.kill('cinder-volume')
        self.cloud.start('cinder-volume')
        self.cloud.wait_up()

    # Below: our own.

    def disturb(self, *actions: collections.abc.Callable[[], None]) -> None:
        """Let something happen meanwhile, in every third case."""
        if self.random.random() < 1 / 3:
            time.sleep(self.random.uniform(0, 2))
            self.play(self.random.choice(actions))

    def finish(self, snapshot: str) -> None:
        """Delete a snapshot, asking again if that has to be."""
        for _ in range(_TRIES):
            if not self.tenant.wait_settled(snapshot):
                break
            self.tenant.begin_deletion(snapshot)
        self.assertEqual('', self.tenant.wait_settled(snapshot))
        del self.snapshots[snapshot]
