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

import json
import os
import pathlib
import struct
import typing

from tests import base
from tests.unit.images import test_luks
from volume_driver import exception
from volume_driver.images import header
from volume_driver.images import luks
from volume_driver.images import secrets

KEY = secrets.Key('open sesame')


def encrypted_header(backing: str = '', crypt: int = 2) -> bytes:
    """Return a qcow2 image that is a header, with LUKS if it is encrypted."""
    name = backing.encode()
    extensions = struct.pack('>IIQQ', 0x0537BE77, 16, 4096, 512)
    if backing:
        extensions += struct.pack('>II8s', 0xE2792ACA, 5, b'qcow2')
    extensions += struct.pack('>II', 0, 0)
    head = struct.pack(
        '>4sIQIIQIIQQIIQ',
        *(b'QFI\xfb', 3, 1024 if name else 0, len(name), 16, 1 << 20),
        *(crypt, 1, 0x30000, 0x10000, 1, 0, 0),
    ) + struct.pack('>QQQII', 0, 0, 0, 4, 104)
    data = (head + extensions).ljust(1024, b'\0') + name
    # The slots for keys, none of which is in use.
    return (data.ljust(4096, b'\0') + test_luks.luks_header()).ljust(
        8192, b'\0'
    )


class SecretsTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.temp_dir())

    def make(self, *chain: str, crypt: int = 2) -> str:
        """Make the images of a chain; return the path of the last one."""
        below = ''
        for name in chain:
            path = self.directory / name
            path.write_bytes(encrypted_header(below, crypt))
            below = name
        return str(path)

    def test_passphrase_is_shown_while_a_command_runs(self) -> None:
        with secrets.shown({'s0': KEY, 's1': None}) as arguments:
            option, secret = arguments
            path = secret.partition('file=')[2]
            self.assertEqual('open sesame', pathlib.Path(path).read_text())
            self.assertEqual('--object', option)
            self.assertNotIn('sesame', secret)
        self.assertFalse(os.path.exists(path))

    def test_it_is_not_in_what_is_printed_of_a_key(self) -> None:
        self.assertNotIn('sesame', repr(KEY))

    def test_all_images_of_a_chain_are_named(self) -> None:
        path = self.make('volume-u', 'volume-u.a', 'volume-u.b')
        found: typing.Any = json.loads(secrets.name(path)[len('json:') :])
        names = []
        while found is not None:
            self.assertEqual('qcow2', found['driver'])
            self.assertEqual('s0', found['encrypt.key-secret'])
            names.append(os.path.basename(found['file']['filename']))
            found = found['backing']
        self.assertEqual(['volume-u.b', 'volume-u.a', 'volume-u'], names)
        self.assertEqual(('volume-u.a', 'volume-u'), secrets.names_below(path))

    def test_an_image_alone_opens_nothing_below_it(self) -> None:
        path = self.make('volume-u', 'volume-u.a')
        found = json.loads(secrets.name(path, alone=True)[len('json:') :])
        self.assertIsNone(found['backing'])

    def test_plain_image_below_is_refused(self) -> None:
        path = self.make('volume-u', 'volume-u.a')
        self.make('volume-u', crypt=0)
        self.assertRaises(exception.EncryptionMixed, secrets.name, path)

    def test_cycle_is_refused(self) -> None:
        path = self.make('volume-u.b', 'volume-u.a', 'volume-u.b')
        self.assertRaises(exception.EncryptionMixed, secrets.name, path)

    def test_other_volume_below_is_refused(self) -> None:
        self.make('volume-v')
        path = self.make('volume-u.a')
        pathlib.Path(path).write_bytes(encrypted_header('volume-v'))
        self.assertRaises(exception.ImageNotTrusted, secrets.name, path)

    def test_old_encryption_is_refused(self) -> None:
        path = self.make('volume-u', crypt=1)
        self.assertEqual(0, header.read(path).luks_at)
        self.assertRaises(exception.ImageNotTrusted, secrets.name, path)

    def test_one_that_takes_hours_to_open_is_refused(self) -> None:
        path = pathlib.Path(self.make('volume-u'))
        data = bytearray(path.read_bytes())
        data[4096 + 164 : 4096 + 168] = b'\xff' * 4
        path.write_bytes(data)
        error = self.assertRaises(
            exception.ImageNotTrusted, secrets.name, str(path)
        )
        self.assertIn('hashed', str(error))

    def test_new_images_are_encrypted_like_others(self) -> None:
        path = self.make('volume-u')
        key = secrets.Key('x', luks.Cipher('aes-128')).like(path)
        self.assertEqual(luks.Cipher(), key.cipher)
        self.assertIn('encrypt.cipher-alg=aes-256', secrets.options(key))

    def test_luks_alone(self) -> None:
        found = json.loads(secrets.luks_name('/v')[len('json:') :])
        self.assertEqual('luks', found['driver'])
        self.assertEqual('s0', found['key-secret'])
        self.assertEqual('/v', found['file']['filename'])
        self.assertNotIn('encrypt', secrets.options(KEY, 'luks'))
        self.assertIn('cipher-alg=aes-256', secrets.options(KEY, 'luks'))

    def test_raw_image_is_plain(self) -> None:
        self.assertFalse(secrets.is_encrypted('/nonexistent', 'raw'))
        self.assertTrue(secrets.is_encrypted(self.make('volume-u')))
