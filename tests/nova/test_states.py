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

"""Snapshots in every state that a server of Nova's can be in.

Whatever is done to them, the server that is started afterwards has its data.
"""

from __future__ import annotations

import collections.abc
import contextlib
import typing

import libvirt
import openstack

from tests.fixtures import processes
from tests.fixtures.openstack import settings
from tests.nova import case

_TIMEOUT = 120.0


class StatesTest(case.NovaTestCase):
    def play(self, enter: str, state: str, leave: str) -> None:
        """Take and delete snapshots in a state, and start the server again.

        :param enter: what brings the server there, and ``leave`` back
        """
        server, volume = self.make_server()
        oldest, middle, newest, last = self.take_snapshots(server, 4)

        @contextlib.contextmanager
        def within(*places: int) -> collections.abc.Iterator[None]:
            """Be in the state, then check all data and write some more."""
            self.tenant.act(enter, server.id, state)
            yield
            self.tenant.act(leave, server.id, 'ACTIVE')
            self.assert_right(server)
            server.write(*places)

        with within(10):
            self.tenant.delete_snapshot(oldest)
        with within(0, 11):
            late = volume.take_snapshot()
        with within(0, 12):
            for snapshot in (late, middle):
                self.tenant.delete_snapshot(snapshot)
        with within(0, 13):
            for snapshot in (last, newest):
                self.tenant.delete_snapshot(snapshot)
        self.start_again(server)

    def test_running(self) -> None:
        server, _ = self.make_server()
        self.play_running(server)

    def play_running(self, server: case.Server) -> None:
        """Take and delete snapshots, and start the server after each."""
        oldest, middle, newest = self.take_snapshots(server, 3)
        self.start_again(server)
        for snapshot in (newest, oldest, middle):
            self.tenant.delete_snapshot(snapshot)
            self.assert_right(server)
            server.write(0)
            self.start_again(server)

    def test_boots_from_the_volume(self) -> None:
        server, _ = self.make_server(root=True)
        self.play_running(server)

    def test_paused(self) -> None:
        self.play('pause_server', 'PAUSED', 'unpause_server')

    def test_stopped(self) -> None:
        self.play('stop_server', 'SHUTOFF', 'start_server')

    def test_suspended(self) -> None:
        self.play('suspend_server', 'SUSPENDED', 'resume_server')

    def test_rescued(self) -> None:
        self.play('rescue_server', 'RESCUE', 'unrescue_server')

    def test_shelved(self) -> None:
        """No host has it; Cinder itself takes no snapshots of it then."""
        server, volume = self.make_server()
        older, newer = self.take_snapshots(server, 2)
        self.tenant.act('shelve_server', server.id, 'SHELVED_OFFLOADED')
        self.assertRaises(
            openstack.exceptions.BadRequestException, volume.take_snapshot
        )
        self.tenant.delete_snapshot(older)
        self.tenant.act('unshelve_server', server.id, 'ACTIVE')
        self.assert_right(server)
        server.write(0, 10)
        self.tenant.delete_snapshot(newer)
        self.start_again(server)


