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

"""The cases of the fault matrix, as data: which operation, which fault.

Pure: what the seam passes in an operation is known from its plan. A case
whose point is not reached when it runs is an error of the matrix, so this
stays in step with the driver.
"""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import random

from volume_driver import chain
from volume_driver import info
from volume_driver.planning import create
from volume_driver.planning import delete
from volume_driver.planning import extend
from volume_driver.planning import plan
from volume_driver.planning import revert

FORMATS = ('qcow2', 'raw')
POSITIONS = ('oldest', 'middle', 'newest')
# Snapshots that are deleted by one call, in one pass.
PAIRS = ('oldest and middle', 'middle and newest')

DRIVER = 'SIGKILL of the driver'
QEMU = 'SIGKILL of QEMU'
BOTH = 'SIGKILL of both'
ERROR = 'error from the step'
MOMENT = 'SIGKILL at a random moment'
RECOVERY = 'SIGKILL of the recovery'
FULL = 'filesystem full'
LIBVIRTD = 'libvirtd restarted'

KINDS = (DRIVER, QEMU, BOTH, ERROR, MOMENT, RECOVERY, FULL, LIBVIRTD)

# The bounded form; with this many, run times stay below five minutes.
BOUNDED = 90

_VOLUME = 'volume-v'
_SIZE = 1 << 30


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    :ivar kind: column of the table
    :ivar point: the call of the seam at which it happens, 1 for the first;
        0 for the beginning of the operation
    :ivar where: the same in words
    :ivar kill: whom: ``driver``, ``qemu``, ``children`` (of the driver)
    :ivar error: which error is raised: ``driver``, ``os`` or none
    :ivar share: how much later, as a share of the time up to the next point;
        0 for at the point itself
    :ivar suspended: not at the point, but once the guest is suspended then
    :ivar spare: the filesystem is filled but for so many KiB, 0 for not
    """

    kind: str
    point: int
    where: str
    kill: tuple[str, ...] = ()
    error: str = ''
    share: float = 0.0
    spare: int = 0
    suspended: bool = False

    def __str__(self) -> str:
        later = f' + {self.share:.2f}' if self.share else ''
        left = f', {self.spare} KiB left' if self.spare else ''
        whom = f' of {"+".join(self.kill)}' if self.kind == MOMENT else ''
        return f'{self.kind}{whom} {self.where}{later}{left}'


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation in one state of the volume.

    :ivar name: ``create``, ``delete``, ``clone``, ...
    :ivar position: of the snapshot that is deleted, or of two of them
    :ivar way: ``commit`` or ``pull``
    """

    name: str
    live: bool
    base_format: str
    position: str = ''
    way: str = ''

    @property
    def row(self) -> str:
        """Its name in the table."""
        if self.name != 'delete':
            return self.name
        active = self.live and 'newest' in self.positions
        kind = 'active ' if active and self.way == 'commit' else ''
        what = 'delete two' if self.position in PAIRS else 'delete'
        return f'{what} by {kind}{self.way}'

    @property
    def positions(self) -> tuple[str, ...]:
        """The positions of all snapshots that are deleted."""
        return tuple(self.position.split(' and '))

    @property
    def where(self) -> str:
        return 'live' if self.live else 'offline'

    def __str__(self) -> str:
        words = (self.where, self.base_format, self.row, self.position)
        return ' '.join(word for word in words if word)


