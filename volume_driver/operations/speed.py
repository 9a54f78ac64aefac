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

"""How fast the last merge in a directory was, for who asks how long one takes.

It is a guess that nothing depends on: it is neither locked nor synced.
"""

from __future__ import annotations

import contextlib
import json
import os

_FILE = '.merge_speed'
# Bytes: what is sooner done says more of its beginning than of the disk.
_LEAST = 64 << 20


def remember(directory: str, copied: int, seconds: float) -> None:
    """Note how long a merge took.

    :param copied: bytes that it copied
    """
    if copied < _LEAST or seconds <= 0:
        return
    path = os.path.join(directory, _FILE)
    part = f'{path}.{os.getpid()}'
    with contextlib.suppress(OSError):
        with open(part, 'w', encoding='ascii') as stream:
            json.dump(copied / seconds, stream)
        os.replace(part, path)


def recall(directory: str) -> float | None:
    """Return the speed of the last merge in bytes a second, if known."""
    try:
        with open(os.path.join(directory, _FILE), 'rb') as stream:
            found = json.loads(stream.read(64))
    except (OSError, ValueError):
        return None
    is_number = isinstance(found, int | float)
    return float(found) if is_number and found > 0 else None