class MovedTest(case.NovaTestCase):
    """The server goes to another host."""

    def setUp(self) -> None:
        super().setUp()
        self.server, self.volume = self.make_server()
        self.before = self.server.host()
        (self.after,) = set(settings.HOSTS) - {self.before}

    def play_there(self, snapshots: list[str]) -> None:
        """Take and delete snapshots on the other host."""
        self.assertEqual(self.after, self.server.host())
        self.assert_right(self.server)
        self.server.write(0, 20)
        snapshots += self.take_snapshots(self.server, 1)
        for snapshot in snapshots:
            self.tenant.delete_snapshot(snapshot)
            self.assert_right(self.server)
            self.server.write(0)
        self.start_again(self.server)

    def test_cold(self) -> None:
        older, newer = self.take_snapshots(self.server, 2)
        self.server.admin.compute.migrate_server(self.server.id)
        self.tenant.wait_server(self.server.id, 'VERIFY_RESIZE')
        self.tenant.delete_snapshot(newer)
        between = self.volume.take_snapshot()
        self.tenant.act('confirm_server_resize', self.server.id, 'ACTIVE')
        self.play_there([between, older])

    def test_cold_and_back(self) -> None:
        older, newer = self.take_snapshots(self.server, 2)
        self.server.admin.compute.migrate_server(self.server.id)
        self.tenant.wait_server(self.server.id, 'VERIFY_RESIZE')
        self.server.write(0, 21)
        self.tenant.delete_snapshot(older)
        self.server.write(0, 22)
        self.tenant.act('revert_server_resize', self.server.id, 'ACTIVE')
        self.assertEqual(self.before, self.server.host())
        self.assert_right(self.server)
        self.tenant.delete_snapshot(newer)
        self.start_again(self.server)

    def test_live(self) -> None:
        snapshots = self.take_snapshots(self.server, 2)
        self.begin_to_move()
        self.wait_moved()
        self.play_there(snapshots)

    def test_live_meanwhile(self) -> None:
        """Nothing is done to a volume whose server is on its way."""
        older, newer = self.take_snapshots(self.server, 2)
        with self.server.domain() as domain:
            # MiB/s
            domain.migrateSetMaxSpeed(1)
            self.begin_to_move()
            processes.wait_until(
                lambda: domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE,
                f'{self.server.id} is on its way',
                _TIMEOUT,
            )
            refused = self.tenant.begin_snapshot(self.volume.id)
            self.assertEqual('error', self.tenant.wait_settled(refused))
            self.tenant.begin_deletion(older)
            self.assertEqual('available', self.tenant.wait_settled(older))
            self.assertEqual('MIGRATING', self.server.status())
            domain.migrateSetMaxSpeed(1024)
        self.wait_moved()
        self.play_there([refused, newer, older])

    def test_live_in_the_middle(self) -> None:
        """It goes once the deletion of a snapshot is done."""
        self.server.write(*range(50, 80))
        snapshot = self.volume.take_snapshot()
        self.server.write(*range(80, 110))
        self.tenant.begin_deletion(snapshot)
        self.tenant.wait_merge(snapshot)
        self.begin_to_move()
        self.tenant.wait_no_snapshot(snapshot)
        self.wait_moved()
        self.play_there([])

    def begin_to_move(self) -> None:
        """Ask for a live migration."""
        self.server.admin.compute.live_migrate_server(
            self.server.id, host=self.after, block_migration='auto'
        )

    def wait_moved(self) -> None:
        """Wait until the server runs on the other host."""
        self.server.wait_host(self.after)
        self.tenant.wait_server(self.server.id, 'ACTIVE')

    def test_evacuated(self) -> None:
        """Its host is lost, with all that ran there."""
        snapshots = self.take_snapshots(self.server, 2)
        self.cloud.kill(f'nova-compute-{self.before}')
        self.server.kill()
        compute = self.server.admin.compute
        (service,) = compute.services(binary='nova-compute', host=self.before)
        compute.update_service_forced_down(service, forced=True)
        try:
            compute.evacuate_server(self.server.id, host=self.after)
            self.wait_moved()
            self.play_there(snapshots)
        finally:
            # It finds out that it has lost the server, and says so.
            self.cloud.start(f'nova-compute-{self.before}')
            processes.wait_until(
                lambda: self.is_back(service), f'{self.before} is back', 120
            )

    def is_back(self, service: typing.Any) -> bool:
        """Let Nova use a host again, once the host has cleaned up."""
        compute = self.server.admin.compute
        try:
            compute.update_service_forced_down(service, forced=False)
        except openstack.exceptions.BadRequestException:
            return False
        return True


class InTheMiddleTest(case.NovaTestCase):
    """Something happens to the server while a snapshot is being deleted."""

    def setUp(self) -> None:
        super().setUp()
        self.server, self.volume = self.make_server()
        self.server.write(*range(50, 70))
        self.snapshot = self.volume.take_snapshot()
        self.server.write(*range(60, 80))
        self.tenant.begin_deletion(self.snapshot)
        self.tenant.wait_merge(self.snapshot)

    def delete_again(self) -> None:
        """Wait for the end of the deletion; ask again if it failed."""
        if self.tenant.wait_settled(self.snapshot):
            self.tenant.delete_snapshot(self.snapshot)

    def test_soft_reboot(self) -> None:
        self.reboot('SOFT')

    def test_hard_reboot(self) -> None:
        self.reboot('HARD')

    def reboot(self, kind: str) -> None:
        """Reboot the server, and look at its data then and later."""
        self.tenant.act('reboot_server', self.server.id, 'ACTIVE', kind)
        self.assert_right(self.server)
        self.server.write(0, 65)
        self.delete_again()
        self.assert_right(self.server)
        self.start_again(self.server)

    def test_qemu_is_killed(self) -> None:
        self.server.kill()
        self.delete_again()
        self.tenant.recover_server(self.server.id)
        self.assert_right(self.server)
        self.start_again(self.server)

    def test_server_is_deleted(self) -> None:
        self.server.delete()
        self.delete_again()
        other = case.Server.of(self.server)
        self.addCleanup(self.tenant.delete_server, other.id)
        self.assert_right(other)
        self.start_again(other)

    def test_cinder_volume_is_killed(self) -> None:
        self.cloud.kill('cinder-volume')
        self.server.write(0, 65)
        self.cloud.start('cinder-volume')
        self.cloud.wait_up()
        self.delete_again()
        self.assert_right(self.server)
        self.start_again(self.server)


class ElsewhereTest(case.NovaTestCase):
    def test_detached_right_after_a_snapshot(self) -> None:
        server, volume = self.make_server()
        snapshot = volume.take_snapshot()
        self.tenant.detach(server.id, volume.id)
        other = case.Server.of(server)
        self.addCleanup(self.tenant.delete_server, other.id)
        self.assert_right(other)
        other.write(0, 10)
        self.tenant.delete_snapshot(snapshot)
        self.assert_right(other)
        self.start_again(other)

    def test_deleted_right_after_it_was_taken(self) -> None:
        """Nova would miss a snapshot that is gone when it looks."""
        server, volume = self.make_server()
        for _ in range(3):
            snapshot = volume.take_snapshot()
            self.tenant.delete_snapshot(snapshot)
            server.write(0)
        self.start_again(server)
