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

import dataclasses
import os
import struct

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from tests import data
from volume_driver import exception
from volume_driver.images import header

_MIB = 1 << 20
_PLAIN = header.Header(3, _MIB, 65536, None, None)
_OVERLAY = dataclasses.replace(
    _PLAIN, backing='volume-u.a', backing_format='qcow2'
)

_EXPECTED = {
    'v2': dataclasses.replace(_PLAIN, version=2),
    'v2-overlay': dataclasses.replace(_OVERLAY, version=2),
    'v3': _PLAIN,
    'v3-overlay': _OVERLAY,
    'v3-overlay-of-raw': dataclasses.replace(
        _PLAIN, backing='volume-u', backing_format='raw'
    ),
    'v3-overlay-by-path': dataclasses.replace(
        _PLAIN, backing='/etc/passwd', backing_format='raw'
    ),
    'no-backing-format': dataclasses.replace(_OVERLAY, backing_format=None),
    'data-file': dataclasses.replace(_PLAIN, data_file=True),
    'bitmaps': dataclasses.replace(_PLAIN, bitmaps=3),
    'extended-l2': dataclasses.replace(_PLAIN, extended_l2=True),
    'lazy-refcounts': _PLAIN,
    'zstd': _PLAIN,
    'luks': dataclasses.replace(_PLAIN, encrypted=True, luks_at=0x40000),
    'clusters-512': dataclasses.replace(_PLAIN, cluster_size=512),
    'clusters-2m-overlay': dataclasses.replace(_OVERLAY, cluster_size=2 << 20),
}

# Where the fields are: docs/interop/qcow2.txt.
_VERSION = (4, '>I')
_BACKING_OFFSET = (8, '>Q')
_BACKING_LENGTH = (16, '>I')
_CLUSTER_BITS = (20, '>I')
_SIZE = (24, '>Q')
_CRYPT = (32, '>I')
_INCOMPATIBLE = (72, '>Q')
_HEADER_LENGTH = (100, '>I')
_FIRST_EXTENSION_LENGTH = (116, '>I')


def _with(name: str, field: tuple[int, str], value: int) -> bytes:
    found = bytearray(data.header(name))
    struct.pack_into(field[1], found, field[0], value)
    return bytes(found)


def _l1(expected: header.Header, found: bytes) -> header.Header:
    """Return what is expected, with where the L1 table of this one is."""
    size, offset = struct.unpack_from('>IQ', found, 36)
    return dataclasses.replace(expected, l1_size=size, l1_offset=offset)


class RecordedTest(base.TestCase):
    def test_each_recorded_header_is_expected(self) -> None:
        self.assertEqual(set(_EXPECTED), set(data.headers()))

    def test_recorded_headers_are_small(self) -> None:
        for name, found in data.headers().items():
            self.assertLess(len(found), 1024, name)


