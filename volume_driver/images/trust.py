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

import re

from oslo_utils.imageutils import format_inspector

from volume_driver import exception
from volume_driver import names
from volume_driver.images import header

FORMATS = ('qcow2', 'raw')
# What a raw image may contain, by oslo.utils' names. None of it can lead
# anywhere while the image is only ever read as raw.
_PLAIN = frozenset({'raw', 'gpt', 'iso'})
# A text that names other files, which only QEMU knows as an image: comments,
# then a version.
_DESCRIPTOR = re.compile(rb'(?: *(?:#[^\n]*|\r)?\n)*version=\d')

# QEMU reads all of them, one by one, whenever it opens an image: 0.15 ms each.
_MOST_SNAPSHOTS = 1024


def check(volume: str, path: str, found: header.Header) -> None:
    """Check the header of an image of a volume.

    :raises ImageNotTrusted: when it refers to anything outside the volume
    """

    def refuse(reason: str) -> exception.ImageNotTrusted:
        return exception.ImageNotTrusted(path=path, reason=reason)

    bad = {
        'its data is in another file': found.data_file,
        'QEMU marked it as corrupt': found.corrupt,
        'it is encrypted, but not with LUKS': (
            found.encrypted and not found.luks_at
        ),
        f'it has {found.snapshots} internal snapshots': (
            found.snapshots > _MOST_SNAPSHOTS
        ),
    }
    for reason, found_so in bad.items():
        if found_so:
            raise refuse(reason)
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


def inspect(path: str) -> str:
    """Find out the format of a file that comes from outside.

    :raises ImageNotTrusted: when it is none of those that volumes have, or
        refers to other files
    """
    with open(path, 'rb') as stream:
        start = stream.read(65536)
    if _DESCRIPTOR.match(start):
        raise exception.ImageNotTrusted(
            path=path, reason='it is a description of a VMDK image'
        )
    try:
        found = format_inspector.detect_file_format(path)
        # What is cut off in its header the inspector takes for raw.
        if str(found) in _PLAIN and not start.startswith(header.MAGIC):
            return 'raw'
        if found is not None and str(found) == 'qcow2':
            found.safety_check()
            return 'qcow2'
    except (
        format_inspector.ImageFormatError,
        format_inspector.SafetyCheckFailed,
    ) as error:
        raise exception.ImageNotTrusted(
            path=path, reason=f'it is not safe ({error})'
        ) from error
    raise exception.ImageNotTrusted(
        path=path, reason=f'its format is {found}, expected qcow2 or raw'
    )


def plain(backing: str) -> str:
    """Return a backing name without the './' that some tools put before."""
    return backing.removeprefix('./')
