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
from cinder.volume import volume_utils
from oslo_config import cfg

from volume_driver import chain
from volume_driver import driver as core_driver
from volume_driver import exception
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
            key = key_manager.API(cfg.CONF).get(
                volume.obj_context, volume.encryption_key_id
            )
        except (
            castellan_exception.CastellanException,
            cinder_exception.VolumeNotFound,
        ) as error:
            raise exception.PassphraseMissing(
                volume=target.name, reason=str(error)
            ) from error
        return typing.cast(str, key.get_encoded().hex())

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


def refuse(found: chain.Chain, volume: str, operation: str) -> None:
    """Refuse what would need the data of an encrypted volume in the clear.

    :raises EncryptionUnsupported: when the volume is encrypted
    """
    if found.encrypted:
        raise exception.EncryptionUnsupported(
            volume=volume,
            operation=operation,
            reason='its data would have to leave it in the clear',
        )
