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

"""Images of encrypted volumes, and volumes of such images."""

from __future__ import annotations

import json
import typing

from cinderclient import exceptions

from tests.cinder import image_case
from tests.cinder import test_encrypted
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients

_MIB = image_case.MIB


class EncryptedImagesTest(image_case.ImagesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.type = test_encrypted.create_type(self.admin, 'qcow2')

    def encrypted(
        self, made: clients.Resource, view: models.View | None = None
    ) -> test_encrypted.EncryptedVolume:
        """Return a volume with a model that knows the passphrase."""
        self.assertTrue(made.encrypted)
        share = self.cinder.share('qcow2')
        return test_encrypted.EncryptedVolume(
            self.tenant, share, made, view
        ).encrypt()

    def create_encrypted(
        self, size: int = 1, **arguments: typing.Any
    ) -> test_encrypted.EncryptedVolume:
        """Create a volume of the type."""
        made = self.tenant.create_volume(
            size, volume_type=self.type, **arguments
        )
        return self.encrypted(made)

    def volume_with_data(self) -> test_encrypted.EncryptedVolume:
        """Create a volume with data in more than one layer."""
        volume = self.create_encrypted()
        volume.write(0, 4 * _MIB, 0x5A)
        volume.create_snapshot()
        volume.write(2 * _MIB, 4 * _MIB, 0x5B)
        volume.write(checked.GIB - _MIB, _MIB, 0x5C)
        return volume

    def test_there_and_back(self) -> None:
        volume = self.volume_with_data()

        image = self.upload(volume, 'raw')

        self.assert_as_modelled(volume)
        found = self.images.api.images.get(image)
        self.assertTrue(found.cinder_encryption_key_id)
        self._check_content(image, volume.model.active)
        # It has a header of its own beside all that was in the volume.
        self.assertRaises(
            exceptions.BadRequest, self.create_encrypted, 1, imageRef=image
        )
        made = self.create_encrypted(2, imageRef=image)
        made.model.active = volume.model.active.copy(2 * checked.GIB)
        self.assert_as_modelled(made)
        snapshot = made.create_snapshot()
        made.write(_MIB, _MIB, 0x5D)
        made.delete_snapshot(snapshot)
        self.assert_as_modelled(made)
        self._check_reimage(image, volume.model.active)

    def _check_content(self, image: str, view: models.View) -> None:
        directory = self.temp_dir()
        path, expected = directory / 'image', directory / 'expected'
        self.images.download(image, path)
        for pattern in (b'\x5a', b'\x5b', b'\x5c'):
            self.assertNotIn(pattern * 64, path.read_bytes())
        view.save(expected)
        secret = directory / 'secret'
        secret.write_text(test_encrypted.PASSPHRASE)
        node = {
            'driver': 'luks',
            'key-secret': 'key',
            'file': {'driver': 'file', 'filename': str(path)},
        }
        image_tools.qemu_img(
            *('compare', '--object'),
            f'secret,id=key,format=raw,file={secret}',
            *('-f', 'raw', expected, 'json:' + json.dumps(node)),
        )

    def _check_reimage(self, image: str, view: models.View) -> None:
        """Let a volume that is there already hold an image."""
        volume = self.create_encrypted(2)
        volume.write(0, 64 * _MIB, 0x11)
        volume.volume.reimage(image)
        self.tenant.wait_status(volume.volume, 'available')
        volume.model.active = view.copy(2 * checked.GIB)
        self.assert_as_modelled(volume)

    def test_what_is_not_encrypted_as_it_says(self) -> None:
        for disk_format in ('raw', 'qcow2'):
            path = self.image_file(self.content(), disk_format)
            image = self.images.upload(path, disk_format)
            self.images.api.images.update(
                image,
                cinder_encryption_key_id='00000000-0000-0000-0000-000000000000',
            )
            volume = self.tenant.create_volume(
                1, volume_type=self.type, imageRef=image, wait=False
            )
            self.tenant.wait_status(volume, 'error')
            self.assert_clean('qcow2', volume.id)
            self.tenant.delete_volume(volume)
            left = self.cinder.share('qcow2').glob(f'*{volume.id}*')
            self.assertEqual([], list(left))
