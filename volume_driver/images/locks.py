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

"""Asks whether another process has an image open for writing.

QEMU and its tools hold shared byte-range locks on every image that they have
open: byte 100 + n stands for the permission with bit n (block/file-posix.c,
RAW_LOCK_PERM_BASE; bit 1 is BLK_PERM_WRITE). Asking with F_OFD_GETLK changes
nothing and needs no child process. On a filesystem without such locks nobody
seems to hold any: this is a second line of defence, never the first.
"""

import collections.abc
import contextlib
import fcntl
import os
import struct

from volume_driver import exception
from volume_driver.images import header

_PERM_BASE = 100
# Likewise 200 + n: who holds it lets nobody else have that permission.
_SHARED_BASE = 200
_WRITE_BIT = 1
_FLOCK = 'hhqqi'


def is_open_for_writing(path: str) -> bool:
    """Tell whether QEMU (or one of its tools) may write to an image.

    :raises ImageInvalid: when the image is missing
    """
    fd = header.open_image(path)
    try:
        query = struct.pack(
            _FLOCK,
            fcntl.F_WRLCK,
            os.SEEK_SET,
            _PERM_BASE + _WRITE_BIT,
            1,
            0,
        )
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, query)
    except OSError:
        return False
    finally:
        os.close(fd)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


@contextlib.contextmanager
def kept_from_writers(path: str) -> collections.abc.Iterator[None]:
    """Let no QEMU, and none of its tools, open an image for writing.

    Where the filesystem has no such locks nobody is kept from anything.

    :raises ImageOpenElsewhere: when one may write to it already
    :raises ImageInvalid: when the image is missing
    """
    fd = header.open_image(path)
    lock = struct.pack(
        _FLOCK, fcntl.F_RDLCK, os.SEEK_SET, _SHARED_BASE + _WRITE_BIT, 1, 0
    )
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
        if is_open_for_writing(path):
            raise exception.ImageOpenElsewhere(path=path, looked_at='its lock')
        yield
    finally:
        os.close(fd)
