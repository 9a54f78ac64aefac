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

"""Plans the deletion of a snapshot, and of a whole volume.

Deleting snapshot S merges the pair (B, O): O is S's overlay, B its backing
image. A commit puts O into B, a pull puts B into O::

    ... <- B <- O <- above^     commit:  ... <- B <- above^
                                pull:    ... <- O <- above^

Both leave every other snapshot and the active view as they were. After a pull
the snapshot whose overlay was B has the overlay O.
"""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver.planning import plan


def plan_delete(
    volume: str,
    snapshot_id: str,
    found: chain.Chain,
    content: info.Info,
    live: bool,
    direction: str,
) -> plan.Plan:
    """Plan the deletion of a snapshot by a merge.

    :param live: a guest runs on the chain
    :param direction: option ``merge_direction``
    :raises DirectionImpossible: when that direction does not exist here
    """
    overlay = found[content.snapshots[snapshot_id]]
    pulled = found.frozen(overlay.name)
    no_pull = None
    if found.encrypted:
        no_pull = 'the images are encrypted, and those are only committed'
    elif live and overlay != found.active:
        no_pull = (
            'libvirt cannot pull into an image that is not the active one of '
            'a running guest'
        )
    way, reason, cost = choose(volume, pulled, overlay, no_pull, direction)
    operation = f'delete snapshot {snapshot_id}'
    make = _commit if way == 'commit' else _pull
    steps = make(snapshot_id, pulled, overlay, found, content)
    return plan.Plan(operation, volume, steps, way, reason, cost)


def choose(
    volume: str,
    pulled: chain.Image,
    overlay: chain.Image,
    no_pull: str | None,
    direction: str,
) -> tuple[str, str, int]:
    """Choose the way of a merge; return it, the reason and the bytes.

    A commit copies what the overlay has allocated, a pull at most what the
    image below has. QEMU cannot tell what a raw image has allocated, so a
    pull from one reads all of it, holes too.

    :param no_pull: why a pull does not exist here, None where it does
    :raises DirectionImpossible: when the wanted way does not exist
    """
    costs = {'commit': overlay.allocated, 'pull': pulled.allocated}
    if no_pull is not None:
        if direction == 'pull':
            raise exception.DirectionImpossible(
                volume=volume, direction=direction, reason=no_pull
            )
        way, reason = 'commit', f'the only way: {no_pull}'
    elif direction != 'auto':
        way, reason = direction, 'option merge_direction'
    elif pulled.format == 'raw':
        way = 'pull' if pulled.size < costs['commit'] else 'commit'
        reason = (
            f'commit copies at most {costs["commit"]} bytes, '
            f'pull reads all {pulled.size} of a raw image'
        )
    else:
        way = 'pull' if costs['pull'] < costs['commit'] else 'commit'
        reason = (
            f'commit copies at most {costs["commit"]} bytes, '
            f'pull at most {costs["pull"]}'
        )
    return way, reason, costs[way]


def _commit(
    snapshot_id: str,
    base: chain.Image,
    top: chain.Image,
    found: chain.Chain,
    content: info.Info,
) -> tuple[plan.Step, ...]:
    after = content.without_snapshot(snapshot_id)
    above = found.above(top.name)
    if above is None:
        return (
            plan.Commit(top.name, base.name, None),
            plan.StartFrom(base.name, base.format),
            plan.Record(info.Info(base.name, after.snapshots).as_dict()),
            plan.Remove(top.name),
        )
    return (
        plan.Commit(top.name, base.name, above.name),
        plan.Point(above.name, base.name, base.format),
        plan.StartFrom(found.active.name, found.active.format),
        plan.Record(after.as_dict()),
        plan.Remove(top.name),
    )


def _pull(
    snapshot_id: str,
    pulled: chain.Image,
    overlay: chain.Image,
    found: chain.Chain,
    content: info.Info,
) -> tuple[plan.Step, ...]:
    after = content.without_snapshot(snapshot_id)
    backing = found.below(pulled.name)
    return (
        plan.Pull(
            overlay=overlay.name,
            pulled=pulled.name,
            pulled_format=pulled.format,
            backing=backing.name if backing else None,
            backing_format=backing.format if backing else None,
        ),
        plan.StartFrom(found.active.name, found.active.format),
        plan.Record(after.with_renamed(pulled.name, overlay.name).as_dict()),
        plan.Remove(pulled.name),
    )


def plan_forget(
    volume: str, snapshot_id: str, content: info.Info
) -> plan.Plan:
    """Plan the deletion of a snapshot of a volume that is going itself.

    No merge: all files of the volume go with it.
    """
    after = content.without_snapshot(snapshot_id)
    return plan.Plan(
        operation=f'delete snapshot {snapshot_id}',
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
