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

"""How an image is encrypted, read from the LUKS header that it has.

The layout is that of the LUKS1 on-disk format specification: big-endian
fields, and behind them eight key slots. QEMU can read no other version.
"""

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
_SECTOR = 512
# How often the digest of the master key is hashed, as the last field of the
# header but one; then the slots: active or not, how often what opens it is
# hashed, salt, where its key material begins, and in how many stripes.
_DIGEST_ITERATIONS = struct.Struct('>164xI')
_SLOT = struct.Struct('>II32sII')
_FIRST_SLOT = 208
_ACTIVE = 0x00AC71F3
_WHOLE = _FIRST_SLOT + 8 * _SLOT.size
# cryptsetup takes as many as last two seconds, QEMU likewise: a few millions.
# Whoever made a header can let it take hours; oslo.utils has the same limit.
_MOST_ITERATIONS = 12_000_000
_WORD = re.compile(r'[a-z0-9-]+')


@dataclasses.dataclass(frozen=True)
class Cipher:
    """A cipher in QEMU's words.

    :param iv: how initial vectors are made, such as ``essiv:sha256``
    """

    algorithm: str = 'aes-256'
    mode: str = 'xts'
    iv: str = 'plain64'

    def options(self, prefix: str = 'encrypt.') -> list[str]:
        """Return it as options of ``qemu-img create``.

        :param prefix: that the options of a qcow2 image have
        """
        iv, _, digest = self.iv.partition(':')
        return [
            f'{prefix}cipher-alg={self.algorithm}',
            f'{prefix}cipher-mode={self.mode}',
            f'{prefix}ivgen-alg={iv}',
            *([f'{prefix}ivgen-hash-alg={digest}'] if digest else []),
        ]


# QEMU's own.
DEFAULT = Cipher()


def cipher_of(path: str) -> Cipher:
    """Return the cipher of an encrypted qcow2 image, or of LUKS alone.

    :raises ImageInvalid: when it has no LUKS header that can be read
    """
    data, _ = _read(path)
    if not data.startswith(_MAGIC):
        at = header.read(path).luks_at
        data = _read(path, at)[0] if at else b''
    return parse(data, path)


def has_magic(path: str) -> bool:
    """Tell whether a file begins as a LUKS container does."""
    return _read(path)[0].startswith(_MAGIC)


def payload(path: str) -> int:
    """Return how many bytes of data a LUKS container has.

    :raises ImageInvalid: when it has no LUKS header that can be read, or
        ends in it
    """
    data, length = _read(path)
    parse(data, path)
    size = length - int(_HEADER.unpack_from(data)[5]) * _SECTOR
    if size <= 0:
        raise exception.ImageInvalid(
            path=path, format='LUKS', reason='it ends within its header'
        )
    return size


def check_effort(path: str, at: int = 0) -> None:
    """Check that a header which others made is opened in seconds.

    :param at: where in the file it begins
    :raises ImageInvalid: when it is none
    :raises ImageNotTrusted: when it would take longer
    """
    data, _ = _read(path, at)
    parse(data, path)
    if len(data) < _WHOLE:
        raise exception.ImageInvalid(
            path=path, format='LUKS', reason='it ends within its header'
        )
    slots = [
        _SLOT.unpack_from(data, _FIRST_SLOT + number * _SLOT.size)[:2]
        for number in range(8)
    ]
    efforts = [each for active, each in slots if active == _ACTIVE]
    effort = max([*efforts, *_DIGEST_ITERATIONS.unpack_from(data)])
    if effort > _MOST_ITERATIONS:
        raise exception.ImageNotTrusted(
            path=path,
            reason=f'its passphrase would be hashed {effort} times',
        )


def _read(path: str, at: int = 0) -> tuple[bytes, int]:
    """Return what can be a header, and the length of the file."""
    fd = header.open_image(path)
    try:
        return header.pread(fd, _WHOLE, at), os.fstat(fd).st_size
    finally:
        os.close(fd)


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
