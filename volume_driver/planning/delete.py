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

"""Plans the deletion of snapshots, and of a whole volume.

Deleting snapshot S merges the pair (B, O): O is S's overlay, B its backing
image. A commit puts O into B, a pull puts B into O::

    ... <- B <- O <- above^     commit:  ... <- B <- above^
                                pull:    ... <- O <- above^

Both leave every other snapshot and the active view as they were. After a pull
the snapshot whose overlay was B has the overlay O.

Where the active image is to keep its name, a commit of it leaves it behind,
empty; what such a one holds by the time of the next commit goes with it::

    ... <- B <- O^         commit:  ... <- B <- O(empty)^
    ... <- B <- A <- O^    commit:  ... <- B <- O(empty)^    A: of no snapshot

Snapshots whose overlays lie on each other, a run, go in one pass::

    ... <- B <- O1 <- ... <- On <- above^   commit:  ... <- B  <- above^
                                            pull:    ... <- On <- above^
"""

from __future__ import annotations

import collections.abc

from volume_driver import chain
from volume_driver import info
from volume_driver.images import allocation
from volume_driver.planning import cost
from volume_driver.planning import plan


def runs(
    found: chain.Chain,
    content: info.Info,
    snapshot_ids: collections.abc.Iterable[str],
) -> list[tuple[str, ...]]:
    """Group snapshots that can be deleted in one pass, the oldest first.

    Images that are encrypted are merged one by one.

    :param snapshot_ids: those that ``.info`` does not hold are left out
    """
    wanted = frozenset(snapshot_ids)
    grouped: list[list[str]] = []
    last = None
    for at, name in enumerate(found.names):
        snapshot_id = content.snapshot_of(name)
        if snapshot_id is None or snapshot_id not in wanted:
            continue
        if last == at - 1 and not found.encrypted:
            grouped[-1].append(snapshot_id)
        else:
            grouped.append([snapshot_id])
        last = at
    return [tuple(run) for run in grouped]


def merged(
    found: chain.Chain,
    content: info.Info,
    run: collections.abc.Sequence[str],
) -> tuple[chain.Image, ...]:
    """Return B, O1 to On of a run, the lowest first."""
    names = [content.snapshots[snapshot_id] for snapshot_id in run]
    lowest = found.frozen(names[0])
    return (lowest, *(found[name] for name in names))


def absorbed(
    found: chain.Chain,
    content: info.Info,
    images: tuple[chain.Image, ...],
) -> tuple[chain.Image, ...]:
    """Return what a commit in place takes along: images of no snapshot.

    :param images: those of a run; nothing if the last is not the active one
    :returns: the image that it goes into, and those between that one and
        them, the lowest first; empty when it goes into the first of them
    """
    lowest: chain.Image | None = images[0]
    taken: list[chain.Image] = []
    # Images that are encrypted are merged one by one.
    if images[-1] != found.active or found.encrypted:
        return ()
    while lowest and not content.snapshot_of(lowest.name):
        lowest = found.below(lowest.name)
        if lowest is not None:
            taken.insert(0, lowest)
    return tuple(taken)


def plan_delete(
    volume: str,
    run: collections.abc.Sequence[str],
    found: chain.Chain,
    content: info.Info,
    live: bool,
    direction: str,
    costs: allocation.Costs | None = None,
    in_place: bool = False,
) -> plan.Plan:
    """Plan the deletion of snapshots by one merge.

    :param run: their ids, as one of :func:`runs`
    :param live: a guest runs on the chain
    :param direction: option ``merge_direction``
    :param costs: of both ways, None to go by the sizes of the files
    :param in_place: the active image keeps its name
    :raises DirectionImpossible: when that direction does not exist here
    """
    images = merged(found, content, run)
    below = absorbed(found, content, images) if in_place else ()
    no_pull = None
    if found.encrypted:
        no_pull = 'the images are encrypted, and those are only committed'
    elif live and images[-1] != found.active:
        no_pull = (
            'libvirt cannot pull into an image that is not the active one of '
            'a running guest'
        )
    costs = costs or allocation.estimate(images)
    way, reason = cost.choose(
        volume, images[0], costs, no_pull, direction, again=bool(below)
    )
    if way == 'pull':
        steps = _pull(run, images, found, content)
    elif in_place and images[-1] == found.active:
        steps = _commit_in_place(run, (*below, *images), content)
    else:
        steps = _commit(run, images, found, content)
    return plan.Plan(
        operation=_operation(run),
        volume=volume,
        steps=steps,
        way=way,
        reason=reason,
        cost=costs.of(way),
        exact=way in costs.exact,
        other_cost=costs.of('pull' if way == 'commit' else 'commit'),
    )