@dataclasses.dataclass(frozen=True)
class Case:
    """An operation, what goes wrong in it, and what in its recovery."""

    operation: Operation
    fault: Fault
    again: Fault | None = None
    big: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Its place in the table."""
        return self.operation.row, self.operation.where, self.fault.kind

    def __str__(self) -> str:
        again = f', then {self.again.where}' if self.again else ''
        return f'{self.operation}: {self.fault}{again}'


def operations() -> collections.abc.Iterator[Operation]:
    """Yield every operation in every state that the matrix knows."""
    for base_format in FORMATS:
        for live in (False, True):
            for name in ('create', 'clone', 'extend'):
                yield Operation(name, live, base_format)
            for position in POSITIONS + PAIRS:
                for way in ('commit', 'pull'):
                    newest = position.endswith('newest')
                    if way == 'commit' or not live or newest:
                        yield Operation(
                            'delete', live, base_format, position, way
                        )
        yield Operation('revert', False, base_format)
        yield Operation('delete volume', False, base_format)


def points(operation: Operation) -> list[str]:
    """Return the calls of the seam in an operation, in words."""
    found = []
    for content in _plans(operation):
        found.append('after the journal')
        for step in content.steps:
            if isinstance(step, plan.Point) and operation.live:
                continue  # a live commit has written that name itself
            name = type(step).__name__
            found += [f'before {name}', f'after {name}']
        found.append('before the journal goes')
    return found


def commands(operation: Operation) -> list[str]:
    """Return the points of an operation without a plan: its commands."""
    if operation.name == 'clone' and not operation.live:
        return ['before qemu-img convert', 'after qemu-img convert']
    return []


def boundaries() -> collections.abc.Iterator[Case]:
    """Yield every operation with each fault at each of its points."""
    for operation in operations():
        found = points(operation) or commands(operation)
        for point, where in enumerate(found, 1):
            for fault in _faults(operation.live, point, where):
                yield Case(operation, fault)


def _faults(
    live: bool, point: int, where: str
) -> collections.abc.Iterator[Fault]:
    yield Fault(DRIVER, point, where, kill=('driver',))
    # Our own errors and others go different ways in the driver.
    error = 'os' if point % 2 else 'driver'
    yield Fault(ERROR, point, where, error=error)
    if live:
        yield Fault(QEMU, point, where, kill=('qemu',))
        yield Fault(BOTH, point, where, kill=('qemu', 'driver'))


def sample(
    found: collections.abc.Sequence[Case], count: int, seed: int
) -> list[Case]:
    """Return some cases: at least one for each place of the table."""
    rng = random.Random(seed)
    places = collections.defaultdict(list)
    for case in found:
        places[case.key].append(case)
    taken = [rng.choice(cases) for cases in places.values()]
    rest = [case for case in found if case not in set(taken)]
    taken += rng.sample(rest, max(0, min(count - len(taken), len(rest))))
    return taken


# -- plans, made as the driver makes them ------------------------------------


def chain_of(base_format: str) -> tuple[chain.Chain, info.Info]:
    """Return a chain of four images, three snapshots."""
    images = [chain.Image(_VOLUME, base_format, _SIZE)]
    content = info.Info(_VOLUME)
    for position in POSITIONS:
        below = images[-1]
        name = f'{_VOLUME}.{position}'
        images.append(
            chain.Image(name, 'qcow2', _SIZE, 0, below.name, below.format)
        )
        content = content.with_snapshot(position, name)
    return chain.Chain(tuple(images)), content


def _plans(operation: Operation) -> list[plan.Plan]:
    images, content = chain_of(operation.base_format)
    base = chain.Chain(images.images[:1])
    match operation.name:
        case 'create':
            return [_create('new', images, content)]
        case 'delete':
            where = (images, content, operation.live, operation.way)
            return [
                delete.plan_delete(_VOLUME, operation.positions, *where),
            ]
        case 'clone' if operation.live:
            # Through a passing snapshot: taken, copied, deleted.
            last = images.active
            name = f'{_VOLUME}.new'
            above = chain.Image(name, 'qcow2', _SIZE, 0, last.name, 'qcow2')
            longer = chain.Chain((*images.images, above))
            more = content.with_snapshot('new', name)
            return [
                _create('new', images, content),
                delete.plan_delete(
                    _VOLUME, ('new',), longer, more, True, 'commit'
                ),
            ]
        case 'extend':
            return [extend.plan_extend(_VOLUME, images, _SIZE, 2 * _SIZE)]
        case 'revert':
            return [
                revert.plan_revert(_VOLUME, 'newest', images, content),
            ]
        case 'delete volume':
            return [delete.plan_delete_volume(_VOLUME, base, ('r', 'i'))]
    return []


def _create(
    snapshot_id: str, images: chain.Chain, content: info.Info
) -> plan.Plan:
    overlay = f'{_VOLUME}.{snapshot_id}'
    return create.plan_create(
        _VOLUME, snapshot_id, overlay, images, content, _SIZE, 100
    )
