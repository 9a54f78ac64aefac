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

    def test_options_of_a_digest(self) -> None:
        options = luks.Cipher('aes-256', 'cbc', 'essiv:sha256').options()
        self.assertIn('encrypt.ivgen-alg=essiv', options)
        self.assertIn('encrypt.ivgen-hash-alg=sha256', options)
        self.assertEqual(3, len(luks.Cipher().options()))
