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

"""Chooses the way of a merge by what each would copy."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver.images import allocation


def choose(
    volume: str,
    lowest: chain.Image,
    costs: allocation.Costs,
    no_pull: str | None,
    direction: str,
    again: bool = False,
) -> tuple[str, str]:
    """Choose the way of a merge; return it and the reason.

    QEMU cannot tell what a raw image has allocated, so a pull from one reads
    all of it, holes too: that is what it is weighed with.

    :param lowest: the image that a commit writes to, and a pull drops
    :param no_pull: why a pull does not exist here, None where it does
    :param direction: option ``merge_direction``
    :param again: what a pull copies lies in an image of no snapshot then, and
        the next deletion copies it once more; what a commit copies does not
    :raises DirectionImpossible: when the wanted way does not exist
    """
    if no_pull is not None:
        if direction == 'pull':
            raise exception.DirectionImpossible(
                volume=volume, direction=direction, reason=no_pull
            )
        return 'commit', f'the only way: {no_pull}'
    if direction != 'auto':
        return direction, 'option merge_direction'
    pull, pulls = costs.pull, f'pull {_bytes(costs, "pull")}'
    if lowest.format == 'raw':
        pull = max(pull, lowest.size)
        pulls = f'pull reads all {lowest.size} of a raw image'
    if again:
        pull *= 2
        pulls += ', and so does the next deletion'
    way = 'pull' if pull < costs.commit else 'commit'
    return way, f'commit copies {_bytes(costs, "commit")} bytes, {pulls}'


def _bytes(costs: allocation.Costs, way: str) -> str:
    found = str(costs.of(way))
    return found if way in costs.exact else f'at most {found}'
