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

"""What a hostile image may say of its tables; see also test_allocation."""

from __future__ import annotations

import os
import struct

import ddt

from tests import base
from tests import data
from volume_driver.images import clusters

_CLUSTER_BITS = 20
_SIZE = 24
_L1_SIZE = 36
_L1_OFFSET = 40


@ddt.ddt
class HostileTest(base.TestCase):
    def image(self, bits: int, size: int, l1_offset: int, *tables: int) -> str:
        """Write an image with an L1 table; return its path."""
        found = bytearray(data.header('v3').ljust(65536, b'\0'))
        struct.pack_into('>I', found, _CLUSTER_BITS, bits)
        struct.pack_into('>Q', found, _SIZE, size)
        struct.pack_into('>I', found, _L1_SIZE, 0xFFFFFFFF)
        struct.pack_into('>Q', found, _L1_OFFSET, l1_offset)
        found += struct.pack(f'>{len(tables)}Q', *tables)
        path = self.temp_dir() / 'volume-u'
        path.write_bytes(bytes(found))
        return str(path)

    @ddt.data(1 << 20, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    def test_table_outside_the_file(self, offset: int) -> None:
        path = self.image(16, 1 << 20, offset, 0)
        self.assertIsNone(clusters.read(path))

    @ddt.data(1 << 20, (1 << 56) - 512)
    def test_second_table_outside_the_file(self, offset: int) -> None:
        path = self.image(16, 1 << 20, 65536, offset)
        self.assertIsNone(clusters.read(path))

    @ddt.data(1 << 40, (1 << 64) - 1)
    def test_size_of_more_tables_than_there_are(self, size: int) -> None:
        path = self.image(16, size, 65536, 65536)
        self.assertIsNone(clusters.read(path))

    def test_small_file_of_many_tables(self) -> None:
        # Each entry names the same table: 32 GiB of them in all.
        count = 1 << 14
        path = self.image(21, count << 39, 65536, *([1 << 21] * count))
        os.truncate(path, 4 << 20)
        reads: list[int] = []
        real = os.pread

        def pread(fd: int, length: int, offset: int) -> bytes:
            reads.append(length)
            return real(fd, length, offset)

        self.patch(os, 'pread', pread)
        self.assertIsNone(clusters.read(path))
        self.assertLess(sum(reads), 8 << 20)
