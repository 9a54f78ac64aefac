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

"""What stands in files, and what is different about them."""

from __future__ import annotations

import collections.abc
import hashlib
import os
import pathlib
import stat
import subprocess

# Type and mode, length, and what stands in it, or where it leads.
Print = tuple[int, int, str]
_ZEROS = bytes(1 << 16)


def prints(directory: pathlib.Path) -> dict[str, Print]:
    """Return what all is in a directory, of whatever kind, by its name.

    Locks are left out: they hold nothing.
    """
    return {
        path.name: _print(path)
        for path in sorted(directory.iterdir())
        if path.name != '.locks'
    }


def _print(path: pathlib.Path) -> Print:
    found = path.lstat()
    content = ''
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(found.st_mode):
        digest = hashlib.sha256()
        for at, data in pieces(path):
            digest.update(at.to_bytes(8, 'big') + data)
        content = digest.hexdigest()
    return found.st_mode, found.st_size, content


def pieces(
    path: pathlib.Path,
) -> collections.abc.Iterator[tuple[int, bytes]]:
    """Yield what of a file is not zero, and where; holes cost nothing."""
    length = len(_ZEROS)
    with path.open('rb') as stream:
        size, at = path.stat().st_size, 0
        while at < size:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            except OSError:
                return  # nothing but a hole
            end = os.lseek(stream.fileno(), at, os.SEEK_HOLE)
            at -= at % length
            while at < end:
                stream.seek(at)
                data = stream.read(length)
                if data != _ZEROS[: len(data)]:
                    yield at, data
                at += length


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy a file; what is zero becomes a hole."""
    with target.open('wb') as stream:
        for at, data in pieces(source):
            stream.seek(at)
            stream.write(data)
        stream.truncate(source.stat().st_size)


def holds(path: pathlib.Path, words: bytes) -> bool:
    """Tell whether words stand anywhere in a file."""
    before = b''
    for _, data in pieces(path):
        if words in before[-len(words) :] + data:
            return True
        before = data
    return False


def same(
    one: tuple[pathlib.Path, str], other: tuple[pathlib.Path, str]
) -> str:
    """Compare what two images show; return what is different.

    :param one: its path and its format, likewise the other
    """
    if one[1] == other[1] == 'raw':
        return _same_raw(one[0], other[0])
    result = _compare(one, other)
    if result.returncode == 0:
        return ''
    # What cannot be read, and could not be before.
    if result.returncode > 1 and _compare(one, one).returncode > 1:
        return ''
    return f'{result.stdout.strip()} {result.stderr.strip()}'


def _compare(
    one: tuple[pathlib.Path, str], other: tuple[pathlib.Path, str]
) -> subprocess.CompletedProcess[str]:
    words = ('-f', one[1], '-F', other[1], one[0], other[0])
    return subprocess.run(
        ['qemu-img', 'compare', *words],
        capture_output=True,
        text=True,
        errors='replace',
    )


def _same_raw(one: pathlib.Path, other: pathlib.Path) -> str:
    sizes = [each.stat().st_size for each in (one, other)]
    if sizes[0] != sizes[1]:
        return f'sizes {sizes}'
    if dict(pieces(one)) != dict(pieces(other)):
        return 'other data'
    return ''
