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

"""What a header of a volume's image may say.

The bytes of an image are the tenant's (CVE-2024-32498 and its kin): a backing
name must be the plain name of an image of the same volume, with its format
beside it, and no cluster may be in another file.
"""

from __future__ import annotations

from volume_driver import exception
from volume_driver import names
from volume_driver.images import header

FORMATS = ('qcow2', 'raw')


def check(volume: str, path: str, found: header.Header) -> None:
    """Check the header of an image of a volume.

    :raises ImageNotTrusted: when it refers to anything outside the volume
    """

    def refuse(reason: str) -> exception.ImageNotTrusted:
        return exception.ImageNotTrusted(path=path, reason=reason)

    if found.data_file:
        raise refuse('its data is in another file')
    if found.corrupt:
        raise refuse('QEMU marked it as corrupt')
    if found.encrypted:
        raise refuse('it is encrypted, and its overlays would not be')
    if found.backing is None:
        return
    if not names.is_image_of(volume, plain(found.backing)):
        raise refuse(
            f'its backing image is {found.backing!r}, expected an image of '
            f'{volume} by its plain name'
        )
    if found.backing_format is None and plain(found.backing) != volume:
        return  # an overlay, which is qcow2 by its name
    if found.backing_format is None:
        raise refuse(
            'it does not say which format its backing image has; write it '
            'there with "qemu-img rebase -u -F"'
        )
    if found.backing_format not in FORMATS:
        raise refuse(
            f'its backing format is {found.backing_format!r}, expected '
            f'qcow2 or raw'
        )


def plain(backing: str) -> str:
    """Return a backing name without the './' that some tools put before."""
    return backing.removeprefix('./')
