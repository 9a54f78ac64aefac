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

"""Keys, ciphers and backups, as Cinder's own key manager and records say."""

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
from cinder.volume import volume_types
from cinder.volume import volume_utils
import ddt

from tests import base
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from volume_driver import chain
from volume_driver import exception
from volume_driver.cinder import backups
from volume_driver.cinder import connections
from volume_driver.cinder import keys
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks


@dataclasses.dataclass(eq=False)
class Volume:
    """What is read of Cinder's record."""

    id: str
    encryption_key_id: str | None = 'key'
    obj_context: str = 'of the request'
    status: str = 'available'
    name: str = 'volume-u'
    migration_status: str | None = None
    size: int = 1
    volume_type_id: str = 'type'


_KEYS = {'key': b'\x01\xab', 'copy': b'\x01\xab', 'another': b'\x02\xcd'}


class Manager:
    """A key manager with a key, a copy of it, and another one."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def get(self, context: object, key_id: str) -> typing.Any:
        self.asked.append(context)
        if key_id not in _KEYS:
            raise castellan_exception.ManagedObjectNotFoundError(uuid=key_id)
        return symmetric_key.SymmetricKey('AES', 16, _KEYS[key_id])


def backup(key_id: str | None, service: str = 'posix') -> mock.Mock:
    """Return what is read of a backup's record."""
    return mock.Mock(id='b', encryption_key_id=key_id, service=service)


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

    def test_key_of_a_volume_that_is_gone_is_the_backups(self) -> None:
        self.volume.encryption_key_id = 'gone'
        self.volume.status = 'restoring-backup'
        self.keys.know(self.volume)
        self.backups(backup('another'))
        self.assertEqual('02cd', self.keys(self.target))
        self.backups()
        self.assertRaises(exception.PassphraseMissing, self.keys, self.target)

    def test_key_of_an_image_is_asked_for_first(self) -> None:
        for key_id, expected in (
            ('another', '02cd'),
            ('gone', '01ab'),
            (None, '01ab'),
        ):
            found = keys.passphrase_of_image(self.volume, key_id)
            self.assertEqual(expected, found)
        self.volume.encryption_key_id = 'gone'
        self.assertRaises(
            *(exception.PassphraseMissing, keys.passphrase_of_image),
            *(self.volume, 'gone'),
        )

    def test_one_passphrase_can_have_many_keys(self) -> None:
        self.assertTrue(keys.is_of(self.volume, 'key'))
        self.assertTrue(keys.is_of(self.volume, 'copy'))
        self.assertFalse(keys.is_of(self.volume, 'another'))
        self.assertFalse(keys.is_of(self.volume, 'gone'))
        self.volume.encryption_key_id = None
        self.assertFalse(keys.is_of(self.volume, 'key'))

    def backups(self, *found: object) -> None:
        """Let the database have some backups."""
        stored = mock.Mock(return_value=list(found))
        self.patch(objects.BackupList, 'get_all', stored)

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


class BackupsTest(base.TestCase):
    """What a backup asks of an encrypted volume."""

    def setUp(self) -> None:
        super().setUp()
        objects.register_all()
        self.volume = Volume(str(uuid.uuid4()), status='restoring-backup')
        self.patch(
            volume_types,
            'is_encrypted',
            lambda context, given: given == 'type',
        )

    def stored(self, *found: object) -> mock.Mock:
        """Let the database have some backups."""
        stored = mock.Mock(return_value=list(found))
        self.patch(objects.BackupList, 'get_all', stored)
        return stored

    def check(self, key_id: str | None, encrypted: bool, images: int) -> None:
        """Check what is to be restored, with a key that ``key`` is."""
        self.stored(backup(key_id))
        chain_of = [
            chain.Image(f'i{number}', 'qcow2', 1, encrypted=encrypted)
            for number in range(images)
        ]
        backups.check(
            chain.Chain(tuple(chain_of)),
            self.volume,
            lambda volume, given: given == 'key',
        )

    def test_only_what_fits_is_restored(self) -> None:
        self.check('key', True, 2)
        self.check('another', True, 1)
        self.check(None, True, 1)
        self.check(None, False, 2)
        self.check('key', False, 1)
        for unfit in (
            ('another', True, 2),
            (None, True, 2),
            ('key', False, 2),
        ):
            with self.subTest(unfit):
                self.assertRaises(
                    exception.BackupUnsuitable, self.check, *unfit
                )
        self.volume.volume_type_id = 'plain'
        self.assertRaises(
            exception.BackupUnsuitable, self.check, 'key', False, 1
        )

    def test_volume_that_is_created_of_a_backup(self) -> None:
        for status in ('restoring-backup', 'creating'):
            self.volume.status = status
            self.stored(found := backup('key'))
            self.assertIs(found, backups.restored_to(self.volume))
            self.stored()
            self.assertIsNone(backups.restored_to(self.volume))
        self.volume.status = 'available'
        asked = self.stored(backup('key'))
        self.assertIsNone(backups.restored_to(self.volume))
        asked.assert_not_called()

    def test_how_much_is_copied(self) -> None:
        self.volume.status = 'backing-up'
        self.stored(backup('key'))
        self.assertIsNone(backups.limit(self.volume))
        ceph = 'cinder.backup.drivers.ceph.CephBackupDriver'
        self.stored(backup('key', ceph))
        self.assertEqual(1 << 30, backups.limit(self.volume))
        self.stored()
        self.assertIsNone(backups.limit(self.volume))
        self.volume.migration_status = 'migrating'
        self.assertEqual(1 << 30, backups.limit(self.volume))


@ddt.ddt
class SizeTest(base.TestCase):
    """What a server gets is no larger than its volume."""

    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.path = self.temp_dir() / 'volume-u'

    def check(self, key_id: str | None) -> None:
        size = self.path.stat().st_size
        connections.check_size(
            Volume('u', key_id),
            chain.Image('volume-u', 'raw', size),
            str(self.path),
        )

    def make_luks(self, size: int) -> None:
        """Make what Cinder's NFS driver makes of an encrypted clone."""
        secret = self.temp_dir() / 'secret'
        secret.write_text('passphrase')
        image_tools.qemu_img(
            *('create', '-q', '-f', 'luks'),
            *('--object', f'secret,id=s,format=raw,file={secret}'),
            *('-o', 'key-secret=s,iter-time=10', self.path, str(size)),
        )

    def test_the_header_of_luks_does_not_count(self) -> None:
        self.make_luks(drivers.GIB)
        self.assertLess(drivers.GIB, self.path.stat().st_size)
        self.check('key')

    def test_without_a_key_it_is_what_a_guest_wrote(self) -> None:
        self.make_luks(drivers.GIB)
        self.assertRaises(exception.ImageNotTrusted, self.check, None)

    @ddt.data('key', None)
    def test_larger(self, key_id: str | None) -> None:
        self.make_luks(drivers.GIB + 512)
        self.assertRaises(exception.ImageNotTrusted, self.check, key_id)
