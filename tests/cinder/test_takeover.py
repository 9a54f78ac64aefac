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

"""From Cinder's own NFS driver to this one, and back, by one option."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sqlite3
import subprocess
import sys

from cinderclient import exceptions
import ddt

from tests.cinder import attached
from tests.fixtures import image_tools
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import deployment
from tests.fixtures.cloud import services

_MIB = 1 << 20
_BACKEND = f'{deployment.HOST}@nfs'
_OLDER_POOL = f'{_BACKEND}#nfs'
_UPSTREAM = configuration.nfs().driver
_OURS = configuration.qcow2().driver


class TakeoverTestCase(attached.AttachedTestCase):
    """Tests that begin with Cinder's own driver."""

    def shared_cinder(self) -> services.CinderServices:
        """Return a Cinder of this test's own, which changes its drivers."""
        return self.useFixture(
            services.CinderServices(
                [
                    configuration.nfs(
                        nfs_qcow2_volumes=self.base_format == 'qcow2'
                    )
                ]
            )
        )

    def switch(self, driver: str, **options: object) -> None:
        """Start Cinder anew with another driver, and nothing else changed.

        :param options: of this project's own, which others do not read
        """
        self.cinder.stop()
        backend = self.cinder.backends['nfs']
        self.cinder.backends['nfs'] = dataclasses.replace(
            backend, driver=driver, options={**backend.options, **options}
        )
        self.cinder.start()
        self.admin = self.cinder.admin

    def make(self) -> checked.CheckedVolume:
        """Create a volume with some data."""
        volume = self.create_volume(base_format=self.base_format)
        volume.write(0, 8 * _MIB, 0x11)
        return volume

    def host_of(self, volume: checked.CheckedVolume) -> str:
        """Return host@backend#pool."""
        found = self.admin.api.volumes.get(volume.volume.id)
        return str(getattr(found, 'os-vol-host-attr:host'))

    def pools(self) -> set[str]:
        """Return the pools that the scheduler knows."""
        found = self.admin.api.pools.list(detailed=False)
        return {each.name for each in found}

    def share_pool(self) -> str:
        """Return the pool of the only share."""
        return f'{_BACKEND}#{self.address()}'


@ddt.ddt
class ForthAndBackTest(TakeoverTestCase):
    @ddt.data('commit', 'pull')
    def test_offline(self, direction: str) -> None:
        plain, snapped = self.make(), self.make()
        older, newer, newest = snapped.take_snapshots(3)
        self.assert_as_modelled(plain, snapped)

        self.switch(_OURS, merge_direction=direction)
        self.assertEqual(_OLDER_POOL, self.host_of(plain))
        self.assert_as_modelled(plain, snapped)
        made = plain.create_snapshot()
        plain.write(_MIB, _MIB, 0x71)
        for volume in (plain, snapped):
            # By way of the scheduler.
            volume.extend(2)
            volume.write(2 * checked.GIB - _MIB, _MIB, 0x72)
        snapped.delete_snapshot(newer)
        clone, copy = plain.clone(), snapped.copy_snapshot(older, 2)
        self.assert_as_modelled(plain, snapped)
        # New ones are what this driver makes by default.
        for volume in (clone, copy):
            volume.model.base_format = 'qcow2'
        self.assert_as_modelled(clone, copy)

        self.switch(_UPSTREAM)
        snapped.delete_snapshot(newest)
        plain.delete_snapshot(made)
        late = plain.create_snapshot()
        plain.write(2 * _MIB, _MIB, 0x73)
        snapped.extend(3)
        super(attached.AttachedTestCase, self).assert_as_modelled(
            plain, snapped, clone, copy
        )
        plain.boot(self.host)
        self.assertTrue(
            plain.server is not None
            and plain.server.guest.read_is(2 * _MIB, _MIB, 0x73)
        )
        plain.delete_server()
        plain.delete_snapshot(late)
        snapped.delete_snapshot(older)
        super(attached.AttachedTestCase, self).assert_as_modelled(
            plain, snapped
        )
        for volume in (plain, snapped, clone):
            self.tenant.delete_volume(volume.volume)

    def test_attached(self) -> None:
        volume = self.make()
        server = volume.boot(self.host)
        volume.write(_MIB, _MIB, 0x71)

        self.switch(_OURS)
        self.assertEqual('in-use', volume.refresh().status)
        older, _ = volume.take_snapshots(2)
        volume.extend(2)
        volume.delete_snapshot(older)
        copy = volume.clone()
        copy.model.base_format = 'qcow2'
        self.assert_as_modelled(volume, copy)
        server.power_off()
        server.refresh()
        server.power_on()
        volume.write(2 * _MIB, _MIB, 0x72)
        self.assert_as_modelled(volume)
        volume.delete_server()
        self.assert_as_modelled(volume)


class RawForthAndBackTest(ForthAndBackTest):
    """The same with raw bases."""

    base_format = 'raw'


