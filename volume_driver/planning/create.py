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

"""Plans a new snapshot."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver.planning import plan


def plan_create(
    volume: str,
    snapshot_id: str,
    overlay: str,
    found: chain.Chain,
    content: info.Info,
    size: int,
    max_depth: int,
) -> plan.Plan:
    """Plan a snapshot: an empty overlay over what is active now.

    ::

        base <- a^            becomes            base <- a <- new^

    :param overlay: name of the new overlay
    :param size: virtual size of the overlay in bytes, the guest's own view
        of it when one runs (it may have been resized)
    :raises ChainTooDeep: when the chain has max_depth images already
    """
    if len(found) >= max_depth:
        raise exception.ChainTooDeep(
            volume=volume, depth=len(found), limit=max_depth
        )
    active = found.active
    return plan.Plan(
        operation=f'create snapshot {snapshot_id}',
        volume=volume,
        steps=(
            plan.CreateOverlay(overlay, active.name, active.format, size),
            plan.Switch(overlay, active.name, active.format),
            plan.Record(content.with_snapshot(snapshot_id, overlay).as_dict()),
        ),
    )
