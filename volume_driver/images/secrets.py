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

"""Passphrases of encrypted images, and how qemu-img gets at them.

A passphrase stands in no command line, log, error or file on disk. For as long
as a command runs it is in a file in memory, which the command knows by the
name that this process's descriptor has below ``/proc``: nobody but the same
user, and root, may follow that.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import json
import os
import typing

from volume_driver import exception
from volume_driver.images import header
from volume_driver.images import luks
from volume_driver.images import trust

# What the two images of one command are opened with.
OPENED = 's0'
MADE = 's1'

# A passphrase is a random key, so stretching it adds nothing; but whoever
# opens a chain waits for each of its images, and a guest that is switched to
# an overlay stands still for it. Milliseconds; QEMU's own default is 2000.
_STRETCHING = 10


@dataclasses.dataclass(frozen=True)
class Key:
    """What opens the images of a volume, and how new ones are encrypted.

    :param passphrase: with the entropy of a random key
    :param cipher: of images that are made with it
    """

    passphrase: str = dataclasses.field(repr=False)
    cipher: luks.Cipher = luks.DEFAULT

    def like(self, path: str) -> Key:
        """Return the same, to make images that are encrypted as another."""
        return dataclasses.replace(self, cipher=luks.cipher_of(path))


# Asks for the key of one volume; refuses when there is none.
Unlock = collections.abc.Callable[[], Key]


def is_encrypted(path: str, image_format: str = 'qcow2') -> bool:
    """Tell whether an image needs a key to be opened.

    :raises ImageInvalid: when it is missing or not of that format
    """
    return image_format != 'raw' and header.read(path).encrypted


@contextlib.contextmanager
def shown(
    keys: collections.abc.Mapping[str, Key | None],
) -> collections.abc.Iterator[list[str]]:
    """Let a child process see passphrases; yield qemu-img's arguments.

    :param keys: by :data:`OPENED` and :data:`MADE`
    """
    with contextlib.ExitStack() as stack:
        arguments = []
        for name, key in keys.items():
            if key is not None:
                path = stack.enter_context(_in_memory(key.passphrase))
                arguments += [
                    '--object',
                    f'secret,id={name},format=raw,file={path}',
                ]
        yield arguments


@contextlib.contextmanager
def _in_memory(text: str) -> collections.abc.Iterator[str]:
    fd = os.memfd_create('volume-driver', os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode())
        yield f'/proc/{os.getpid()}/fd/{fd}'
    finally:
        os.close(fd)


def name(path: str, alone: bool = False) -> str:
    """Return qemu-img's name for an encrypted image and all below it.

    Every image of the chain needs the secret, so they are all named. The
    names come from the headers, which are checked here.

    :param alone: without what is below it
    :raises EncryptionMixed: when one of them is not encrypted
    """
    return 'json:' + json.dumps(_node(path, alone, []))


def luks_name(path: str) -> str:
    """Return qemu-img's name for a LUKS container, which is no qcow2 image."""
    return 'json:' + json.dumps(
        {
            'driver': 'luks',
            'key-secret': OPENED,
            'file': {'driver': 'file', 'filename': os.path.abspath(path)},
        }
    )


def names_below(path: str) -> tuple[str, ...]:
    """Return the names of all images below an encrypted one, its own first.

    :raises EncryptionMixed: when one of them is not encrypted
    """
    node, found = _node(path, False, []), []
    while node['backing'] is not None:
        node = node['backing']
        found.append(os.path.basename(node['file']['filename']))
    return tuple(found)


def named_below(path: str, image_format: str) -> tuple[str, ...]:
    """Return what a guest's definition has to name below an image.

    That is nothing for one that is not encrypted: QEMU finds it by itself.
    """
    if not is_encrypted(path, image_format):
        return ()
    return names_below(path)


def _node(path: str, alone: bool, above: list[str]) -> dict[str, typing.Any]:
    directory, bare = os.path.split(path)
    volume = bare.partition('.')[0]
    found = header.read(path)
    trust.check(volume, path, found)
    if not found.encrypted or bare in above:
        raise exception.EncryptionMixed(
            volume=volume, encrypted=', '.join(above), plain=bare
        )
    luks.check_effort(path, found.luks_at)
    if found.backing_format == 'raw':
        raise exception.EncryptionMixed(
            volume=volume, encrypted=bare, plain=found.backing
        )
    node: dict[str, typing.Any] = {
        'driver': 'qcow2',
        'encrypt.key-secret': OPENED,
        'file': {'driver': 'file', 'filename': os.path.abspath(path)},
        'backing': None,
    }
    if found.backing is not None and not alone:
        below = os.path.join(directory, trust.plain(found.backing))
        node['backing'] = _node(below, alone, [*above, bare])
    return node


def options(key: Key, image_format: str = 'qcow2') -> str:
    """Return what makes ``qemu-img create`` encrypt an image.

    :param image_format: ``qcow2``, or ``luks`` for a container without it
    """
    prefix = '' if image_format == 'luks' else 'encrypt.'
    return ','.join(
        [
            *(['encrypt.format=luks'] if prefix else []),
            f'{prefix}key-secret={MADE}',
            f'{prefix}iter-time={_STRETCHING}',
            *key.cipher.options(prefix),
        ]
    )