@ddt.ddt
class ParseTest(base.TestCase):
    def assert_invalid(self, found: bytes, reason: str) -> None:
        error = self.assertRaises(
            exception.ImageInvalid, header.parse, found, '/volumes/volume-u'
        )
        self.assertRegex(str(error.reason), reason)
        self.assertIn('/volumes/volume-u cannot be read as qcow2', str(error))

    @ddt.data(*_EXPECTED)
    def test_real_header(self, name: str) -> None:
        found = data.header(name)
        self.assertEqual(
            _l1(_EXPECTED[name], found), header.parse(found, name)
        )

    @ddt.data(b'', b'Q', b'QFI\xfb', b'QFI\xfb' + bytes(60), bytes(4096))
    def test_no_header_at_all(self, found: bytes) -> None:
        self.assert_invalid(found, 'does not begin with a qcow2 header')

    @ddt.data(0, 1, 4, 0xFFFFFFFF)
    def test_other_versions(self, version: int) -> None:
        self.assert_invalid(_with('v3', _VERSION, version), 'expected 2 or 3')

    @ddt.data(0, 8, 22, 63, 0xFFFFFFFF)
    def test_impossible_clusters(self, bits: int) -> None:
        self.assert_invalid(
            _with('v3', _CLUSTER_BITS, bits), 'expected 2.9 to 2.21'
        )

    @ddt.data(65537, 0xFFFFFFFF)
    def test_header_longer_than_what_there_is(self, length: int) -> None:
        self.assert_invalid(
            _with('v3', _HEADER_LENGTH, length), 'header length is'
        )

    def test_version_3_without_its_fields(self) -> None:
        self.assert_invalid(data.header('v3')[:100], 'header length is')

    @ddt.data(5, 6, 31, 63)
    def test_unknown_features(self, bit: int) -> None:
        self.assert_invalid(
            _with('v3', _INCOMPATIBLE, 1 << bit), 'unknown features'
        )

    def test_dirty_is_no_obstacle(self) -> None:
        dirty = _with('v3', _INCOMPATIBLE, 1)
        self.assertEqual(_l1(_PLAIN, dirty), header.parse(dirty, ''))

    def test_corrupt_is_told(self) -> None:
        found = header.parse(_with('v3', _INCOMPATIBLE, 2), '')
        self.assertTrue(found.corrupt)

    def test_features_of_version_2_are_no_features(self) -> None:
        found = header.parse(_with('v2', _INCOMPATIBLE, 1 << 60), '')
        self.assertFalse(found.corrupt)

    @ddt.data(1, 2)
    def test_encrypted_is_told(self, method: int) -> None:
        self.assertTrue(
            header.parse(_with('v3', _CRYPT, method), '').encrypted
        )

    @ddt.data(1 << 16, 1 << 40, (1 << 64) - 1)
    def test_backing_name_outside_the_cluster(self, offset: int) -> None:
        self.assert_invalid(
            _with('v3-overlay', _BACKING_OFFSET, offset), 'backing name'
        )

    @ddt.data(1024, 1 << 20, 0xFFFFFFFF)
    def test_backing_name_too_long(self, length: int) -> None:
        self.assert_invalid(
            _with('v3-overlay', _BACKING_LENGTH, length), 'backing name'
        )

    @ddt.data(b'\0', b'\xff', b'\xc3')
    def test_backing_name_that_is_no_text(self, wrong: bytes) -> None:
        found = data.header('v3-overlay').replace(
            b'volume-u.a', wrong + b'olume-u.a'
        )
        self.assert_invalid(found, 'backing name')

    def test_empty_backing_name_is_none(self) -> None:
        found = header.parse(_with('v3-overlay', _BACKING_LENGTH, 0), '')
        self.assertIsNone(found.backing)

    @ddt.data(1 << 16, 0xFFFFFFFF)
    def test_extension_longer_than_what_there_is(self, length: int) -> None:
        self.assert_invalid(
            _with('v3', _FIRST_EXTENSION_LENGTH, length),
            'header extensions',
        )

    def test_extensions_without_end(self) -> None:
        endless = struct.pack('>II', 0x0BADCAFE, 0) * 4096
        found = data.header('v3')[:112] + endless
        self.assert_invalid(found, 'header extensions')

    def test_size_is_any_number(self) -> None:
        size = (1 << 64) - 1
        self.assertEqual(size, header.parse(_with('v3', _SIZE, size), '').size)


class FuzzTest(base.TestCase):
    """Nothing that a tenant writes leads to anything but ImageInvalid."""

    def parse(self, found: bytes) -> None:
        try:
            parsed = header.parse(found, 'x')
        except exception.ImageInvalid:
            return
        self.assertIn(parsed.version, (2, 3))
        self.assertIn(parsed.cluster_size, [1 << bit for bit in range(9, 22)])
        for text in (parsed.backing, parsed.backing_format):
            # What is said of a name was read, not made up.
            self.assertIn((text or '').encode(), found)
            self.assertNotIn('\0', text or '')
        self.assertLessEqual(len((parsed.backing or '').encode()), 1023)

    @hypothesis.given(strategies.binary(max_size=4096))
    def test_random_bytes(self, found: bytes) -> None:
        self.parse(found)

    @hypothesis.given(strategies.binary(max_size=4096))
    def test_random_bytes_behind_the_magic(self, found: bytes) -> None:
        self.parse(header.MAGIC + found)

    @hypothesis.given(
        strategies.sampled_from(sorted(_EXPECTED)),
        strategies.lists(
            strategies.tuples(
                strategies.integers(0, 600), strategies.binary(max_size=8)
            ),
            max_size=4,
        ),
        strategies.integers(0, 1024),
    )
    @hypothesis.settings(max_examples=500)
    def test_damaged_real_headers(
        self, name: str, damages: list[tuple[int, bytes]], end: int
    ) -> None:
        found = bytearray(data.header(name))
        for at, damage in damages:
            found[at : at + len(damage)] = damage
        self.parse(bytes(found[:end]))

    @hypothesis.given(
        strategies.sampled_from(
            [
                _VERSION,
                _BACKING_OFFSET,
                _BACKING_LENGTH,
                _CLUSTER_BITS,
                _CRYPT,
                _INCOMPATIBLE,
                _HEADER_LENGTH,
                _FIRST_EXTENSION_LENGTH,
            ]
        ),
        strategies.integers(0, (1 << 64) - 1),
        strategies.integers(0, 64),
    )
    @hypothesis.settings(max_examples=500)
    def test_fields_at_their_limits(
        self, field: tuple[int, str], value: int, shift: int
    ) -> None:
        limit = (1 << 8 * struct.calcsize(field[1])) - 1
        self.parse(_with('v3-overlay', field, (value >> shift) & limit))