class PoolsTest(TakeoverTestCase):
    def test_an_older_pool_is_there_as_long_as_it_is_needed(self) -> None:
        first, second = self.make(), self.make()
        self.switch(_OURS)
        self.assertEqual({_OLDER_POOL, self.share_pool()}, self.pools())
        # Out of the older pool: nothing is copied, the volume stays where
        # it is.
        inode = (first.share / first.name).stat().st_ino
        self.admin.api.volumes.migrate_volume(
            first.volume, self.share_pool(), False, False
        )
        processes.wait_until(
            lambda: self.host_of(first) == self.share_pool(),
            'the volume is in the pool of its share',
            60,
        )
        self.tenant.wait_status(first.volume, 'available')
        self.assertEqual(inode, (first.share / first.name).stat().st_ino)
        self.assert_as_modelled(first)
        first.extend(2)
        self.assertEqual(_OLDER_POOL, self.host_of(second))
        second.extend(2)
        self.tenant.delete_volume(second.volume)
        processes.wait_until(
            lambda: self.pools() == {self.share_pool()},
            'the older pool is gone',
            60,
        )
        first.extend(3)
        self.assert_as_modelled(first)

    def test_retype(self) -> None:
        volume = self.make()
        self.switch(_OURS)
        self.admin.create_type('other', {'volume_backend_name': 'nfs'})
        self.tenant.api.volumes.retype(volume.volume, 'other', 'never')
        processes.wait_until(
            lambda: volume.refresh().volume_type == 'other',
            'the volume has its new type',
            60,
        )
        self.tenant.wait_status(volume.volume, 'available')
        self.assertEqual(_OLDER_POOL, self.host_of(volume))
        self.assert_as_modelled(volume)

    def test_back_with_volumes_of_a_share_pool(self) -> None:
        # With no volume there is no older pool, and none is made.
        self.switch(_OURS)
        self.assertEqual({self.share_pool()}, self.pools())
        volume = self.make()
        snapshot = volume.create_snapshot()
        self.cinder.stop()
        subprocess.run(
            [
                pathlib.Path(sys.executable).parent / 'cinder-manage',
                *('--config-file', self.cinder.directory / 'cinder.conf'),
                *('volume', 'update_host', '--currenthost', self.share_pool()),
                *('--newhost', _OLDER_POOL),
            ],
            check=True,
            capture_output=True,
        )
        self.cinder.start()
        self.switch(_UPSTREAM)
        volume.extend(2)
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)


class ForgedTest(TakeoverTestCase):
    """A guest wrote a qcow2 header into a raw volume."""

    base_format = 'raw'

    def forge(self) -> tuple[checked.CheckedVolume, str]:
        """Return a volume that begins so, and the digest of its bytes."""
        volume = self.make()
        forged = self.temp_dir() / 'forged'
        image_tools.qemu_img(
            *('create', '-f', 'qcow2', '-u', '-F', 'raw'),
            *('-b', '/etc/passwd', str(forged), str(checked.GIB)),
        )
        path, _ = volume.active()
        with path.open('r+b') as stream:
            stream.write(forged.read_bytes())
        return volume, image_tools.digest(path, 'raw')

    def test_it_stays_raw(self) -> None:
        volume, digest = self.forge()
        self.switch(_OURS)
        server = volume.boot(self.host)
        self.assertEqual('raw', server.attached[0].info['format'])
        snapshot = volume.create_snapshot()
        self.assertEqual('raw', volume.files().format(volume.name))
        path, _ = volume.active()
        self.assertIn(
            '"backing-filename-format": "raw"',
            image_tools.qemu_img('info', '-U', '--output=json', path),
        )
        volume.delete_server()
        self.assertEqual(digest, image_tools.digest(path, 'qcow2'))
        volume.delete_snapshot(snapshot)
        path, image_format = volume.active()
        self.assertEqual(digest, image_tools.digest(path, image_format))

    def test_no_record_says_what_it_is(self) -> None:
        volume, digest = self.forge()
        self.cinder.stop()
        database = self.cinder.directory / 'cinder.sqlite'
        with contextlib.closing(sqlite3.connect(database)) as connection:
            # As Cinder was before it wrote formats down.
            connection.execute('DELETE FROM volume_admin_metadata')
            connection.commit()
        self.cinder.start()
        self.switch(_OURS)
        snapshot = self.tenant.create_snapshot(volume.volume, wait=False)
        self.tenant.wait_status(snapshot, 'error')
        error = self.assertRaises(
            exceptions.ClientException, volume.boot, self.host
        )
        self.assertIn('begins with a qcow2 header', str(error))
        path = volume.share / volume.name
        self.assertEqual(digest, image_tools.digest(path, 'raw'))
        self.assertEqual(
            [volume.name],
            [each.name for each in volume.share.glob(f'{volume.name}*')],
        )
