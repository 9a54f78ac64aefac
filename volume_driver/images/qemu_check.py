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

"""The qemu-img verbs that look for damage, mend it, or compare.

What is corrupt is never mended in place: see :func:`mend`.
"""

from __future__ import annotations

import json
import os

from volume_driver import access
from volume_driver import exception
from volume_driver.images import qemu_img
from volume_driver.images import secrets

# What the exit codes of a check mean, where it was carried out.
CORRUPT = 'corrupt'
_CHECKED: dict[object, str] = {2: CORRUPT, 3: 'leaks'}
_DIFFERENT = 1


def free_leaked(
    execute: qemu_img.Execute, path: str, key: secrets.Key | None = None
) -> None:
    """Free the clusters of a qcow2 image that nothing refers to."""
    access.ensure(path)
    image = qemu_img.image_arguments(path, key, alone=True)
    words = ('check', '-q', '-r', 'leaks', *image)
    qemu_img.run(execute, path, *words, opened=key, reads=_length(path))


def mend(execute: qemu_img.Execute, path: str) -> None:
    """Build the reference counts of a qcow2 image anew, from its tables.

    Give it a copy: qemu-img believes the tables, and what it makes of those
    that are wrong cannot be undone. No other image is opened.

    :raises CommandFailed: when errors are left
    """
    words = ('check', '-q', '-r', 'all', _alone(path))
    qemu_img.run(execute, path, *words, reads=_length(path))


def check(
    execute: qemu_img.Execute, path: str, key: secrets.Key | None = None
) -> str:
    """Check the metadata of a qcow2 image, and change nothing.

    No other image is opened, whatever the header names. ``-U``: nobody is
    kept from opening the image meanwhile; then the answer means nothing.

    :returns: :data:`CORRUPT`, ``leaks`` or nothing
    """
    if key is None:
        image: tuple[str, ...] = (_alone(path),)
    else:
        image = qemu_img.image_arguments(path, key, alone=True)
    words = ('check', '-q', '-U', *image)
    try:
        qemu_img.run(execute, path, *words, opened=key, reads=_length(path))
    except exception.CommandFailed as error:
        if error.exit_code in _CHECKED:
            return _CHECKED[error.exit_code]
        raise
    return ''


def shows_same(
    execute: qemu_img.Execute,
    one: tuple[str, str],
    other: tuple[str, str],
    below: tuple[str, str] | None = None,
) -> bool:
    """Tell whether one sees the same through two images, to the end.

    The images below them are opened, too: their headers are checked already.

    :param one: its path and its format, likewise the others
    :param below: what is taken for the image below the other, None for the
        one that it names
    :raises CommandFailed: when one of them cannot be read
    """
    seen = _node(*other)
    if below is not None:
        seen['backing'] = _node(*below)
    names = [f'json:{json.dumps(each)}' for each in (_node(*one), seen)]
    try:
        qemu_img.run(execute, one[0], 'compare', '-q', *names)
    except exception.CommandFailed as error:
        if error.exit_code == _DIFFERENT:
            return False
        raise
    return True


def _length(path: str) -> int:
    """Return the length of a file, in which all of its tables are."""
    return os.stat(path).st_size


def _alone(path: str) -> str:
    return f'json:{json.dumps(qemu_img.lone_node(path))}'


def _node(path: str, image_format: str) -> dict[str, object]:
    found: dict[str, object] = qemu_img.lone_node(path)
    del found['backing']
    return {**found, 'driver': image_format}
