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

"""Encrypted volumes that move to another backend, byte by byte."""

from __future__ import annotations

import collections.abc
import pathlib
import typing

import ddt

from tests.cinder import test_encrypted
from tests.cinder import test_migration
from tests.fixtures import image_tools
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration

T = typing.TypeVar('T')

_MIB = 1 << 20
# This driver tries again when QEMU was too quick, Cinder's NFS driver not.
_TRIES = 5


@ddt.ddt
class EncryptedMigrationTest(test_migration.MigrationTestCase):
    backends = (
        configuration.qcow2('ours', volume_format='qcow2'),
        configuration.qcow2_local('local', volume_format='raw'),
        configuration.nfs('nfs'),
    )

    def setUp(self) -> None:
        super().setUp()
        self.types = {
            each.name: test_encrypted.create_type(self.admin, each.name)
            for each in self.backends
        }

    def create_encrypted(self, backend: str) -> test_encrypted.EncryptedVolume:
        """Create a volume with data on a backend."""
        made = self.unless_too_quick(
            lambda: self.create_alone(self.types[backend])
        )
        self.assertTrue(made.encrypted)
        volume = test_encrypted.EncryptedVolume(
            self.tenant, self.cinder.share(backend), made
        ).encrypt()
        volume.write(0, 4 * _MIB, 0x5A)
        volume.write(checked.GIB - _MIB, _MIB, 0x5B)
        return volume

    def create_alone(self, volume_type: str) -> clients.Resource:
        """Create the project's only volume."""
        try:
            return self.tenant.create_volume(1, volume_type=volume_type)
        except clients.UnexpectedStatus:
            for volume in self.tenant.api.volumes.list():
                self.tenant.delete_volume(volume)
            raise

    def address_of(self, share: pathlib.Path) -> str:
        if share == self.cinder.share('local'):
            return f'localhost:{share}'
        return super().address_of(share)

    def files_on(self, backend: str) -> set[str]:
        """Return the names of all volumes' files on a backend."""
        share = self.cinder.share(backend)
        return {each.name for each in share.glob('volume-*')}

    def retype(self, volume: checked.CheckedVolume, name: str) -> None:
        """Retype a volume; return when that is done, or failed."""
        self.admin.api.volumes.retype(volume.volume.id, name, 'on-demand')
        self.tenant.wait_status(volume.volume, 'available')
        self.wait_moved(volume)

    def move(self, volume: checked.CheckedVolume, backend: str) -> None:
        """Have a volume on another backend."""

        def move() -> None:
            self.retype(volume, self.types[backend])
            self.assertEqual('success', self.migration_status(volume))

        self.unless_too_quick(move)
        self.assertEqual(self.types[backend], volume.refresh().volume_type)

    def unless_too_quick(self, do: collections.abc.Callable[[], T]) -> T:
        """Do what makes a LUKS header, again if QEMU fails at measuring."""
        for _ in range(_TRIES):
            before = self.cinder.log_sizes()
            try:
                return do()
            except AssertionError:
                if not self.cinder.has_said(image_tools.TOO_QUICK, before):
                    raise
        return do()

    @ddt.data(
        ('ours', 'local'), ('local', 'ours'), ('ours', 'nfs'), ('nfs', 'ours')
    )
    @ddt.unpack
    def test_there(self, origin: str, target: str) -> None:
        here, there = self.cinder.share(origin), self.cinder.share(target)
        volume = self.create_encrypted(origin)

        self.move(volume, target)

        self.assertEqual(set(), self.files_of(here, volume))
        self.assert_on(there, volume)
        content = (there / volume.name).read_bytes()
        self.assertNotIn(b'\x5a' * 64, content)
        self.assertTrue(volume.refresh().encrypted)
        if target != 'nfs':
            snapshot = volume.create_snapshot()
            volume.write(8 * _MIB, _MIB, 0x13)
            self.assert_on(there, volume)
            volume.delete_snapshot(snapshot)
            volume.extend(2)
            self.assert_on(there, volume)
            self.move(volume, origin)
            self.assert_on(here, volume)

    @ddt.data('ours', 'local')
    def test_not_to_a_type_that_is_not_encrypted(self, origin: str) -> None:
        target = 'local' if origin == 'ours' else 'ours'
        volume = self.create_encrypted(origin)

        before = self.files_on(target)
        self.retype(volume, target)

        self.assertEqual('error', self.migration_status(volume))
        self.assertTrue(volume.refresh().encrypted)
        self.assert_on(self.cinder.share(origin), volume)
        self.assertEqual(before, self.files_on(target))

    @ddt.data('ours', 'local', 'nfs')
    def test_not_to_a_type_that_is_encrypted(self, origin: str) -> None:
        target = 'local' if origin == 'ours' else 'ours'
        base_format = 'raw' if origin == 'local' else 'qcow2'
        share = self.cinder.share(origin)
        volume = self.create(origin, share, base_format)

        before = self.files_on(target)
        self.retype(volume, self.types[target])

        self.assertEqual('error', self.migration_status(volume))
        self.assertFalse(volume.refresh().encrypted)
        self.assert_on(share, volume)
        self.assertEqual(before, self.files_on(target))

    def test_not_where_bytes_would_be_cut_off(self) -> None:
        volume = self.create_encrypted('ours')
        volume.write(0, checked.GIB, 0x11)

        self.retype(volume, self.types['local'])

        self.assertEqual('error', self.migration_status(volume))
        self.assert_on(self.cinder.share('ours'), volume)
        volume.extend(2)
        self.move(volume, 'local')
        self.assert_on(self.cinder.share('local'), volume)
