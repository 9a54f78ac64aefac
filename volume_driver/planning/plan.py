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

"""A plan: the ordered steps of one operation, as data.

A step says what is to become true, not who does it: whether qemu-img or a
hypervisor carries it out is decided when it runs. The same plan prints itself
for a dry run, is written into the journal, and is run; running it again after
it was cut off finishes it, since every step can be told to have happened.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import re
import typing


@dataclasses.dataclass(frozen=True)
class CreateOverlay:
    """Make an empty overlay on top of an image.

    On disk: a new file, complete from the moment it has its name. Done: the
    file is there. Cut off: a ``.part`` file is left, and written anew.
    """

    name: str
    backing: str
    backing_format: str
    size: int

    def __str__(self) -> str:
        return f'create the empty overlay {self.name} over {self.backing}'


@dataclasses.dataclass(frozen=True)
class Switch:
    """Let the guest, if one runs, write to an overlay of its active image.

    On disk: nothing by itself. Done: the guest runs on the overlay, and a
    guest that is shut off would start from it. Cut off: going on is right
    whether or not the guest was switched, an empty overlay changes nothing.
    """

    overlay: str
    below: str
    below_format: str

    def __str__(self) -> str:
        return f'switch from {self.below} to {self.overlay}'


@dataclasses.dataclass(frozen=True)
class Commit:
    """Merge an overlay, and those between, down into an image below it.

    Up to the barrier. On disk: the base holds what they allocated. Done:
    marked, or a guest runs on the chain without the top. Cut off: commit
    again, the top is unchanged and is the truth until the mark.

    :param above: the image on top of the merged one, None if top is active
    """

    top: str
    base: str
    above: str | None

    def __str__(self) -> str:
        return f'commit {self.top} into {self.base}'


@dataclasses.dataclass(frozen=True)
class CommitInPlace(Commit):
    """Merge the active overlay down, and put an empty one in its place.

    The active image keeps its name, so that nothing which keeps that name
    elsewhere can start a guest from a frozen image. On disk: the base holds
    what the top and those between had, and the top has nothing allocated,
    over the base. Done: marked. Cut off: do it again; what has the name of
    the top is the truth at every instant, be it full or empty, and whether or
    not a guest was started from it meanwhile.

    :param base_format: format of the base
    :param size: of the volume in bytes
    """

    base_format: str
    size: int

    def __str__(self) -> str:
        return f'commit {self.top} into {self.base} and leave it empty'


@dataclasses.dataclass(frozen=True)
class Pull:
    """Merge one or more images up into the overlay above them.

    Up to the barrier. On disk: the overlay holds what they had, and names the
    image below them. Done: marked. Cut off: the new name may stand there
    without the data, so the old one (``pulled``) is put back first.

    :param pulled: the highest image that is merged, the backing image before
    :param backing: the backing image after, None for none
    """

    overlay: str
    pulled: str
    pulled_format: str
    backing: str | None
    backing_format: str | None

    def __str__(self) -> str:
        return f'pull {self.pulled} into {self.overlay}'


@dataclasses.dataclass(frozen=True)
class Point:
    """Write another backing name into an overlay.

    On disk: one header. Done: the header has the name, as a live commit
    leaves it. Cut off: write it again.
    """

    overlay: str
    backing: str
    backing_format: str

    def __str__(self) -> str:
        return f'point {self.overlay} to {self.backing}'


@dataclasses.dataclass(frozen=True)
class StartFrom:
    """Let a guest that is defined, but shut off, start from an image.

    On disk: the guest's definition in libvirt, which shall name this image
    and none below it, since those come and go. Done: it does so, or there is
    no such guest. Cut off: do it again.
    """

    active: str
    format: str

    def __str__(self) -> str:
        return f'let a guest start from {self.active}'


@dataclasses.dataclass(frozen=True)
class Remember:
    """Note in ``.record`` that an overlay may be that of no snapshot.

    Done when it stands there; cut off: nothing was written.
    """

    overlay: str

    def __str__(self) -> str:
        return f'remember that {self.overlay} is of no snapshot'


@dataclasses.dataclass(frozen=True)
class Record:
    """Write ``.info``; done when it says so; cut off: nothing was written."""

    content: dict[str, str]

    def __str__(self) -> str:
        return f'record {self.content["active"]} as active in .info'


@dataclasses.dataclass(frozen=True)
class Remove:
    """Unlink a file that nothing refers to any more; done when it is gone."""

    name: str

    def __str__(self) -> str:
        return f'remove {self.name}'


@dataclasses.dataclass(frozen=True)
class Empty:
    """Put an empty overlay in the place of an overlay, in one rename.

    On disk: the same name, and nothing allocated. Done: marked. Cut off: do
    it again, the outcome is the same.
    """

    overlay: str
    backing: str
    backing_format: str
    size: int

    def __str__(self) -> str:
        return f'drop what was written to {self.overlay}'


@dataclasses.dataclass(frozen=True)
class Replace:
    """Let a flat file be the base of a volume without snapshots.

    On disk: the format in ``.record``, and in the definition of a guest that
    is shut off; then the file gets the base's name. Done: the file has no
    name of its own any more, and what has the base's name is not what had it
    before. Cut off: do it again; but if the file was dropped or changed
    since, or the base written to, then the base stays, with its format.

    :param source: name of the file
    :param format: of the file, and of the base from then on
    :param old_format: of the base up to then
    """

    name: str
    source: str
    format: str
    old_format: str

    def __str__(self) -> str:
        return f'put {self.source} ({self.format}) in the place of {self.name}'


@dataclasses.dataclass(frozen=True)
class Resize:
    """Grow the active image to a size in bytes; done when it has it."""

    name: str
    format: str
    size: int

    def __str__(self) -> str:
        return f'grow {self.name} to {self.size} bytes'


Step = (
    CreateOverlay
    | Switch
    | Commit
    | CommitInPlace
    | Pull
    | Point
    | StartFrom
    | Remember
    | Record
    | Remove
    | Empty
    | Replace
    | Resize
)

_KINDS: dict[str, type[Step]] = {
    kind.__name__: kind for kind in typing.get_args(Step)
}


_NAMES = frozenset(
    {'name', 'backing', 'overlay', 'below', 'top', 'base', 'above'}
    | {'pulled', 'active', 'source'}
)
# There may be nothing above, or below.
_OPTIONAL = frozenset({'above', 'backing'})


def names_in(step: Step) -> list[str]:
    """Return all file names that a step holds."""
    found = dataclasses.asdict(step)
    if isinstance(step, Record):
        found = {'name': step.content['active']}
    return [
        found[key]
        for key in sorted(_NAMES & found.keys())
        if found[key] is not None or key not in _OPTIONAL
    ]


_OF_SNAPSHOTS = re.compile(r'(.*? snapshot)s? (.*)')


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of one operation on one volume.

    :param operation: in words, such as ``delete snapshot a``
    :param volume: name of the volume
    :param way: ``commit``, ``pull`` or empty
    :param reason: why that way
    :param cost: bytes that this way copies
    :param exact: that is counted; else it is the most that it can be
    :param other_cost: bytes that the other way would copy, likewise
    """

    operation: str
    volume: str
    steps: tuple[Step, ...]
    way: str = ''
    reason: str = ''
    cost: int = 0
    exact: bool = False
    other_cost: int = 0

    @property
    def kind(self) -> str:
        """The operation without ids, such as ``delete snapshot``."""
        found = _OF_SNAPSHOTS.fullmatch(self.operation)
        return found[1] if found else self.operation

    @property
    def snapshots(self) -> str:
        """The ids of snapshots in the operation, empty for none."""
        found = _OF_SNAPSHOTS.fullmatch(self.operation)
        return found[2] if found else ''

    @property
    def depth(self) -> int | None:
        """How many images the chain has afterwards, by ``.info``.

        None where that stays as it was, or the volume itself goes.
        """
        for step in self.steps:
            # Each overlay has a line there, and the active image has one.
            if isinstance(step, Record) and self.way != 'none':
                return len(step.content)
        return None

    def as_dict(self) -> dict[str, object]:
        """Return the plan as plain values, for JSON."""
        found = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        found['steps'] = [
            {'step': type(step).__name__, **dataclasses.asdict(step)}
            for step in self.steps
        ]
        return found

    @classmethod
    def from_dict(
        cls, found: collections.abc.Mapping[str, typing.Any]
    ) -> Plan:
        """Read a plan from what :meth:`as_dict` returned.

        :raises KeyError, TypeError, ValueError: when it is none
        """
        steps = []
        for entry in found['steps']:
            fields = dict(entry)
            steps.append(_KINDS[fields.pop('step')](**fields))
        return cls(**{**found, 'steps': tuple(steps)})

    def __str__(self) -> str:
        lines = [f'{self.operation} of {self.volume}']
        if self.way:
            lines.append(f'  way: {self.way} ({self.reason})')
        lines += [f'  {n}. {step}' for n, step in enumerate(self.steps, 1)]
        return '\n'.join(lines)
