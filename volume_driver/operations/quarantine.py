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


"""Where repairs put what they take away: nothing is unlinked, all is noted.

::

    .quarantine/volume-u/2026-11-27T19:40:11.123456/volume-u.dead
    .quarantine/volume-u/2026-11-27T19:40:11.123456/note.json
    .quarantine/repairs.log

It is a folder of the same filesystem, so nothing is copied, and whatever lies
in it can be moved back.
"""

from __future__ import annotations

import collections.abc
import datetime
import json
import os
import socket

from volume_driver import files
from volume_driver import native

FOLDER = '.quarantine'
NOTE = 'note.json'
LOG = 'repairs.log'

Words = collections.abc.Mapping[str, str]


def take(directory: str, volume: str, name: str, words: Words) -> str:
    """Move a file away, durably; return where to.

    :param words: what the note says besides
    :raises FileOperationFailed: when that is impossible
    """
    path, kept = _place(directory, volume, name, words)
    with files.typed(kept):
        native.call(os.rename, path, kept)
    files.sync_parent(kept)
    files.sync_parent(path)
    return kept


def keep(directory: str, volume: str, name: str, words: Words) -> str:
    """Keep a file that is about to be replaced, likewise, by a hard link."""
    path, kept = _place(directory, volume, name, words)
    with files.typed(kept):
        native.call(_link, path, kept)
    files.sync_parent(kept)
    return kept


def _link(path: str, kept: str) -> None:
    os.link(path, kept, follow_symlinks=False)


def _place(
    directory: str, volume: str, name: str, words: Words
) -> tuple[str, str]:
    """Make a folder with a note; return the paths of the file, old and new."""
    path = os.path.join(directory, name)
    folder = os.path.join(directory, FOLDER, volume, _now())
    kept = os.path.join(folder, name)
    with files.typed(folder):
        os.makedirs(folder, mode=0o700)
    above = os.path.dirname(folder)
    for made in (folder, above, os.path.dirname(above)):
        files.sync_parent(made)
    text = json.dumps(
        {**words, 'file': path, 'put_back': f'mv {kept} {path}'}, indent=1
    )
    files.replace(os.path.join(folder, NOTE), f'{text}\n'.encode())
    return path, kept


def log(directory: str, volume: str, words: Words) -> None:
    """Add a line to the log of all repairs, durably."""
    folder = os.path.join(directory, FOLDER)
    path = os.path.join(folder, LOG)
    line = json.dumps(
        {
            'at': _now(),
            'by': f'{socket.gethostname()}:{os.getpid()}',
            'volume': volume,
            **words,
        }
    )
    with files.typed(path):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        native.call(_append, path, f'{line}\n'.encode())
    files.sync_parent(path)


def _append(path: str, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        os.write(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _now() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(tzinfo=None).isoformat(timespec='microseconds')
