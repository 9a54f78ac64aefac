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

"""Volumes of a type that Cinder encrypts."""

from __future__ import annotations

import uuid

import ddt

from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients

_MIB = 1 << 20
PASSPHRASE = '01' * 32
"""What Cinder's key manager of the tests gives for every volume."""

SPECS = {
    'provider': 'luks',
    'cipher': 'aes-xts-plain64',
    'key_size': 256,
    'control_location': 'front-end',
}


class EncryptedVolume(checked.CheckedVolume):
    """A tenant's volume that can be read with the passphrase only."""

    def encrypt(self) -> EncryptedVolume:
        """Let the model know the passphrase."""
        self.model = models.Model(
            'qcow2', self.model.active, passphrase=PASSPHRASE
        )
        return self

    def write(self, offset: int, length: int, pattern: int) -> None:
        """Fill a range with one byte."""
        files = self.files()
        paths = [files.directory / name for name in files.chain]
        image_tools.qemu_io_write_encrypted(
            paths, PASSPHRASE, offset, length, pattern
        )
        self.model.active.write(offset, length, pattern)


def create_type(admin: clients.Admin, backend: str) -> str:
    """Create a type that is encrypted, for a backend; return its name."""
    name = f'luks-{uuid.uuid4()}'
    made = admin.create_type(name, {'volume_backend_name': backend})
    admin.api.volume_encryption_types.create(made, dict(SPECS))
    return name


class EncryptedTestCase(case.CinderTestCase):
    """Tests with volumes of a type that is encrypted."""

    def setUp(self) -> None:
        super().setUp()
        self.type = create_type(self.admin, self.backends[0].name)

    def encrypted(
        self, made: clients.Resource, view: models.View | None = None
    ) -> EncryptedVolume:
        """Return a volume with a model that knows the passphrase."""
        share = self.cinder.share(self.backends[0].name)
        return EncryptedVolume(self.tenant, share, made, view).encrypt()

    def create_encrypted(self, size: int = 1) -> EncryptedVolume:
        """Create a volume of the type."""
        made = self.tenant.create_volume(size, volume_type=self.type)
        self.assertTrue(made.encrypted)
        return self.encrypted(made)


@ddt.ddt
class EncryptedTest(EncryptedTestCase):
    def test_nothing_is_written_in_plain_text(self) -> None:
        volume = self.create_encrypted()
        volume.write(0, _MIB, 0x5A)
        path, _ = volume.active()
        self.assertNotIn(b'\x5a' * 64, path.read_bytes())
        self.assert_as_modelled(volume)

    @ddt.data(0, 1, 2)
    def test_delete_one_of_three_snapshots(self, number: int) -> None:
        volume = self.create_encrypted()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = []
        for layer in range(3):
            snapshots.append(volume.create_snapshot())
            volume.write((layer + 1) * _MIB, 2 * _MIB, 0x20 + layer)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshots.pop(number))
        self.assert_as_modelled(volume)
        for snapshot in snapshots:
            volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)

    def test_extend_and_revert(self) -> None:
        volume = self.create_encrypted()
        volume.write(0, _MIB, 0x11)
        snapshot = volume.create_snapshot()
        volume.write(0, _MIB, 0x12)
        volume.revert(snapshot)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshot)
        volume.extend(2)
        self.assert_as_modelled(volume)

    def test_copies_are_encrypted_too(self) -> None:
        volume = self.create_encrypted()
        volume.write(0, _MIB, 0x11)
        snapshot = volume.create_snapshot()
        volume.write(_MIB, _MIB, 0x12)
        clone = self.encrypted(
            self.tenant.clone(volume.volume), volume.model.active
        )
        copied = self.encrypted(
            self.tenant.create_from_snapshot(snapshot),
            volume.model.snapshots[snapshot.id],
        )
        self.assert_as_modelled(volume, clone, copied)
