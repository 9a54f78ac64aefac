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

"""More cases: moments inside a step, full filesystems, recovery killed."""

from __future__ import annotations

import collections.abc
import itertools
import random

from tests.faults import cases

_SHARES = (0.05, 0.95)
_SPARES = (64, 4096)


def everything(seed: int) -> list[cases.Case]:
    """Return all cases of the full form but those that need a libvirtd."""
    return [
        *cases.boundaries(),
        *random_moments(random.Random(seed), 3),
        *suspended_moments(),
        *recoveries(),
        *full_filesystems(random.Random(seed)),
    ]


def random_moments(
    rng: random.Random, count: int
) -> collections.abc.Iterator[cases.Case]:
    """Yield kills inside qemu-img and inside the jobs of a guest.

    :param count: how many of each operation and each victim
    """
    for operation in cases.operations():
        point, where = _long_step(operation)
        if point is None:
            continue
        for kill in _victims(operation.live):
            for _ in range(count):
                share = rng.uniform(*_SHARES)
                fault = cases.Fault(
                    cases.MOMENT, point, where, kill=kill, share=share
                )
                yield cases.Case(operation, fault, big=True)


def suspended_moments() -> collections.abc.Iterator[cases.Case]:
    """Yield kills while the guest is suspended by us: pivot and barrier."""
    for operation in cases.operations():
        if operation.name != 'delete' or not operation.live:
            continue
        point, _ = _long_step(operation)
        for kill in _victims(live=True):
            fault = cases.Fault(
                cases.MOMENT,
                point or 0,
                'while the guest is suspended',
                kill=kill,
                suspended=True,
            )
            yield cases.Case(operation, fault)


def _victims(live: bool) -> tuple[tuple[str, ...], ...]:
    if live:
        # The driver alone: the job goes on, and the next call adopts it.
        return (('driver',), ('qemu',), ('qemu', 'driver'))
    return (('driver',), ('children',), ('children', 'driver'))


def _long_step(operation: cases.Operation) -> tuple[int | None, str]:
    """Return the point from which an operation copies data."""
    found = cases.points(operation)
    if operation.name == 'clone' and operation.live:
        return found.index('before the journal goes') + 1, 'while it copies'
    if operation.name == 'clone':
        return 1, 'while it copies'
    if operation.name == 'delete':
        name = operation.way.capitalize()
        return found.index(f'before {name}') + 1, f'inside {name}'
    return None, ''


def recoveries() -> collections.abc.Iterator[cases.Case]:
    """Yield kills of the recovery, for every point of the first kill.

    Each of those is there with a base of one format or the other.
    """
    turn = itertools.count()
    for operation in cases.operations():
        found = cases.points(operation)
        if operation.name == 'clone':
            # Both of its plans are in other rows.
            continue
        for point, where in enumerate(found, 1):
            # Steps whose end the files show are not passed again.
            rest = (
                found[point:]
                if where.startswith('after')
                else (found[point - 1 :])
            )
            if not rest or where == 'before the journal goes':
                continue
            number = next(turn)
            again = number % len(rest)
            if cases.FORMATS[point % 2] != operation.base_format:
                continue
            guest = operation.live and point % 2 == 1
            kill = ('qemu', 'driver') if guest else ('driver',)
            yield cases.Case(
                operation,
                cases.Fault(cases.RECOVERY, point, where, kill=kill),
                cases.Fault(
                    cases.RECOVERY, again + 1, rest[again], kill=('driver',)
                ),
            )


def full_filesystems(
    rng: random.Random,
) -> collections.abc.Iterator[cases.Case]:
    """Yield filesystems that are filled right before the data is copied."""
    for operation in cases.operations():
        point, where = _long_step(operation)
        if operation.name == 'create':
            point, where = 1, 'before CreateOverlay'
        if point is None:
            continue
        for spare in _SPARES:
            fault = cases.Fault(
                cases.FULL, point, where, spare=spare + rng.randrange(64)
            )
            yield cases.Case(operation, fault, big=True)


def restarts(seed: int) -> list[cases.Case]:
    """Return the cases in which libvirtd is restarted in the middle."""
    rng = random.Random(seed)
    found = []
    for operation in cases.operations():
        point, where = _long_step(operation)
        if point is None or not operation.live:
            continue
        for _ in range(2):
            share = rng.uniform(*_SHARES)
            fault = cases.Fault(cases.LIBVIRTD, point, where, share=share)
            found.append(cases.Case(operation, fault, big=True))
    return found
