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

"""Create, delete and revert to snapshots."""

from __future__ import annotations

import collections.abc

from oslo_log import log

from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.operations import run
from volume_driver.operations import unlocked
from volume_driver.planning import revert as planning_revert

LOG = log.getLogger(__name__)


def create(
    context: contexts.Context, target: hypervisor.Target, snapshot_id: str
) -> None:
    """Create a snapshot; one that is there already stays as it is.

    :raises InvalidName: when the id cannot be one of a snapshot
    """
    names.check_new_snapshot(snapshot_id)
    with recovery.locked(context, target):
        unlocked.create_snapshot(context, target, snapshot_id)


def delete(
    context: contexts.Context,
    target: hypervisor.Target,
    snapshot_ids: collections.abc.Sequence[str],
    cascade: bool = False,
) -> None:
    """Delete snapshots; one that is gone already is no error.

    Those that lie next to each other go in one pass. Each pass is complete
    in itself: what stops one leaves those before it deleted.

    :param cascade: the volume itself is being deleted: nothing is merged
    """
    for snapshot_id in snapshot_ids:
        names.check_snapshot(snapshot_id)
    with recovery.locked(context, target):
        if not contexts.exists(context, target.name):
            LOG.warning('Volume %s has no files', target.name)
            return
        unlocked.delete_snapshots(context, target, snapshot_ids, cascade)


def revert(
    context: contexts.Context, target: hypervisor.Target, snapshot_id: str
) -> None:
    """Drop everything written since the newest snapshot was taken.

    :raises SnapshotNotFound: when there is no such snapshot
    :raises NotNewestSnapshot: when there is a newer one
    :raises VolumeInUse: when a guest runs on the volume
    """
    names.check_snapshot(snapshot_id)
    with recovery.locked(context, target):
        state = contexts.read(context, target)
        check_known(target.name, snapshot_id, state)
        state.refuse_live(target.name, 'a revert')
        content = planning_revert.plan_revert(
            target.name, snapshot_id, state.chain, state.info
        )
        active = context.path(state.chain.active.name)
        notes = {'reverted': files.trace(active)}
        run.run(context, target, content, state.found, notes)


def check_known(volume: str, snapshot_id: str, state: contexts.State) -> None:
    """Check that a snapshot is there.

    :raises SnapshotNotFound: when it is not
    """
    if snapshot_id not in state.info.snapshots:
        raise unknown(volume, snapshot_id, state.info)


def unknown(
    volume: str, snapshot_id: str, content: info.Info
) -> exception.SnapshotNotFound:
    """Make the error for a snapshot that is not there."""
    return exception.SnapshotNotFound(
        snapshot=snapshot_id,
        volume=volume,
        known=', '.join(sorted(content.snapshots)) or 'none',
    )
