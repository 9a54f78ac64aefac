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

from oslo_log import log

from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
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


def delete_snapshot(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_id: str,
    cascade: bool = False,
) -> None:
    """Delete a snapshot; one that is gone already is no error.

    :param cascade: the volume itself is being deleted: nothing is merged
    :raises MergeNeedsSpace: when the filesystem has no room for the merge
    """
    state = contexts.read(context, target, cascade)
    content = plan_deletion(context, target, snapshot_id, state, cascade)
    if content is None:
        LOG.warning(
            'Snapshot %s of %s is gone already', snapshot_id, target.name
        )
        return
    space.check(context, content, state.chain.encrypted)
    run.run(context, target, content, state.found)


def plan_deletion(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_id: str,
    state: contexts.State,
    cascade: bool = False,
) -> plan.Plan | None:
    """Return the plan of a deletion; None when there is no such snapshot."""
    if snapshot_id not in state.info.snapshots:
        return None
    if cascade and not state.live:
        return planning_delete.plan_forget(
            target.name, snapshot_id, state.info
        )
    return planning_delete.plan_delete(
        target.name,
        snapshot_id,
        state.chain,
        state.info,
        state.live,
        context.settings.merge_direction,
    )
