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

"""What is told to those who connect: Nova, os-brick, Cinder's own services."""

from __future__ import annotations

import typing

from oslo_utils import units

from volume_driver import chain
from volume_driver import exception
from volume_driver.cinder import shares
from volume_driver.images import luks

# Nova and os-brick mount these by themselves. Any other kind they have to find
# mounted where they would mount an NFS share; Nova unmounts it with the last
# server of the host that has it, so something has to mount it again.
_MOUNTED_BY_NOVA = frozenset({'nfs', 'quobyte'})


class Place:
    """Where a volume is, for others.

    :param found: the shares of its backend
    :param volume: its record
    """

    def __init__(self, found: shares.Shares, volume: typing.Any) -> None:
        self._shares = found
        self._address = str(volume.provider_location)

    def of_guest(self, active: chain.Image) -> dict[str, typing.Any]:
        """Return how a guest gets at the active image.

        Nova honours the format for this kind of connection alone; with
        ``local`` it would hand a qcow2 image to the guest byte by byte.
        """
        kind = self._shares.kind
        return {
            'driver_volume_type': kind if kind in _MOUNTED_BY_NOVA else 'nfs',
            'data': {**self._data(active.name), 'format': active.format},
            'mount_point_base': self._shares.base,
        }

    def of_bytes(self, name: str) -> dict[str, typing.Any]:
        """Return how a service of Cinder gets at a file's bytes."""
        data = {**self._data(name), 'format': 'raw'}
        if self._shares.kind == 'local':
            return {'driver_volume_type': 'local', 'data': data}
        kind = self._shares.kind
        return {
            'driver_volume_type': 'nfs' if kind == 'cephfs' else kind,
            'data': data,
            'mount_point_base': self._shares.base,
        }

    def _data(self, name: str) -> dict[str, typing.Any]:
        data = {'export': self._address, 'name': name}
        share = self._shares.all.get(self._address)
        if share is not None and share.options:
            data['options'] = share.options
        if self._shares.kind == 'local':
            directory = self._shares.directory(self._address)
            data['device_path'] = f'{directory}/{name}'
        return data


def check_size(volume: typing.Any, active: chain.Image, path: str) -> None:
    """Check that an image is not larger than its volume.

    A guest that can write a qcow2 header could have made it so. One that is
    LUKS alone, which Cinder's NFS driver makes of a clone, has a header that
    no guest can write to; what counts is what is behind it.

    :param path: of the image
    :raises ImageNotTrusted: when it is
    :raises ImageInvalid: when it has a LUKS header that cannot be read
    """
    size = active.size
    sealed = active.format == 'raw' and volume.encryption_key_id is not None
    if sealed and luks.has_magic(path):
        size = luks.payload(path)
    if size > volume.size * units.Gi:
        raise exception.ImageNotTrusted(
            path=active.name,
            reason=f'it has {size} bytes, but its volume has '
            f'{volume.size} GiB',
        )


def check_shared(volume: typing.Any, active: chain.Image) -> None:
    """Check that only a raw image gets a second guest.

    A server that is being moved to another host is attached twice for a
    while, and is one guest.

    :raises AmbiguousGuest: when another image would
    """
    attached = volume.volume_attachment or ()
    guests = {each.instance_uuid for each in attached if each.instance_uuid}
    if len(guests) > 1 and active.format != 'raw':
        raise exception.AmbiguousGuest(
            volume=volume.name, guests=', '.join(sorted(guests))
        )