@ddt.ddt
class ReadTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'volume-u'

    def read(self) -> header.Header:
        return header.read(str(self.path))

    def assert_not_trusted(self, reason: str) -> None:
        for call in (header.read, header.has_magic):
            error = self.assertRaises(
                exception.ImageNotTrusted, call, str(self.path)
            )
            self.assertIn(reason, str(error.reason))

    def test_image(self) -> None:
        recorded = data.header('v3-overlay')
        self.path.write_bytes(recorded + bytes(65536))
        self.assertEqual(_l1(_OVERLAY, recorded), self.read())
        self.assertTrue(header.has_magic(str(self.path)))

    def test_name_at_the_end_of_a_large_cluster(self) -> None:
        found = bytearray(data.header('clusters-2m-overlay'))
        at = (2 << 20) - 10
        struct.pack_into('>Q', found, 8, at)
        self.path.write_bytes(bytes(found).ljust(at, b'\0') + b'volume-u.b')
        self.assertEqual('volume-u.b', self.read().backing)

    def test_no_more_than_a_cluster_is_read(self) -> None:
        reads: list[int] = []
        real = os.pread

        def pread(fd: int, length: int, offset: int) -> bytes:
            reads.append(offset + length)
            return real(fd, length, offset)

        self.patch(os, 'pread', pread)
        self.path.write_bytes(_with('v3', _CLUSTER_BITS, 60))
        os.truncate(self.path, 1 << 40)
        self.assertRaises(exception.ImageInvalid, self.read)
        self.path.write_bytes(data.header('clusters-2m-overlay'))
        os.truncate(self.path, 1 << 40)
        self.assertEqual('volume-u.a', self.read().backing)
        self.assertLessEqual(max(reads), 2 << 20)

    def test_missing_file(self) -> None:
        error = self.assertRaises(exception.ImageInvalid, self.read)
        self.assertIn('missing', str(error))

    def test_empty_file(self) -> None:
        self.path.touch()
        self.assertRaises(exception.ImageInvalid, self.read)
        self.assertFalse(header.has_magic(str(self.path)))

    def test_symlink_is_not_followed(self) -> None:
        target = self.directory / 'target'
        target.write_bytes(data.header('v3'))
        self.path.symlink_to(target)
        self.assert_not_trusted('cannot be opened')

    def test_fifo_does_not_block(self) -> None:
        os.mkfifo(self.path)
        self.assert_not_trusted('not a regular file')

    def test_directory(self) -> None:
        self.path.mkdir()
        self.assert_not_trusted('not a regular file')

    @ddt.data(600, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    def test_nothing_is_behind_the_end(self, at: int) -> None:
        self.path.write_bytes(b'x' * 600)
        fd = header.open_image(str(self.path))
        self.addCleanup(os.close, fd)
        self.assertEqual(b'', header.pread(fd, 512, at))
        self.assertEqual(b'x', header.pread(fd, 512, 599))

    def test_no_descriptor_is_left_open(self) -> None:
        def opened() -> set[str]:
            return set(os.listdir('/proc/self/fd'))

        before = opened()
        self.path.mkdir()
        self.assert_not_trusted('not a regular file')
        self.path.rmdir()
        self.path.write_bytes(b'QFI\xfb')
        self.assertRaises(exception.ImageInvalid, self.read)
        self.path.write_bytes(data.header('v3'))
        self.read()
        self.assertEqual(before, opened())
