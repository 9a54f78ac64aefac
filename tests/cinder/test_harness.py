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

"""That Cinder's services run here, and what a tenant may do with them."""

import pathlib

from cinderclient import exceptions

from tests import base
from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures import processes
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import separate
from tests.fixtures.cloud import services


class SharedServicesTest(case.CinderTestCase):
    def test_a_tenant_creates_and_deletes_a_volume(self) -> None:
        volume = self.tenant.create_volume(1)
        path = self.cinder.share() / f'volume-{volume.id}'
        self.assertTrue(path.exists())

        self.tenant.delete_volume(volume)

        self.assertFalse(path.exists())
        self.assertEqual([], self.tenant.api.volumes.list())

    def test_a_tenant_is_no_admin(self) -> None:
        volume = self.tenant.create_volume(1)
        for forbidden in (
            self.tenant.api.services.list,
            self.tenant.api.pools.list,
            lambda: self.tenant.api.volumes.reset_state(volume, 'error'),
        ):
            self.assertRaises(exceptions.Forbidden, forbidden)
        # What only an administrator is told.
        host = 'os-vol-host-attr:host'
        self.assertFalse(hasattr(volume, host))
        self.assertTrue(hasattr(self.admin.api.volumes.get(volume.id), host))

    def test_a_tenant_does_not_see_the_volumes_of_another(self) -> None:
        volume = self.tenant.create_volume(1)
        other = self.cinder.tenant()
        self.assertRaises(
            exceptions.NotFound, other.api.volumes.get, volume.id
        )
        self.assertEqual([], other.api.volumes.list())

    def test_a_failure_tells_what_cinder_told_the_user(self) -> None:
        self.admin.create_type('nowhere', {'volume_backend_name': 'nowhere'})
        volume = self.tenant.create_volume(
            1, volume_type='nowhere', wait=False
        )
        error = self.assertRaises(
            AssertionError, self.tenant.wait_status, volume, 'available'
        )
        self.assertIn('its status is error', str(error))
        self.assertIn(
            'Could not find any available weighted backend', str(error)
        )


class ComputeHostTest(case.CinderTestCase):
    def test_a_server_runs_on_a_volume_and_leaves_it(self) -> None:
        volume = self.create_volume()
        volume.write(0, 1 << 20, 0x11)
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertEqual('in-use', volume.refresh().status)
        self.assertTrue(server.guest.read_is(0, 1 << 20, 0x11))

        volume.write(1 << 20, 1 << 20, 0x22)
        server.power_off()
        self.assert_as_modelled(volume)
        server.power_on()
        self.assertTrue(server.guest.read_is(1 << 20, 1 << 20, 0x22))

        volume.delete_server()
        self.assertEqual('available', volume.refresh().status)
        self.assert_as_modelled(volume)

    def test_a_host_mounts_the_share_itself(self) -> None:
        volume = self.create_volume()
        host = self.useFixture(compute.ComputeHost(own_mounts=True))
        server = volume.boot(host)
        volume.write(0, 1 << 20, 0x33)
        path = server.guest.disks[0].path
        self.assertFalse(str(path).startswith(str(self.cinder.directory)))
        self.assert_as_modelled(volume)

    def test_a_tenant_must_not_detach_a_volume_under_a_server(self) -> None:
        volume = self.create_volume()
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertRaises(
            exceptions.ClientException,
            self.tenant.api.attachments.delete,
            server.attached[0].id,
        )
        self.assertEqual('in-use', volume.refresh().status)


class DataTest(case.CinderTestCase):
    def test_snapshots_hold_what_was_there(self) -> None:
        volume = self.create_volume()
        volume.write(0, 1 << 20, 0x11)
        first, second = volume.take_snapshots(2)
        self.assert_as_modelled(volume)

        copy = volume.copy_snapshot(first)
        volume.delete_snapshot(second)
        volume.extend(2)

        self.assert_as_modelled(volume, copy)

    def test_a_difference_is_found(self) -> None:
        volume = self.create_volume()
        volume.write(0, 1 << 20, 0x11)
        volume.create_snapshot()
        path, image_format = volume.active()
        image_tools.qemu_io_write(path, image_format, 0, 4096, 0x12)
        self.assertNotEqual([], volume.differences())


class PausedServicesTest(base.TestCase):
    def test_what_no_test_uses_does_nothing_and_goes_on(self) -> None:
        ones = (configuration.qcow2(),), (configuration.nfs(),)
        first, second = (services.shared(*backends) for backends in ones)
        wait_state(first.pid, stopped=True)
        wait_state(second.pid, stopped=False)

        again = services.shared(*ones[0])

        self.assertIs(first, again)
        wait_state(second.pid, stopped=True)
        tenant = first.tenant()
        volume = tenant.create_volume(1)
        tenant.delete_volume(volume)


def wait_state(pid: int, *, stopped: bool) -> None:
    """Wait until a process is stopped by a signal, or until it is not."""

    def look() -> bool:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
        return (text.rpartition(')')[2].split()[0] == 'T') == stopped

    processes.wait_until(look, f'process {pid}: stopped={stopped}', 30.0)


class OwnServicesTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cinder = self.useFixture(
            services.CinderServices([configuration.nfs()])
        )
        self.cinder.show_logs_of(self)

    def test_killed_and_started_again_they_know_what_was(self) -> None:
        tenant = self.cinder.tenant()
        volume = tenant.create_volume(1)
        url = self.cinder.url

        self.cinder.kill()
        self.cinder.start()

        self.assertEqual(url, self.cinder.url)
        self.assertEqual('available', tenant.refresh(volume).status)
        tenant.delete_volume(volume)


class TwoBackendsTest(base.TestCase):
    def test_a_type_says_which_backend_and_threads_do_as_well(self) -> None:
        cinder = self.useFixture(
            services.ThreadedServices(
                [configuration.nfs('one'), configuration.nfs('two')]
            )
        )
        cinder.show_logs_of(self)
        tenant = cinder.tenant()
        for name in cinder.backends:
            volume = tenant.create_volume(1, volume_type=name)
            path = cinder.share(name) / f'volume-{volume.id}'
            self.assertTrue(path.exists())
            tenant.delete_volume(volume)


class SeparateServicesTest(base.TestCase):
    def test_cinder_volume_dies_and_comes_back(self) -> None:
        cinder = self.useFixture(
            separate.SeparateServices([configuration.nfs()])
        )
        cinder.show_logs_of(self)
        tenant = cinder.tenant()
        volume = tenant.create_volume(1)
        snapshot = tenant.create_snapshot(volume)

        cinder.kill_volume()
        late = tenant.create_volume(1, wait=False)
        self.assertEqual('creating', tenant.refresh(late).status)
        cinder.start()

        tenant.wait_status(late, 'available')
        tenant.delete_snapshot(snapshot)
        tenant.delete_volume(volume)
