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

"""Plans the growth of a volume."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver.planning import plan


def plan_extend(
    volume: str, found: chain.Chain, current: int, size: int
) -> plan.Plan:
    """Plan the growth of the active image; the snapshots keep their size.

    :param current: the size now in bytes, the guest's own view of it when
        one runs
    :param size: the size wanted in bytes
    :raises InvalidSize: when that would shrink it
    """
    if size < current:
        raise exception.InvalidSize(
            volume=volume, wanted=size, minimum=current
        )
    active = found.active
    return plan.Plan(
        operation='extend volume',
        volume=volume,
        steps=(plan.Resize(active.name, active.format, size),),
    )
