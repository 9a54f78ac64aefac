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

"""How an image is encrypted, read from the LUKS header inside it."""

from __future__ import annotations

import dataclasses
import os
import re
import struct

from volume_driver import exception
from volume_driver.images import header

# magic, version, cipher name, cipher mode, hash, payload offset, key bytes
_HEADER = struct.Struct('>6sH32s32s32sII')
_MAGIC = b'LUKS\xba\xbe'
_WORD = re.compile(r'[a-z0-9-]+')


@dataclasses.dataclass(frozen=True)
class Cipher:
    """A cipher in QEMU's words.

    :param iv: how initial vectors are made, such as ``essiv:sha256``
    """

    algorithm: str = 'aes-256'
    mode: str = 'xts'
    iv: str = 'plain64'

    def options(self) -> list[str]:
        """Return it as options of ``qemu-img create``."""
        iv, _, digest = self.iv.partition(':')
        return [
            f'encrypt.cipher-alg={self.algorithm}',
            f'encrypt.cipher-mode={self.mode}',
            f'encrypt.ivgen-alg={iv}',
            *([f'encrypt.ivgen-hash-alg={digest}'] if digest else []),
        ]


# QEMU's own.
DEFAULT = Cipher()


def cipher_of(path: str) -> Cipher:
    """Return the cipher of an encrypted qcow2 image.

    :raises ImageInvalid: when it has no LUKS header that can be read
    """
    at = header.read(path).luks_at
    fd = header.open_image(path)
    try:
        data = os.pread(fd, _HEADER.size, at) if at else b''
    finally:
        os.close(fd)
    return parse(data, path)


def parse(data: bytes, path: str) -> Cipher:
    """Read a cipher from the first bytes of a LUKS header.

    :param path: for the error's text
    :raises ImageInvalid: when they are none
    """

    def invalid(reason: str) -> exception.ImageInvalid:
        return exception.ImageInvalid(path=path, format='LUKS', reason=reason)

    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise invalid('it has no LUKS header')
    _, version, name, mode, _, _, key_bytes = _HEADER.unpack_from(data)
    if version != 1:
        raise invalid(f'its LUKS version is {version}, expected 1')
    algorithm = _text(name)
    chaining, _, iv = _text(mode).partition('-')
    # XTS has two keys of the cipher's size.
    bits = key_bytes * (4 if chaining == 'xts' else 8)
    words = (algorithm, chaining, *iv.split(':', 1))
    if not all(_WORD.fullmatch(word) for word in words):
        raise invalid('its cipher cannot be read')
    return Cipher(f'{algorithm}-{bits}', chaining, iv)


def _text(raw: bytes) -> str:
    return raw.partition(b'\0')[0].decode('ascii', 'replace')
