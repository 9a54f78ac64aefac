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

"""Keys of encrypted volumes, from the key manager that Cinder is set up with.

The passphrase is the key in hexadecimal digits, as Cinder's other drivers and
Nova make it.
"""

from __future__ import annotations

import typing
import weakref

from castellan import key_manager
from castellan.common import exception as castellan_exception
from cinder import context as cinder_context
from cinder import exception as cinder_exception
from cinder import objects
from cinder.image import image_utils
from cinder.volume import volume_types
from cinder.volume import volume_utils
from oslo_config import cfg

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver.cinder import backups
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks
from volume_driver.images import record

# The size of a key of XTS, which is two keys of the cipher.
_LONGEST = 256


class Keys:
    """Where the driver of a share gets passphrases.

    A volume that is worked on is asked for with the context of the request,
    since the key may be its user's alone. Recovery at the start of the
    service has none; it asks as an administrator.
    """

    def __init__(self) -> None:
        self._at_work: weakref.WeakValueDictionary[str, typing.Any] = (
            weakref.WeakValueDictionary()
        )

    def know(self, volume: typing.Any) -> None:
        """Remember a record for as long as somebody works with it."""
        self._at_work[str(volume.id)] = volume

    def __call__(self, target: hypervisor.Target) -> str | None:
        """Return the passphrase of a volume, None if its record has no key.

        :raises PassphraseMissing: when the key manager does not give it
        """
        try:
            volume = self._at_work.get(target.volume_id)
            if volume is None:
                volume = objects.Volume.get_by_id(
                    cinder_context.get_admin_context(), target.volume_id
                )
            if volume.encryption_key_id is None:
                return None
            try:
                return passphrase(volume, volume.encryption_key_id)
            except castellan_exception.ManagedObjectNotFoundError:
                # While a backup is restored the record names the key that its
                # volume had, and that may be gone with it.
                backup = backups.restored_to(volume)
                if backup is None or not backup.encryption_key_id:
                    raise
                return passphrase(volume, backup.encryption_key_id)
        except (
            castellan_exception.CastellanException,
            cinder_exception.VolumeNotFound,
        ) as error:
            raise exception.PassphraseMissing(
                volume=target.name, reason=str(error)
            ) from error

    def cipher(self, volume: typing.Any) -> luks.Cipher | None:
        """Return how a new volume is to be encrypted, None if it is not."""
        self.know(volume)
        if volume.encryption_key_id is None:
            return None
        wanted = volume_utils.check_encryption_provider(
            volume, volume.obj_context
        )
        size = int(wanted['key_size'])
        found = image_utils.decode_cipher(wanted['cipher'], size)
        if found['cipher_mode'] == 'xts' and size > _LONGEST:
            found = image_utils.decode_cipher(wanted['cipher'], size // 2)
        return luks.Cipher(
            found['cipher_alg'], found['cipher_mode'], found['ivgen_alg']
        )


def passphrase(volume: typing.Any, key_id: str) -> str:
    """Return what a key is as a passphrase.

    :param volume: whose request it is
    :raises CastellanException: when the key manager does not give it
    """
    key = key_manager.API(cfg.CONF).get(volume.obj_context, key_id)
    return typing.cast(str, key.get_encoded().hex())


def passphrase_of_image(volume: typing.Any, key_id: str | None) -> str:
    """Return what opens an image that a volume is to hold.

    :param key_id: of the image; the volume's own is a copy of it, unless the
        volume was there before
    :raises PassphraseMissing: when the key manager gives neither
    """
    asked = [each for each in (key_id, volume.encryption_key_id) if each]
    reason = ''
    for each in asked:
        try:
            return passphrase(volume, each)
        except castellan_exception.CastellanException as error:
            reason = str(error)
    raise exception.PassphraseMissing(volume=volume.name, reason=reason)


def is_of(volume: typing.Any, key_id: str) -> bool:
    """Tell whether a key has the passphrase of a volume.

    Each volume, image and backup has a key of its own, that may be a copy.
    """
    own = volume.encryption_key_id
    try:
        return own == key_id or (
            own is not None
            and passphrase(volume, own) == passphrase(volume, key_id)
        )
    except castellan_exception.CastellanException:
        return False


def check_types(
    context: typing.Any, one: typing.Any, other: typing.Any
) -> None:
    """Check that a volume may be copied to another one byte by byte.

    Where their types are encrypted in different ways Cinder opens both with
    cryptsetup, which os-brick does with devices alone; and it would write
    through a link that it puts in the place of a file.

    :raises EncryptionUnsupported: when their types are
    """
    if volume_types.volume_types_encryption_changed(
        context, one.volume_type_id, other.volume_type_id
    ):
        raise exception.EncryptionUnsupported(
            volume=(one if one.encryption_key_id else other).name,
            operation='a migration to a type that is encrypted otherwise',
            reason='Cinder would open it with cryptsetup, and it is a file '
            'with qcow2 inside',
        )


def check(core: core_driver.Qcow2Driver, volume: typing.Any) -> None:
    """Check that a volume with a key has images that can be encrypted.

    A clone that Cinder's NFS driver made of an encrypted volume is a LUKS
    container and no qcow2 image; an overlay over it could not be read.

    :raises EncryptionUnsupported: when its base is a raw image
    """
    if volume.encryption_key_id is None:
        return
    name = core.target(volume).name
    if record.base_format(core.context.directory, name) == 'raw':
        raise exception.EncryptionUnsupported(
            volume=volume.name,
            operation='snapshots and copies',
            reason=f'its record has a key, but its image {name} is no qcow2 '
            f'image with LUKS inside',
        )
