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

"""Makes qcow2 images field by field, also those that cannot be.

The layout is that of docs/interop/qcow2.txt in QEMU's source. An image has
four clusters if nothing else is said: the header, a table of reference counts,
one block of them, and the L1 table.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

GIB = 1 << 30
MAGIC = b'QFI\xfb'
BACKING_FORMAT = 0xE2792ACA
BITMAPS = 0x23852875
DATA_FILE = 0x44415441
LUKS = 0x0537BE77
# Incompatible features.
DIRTY, CORRUPT, EXTERNAL, COMPRESSION, EXTENDED_L2 = (
    1 << bit for bit in range(5)
)
RAW_EXTERNAL = 2  # an autoclear feature
_COPIED, _COMPRESSED = 1 << 63, 1 << 62
_FIELDS = struct.Struct('>4sIQIIQIIQQIIQ')
_MORE = struct.Struct('>QQQII')


@dataclasses.dataclass(frozen=True)
class Image:
    """A qcow2 image; None stands for what is right.

    :ivar name_at: where its header says that the backing name begins
    :ivar name_length: how long its header says that it is
    :ivar tail: what stands behind the fields of the header
    :ivar l1: entries of the L1 table
    :ivar clusters: what stands in the clusters behind the L1 table
    """

    size: int = GIB
    version: int = 3
    bits: int = 16
    backing: bytes = b''
    backing_format: bytes = b''
    name_at: int | None = None
    name_length: int | None = None
    crypt: int = 0
    l1: tuple[int, ...] = ()
    l1_size: int | None = None
    l1_at: int | None = None
    refcounts_at: int | None = None
    refcount_clusters: int = 1
    snapshots: int = 0
    snapshots_at: int = 0
    incompatible: int = 0
    autoclear: int = 0
    order: int = 4
    length: int = 104
    tail: bytes = b''
    extensions: tuple[tuple[int, bytes], ...] = ()
    clusters: tuple[bytes, ...] = ()
    counted: bool = True

    @property
    def cluster(self) -> int:
        return 1 << self.bits

    @property
    def first_free(self) -> int:
        """Where the first of the clusters behind the L1 table begins."""
        return self._l1_at + self._padded(max(8 * self._l1_size, 1))

    @property
    def _l1_at(self) -> int:
        return 3 * self.cluster

    @property
    def _l1_size(self) -> int:
        covered = self.cluster * (self.cluster // 8)
        return max(len(self.l1), min(-(-self.size // covered), 1 << 15))

    def _padded(self, length: int) -> int:
        return -(-length // self.cluster) * self.cluster

    def made(self) -> bytes:
        """Return the whole image."""
        end = self.first_free + sum(
            self._padded(len(each)) for each in self.clusters
        )
        parts = [
            self.header().ljust(self.cluster, b'\0'),
            struct.pack('>Q', 2 * self.cluster).ljust(self.cluster, b'\0'),
            self._counts(end // self.cluster).ljust(self.cluster, b'\0'),
            struct.pack(f'>{len(self.l1)}Q', *self.l1).ljust(
                self.first_free - self._l1_at, b'\0'
            ),
        ]
        parts += [
            each.ljust(self._padded(len(each)), b'\0')
            for each in self.clusters
        ]
        return b''.join(parts)

    def _counts(self, used: int) -> bytes:
        most = self.cluster // 2
        count = min(used, most) if self.counted else 0
        return struct.pack('>H', 1) * count

    def header(self) -> bytes:
        """Return the header alone, with its extensions and backing name."""
        wide = self.version > 2
        rest = self._extensions() + self.tail
        name_at = 0
        if self.backing:
            name_at = (self.length if wide else _FIELDS.size) + len(rest)
        if self.name_at is not None:
            name_at = self.name_at
        fields = _FIELDS.pack(
            *(MAGIC, self.version, name_at, self._name_length(), self.bits),
            *(self.size, self.crypt),
            self._l1_size if self.l1_size is None else self.l1_size,
            self._l1_at if self.l1_at is None else self.l1_at,
            self.cluster if self.refcounts_at is None else self.refcounts_at,
            *(self.refcount_clusters, self.snapshots, self.snapshots_at),
        )
        if wide:
            fields += _MORE.pack(
                *(self.incompatible, 0, self.autoclear),
                *(self.order, self.length),
            )
        return fields + rest + self.backing

    def _name_length(self) -> int:
        if self.name_length is not None:
            return self.name_length
        return len(self.backing)

    def _extensions(self) -> bytes:
        found = list(self.extensions)
        if self.backing_format:
            found.insert(0, (BACKING_FORMAT, self.backing_format))
        parts = [
            struct.pack('>II', kind, len(data)) + data + bytes(-len(data) % 8)
            for kind, data in found
        ]
        return b''.join(parts) + bytes(8)


def table(entry: int, count: int) -> bytes:
    """Return an L2 table whose entries are all the same."""
    return struct.pack('>Q', entry) * count


def standard(at: int) -> int:
    """Return the entry for a cluster that is there."""
    return at | _COPIED


def compressed(at: int, length: int, bits: int) -> int:
    """Return the entry for a cluster that is compressed."""
    shift = 62 - (bits - 8)
    sectors = (at + length - 1) // 512 - at // 512
    return _COMPRESSED | sectors << shift | at


def deflated(data: bytes) -> bytes:
    """Return data as a compressed cluster has it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return packer.compress(data) + packer.flush()
