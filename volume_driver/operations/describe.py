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

"""What a volume is made of, for a reader; takes no lock, changes nothing."""

from __future__ import annotations

import dataclasses

from volume_driver import chain
from volume_driver import exception
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import holders
from volume_driver.operations import context as contexts
from volume_driver.operations import volumes


@dataclasses.dataclass(frozen=True)
class Layer:
    """One image of a volume.

    :param image: the image
    :param snapshot: id of the snapshot that it holds the data of, if any
    :param active: it is the active image
    """

    image: chain.Image
    snapshot: str | None
    active: bool


@dataclasses.dataclass(frozen=True)
class Description:
    """A volume as it is.

    :param size: in bytes, as the active image says
    :param layers: the base first
    :param guest: which guest has it, in words; None when none has
    :param looked_at: where guests were looked for; None when they were not
    :param holders: processes of this host that have one of its images open
    :param unfinished: an operation that was cut off, in words
    """

    name: str
    size: int
    layers: tuple[Layer, ...]
    guest: str | None
    looked_at: str | None
    holders: tuple[holders.Holder, ...]
    unfinished: str | None

    @property
    def allocated(self) -> int:
        """Bytes that all its images take."""
        return sum(layer.image.allocated for layer in self.layers)


def describe(
    context: contexts.Context, target: hypervisor.Target, guest: bool = True
) -> Description:
    """Describe a volume.

    :param guest: find out who has it, too

    Raises what :func:`~volume_driver.operations.context.read_files` does.
    """
    unfinished = volumes.journal_of(context, target.name)
    try:
        images, content = contexts.read_files(
            context, target.name, cascade=unfinished is not None
        )
    except (exception.ChainMismatch, exception.ImageInvalid) as error:
        if unfinished is None:
            raise
        raise exception.Unfinished(
            volume=target.name, operation=unfinished
        ) from error
    layers = []
    for image in images.images:
        above = images.above(image.name)
        snapshot = content.snapshot_of(above.name) if above else None
        layers.append(Layer(image, snapshot, image is images.active))
    user, looked_at, held = None, None, []
    if guest:
        user, looked_at = _guest(context, target)
        held = holders.find(context.directory, images.names)
    return Description(
        name=target.name,
        size=images.active.size,
        layers=tuple(layers),
        guest=user,
        looked_at=looked_at,
        holders=tuple(held),
        unfinished=unfinished,
    )


def _guest(
    context: contexts.Context, target: hypervisor.Target
) -> tuple[str | None, str | None]:
    """Return which guest has a volume, and where was looked."""
    try:
        found = context.hypervisor.find(target)
    except exception.Refused as error:
        return f'unknown: {error}', None
    if found.live is not None:
        return f'{found.live.guest} (running)', found.looked_at
    if found.defined:
        shut_off = (f'{disk.guest} (shut off)' for disk in found.defined)
        return ', '.join(shut_off), found.looked_at
    return None, found.looked_at
