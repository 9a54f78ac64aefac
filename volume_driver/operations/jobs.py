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

"""Merges that run, seen and steered from outside; holds no lock for long."""

from __future__ import annotations

import dataclasses

from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.operations import locking
from volume_driver.operations import progress

# What an operation with a journal is doing.
RUNNING, CUT_OFF = 'running', 'cut off'


@dataclasses.dataclass(frozen=True)
class Job:
    """An operation that was begun and has not ended.

    :param way: ``commit``, ``pull`` or empty
    :param state: :data:`RUNNING` or :data:`CUT_OFF`
    :param begun_by: host and process
    :param done: bytes that are copied; None where that is not known, as
        qemu-img does not say it
    :param total: bytes that are to be copied
    """

    volume: str
    operation: str
    way: str
    state: str
    begun_by: str
    begun_at: str
    done: int | None
    total: int


def listed(context: contexts.Context) -> list[Job]:
    """Return all operations of the directory that have not ended.

    :raises JournalCorrupt: when nobody can tell what one is
    """
    found = []
    for volume in journals.all_volumes(context.directory):
        state = _state(context, volume)
        journal = journals.find(context.directory, volume)
        if journal is None:
            continue  # over since
        found.append(
            Job(
                volume=volume,
                operation=journal.plan.operation,
                way=journal.plan.way,
                state=state,
                begun_by=journal.written_by,
                begun_at=journal.written_at,
                done=_done(context, journal),
                total=journal.plan.cost,
            )
        )
    return found


def _state(context: contexts.Context, volume: str) -> str:
    """Tell whether somebody is at work on a volume, by its lock."""
    try:
        with context.locks(volume, blocking=False):
            return CUT_OFF
    except locking.Locked:
        return RUNNING


def _done(context: contexts.Context, journal: journals.Journal) -> int | None:
    try:
        found = context.hypervisor.find(journal.target)
        if found.live is None or not found.live.job():
            return None
    except exception.VolumeDriverError:
        return None
    seen = progress.Watch(context, journal.target).look()
    return seen[0] if seen else None


def limit(
    context: contexts.Context, target: hypervisor.Target, bandwidth: int
) -> None:
    """Limit the merge that runs under a volume's guest.

    :param bandwidth: in MiB/s, 0 for no limit
    :raises MergeNotRunning: when no merge of ours runs under a guest
    :raises LiveOperationFailed: when libvirt refuses
    """
    guest = _guest(context, target, 'qemu-img keeps to the limit that it has')
    if not guest.limit_job(bandwidth):
        raise _no_job(target)


def cancel(context: contexts.Context, target: hypervisor.Target) -> None:
    """End the merge that runs under a volume's guest before it is done.

    Whoever began it gets :class:`.exception.JobFailed`. The guest goes on
    with the chain that it had, and no image is removed. A pull is taken back.
    A commit is not, as the image below has changed: its journal stays, and
    the next operation on the volume finishes it first.

    :raises MergeNotRunning: when no merge of ours runs under a guest
    :raises LiveOperationFailed: when libvirt refuses
    """
    guest = _guest(
        context, target, 'interrupt the process that "job list" names'
    )
    if not guest.cancel_job():
        raise _no_job(target)


def _guest(
    context: contexts.Context, target: hypervisor.Target, offline: str
) -> hypervisor.GuestDisk:
    """Return the guest that a merge of ours runs under.

    :param offline: what is to be known where qemu-img merges
    """
    journal = journals.find(context.directory, target.name)
    if journal is None or not journal.plan.way:
        raise exception.MergeNotRunning(
            volume=target.name, reason='no merge of it is under way'
        )
    found = context.hypervisor.find(target)
    if found.live is None:
        raise exception.MergeNotRunning(
            volume=target.name, reason=f'no guest runs on it, and {offline}'
        )
    return found.live


def _no_job(target: hypervisor.Target) -> exception.MergeNotRunning:
    return exception.MergeNotRunning(
        volume=target.name, reason='its block job has not begun or is over'
    )
