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

"""What is allocated where, from the map of an image and its backing image."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import typing

from volume_driver.images import qemu_img


@dataclasses.dataclass(frozen=True)
class Pair:
    """What merging an overlay and its backing image would copy, in bytes.

    :param commit: allocated in the overlay
    :param pull: allocated in the backing image and not in the overlay
    """

    commit: int
    pull: int


def of_pair(execute: qemu_img.Execute, overlay: str) -> Pair:
    """Ask for both figures with one map of an overlay.

    Zero clusters count nowhere: they are written as metadata.

    :param overlay: path of the overlay
    """
    return from_extents(json.loads(qemu_img.map_extents(execute, overlay)))


def from_extents(
    extents: collections.abc.Iterable[dict[str, typing.Any]],
) -> Pair:
    """Add up the extents that ``qemu-img map --output=json`` names.

    Depth 0 is the overlay itself, depth 1 its backing image.
    """
    copied = [0, 0]
    for extent in extents:
        if extent['data'] and extent['depth'] < len(copied):
            copied[extent['depth']] += extent['length']
    return Pair(*copied)
