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


"""Volumes that move: to another pool, another backend, another type."""

from __future__ import annotations

import pathlib

from cinderclient import exceptions
import ddt

from tests import base
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import deployment
from tests.fixtures.cloud import records
from tests.fixtures.cloud import services

_MIB = 1 << 20
_TIMEOUT = 120.0


class MigrationTestCase(base.TestCase):
    """Tests that move a volume from one share to another."""

    backends: tuple[configuration.Backend, ...]

    def setUp(self) -> None:
        super().setUp()
        self.cinder = services.shared(*self.backends)
        self.cinder.show_logs_of(self)
        self.tenant = self.cinder.tenant()
        self.admin = self.cinder.admin

    def create(
        self,
        volume_type: str,
        share: pathlib.Path,
        base_format: str = 'qcow2',
    ) -> checked.CheckedVolume:
        """Create a volume of some type, with some data."""
        made = self.tenant.create_volume(1, volume_type=volume_type)
        volume = checked.CheckedVolume(
            self.tenant, share, made, base_format=base_format
        )
        volume.write(0, 4 * _MIB, 0x11)
        volume.write(checked.GIB - _MIB, _MIB, 0x12)
        return volume

    def migrate(
        self, volume: checked.CheckedVolume, pool: str, force: bool = False
    ) -> None:
        """Migrate a volume; return when that is done."""
        self.admin.api.volumes.migrate_volume(
            volume.volume.id, pool, force, False
        )
        self.wait_moved(volume)
        self.assertEqual('success', self.migration_status(volume))
        self.assertEqual(pool, self.host_of(volume))

    def wait_moved(self, volume: checked.CheckedVolume) -> None:
        """Wait until a migration ended, by success or by failure."""
        processes.wait_until(
            lambda: self.migration_status(volume) in ('success', 'error'),
            f'{volume.volume.id} was migrated',
            _TIMEOUT,
        )
        # What Cinder has yet to delete is a volume of the same project.
        processes.wait_until(
            lambda: len(self.volumes_of_tenant()) == 1,
            f'the origin of {volume.volume.id} is gone',
            _TIMEOUT,
        )

    def migration_status(self, volume: checked.CheckedVolume) -> str:
        """Return what only an administrator sees of a migration."""
        found = self.admin.api.volumes.get(volume.volume.id)
        return str(getattr(found, 'os-vol-mig-status-attr:migstat'))

    def host_of(self, volume: checked.CheckedVolume) -> str:
        """Return the pool that a volume is in."""
        found = self.admin.api.volumes.get(volume.volume.id)
        return str(getattr(found, 'os-vol-host-attr:host'))

    def volumes_of_tenant(self) -> list[clients.Resource]:
        """Return all volumes of the project, as the administrator sees it."""
        found: list[clients.Resource] = self.admin.api.volumes.list(
            search_opts={'all_tenants': 1, 'project_id': self.tenant.project}
        )
        return found

    def files_of(
        self, share: pathlib.Path, volume: checked.CheckedVolume
    ) -> set[str]:
        """Return the names of a volume's files on a share."""
        return {each.name for each in share.glob(f'{volume.name}*')}

    def assert_on(
        self, share: pathlib.Path, volume: checked.CheckedVolume
    ) -> None:
        """Check where a volume is, what is in it, and how it is recorded."""
        volume.share = share
        self.assertEqual([], volume.differences())
        record = records.of_volume(
            self.cinder.directory / 'cinder.sqlite', volume.volume.id
        )
        self.assertEqual(self.address_of(share), record.location)
        _, active_format = volume.active()
        self.assertEqual(active_format, record.admin_metadata['format'])
        seen = self.tenant.refresh(volume.volume)
        self.assertEqual('available', seen.status)
        # In what a tenant sees there is nothing of another host.
        self.assertFalse(hasattr(seen, 'os-vol-host-attr:host'))
        self.assertFalse(hasattr(seen, 'os-vol-mig-status-attr:migstat'))

    def address_of(self, share: pathlib.Path) -> str:
        """Return what the record of a volume on a share names."""
        return configuration.address_of(share)

    def use(self, share: pathlib.Path, volume: checked.CheckedVolume) -> None:
        """Do with a volume what one does; then nothing of it is left."""
        older = volume.take_snapshots(2)[0]
        volume.extend(2)
        volume.delete_snapshot(older)
        self.assert_on(share, volume)
        self.tenant.delete_volume(volume.volume, cascade=True)
        self.assertEqual(set(), self.files_of(share, volume))


