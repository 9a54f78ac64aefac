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

"""Snapshots created and deleted by whoever holds the volume's lock."""

from __future__ import annotations

import collections.abc

from oslo_log import log

from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import allocation
from volume_driver.operations import context as contexts
from volume_driver.operations import lines
from volume_driver.operations import run
from volume_driver.operations import space
from volume_driver.planning import create as planning_create
from volume_driver.planning import delete as planning_delete
from volume_driver.planning import plan

LOG = log.getLogger(__name__)


def create_snapshot(
    context: contexts.Context, target: hypervisor.Target, snapshot_id: str
) -> None:
    """Create a snapshot; one that is there already stays as it is.

    :raises NameCollision: when a file has the name of the new overlay
    """
    state = contexts.read(context, target)
    if snapshot_id in state.info.snapshots:
        LOG.info('Snapshot %s is there already', snapshot_id)
        return
    overlay = names.free_overlay(
        target.name, snapshot_id, frozenset(state.chain.names)
    )
    path = context.path(overlay)
    if files.exists(path):
        raise exception.NameCollision(path=path)
    content = planning_create.plan_create(
        target.name,
        snapshot_id,
        overlay,
        state.chain,
        state.info,
        state.size,
        context.settings.max_chain_depth,
    )
    run.run(context, target, content, state.found)
    depth, limit = len(state.chain) + 1, context.settings.max_chain_depth
    if chain.is_deep(depth, limit):
        lines.about(LOG, target.name, content).warning(
            '%(volume)s has %(depth)d images now, and %(limit)d are the most '
            'that it may have (option max_chain_depth); delete snapshots',
            {'volume': target.name, 'depth': depth, 'limit': limit},
        )


def delete_snapshot(
    context: contexts.Context, target: hypervisor.Target, snapshot_id: str
) -> None:
    """Delete a snapshot; see :func:`delete_snapshots`."""
    delete_snapshots(context, target, (snapshot_id,))


def delete_snapshots(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_ids: collections.abc.Sequence[str],
    cascade: bool = False,
) -> None:
    """Delete snapshots; one that is gone already is no error.

    Those that lie next to each other go in one pass. What stops one pass
    leaves those before it deleted, and the others as they are.

    :param cascade: the volume itself is being deleted: nothing is merged
    :raises MergeNeedsSpace: when the filesystem has no room for a merge
    """
    state = contexts.read(context, target, cascade)
    gone = [each for each in snapshot_ids if each not in state.info.snapshots]
    if gone:
        LOG.warning(
            'Snapshot %s of %s is gone already', ', '.join(gone), target.name
        )
    while True:
        passes = _passes(snapshot_ids, state, cascade)
        if not passes:
            return
        content = _plan_pass(context, target, passes[0], state, cascade)
        space.check(context, content, state.chain)
        run.run(context, target, content, state.found)
        if len(passes) == 1:
            return
        state = contexts.read(context, target, cascade)


def plan_deletions(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_ids: collections.abc.Sequence[str],
    state: contexts.State,
) -> list[plan.Plan]:
    """Return a plan for each pass of a deletion, none for nothing to do.

    The later ones show what is to be expected only: those before them change
    what they go by.
    """
    return [
        _plan_pass(context, target, each, state)
        for each in _passes(snapshot_ids, state)
    ]


def _passes(
    snapshot_ids: collections.abc.Sequence[str],
    state: contexts.State,
    cascade: bool = False,
) -> list[tuple[str, ...]]:
    """Return the snapshots that go in each pass, of those that are there."""
    known = [each for each in snapshot_ids if each in state.info.snapshots]
    if cascade and not state.live:
        return [tuple(known)] if known else []
    return [
        tuple(each)
        for each in planning_delete.runs(state.chain, state.info, known)
    ]


def _plan_pass(
    context: contexts.Context,
    target: hypervisor.Target,
    deleted: tuple[str, ...],
    state: contexts.State,
    cascade: bool = False,
) -> plan.Plan:
    if cascade and not state.live:
        return planning_delete.plan_forget(target.name, deleted, state.info)
    images = planning_delete.merged(state.chain, state.info, deleted)
    costs = allocation.measure(context.directory, images)
    direction = context.settings.merge_direction
    in_place = context.keeps_name_of(target, state.found)
    if in_place and deleted[0].startswith(names.PASSING):
        # The name from before it was taken is the one to come back to.
        in_place, direction = False, 'commit'
    if in_place:
        below = planning_delete.absorbed(state.chain, state.info, images)
        if below:
            more = allocation.measure(context.directory, (*below, *images))
            costs = costs.committing(more)
    return planning_delete.plan_delete(
        target.name,
        deleted,
        state.chain,
        state.info,
        state.live,
        direction,
        costs,
        in_place,
    )