def _operation(run: collections.abc.Sequence[str]) -> str:
    noun = 'snapshot' if len(run) == 1 else 'snapshots'
    return f'delete {noun} {", ".join(run)}'


def _without(
    content: info.Info, run: collections.abc.Sequence[str]
) -> info.Info:
    for snapshot_id in run:
        content = content.without_snapshot(snapshot_id)
    return content


def _commit(
    run: collections.abc.Sequence[str],
    images: tuple[chain.Image, ...],
    found: chain.Chain,
    content: info.Info,
) -> tuple[plan.Step, ...]:
    base, *overlays = images
    top = overlays[-1]
    after = _without(content, run)
    # Nothing refers to an image any more once those above it are gone.
    removals = [plan.Remove(image.name) for image in reversed(overlays)]
    above = found.above(top.name)
    if above is None:
        return (
            plan.Commit(top.name, base.name, None),
            plan.StartFrom(base.name, base.format),
            plan.Record(info.Info(base.name, after.snapshots).as_dict()),
            *removals,
        )
    return (
        plan.Commit(top.name, base.name, above.name),
        plan.Point(above.name, base.name, base.format),
        plan.StartFrom(found.active.name, found.active.format),
        plan.Record(after.as_dict()),
        *removals,
    )


def _commit_in_place(
    run: collections.abc.Sequence[str],
    images: tuple[chain.Image, ...],
    content: info.Info,
) -> tuple[plan.Step, ...]:
    base, *between, top = images
    after = _without(content, run)
    return (
        plan.CommitInPlace(
            top=top.name,
            base=base.name,
            above=None,
            base_format=base.format,
            size=top.size,
        ),
        plan.StartFrom(top.name, top.format),
        plan.Remember(top.name),
        plan.Record(after.as_dict()),
        *(plan.Remove(image.name) for image in reversed(between)),
    )


def _pull(
    run: collections.abc.Sequence[str],
    images: tuple[chain.Image, ...],
    found: chain.Chain,
    content: info.Info,
) -> tuple[plan.Step, ...]:
    *pulled, overlay = images
    after = _without(content, run)
    backing = found.below(pulled[0].name)
    remembered: tuple[plan.Step, ...] = ()
    if backing and not content.snapshot_of(pulled[0].name):
        remembered = (plan.Remember(overlay.name),)
    return (
        plan.Pull(
            overlay=overlay.name,
            pulled=pulled[-1].name,
            pulled_format=pulled[-1].format,
            backing=backing.name if backing else None,
            backing_format=backing.format if backing else None,
        ),
        plan.StartFrom(found.active.name, found.active.format),
        *remembered,
        plan.Record(
            after.with_renamed(pulled[0].name, overlay.name).as_dict()
        ),
        *(plan.Remove(image.name) for image in reversed(pulled)),
    )


def plan_forget(
    volume: str, run: collections.abc.Sequence[str], content: info.Info
) -> plan.Plan:
    """Plan the deletion of snapshots of a volume that is going itself.

    No merge: all files of the volume go with it.
    """
    after = _without(content, run)
    return plan.Plan(
        operation=_operation(run),
        volume=volume,
        steps=(plan.Record(after.as_dict()),),
        way='none',
        reason='the volume itself is being deleted',
    )


def plan_delete_volume(
    volume: str, found: chain.Chain, sidecars: tuple[str, ...]
) -> plan.Plan:
    """Plan the deletion of a volume, the active image first.

    :param sidecars: names of its other files, in the order they go
    """
    images = tuple(reversed(found.names))
    return plan.Plan(
        operation='delete volume',
        volume=volume,
        steps=tuple(plan.Remove(name) for name in images + sidecars),
    )
