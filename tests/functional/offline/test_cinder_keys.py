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

"""Keys and ciphers, as Cinder's own key manager and records say."""

from __future__ import annotations

import dataclasses
import typing
from unittest import mock
import uuid

from castellan import key_manager
from castellan.common import exception as castellan_exception
from castellan.common.objects import symmetric_key
from cinder import exception as cinder_exception
from cinder import objects
from cinder.volume import volume_utils

from tests import base
from volume_driver import exception
from volume_driver.cinder import keys
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks


@dataclasses.dataclass(eq=False)
class Volume:
    """What is read of Cinder's record."""

    id: str
    encryption_key_id: str | None = 'key'
    obj_context: str = 'of the request'


class Manager:
    """A key manager with one key."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def get(self, context: object, key_id: str) -> typing.Any:
        self.asked.append(context)
        if key_id != 'key':
            raise castellan_exception.ManagedObjectNotFoundError(uuid=key_id)
        return symmetric_key.SymmetricKey('AES', 16, b'\x01\xab')


class KeysTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        objects.register_all()
        self.manager = Manager()
        self.patch(key_manager, 'API', lambda conf: self.manager)
        self.keys = keys.Keys()
        self.volume = Volume(str(uuid.uuid4()))
        self.target = hypervisor.Target(self.volume.id, 'volume-u', '/')

    def stored(self, answer: object) -> mock.Mock:
        """Let the database have a record, or none."""
        found = mock.Mock(side_effect=[answer])
        self.patch(objects.Volume, 'get_by_id', found)
        return found

    def test_passphrase_is_the_key_in_hexadecimal_digits(self) -> None:
        self.keys.know(self.volume)
        self.assertEqual('01ab', self.keys(self.target))
        self.assertEqual(['of the request'], self.manager.asked)

    def test_recovery_asks_as_an_administrator(self) -> None:
        asked = self.stored(Volume(self.volume.id, obj_context='of recovery'))
        self.assertEqual('01ab', self.keys(self.target))
        self.assertEqual(['of recovery'], self.manager.asked)
        self.assertTrue(asked.call_args.args[0].is_admin)

    def test_record_is_known_only_while_somebody_has_it(self) -> None:
        self.keys.know(self.volume)
        del self.volume
        asked = self.stored(Volume(self.target.volume_id))
        self.keys(self.target)
        asked.assert_called_once()

    def test_volume_without_a_key_has_none(self) -> None:
        self.volume.encryption_key_id = None
        self.keys.know(self.volume)
        self.assertIsNone(self.keys(self.target))
        self.assertIsNone(self.keys.cipher(self.volume))

    def test_key_that_is_not_given_is_a_refusal(self) -> None:
        self.volume.encryption_key_id = 'other'
        self.keys.know(self.volume)
        self.assertRaises(exception.PassphraseMissing, self.keys, self.target)

    def test_volume_that_is_gone_is_a_refusal(self) -> None:
        self.stored(cinder_exception.VolumeNotFound(volume_id='x'))
        self.assertRaises(exception.PassphraseMissing, self.keys, self.target)

    def test_cipher_is_that_of_the_volume_type(self) -> None:
        for cipher, size, expected in (
            ('aes-xts-plain64', 256, luks.Cipher()),
            ('aes-xts-plain64', 512, luks.Cipher()),
            (
                'aes-cbc-essiv:sha256',
                256,
                luks.Cipher('aes-256', 'cbc', 'essiv:sha256'),
            ),
        ):
            found = {'cipher': cipher, 'key_size': size}
            self.patch(
                volume_utils,
                'check_encryption_provider',
                lambda volume, context, found=found: found,
            )
            self.assertEqual(expected, self.keys.cipher(self.volume))
