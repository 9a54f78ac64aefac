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

"""How much of its filesystem a directory of volumes takes."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os

from volume_driver import names
from volume_driver import native

# The unit of st_blocks, whatever that of the filesystem is.
_BLOCK = 512


@dataclasses.dataclass(frozen=True)
class Usage:
    """What the images of all volumes come to.

    :param deepest_chain: how many images the volume with the most has
    :param allocated_bytes: what they take
    """

    deepest_chain: int = 0
    allocated_bytes: int = 0


def of(directory: str) -> Usage:
    """Look at the names and sizes of all images, and open none."""
    return native.call(_scan, directory)


def _scan(directory: str) -> Usage:
    depths: collections.Counter[str] = collections.Counter()
    blocks = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            volume = entry.name.partition('.')[0]
            if not (
                names.is_volume(volume)
                and names.is_image_of(volume, entry.name)
                and entry.is_file(follow_symlinks=False)
            ):
                continue
            # It may have gone since.
            with contextlib.suppress(FileNotFoundError):
                blocks += entry.stat(follow_symlinks=False).st_blocks
                depths[volume] += 1
    return Usage(max(depths.values(), default=0), blocks * _BLOCK)