def pool(backend: str, share: pathlib.Path) -> str:
    """Return the name of a pool."""
    address = configuration.address_of(share)
    return f'{deployment.HOST}@{backend}#{address}'


class PoolsTestCase(MigrationTestCase):
    """Tests with two pools of one backend."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = (
            self.cinder.share(export=each) for each in ('one', 'two')
        )

    def create_on_one(self) -> checked.CheckedVolume:
        """Create a volume, and have it on the first share."""
        made = self.tenant.create_volume(1, volume_type='qcow2')
        volume = checked.CheckedVolume(self.tenant, self.one, made)
        if self.host_of(volume) != pool('qcow2', self.one):
            self.migrate(volume, pool('qcow2', self.one))
        if not (self.one / volume.name).exists():
            self.fail(f'{volume.name} is not on the share of its pool')
        volume.write(0, 4 * _MIB, 0x11)
        return volume


class LocalPoolsTest(PoolsTestCase):
    """Directories of one filesystem."""

    backends = (configuration.qcow2_shares('local', 'one', 'two'),)

    def test_the_file_is_renamed(self) -> None:
        volume = self.create_on_one()
        before = (self.one / volume.name).stat()

        self.migrate(volume, pool('qcow2', self.two))

        self.assertEqual(set(), self.files_of(self.one, volume))
        self.assertEqual(before.st_ino, (self.two / volume.name).stat().st_ino)
        self.assert_on(self.two, volume)
        self.use(self.two, volume)

    def test_the_bytes_are_copied_if_asked(self) -> None:
        volume = self.create_on_one()

        self.migrate(volume, pool('qcow2', self.two), force=True)

        # It was written through a connection, as raw bytes.
        volume.model.base_format = 'raw'
        self.assertEqual(set(), self.files_of(self.one, volume))
        self.assert_on(self.two, volume)
        self.use(self.two, volume)

    def test_not_with_snapshots(self) -> None:
        volume = self.create_on_one()
        volume.take_snapshots(1)

        self.assertRaises(
            exceptions.BadRequest,
            self.migrate,
            volume,
            pool('qcow2', self.two),
        )

        self.assert_on(self.one, volume)
        self.assertEqual(set(), self.files_of(self.two, volume))

    def test_not_without_nova_while_attached(self) -> None:
        volume = self.create_on_one()
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        server.power_off()
        self.admin.api.volumes.migrate_volume(
            volume.volume.id, pool('qcow2', self.two), False, False
        )
        self.wait_moved(volume)

        self.assertEqual('error', self.migration_status(volume))
        server.power_on()
        self.assertTrue(server.guest.read_is(0, _MIB, 0x11))
        volume.delete_server()
        self.assert_on(self.one, volume)
        self.assertEqual([], list(self.two.glob('volume-*')))


class MountedPoolsTest(PoolsTestCase):
    """Mounts, between which nothing can be renamed."""

    backends = (configuration.qcow2_shares('nfs', 'one', 'two'),)

    def test_the_bytes_are_copied(self) -> None:
        volume = self.create_on_one()

        self.migrate(volume, pool('qcow2', self.two))

        volume.model.base_format = 'raw'
        self.assertEqual(set(), self.files_of(self.one, volume))
        self.assert_on(self.two, volume)
        self.migrate(volume, pool('qcow2', self.one))
        self.assertEqual(set(), self.files_of(self.two, volume))
        self.assert_on(self.one, volume)
        self.use(self.one, volume)


@ddt.ddt
class BackendsTest(MigrationTestCase):
    """From one backend to another, byte by byte."""

    backends = (
        configuration.qcow2('ours', volume_format='qcow2'),
        configuration.qcow2('raw', volume_format='raw'),
        configuration.nfs('nfs', nfs_qcow2_volumes=False),
    )

    def pool_of(self, backend: str) -> str:
        """Return the only pool of a backend."""
        if backend == 'nfs':
            # Cinder's own driver has no pools: Cinder names it.
            return f'{deployment.HOST}@nfs#nfs'
        return pool(backend, self.cinder.share(backend))

    def move(self, volume: checked.CheckedVolume, backend: str) -> None:
        """Retype a volume, whose type names its backend."""
        self.admin.api.volumes.retype(volume.volume.id, backend, 'on-demand')
        self.tenant.wait_status(volume.volume, 'available')
        self.wait_moved(volume)
        self.assertEqual('success', self.migration_status(volume))
        self.assertEqual(self.pool_of(backend), self.host_of(volume))
        self.assertEqual(backend, volume.refresh().volume_type)

    @ddt.data(
        ('ours', 'raw'), ('raw', 'ours'), ('ours', 'nfs'), ('nfs', 'ours')
    )
    @ddt.unpack
    def test_there(self, origin: str, target: str) -> None:
        here, there = self.cinder.share(origin), self.cinder.share(target)
        base_format = 'qcow2' if origin == 'ours' else 'raw'
        volume = self.create(origin, here, base_format)

        self.move(volume, target)

        volume.model.base_format = 'raw'
        self.assertEqual(set(), self.files_of(here, volume))
        self.assertEqual([], self.tenant.messages(volume.volume))
        self.assert_on(there, volume)
        volume.refresh()
        self.use(there, volume)

    def test_there_and_back(self) -> None:
        here, there = self.cinder.share('ours'), self.cinder.share('raw')
        volume = self.create('ours', here)

        self.move(volume, 'raw')
        volume.model.base_format = 'raw'
        self.assert_on(there, volume)
        volume.write(8 * _MIB, _MIB, 0x13)
        self.move(volume, 'ours')

        self.assertEqual(set(), self.files_of(there, volume))
        self.assert_on(here, volume)
        self.use(here, volume)


class RetypeTest(MigrationTestCase):
    backends = BackendsTest.backends

    def test_within_the_backend(self) -> None:
        share = self.cinder.share('ours')
        name = f'other-{self.tenant.project}'
        other = self.admin.create_type(
            name, {'volume_backend_name': 'ours', 'shop:tier': 'gold'}
        )
        volume = self.create('ours', share)
        volume.take_snapshots(1)
        inode = (share / volume.name).stat().st_ino

        self.admin.api.volumes.retype(volume.volume.id, other.id, 'never')

        self.wait_type(volume, name)
        self.assertEqual(inode, (share / volume.name).stat().st_ino)
        self.assert_on(share, volume)

    def test_not_to_another_backend_where_nothing_may_move(self) -> None:
        here, there = self.cinder.share('ours'), self.cinder.share('raw')
        volume = self.create('ours', here)

        self.admin.api.volumes.retype(volume.volume.id, 'raw', 'never')

        self.tenant.wait_status(volume.volume, 'available')
        self.assertEqual('ours', volume.refresh().volume_type)
        self.assert_on(here, volume)
        self.assertEqual(set(), self.files_of(there, volume))

    def wait_type(self, volume: checked.CheckedVolume, name: str) -> None:
        """Wait until a volume is of a type."""
        self.tenant.wait_status(volume.volume, 'available')
        processes.wait_until(
            lambda: volume.refresh().volume_type == name,
            f'{volume.volume.id} is of type {name}',
            _TIMEOUT,
        )
        self.tenant.wait_status(volume.volume, 'available')
