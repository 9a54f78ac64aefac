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

"""The chain as far as it can be followed, whatever is wrong with it."""

from __future__ import annotations

import dataclasses

from volume_driver import names
from volume_driver.checking import facts as seen
from volume_driver.images import header
from volume_driver.images import trust


@dataclasses.dataclass(frozen=True)
class Walk:
    """The way from the active image down.

    :param active: name of the active image; None where ``.info`` is corrupt
    :param images: names of the images that were come by, the lowest first
    :param missing: the name at which there is no image
    :param cycle: the name that came a second time
    :param complete: the way ended with an image without a backing image
    """

    active: str | None
    images: tuple[str, ...] = ()
    missing: str | None = None
    cycle: str | None = None
    complete: bool = False


def walk(facts: seen.Facts) -> Walk:
    """Follow the backing names from the active image."""
    if facts.info_problem is not None or is_headless(facts):
        return Walk(None)
    active = facts.info.active if facts.info else facts.volume
    return walk_from(facts, active)


def is_headless(facts: seen.Facts) -> bool:
    """Tell whether a whole chain is there, and nothing says which is active.

    After a pull the base has the name of an overlay; without ``.info`` it
    would have to have that of the volume.
    """
    if facts.info is not None or facts.volume in facts.images:
        return False
    uppermost = tops(facts)
    return len(uppermost) == 1 and walk_from(facts, uppermost[0]).complete


def walk_from(facts: seen.Facts, active: str) -> Walk:
    """Follow the backing names from an image, as if it were the active one."""
    down: list[str] = []
    name: str | None = active
    while name is not None:
        images = tuple(reversed(down))
        if name in down:
            return Walk(active, images, cycle=name)
        if name not in facts.images:
            return Walk(active, images, missing=name)
        down.append(name)
        if is_dead_end(facts, name):
            return Walk(active, tuple(reversed(down)))
        name = below(facts, name)
    return Walk(active, tuple(reversed(down)), complete=True)


def is_dead_end(facts: seen.Facts, name: str) -> bool:
    """Tell whether nobody can say what is below an image."""
    image = facts.images[name]
    if format_of(facts, name) == 'raw':
        return image.problem is not None and not image.magic
    if image.header is None:
        return True
    backing = image.header.backing
    return backing is not None and plain(facts.volume, backing) is None


def format_of(facts: seen.Facts, name: str) -> str:
    """Return the format that an image has to have."""
    return base_format(facts) if name == facts.volume else 'qcow2'


def base_format(facts: seen.Facts) -> str:
    """Return the format of the image named like the volume itself.

    The record says it, else an overlay, else the option, if the image begins
    like that.
    """
    if facts.record is not None:
        return facts.record
    for above in above_base(facts):
        if above.backing_format in trust.FORMATS:
            return str(above.backing_format)
    base = facts.images.get(facts.volume)
    if base is not None and base.magic:
        return facts.volume_format
    return 'raw'


def above_base(facts: seen.Facts) -> list[header.Header]:
    """Return the headers that name the base as their backing image."""
    return [
        image.header
        for name, image in sorted(facts.images.items())
        if name != facts.volume
        and image.header is not None
        and image.header.backing is not None
        and plain(facts.volume, image.header.backing) == facts.volume
    ]


def below(facts: seen.Facts, name: str) -> str | None:
    """Return the name of the image below one; None for a base.

    A backing name with a directory counts as the file in this directory: to
    see on is worth more here than to stop.
    """
    image = facts.images.get(name)
    if image is None or image.header is None:
        return None
    if image.header.backing is None or format_of(facts, name) == 'raw':
        return None
    return plain(facts.volume, image.header.backing)


def plain(volume: str, backing: str) -> str | None:
    """Return the volume's image that a backing name can mean, if any."""
    name = trust.plain(backing).rpartition('/')[2]
    return name if names.is_image_of(volume, name) else None


def above(facts: seen.Facts, name: str) -> list[str]:
    """Return the names of the images that name one as backing, sorted."""
    return sorted(
        other
        for other in facts.images
        if other != name and below(facts, other) == name
    )


def tops(facts: seen.Facts) -> list[str]:
    """Return the names of the images that no other names, sorted."""
    return sorted(each for each in facts.images if not above(facts, each))


def cycles(facts: seen.Facts) -> list[tuple[str, ...]]:
    """Return the rings of images, each once, from its first name on."""
    found = set()
    for start in facts.images:
        way: list[str] = []
        name: str | None = start
        while name is not None and name not in way:
            way.append(name)
            name = below(facts, name)
        if name is not None:
            ring = way[way.index(name) :]
            first = ring.index(min(ring))
            found.add(tuple(ring[first:] + ring[:first]))
    return sorted(found)
