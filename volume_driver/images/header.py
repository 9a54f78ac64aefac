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

"""Reads qcow2 headers in process, without a child process.

The layout is that of docs/interop/qcow2.txt in QEMU's source: big-endian
fields, header extensions behind the header, the backing name inside the first
cluster. Everything read is bounded, and anything odd is a typed error: the
bytes are the tenant's.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import struct

from volume_driver import access
from volume_driver import exception

MAGIC = b'QFI\xfb'

# magic, version, backing offset, backing size, cluster bits, virtual size,
# crypt method, l1 size, l1 offset, refcount offset, refcount clusters,
# snapshots, snapshots offset
_V2 = struct.Struct('>4sIQIIQIIQQIIQ')
# incompatible, compatible and autoclear features, refcount order, length
_V3 = struct.Struct('>QQQII')
_EXTENSION = struct.Struct('>II')

_EXT_END = 0
_EXT_BACKING_FORMAT = 0xE2792ACA
_EXT_BITMAPS = 0x23852875
_EXT_LUKS = 0x0537BE77

_CRYPT_LUKS = 2

_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = (
    1 << bit for bit in range(5)
)
_KNOWN = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2
_MAX_BACKING_NAME = 1023  # the format's own limit
_MAX_EXTENSIONS = 64
# An overlay has all of its header in that, as QEMU makes it.
_PAGE = 4096


@dataclasses.dataclass(frozen=True)
class Header:
    """What a qcow2 header says.

    :param version: 2 or 3
    :param size: virtual size in bytes
    :param cluster_size: in bytes
    :param backing: the backing name as it stands there, None without one
    :param backing_format: the backing format as it stands there
    :param data_file: the clusters are in another file
    :param encrypted: the clusters are encrypted
    :param luks_at: where its LUKS header begins, 0 where it has none
    :param corrupt: QEMU marked the image as corrupt
    :param bitmaps: number of persistent dirty bitmaps
    :param snapshots: number of internal snapshots
    :param extended_l2: its L2 entries have subclusters
    :param l1_size: entries of its L1 table
    :param l1_offset: where that begins
    """

    version: int
    size: int
    cluster_size: int
    backing: str | None
    backing_format: str | None
    data_file: bool = False
    encrypted: bool = False
    luks_at: int = 0
    corrupt: bool = False
    bitmaps: int = 0
    snapshots: int = 0
    extended_l2: bool = False
    l1_size: int = 0
    l1_offset: int = 0


def open_image(path: str) -> int:
    """Open an image for reading; return the descriptor.

    :raises ImageNotTrusted: when it is a symlink or no regular file
    :raises ImageInvalid: when it is not there
    :raises AccessDenied: when this service may not read it
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = access.open_image(path, flags)
    except FileNotFoundError as error:
        raise exception.ImageInvalid(
            path=path, format='an image', reason='the file is missing'
        ) from error
    except OSError as error:
        raise exception.ImageNotTrusted(
            path=path, reason=f'it cannot be opened ({error.strerror})'
        ) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise exception.ImageNotTrusted(
            path=path, reason='it is not a regular file'
        )
    return fd


def pread(fd: int, length: int, at: int) -> bytes:
    """Read from a place that an image names, wherever that is.

    :returns: as much as there is, nothing behind the end
    """
    # The system refuses offsets that no file can have.
    if at >= os.fstat(fd).st_size:
        return b''
    return os.pread(fd, length, at)


def has_magic(path: str) -> bool:
    """Tell whether a file begins as a qcow2 image does."""
    fd = open_image(path)
    try:
        return os.pread(fd, len(MAGIC), 0) == MAGIC
    finally:
        os.close(fd)


def read(path: str) -> Header:
    """Read the header of a qcow2 image.

    :raises ImageInvalid: when it is missing or not a qcow2 header that we
        understand
    :raises ImageNotTrusted: when it is a symlink or no regular file
    """
    fd = open_image(path)
    try:
        return parse(_first_cluster(fd), path)
    finally:
        os.close(fd)


