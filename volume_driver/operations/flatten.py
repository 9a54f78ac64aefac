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

"""Shortens the chain of a volume, under a guest or without one."""

from __future__ import annotations

import collections.abc

from volume_driver import exception
from volume_driver import info
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.operations import unlocked

Ids = collections.abc.Set[str]


def flatten(context: contexts.Context, target: hypervisor.Target) -> None:
    """Merge all images of a volume into one; all its snapshots are deleted.

    In one pass, which copies nothing twice.

    :raises MergeNeedsSpace: when the filesystem has no room for it
    """
    with recovery.locked(context, target):
        _, content = contexts.read_files(context, target.name)
        unlocked.delete_snapshots(context, target, tuple(content.snapshots))


def keep_snapshots(
    context: contexts.Context,
    target: hypervisor.Target,
    known: Ids,
    do: bool = True,
) -> list[str]:
    """Merge only the overlays that are those of no snapshot.

    Another driver, or a deletion that was cut off, may leave such. They get
    names that :func:`.recovery.drop_passing` knows, so that a crash leaves
    nothing that the next operation does not finish; what refuses the merge
    takes them away again. The active one stays if it has to keep its name.

    :param known: the ids of all snapshots of the volume, as its service has
        them: an overlay whose line in ``.info`` was lost looks the same
    :param do: else only say which these overlays are
    :returns: the names of those overlays
    :raises ChainMismatch: when ``.info`` has other snapshots than these

    Raises what a deletion does, too.
    """
    with recovery.locked(context, target):
        state = contexts.read(context, target, cascade=True)
        content = state.info
        if content.snapshots.keys() != known:
            raise exception.ChainMismatch(
                volume=target.name,
                found=f'snapshots {_listed(content.snapshots)} in .info',
                expected=f'{_listed(known)}, as the records say',
            )
        images = state.chain.names[1:]
        if context.keeps_name_of(target, state.found):
            # Somebody else starts a guest from the active one.
            images = images[:-1]
        nameless = [name for name in images if not content.snapshot_of(name)]
        if do and nameless:
            _merge(context, target, content, nameless)
        return nameless


def _merge(
    context: contexts.Context,
    target: hypervisor.Target,
    content: info.Info,
    nameless: list[str],
) -> None:
    passing = {
        f'{names.PASSING}{number}': name
        for number, name in enumerate(nameless)
    }
    listed = info.Info(content.active, {**content.snapshots, **passing})
    info.write(context.directory, target.name, listed)
    try:
        unlocked.delete_snapshots(context, target, tuple(passing))
    except exception.Refused:
        # Nothing was begun, or what was is complete in itself.
        now = info.read(context.directory, target.name) or listed
        for snapshot_id in passing:
            now = now.without_snapshot(snapshot_id)
        info.write(context.directory, target.name, now)
        raise


def _listed(ids: collections.abc.Iterable[str]) -> str:
    return ', '.join(sorted(ids)) or 'none'
