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

"""The bare limit: the calls that the work cannot do without, and no more.

Nothing is looked at, locked, journalled or checked, and nothing survives a
crash. A call of qemu-img is a child of this process, as in a driver.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

_CHUNK = 4 << 20


def create_overlay(path: pathlib.Path, backing: str, size: int) -> None:
    """Create an overlay without opening what is below it.

    :param backing: name of a qcow2 image in the same directory
    :param size: bytes
    """
    _qemu_img(
        *('create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'qcow2'),
        *(os.fspath(path), str(size)),
    )


def commit(overlay: pathlib.Path) -> None:
    """Merge an overlay into its backing image, and remove it."""
    _qemu_img('commit', '-q', '-d', '-f', 'qcow2', os.fspath(overlay))
    overlay.unlink()


def point(overlay: pathlib.Path, backing: str) -> None:
    """Name another backing image."""
    _rebase(overlay, backing, '-u')


def pull(overlay: pathlib.Path, pulled: pathlib.Path, backing: str) -> None:
    """Merge a backing image into its overlay, and remove it.

    :param backing: name of what is below both
    """
    _rebase(overlay, backing)
    pulled.unlink()


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy the bytes of a file, and bring them to the disk."""
    with source.open('rb') as reader, target.open('wb') as writer:
        while os.sendfile(writer.fileno(), reader.fileno(), None, _CHUNK):
            pass
        os.fsync(writer.fileno())


def _rebase(overlay: pathlib.Path, backing: str, *how: str) -> None:
    _qemu_img(
        *('rebase', '-q', *how, '-f', 'qcow2', '-b', backing, '-F', 'qcow2'),
        os.fspath(overlay),
    )


def _qemu_img(*words: str) -> None:
    subprocess.run(['qemu-img', *words], check=True)
