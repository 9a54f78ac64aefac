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

"""Attacks by what is no regular file, and the list of all attacks."""

from __future__ import annotations

import functools
import os
import pathlib
import socket
import stat

from tests.attacks import attack as attacks
from tests.attacks import formats
from tests.attacks import named
from tests.attacks import numbers


def _link(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.symlink_to(scene.secret)


def _link_up(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.symlink_to(os.path.relpath(scene.secret, path.parent))


def _link_other(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.symlink_to(scene.other)


def _link_itself(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.symlink_to(path.name)


def _link_nowhere(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.symlink_to(scene.secret.with_name('nothing'))


def _pipe(path: pathlib.Path, scene: attacks.Scene) -> None:
    os.mkfifo(path)


def _directory(path: pathlib.Path, scene: attacks.Scene) -> None:
    path.mkdir()


def _socket(path: pathlib.Path, scene: attacks.Scene) -> None:
    # A socket's whole path has to be short.
    here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f'/proc/self/fd/{here}/{path.name}')
    finally:
        os.close(here)


def _device(
    path: pathlib.Path, scene: attacks.Scene, kind: int, number: int
) -> None:
    os.mknod(path, kind | 0o600, number)


def _node(label: str, write: attacks.Write) -> attacks.Attack:
    return attacks.Attack(label, attacks.NODE, write, guest=False)


NODES = (
    _node('a link to a file of the host', _link),
    _node('a link with ../', _link_up),
    _node('a link to another volume', _link_other),
    _node('a link to itself', _link_itself),
    _node('a link to nothing', _link_nowhere),
    _node('a pipe', _pipe),
    _node('a directory', _directory),
    _node('a socket', _socket),
    _node(
        '/dev/zero',
        functools.partial(_device, kind=stat.S_IFCHR, number=os.makedev(1, 5)),
    ),
    _node(
        'a disk of the host',
        # Of a number for local use: there is none behind it.
        functools.partial(
            _device, kind=stat.S_IFBLK, number=os.makedev(240, 7)
        ),
    ),
)

CORPUS = (
    *numbers.HEADERS,
    *named.NAMES,
    *named.DATA_FILES,
    *formats.FORMATS,
    *numbers.BOMBS,
    *numbers.CLUSTERS,
    *numbers.CRYPTS,
    *numbers.SIZES,
    *named.CHAINS,
    *NODES,
)
