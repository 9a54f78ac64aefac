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

"""Takes over the directory of another driver, volume by volume.

Cinder's NFS, GlusterFS and Quobyte drivers keep the same files but one: they
have no record of a base's format beside it. That is all that is written; the
other driver can go on with the volume afterwards.
"""

from __future__ import annotations

import dataclasses

from tooz import coordination

from volume_driver import exception
from volume_driver.checking import findings
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import record
from volume_driver.operations import adopt
from volume_driver.operations import check
from volume_driver.operations import context as contexts
from volume_driver.operations import locking

# What came of a volume.
OURS, PROPOSED, DONE, REFUSED = 'ours', 'proposed', 'done', 'refused'

_GIB = 1 << 30
_BAD = frozenset({findings.CRITICAL, findings.ERROR, findings.UNKNOWN})


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was done about a volume, or would be.

    :param outcome: :data:`OURS`, :data:`PROPOSED`, :data:`DONE` or
        :data:`REFUSED`
    """

    volume: str
    outcome: str
    text: str


def take_over(
    context: contexts.Context,
    target: hypervisor.Target | None,
    do: bool = False,
    hosts: tuple[str, ...] = (),
    records: check.Records | None = None,
) -> list[Outcome]:
    """Take over a volume, or all of the directory.

    :param target: the volume, None for all
    :param do: carry it out; else only say what would be done
    :param hosts: where the guests of all volumes may be
    :param records: what the caller knows of all his volumes, by name
    :raises VolumeNotFound: when the volume has no file at all
    """
    outcomes = []
    for each in check.targets(context, target, hosts):
        try:
            with context.locks(each.name, blocking=False):
                outcomes += _one(context, each, do, records)
        except locking.Locked:
            text = 'An operation on it is under way. Call again when it is '
            outcomes.append(Outcome(each.name, REFUSED, f'{text}done.'))
        except (
            exception.VolumeDriverError,
            coordination.ToozError,
            OSError,
        ) as error:
            outcomes.append(Outcome(each.name, REFUSED, str(error)))
    return outcomes


def _one(
    context: contexts.Context,
    target: hypervisor.Target,
    do: bool,
    records: check.Records | None,
) -> list[Outcome]:
    volume = target.name
    _, found = check.see(context, target, records)
    bad = [
        Outcome(volume, REFUSED, f'{each.kind}: {each.text}')
        for each in findings.ordered(found)
        if each.severity in _BAD
    ]
    if bad:
        return bad
    if not adopt.is_unknown(context, volume):
        known = record.base_format(context.directory, volume)
        return [Outcome(volume, OURS, f'Its base is recorded as {known}.')]
    size = records[volume].size if records and volume in records else None
    base_format = adopt.format_of(
        context,
        volume,
        context.settings.volume_format,
        _size(context, volume, size),
    )
    if base_format is None:
        return []
    if do:
        record.write(context.directory, volume, base_format)
    text = f'Record that its base is {base_format}.'
    return [Outcome(volume, DONE if do else PROPOSED, text)]


def _size(context: contexts.Context, volume: str, known: int | None) -> int:
    """Return what a raw image of the volume's size has, in bytes.

    Where nobody knows it each whole number of GiB may be it.
    """
    if known is not None:
        return known * _GIB
    length = adopt.length(context, volume)
    return length if length % _GIB == 0 else 0
