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

"""What the callers' records of volumes and snapshots say.

What is read of them is ``volume.id .name .size .status
.volume_attachment[].instance_uuid/.attached_host`` and ``snapshot.id .volume
.volume_size``; sizes there are in GiB.
"""

from __future__ import annotations

import collections.abc
import typing

from volume_driver import names
from volume_driver.hypervisors import base as hypervisor

Record = typing.Any


def name_of(volume: Record) -> str:
    """Return the name of a volume, which its files begin with.

    :raises InvalidName: when it cannot be that of a file
    """
    return names.check_volume(
        getattr(volume, 'name', None) or f'volume-{volume.id}'
    )


def target(volume: Record, directory: str) -> hypervisor.Target:
    """Return what is known of a volume from its record.

    :param directory: that its files are in
    :raises InvalidName: when its name cannot be that of a file
    """
    attachments = getattr(volume, 'volume_attachment', ())
    known = attachments is not None
    attachments = [each for each in attachments or () if _is_used(each)]
    return hypervisor.Target(
        volume_id=str(volume.id),
        name=name_of(volume),
        directory=directory,
        hosts=_hosts(attachments),
        attached=bool(attachments) if known else None,
    )


def _is_used(attachment: Record) -> bool:
    """Tell whether a guest may have the volume by this attachment.

    It may not by one that is only reserved, as that of a server which is
    shelved: it asks where the volume is before it is started anywhere.
    """
    return bool(
        getattr(attachment, 'attached_host', None)
        or getattr(attachment, 'attach_status', None) != 'reserved'
    )


def _hosts(attachments: collections.abc.Iterable[Record]) -> tuple[str, ...]:
    found = (getattr(each, 'attached_host', None) for each in attachments)
    return tuple(dict.fromkeys(host for host in found if host))


def is_going(volume: Record) -> bool:
    """Tell whether a volume itself is being deleted, as in a cascade."""
    return getattr(volume, 'status', None) == 'deleting'


def by_volume(
    snapshots: collections.abc.Iterable[Record],
) -> list[tuple[Record, list[str]]]:
    """Return each volume with the ids of its snapshots, in their order."""
    found: dict[str, tuple[Record, list[str]]] = {}
    for snapshot in snapshots:
        _, ids = found.setdefault(
            name_of(snapshot.volume), (snapshot.volume, [])
        )
        ids.append(str(snapshot.id))
    return list(found.values())
