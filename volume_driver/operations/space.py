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

"""Refuses a merge for which the filesystem has no room, before it begins.

A merge that runs into a full filesystem loses nothing, but it helps nobody
either. What it needs at most is known at once from its plan; only where that
does not fit, and is not exact, are the images looked at for the exact figure,
however large they are. Merges that run on other volumes of the directory are
counted in: each has its journal there, with what it may still write.
"""

from __future__ import annotations

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import journal as journals
from volume_driver.images import allocation
from volume_driver.operations import context as contexts
from volume_driver.planning import plan

# Tables and refcounts of a qcow2 image, for each byte of data: an 8 byte L2
# entry and a 2 byte refcount for each cluster of 64 KiB, rounded up far.
_TABLES = 1 / 1024
_MARGIN = 1 << 20


def check(
    context: contexts.Context, content: plan.Plan, found: chain.Chain
) -> None:
    """Check that there is room for a merge.

    :raises MergeNeedsSpace: when there is not
    """
    most = needed(content)
    if not most:
        return
    free = files.available(context.directory) - _promised(context)
    if most > free and not content.exact:
        most = _with_tables(_exact(context, content, found))
    if most > free:
        raise exception.MergeNeedsSpace(
            operation=content.operation,
            volume=content.volume,
            needed=most,
            available=max(free, 0),
            directory=context.directory,
        )


def needed(content: plan.Plan) -> int:
    """Return how many bytes a plan needs at the most."""
    if not content.way or not content.cost:
        return 0
    return _with_tables(content.cost)


def _with_tables(data: int) -> int:
    return int(data * (1 + _TABLES)) + _MARGIN


def _promised(context: contexts.Context) -> int:
    """Return the bytes that merges of other volumes may still write."""
    total = 0
    for volume in journals.all_volumes(context.directory):
        try:
            found = journals.find(context.directory, volume)
        except exception.VolumeDriverError:
            continue
        total += found.plan.cost if found is not None else 0
    return total


def _exact(
    context: contexts.Context, content: plan.Plan, found: chain.Chain
) -> int:
    for step in content.steps:
        if isinstance(step, plan.Commit):
            images = found.between(step.base, step.top)
        elif isinstance(step, plan.Pull):
            above = found.above(step.backing) if step.backing else found.base
            images = found.between((above or found.base).name, step.overlay)
        else:
            continue
        costs = allocation.measure(context.directory, images, limit=None)
        return min(content.cost, costs.of(content.way))
    return content.cost
