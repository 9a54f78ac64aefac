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

from __future__ import annotations

import pathlib
import struct

import ddt

from tests import base
from volume_driver import exception
from volume_driver.images import luks


def luks_header(
    name: str = 'aes',
    mode: str = 'xts-plain64',
    key_bytes: int = 64,
    version: int = 1,
) -> bytes:
    """Return the beginning of a LUKS header."""
    return struct.pack(
        '>6sH32s32s32sII',
        b'LUKS\xba\xbe',
        version,
        name.encode(),
        mode.encode(),
        b'sha256',
        4040,
        key_bytes,
    )


@ddt.ddt
class LuksTest(base.TestCase):
    @ddt.data(
        ('aes', 'xts-plain64', 64, luks.Cipher()),
        ('aes', 'xts-plain64', 32, luks.Cipher('aes-128')),
        ('aes', 'cbc-plain', 32, luks.Cipher('aes-256', 'cbc', 'plain')),
        (
            *('serpent', 'cbc-essiv:sha256', 16),
            luks.Cipher('serpent-128', 'cbc', 'essiv:sha256'),
        ),
    )
    @ddt.unpack
    def test_cipher_is_in_the_words_of_qemu(
        self, name: str, mode: str, key_bytes: int, expected: luks.Cipher
    ) -> None:
        data = luks_header(name, mode, key_bytes)
        self.assertEqual(expected, luks.parse(data, '/v'))

    @ddt.data(
        b'',
        luks_header()[:-1],
        b'x' * 200,
        luks_header(version=2),
        luks_header(name='a,b'),
        luks_header(mode='xts'),
        luks_header(mode='xts-plain,x=y'),
        luks_header(name=''),
    )
    def test_anything_else_is_refused(self, data: bytes) -> None:
        self.assertRaises(exception.ImageInvalid, luks.parse, data, '/v')

    def test_options_without_qcow2(self) -> None:
        options = luks.Cipher().options('')
        self.assertIn('cipher-alg=aes-256', options)
        self.assertEqual(3, len(options))

    def test_options_of_a_digest(self) -> None:
        options = luks.Cipher('aes-256', 'cbc', 'essiv:sha256').options()
        self.assertIn('encrypt.ivgen-alg=essiv', options)
        self.assertIn('encrypt.ivgen-hash-alg=sha256', options)
        self.assertEqual(3, len(luks.Cipher().options()))


class ContainerTest(base.TestCase):
    def put(self, data: bytes, length: int = 8 << 20) -> str:
        """Make a file that begins with some bytes; return its path."""
        path = pathlib.Path(self.temp_dir()) / 'luks'
        with path.open('wb') as stream:
            stream.write(data)
            stream.truncate(length)
        return str(path)

    def whole(self, digest: int = 1000, slot: int = 1000) -> bytes:
        """Return a header with one active slot, the last one."""
        slots = struct.pack('>II40x', 0x0000DEAD, 0xFFFFFFFF) * 7
        slots += struct.pack('>II40x', 0x00AC71F3, slot)
        return luks_header() + struct.pack('>52xI40x', digest) + slots

    def test_its_data_is_behind_its_header(self) -> None:
        path = self.put(self.whole())
        self.assertTrue(luks.has_magic(path))
        self.assertEqual((8 << 20) - 4040 * 512, luks.payload(path))
        self.assertEqual(luks.Cipher(), luks.cipher_of(path))
        luks.check_effort(path)

    def test_what_ends_within_its_header(self) -> None:
        path = self.put(self.whole(), 4040 * 512)
        self.assertRaises(exception.ImageInvalid, luks.payload, path)
        path = self.put(self.whole(), 500)
        self.assertRaises(exception.ImageInvalid, luks.check_effort, path)

    def test_what_takes_hours_to_be_opened(self) -> None:
        for header in (self.whole(slot=1 << 31), self.whole(digest=1 << 31)):
            path = self.put(header)
            self.assertRaises(
                exception.ImageNotTrusted, luks.check_effort, path
            )

    def test_what_is_none(self) -> None:
        path = self.put(b'QFI')
        self.assertFalse(luks.has_magic(path))
        self.assertRaises(exception.ImageInvalid, luks.check_effort, path)
