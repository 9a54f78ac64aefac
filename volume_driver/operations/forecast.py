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

"""What a deletion of snapshots would do, need and leave; changes nothing."""

from __future__ import annotations

import collections.abc
import dataclasses

from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.operations import space
from volume_driver.operations import speed
from volume_driver.operations import unlocked
from volume_driver.planning import plan

_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Forecast:
    """One pass of a deletion.

    :param needed: bytes of space that it needs at the most
    :param speed: bytes a second that it copies, as the last merge in the
        directory did, or as option merge_bandwidth allows; None: not known
    :param after: names of the images that are left, the base first
    """

    plan: plan.Plan
    needed: int
    speed: float | None
    after: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """How long it takes, if that is known."""
        if self.speed is None:
            return None
        return self.plan.cost / self.speed


def delete(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_ids: collections.abc.Sequence[str],
) -> list[Forecast]:
    """Return what a deletion of snapshots would do now, pass by pass.

    An operation that was cut off is finished first by a real deletion. The
    plans after the first go by the files as they are now.
    """
    if not contexts.exists(context, target.name):
        return []
    state = contexts.read(context, target)
    names = state.chain.names
    rate = _speed(context)
    found = []
    for content in unlocked.plan_deletions(
        context, target, snapshot_ids, state
    ):
        gone = {
            step.name
            for step in content.steps
            if isinstance(step, plan.Remove)
        }
        names = tuple(each for each in names if each not in gone)
        found.append(Forecast(content, space.needed(content), rate, names))
    return found


def _speed(context: contexts.Context) -> float | None:
    limit = context.settings.merge_bandwidth * _MIB
    found = speed.recall(context.directory)
    if limit and found:
        return min(limit, found)
    return limit or found
