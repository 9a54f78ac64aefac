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

"""Images and chains as values.

::

    volume-u  <-  volume-u.a  <-  volume-u.b^          ^ = active
      [0]           [1]             [2]

The data of snapshot ``a`` is what one sees through the image BELOW
``volume-u.a``.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Image:
    """One file of a chain.

    :param name: bare file name in the volume's directory
    :param format: ``qcow2`` or ``raw``
    :param size: virtual size in bytes
    :param allocated: bytes that the file takes on its filesystem
    :param backing: bare name of the backing image, None for a base
    :param backing_format: its format, as this image's header names it
    :param encrypted: its clusters are, with LUKS
    """

    name: str
    format: str
    size: int
    allocated: int = 0
    backing: str | None = None
    backing_format: str | None = None
    encrypted: bool = False


@dataclasses.dataclass(frozen=True)
class Chain:
    """The images of a volume, the base first."""

    images: tuple[Image, ...]

    @property
    def base(self) -> Image:
        return self.images[0]

    @property
    def active(self) -> Image:
        return self.images[-1]

    @property
    def encrypted(self) -> bool:
        return self.base.encrypted

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(image.name for image in self.images)

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Image:
        return self.images[self.names.index(name)]

    def below(self, name: str) -> Image | None:
        """Return the backing image of an image, None below the base."""
        at = self.names.index(name)
        return self.images[at - 1] if at else None

    def between(self, lower: str, upper: str) -> tuple[Image, ...]:
        """Return the images from one to another, both included."""
        return self.images[
            self.names.index(lower) : self.names.index(upper) + 1
        ]

    def frozen(self, overlay: str) -> Image:
        """Return the image that an overlay covers.

        :raises KeyError: when there is none
        """
        below = self.below(overlay)
        if below is None:
            raise KeyError(overlay)
        return below

    def above(self, name: str) -> Image | None:
        """Return the image on top of an image, None above the active."""
        at = self.names.index(name)
        return self.images[at + 1] if at + 1 < len(self.images) else None

    def __str__(self) -> str:
        return ' <- '.join(self.names) + '^'


def is_deep(depth: int, limit: int) -> bool:
    """Tell whether a chain comes near to what is allowed: three quarters.

    :param depth: how many images it has
    :param limit: how many it may have
    """
    return depth > 1 and 4 * depth >= 3 * limit
