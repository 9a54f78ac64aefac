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

"""Plans a revert to the newest snapshot."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver.planning import plan


def plan_revert(
    volume: str,
    snapshot_id: str,
    found: chain.Chain,
    content: info.Info,
) -> plan.Plan:
    """Plan a revert: the active overlay becomes empty again.

    ::

        base <- S(written)^        becomes        base <- S(empty)^
        base <- S <- N(written)^   becomes        base <- N(empty)^

    N is what a newer snapshot left that was deleted under a guest. The active
    image keeps its name, so nothing that a guest would start from goes stale,
    and its size, as Cinder asks: a revert does not shrink.

    :raises NotNewestSnapshot: when there is a newer one
    """
    active, overlay = found.active, content.snapshots[snapshot_id]
    *dropped, _ = found.between(overlay, active.name)
    newest = next(
        each
        for each in map(content.snapshot_of, reversed(found.names))
        if each is not None
    )
    if newest != snapshot_id:
        raise exception.NotNewestSnapshot(
            snapshot=snapshot_id, volume=volume, newest=newest
        )
    below = found.frozen(overlay)
    steps: tuple[plan.Step, ...] = (
        plan.Empty(active.name, below.name, below.format, active.size),
    )
    if dropped:
        after = content.with_renamed(overlay, active.name)
        steps += (
            plan.Record(after.as_dict()),
            *(plan.Remove(image.name) for image in reversed(dropped)),
        )
    return plan.Plan(
        operation=f'revert to snapshot {snapshot_id}',
        volume=volume,
        steps=steps,
    )
