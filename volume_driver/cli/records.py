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

"""The records of volumes and snapshots that the driver is given.

A service has them in its database; here they are made of what was typed.
"""

from __future__ import annotations

import dataclasses

_PREFIX = 'volume-'


@dataclasses.dataclass(frozen=True)
class Attachment:
    """That a guest on a host has a volume."""

    attached_host: str
    instance_uuid: str | None = None


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume as the driver reads it.

    :param size: GiB; 0 where it does not matter, as the volume has one
    :param volume_attachment: None: nobody here knows whether it is attached,
        so the hypervisor has to be asked
    """

    id: str
    size: int = 0
    volume_attachment: tuple[Attachment, ...] | None = None
    status: str = 'available'

    @property
    def name(self) -> str:
        return _PREFIX + self.id


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot as the driver reads it."""

    id: str
    volume: Volume

    @property
    def volume_size(self) -> int:
        return self.volume.size


def volume(text: str) -> Volume:
    """Return the record of a volume given by its id or by its name.

    :raises ValueError: when there is no id in it
    """
    found = named(text)
    if not found.id:
        raise ValueError(text)
    return found


def named(name: str) -> Volume:
    """Return the record of a volume that was found by its name."""
    return Volume(name.removeprefix(_PREFIX))