def _first_cluster(fd: int) -> bytes:
    """Read the first cluster, or as much of it as there is to know."""
    start = os.pread(fd, _PAGE, 0)
    if len(start) < _PAGE:
        return start
    _, _, offset, length, bits, *_ = _V2.unpack_from(start)
    if offset and offset + length <= _PAGE:
        # The extensions end where the backing name begins.
        return start
    return os.pread(fd, 1 << max(16, min(bits, 21)), 0)


def parse(data: bytes, path: str) -> Header:
    """Read a header from the first bytes of an image.

    :param data: the first cluster, or as much of it as there is
    :param path: for the error's text
    """

    def invalid(reason: str) -> exception.ImageInvalid:
        return exception.ImageInvalid(path=path, format='qcow2', reason=reason)

    if len(data) < _V2.size or not data.startswith(MAGIC):
        raise invalid('it does not begin with a qcow2 header')
    fields = _V2.unpack_from(data)
    version, name_offset, name_length, bits, size, crypt = fields[1:7]
    if version not in (2, 3):
        raise invalid(f'its version is {version}, expected 2 or 3')
    if not 9 <= bits <= 21:
        raise invalid(f'its cluster size is 2^{bits}, expected 2^9 to 2^21')
    features, length = _features(data, version)
    if not length <= min(1 << bits, len(data)):
        raise invalid(f'its header length is {length} bytes')
    if features & ~_KNOWN:
        raise invalid(f'it has unknown features ({features & ~_KNOWN:#x})')
    name = _backing_name(data, name_offset, name_length)
    if name_offset and name is None:
        raise invalid('its backing name is not readable')
    extensions = _extensions(data, length, name_offset or 1 << bits)
    if extensions is None:
        raise invalid('its header extensions are not readable')
    backing_format = extensions.get(_EXT_BACKING_FORMAT)
    bitmaps = extensions.get(_EXT_BITMAPS, b'')
    luks = extensions.get(_EXT_LUKS, b'') if crypt == _CRYPT_LUKS else b''
    return Header(
        version=version,
        size=size,
        cluster_size=1 << bits,
        backing=name or None,
        backing_format=_text(backing_format) if backing_format else None,
        data_file=bool(features & _DATA_FILE),
        encrypted=crypt != 0,
        luks_at=int.from_bytes(luks[:8], 'big'),
        corrupt=bool(features & _CORRUPT),
        bitmaps=int.from_bytes(bitmaps[:4], 'big'),
        snapshots=fields[11],
        extended_l2=bool(features & _EXTENDED_L2),
        l1_size=fields[7],
        l1_offset=fields[8],
    )


def _features(data: bytes, version: int) -> tuple[int, int]:
    """Return the incompatible features and the length of the header."""
    if version == 2:
        return 0, _V2.size
    if len(data) < _V2.size + _V3.size:
        return 0, _V2.size + _V3.size
    features, _, _, _, length = _V3.unpack_from(data, _V2.size)
    return features, max(length, _V2.size + _V3.size)


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if '\0' in text else text


def _backing_name(data: bytes, offset: int, length: int) -> str | None:
    if not offset or length > _MAX_BACKING_NAME:
        return None
    if offset + length > len(data):
        return None
    return _text(data[offset : offset + length])


def _extensions(data: bytes, at: int, end: int) -> dict[int, bytes] | None:
    found: dict[int, bytes] = {}
    for _ in range(_MAX_EXTENSIONS):
        if at + _EXTENSION.size > min(end, len(data)):
            return found
        kind, length = _EXTENSION.unpack_from(data, at)
        at += _EXTENSION.size
        if kind == _EXT_END:
            return found
        if at + length > len(data):
            return None
        found[kind] = data[at : at + length]
        at += (length + 7) & ~7
    return None
