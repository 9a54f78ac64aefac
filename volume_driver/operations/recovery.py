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

"""Finishes what a dead process, a dead guest or an error left undone.

Recovery is the journal's plan run again from its beginning: each step can
tell whether it has happened. So it may be killed itself, at any point, and
run again; and a merge that was begun live goes on offline when the guest is
gone, and the reverse. What was cut off, by plan:

============ ===============================================================
create       forward: the guest is asked whether it was switched; when none
             runs an empty overlay changes nothing
commit       again from the overlay, which is the truth until the mark; from
             the mark on the image below is
pull         the old backing name is put back, then again: a new one on disk
             is no proof of its data
revert       again: the outcome is the same
delete       forward: what is gone is gone
============ ===============================================================

A job that still runs in a guest is adopted. A guest that we suspended, and
only such a one, is resumed.
"""

from __future__ import annotations

import collections.abc
import contextlib

from oslo_log import log
import tenacity

from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import journal as journals
from volume_driver import names
from volume_driver.executors import pivot
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import header
from volume_driver.images import qemu_check
from volume_driver.images import reader
from volume_driver.images import record
from volume_driver.images import secrets
from volume_driver.operations import context as contexts
from volume_driver.operations import lines
from volume_driver.operations import locking
from volume_driver.operations import run
from volume_driver.operations import unlocked
from volume_driver.planning import plan

LOG = log.getLogger(__name__)

# How the words begin that say what came of a recovery.
FINISHED, NOT_FINISHED = 'finished', 'not finished'

_ORPHAN_SECONDS = 10.0


@contextlib.contextmanager
def locked(
    context: contexts.Context, target: hypervisor.Target
) -> collections.abc.Iterator[None]:
    """Hold a volume's lock, with nothing left of an earlier operation.

    :raises RecoveryFailed: when something is left and cannot be finished now
    """
    with context.locks(target.name):
        recover(context, target)
        drop_passing(context, target)
        yield


def drop_passing(context: contexts.Context, target: hypervisor.Target) -> None:
    """Delete what a copy that was cut off left behind.

    A copy holds the lock of its source from beginning to end, so nobody
    needs a passing snapshot that is found under the lock.
    """
    content = info.read(context.directory, target.name)
    for snapshot_id in content.snapshots if content else ():
        if snapshot_id.startswith(names.PASSING):
            unlocked.delete_snapshot(context, target, snapshot_id)


def recover(
    context: contexts.Context,
    target: hypervisor.Target | None,
    volume: str = '',
) -> str | None:
    """Finish what was cut off on a volume; its lock must be held.

    :param target: the volume as the caller's records describe it; None to go
        by what the journal remembers
    :param volume: name of the volume where there is no target
    :returns: what was finished, in words; None when nothing was left
    :raises RecoveryFailed: when it cannot be finished now
    :raises JournalCorrupt: when nobody can tell what it was
    """
    journal = journals.find(
        context.directory, target.name if target else volume
    )
    if journal is None:
        return None
    target = target or journal.target
    words = {
        'operation': journal.plan.operation,
        'volume': target.name,
        'by': journal.written_by,
        'at': journal.written_at,
    }
    lines.about(LOG, target.name, journal.plan).warning(
        '%(operation)s of %(volume)s, begun by %(by)s at %(at)s, was cut '
        'off; it is finished now',
        words,
    )
    try:
        with context.meter.recovery(journal):
            found = context.hypervisor.find(target)
            if found.live is None:
                _wait_released(context, target.name, found)
                _free_leaked(context, target, journal)
            run.carry_out(context, target, journal, found, fresh=False)
    except exception.VolumeDriverError as error:
        raise exception.RecoveryFailed(reason=str(error), **words) from error
    return journal.plan.operation


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(exception.ImageOpenElsewhere),
    stop=tenacity.stop_after_delay(_ORPHAN_SECONDS),
    wait=tenacity.wait_exponential(0.02, max=0.5),
    reraise=True,
)
def _wait_released(
    context: contexts.Context, volume: str, found: hypervisor.Found
) -> None:
    """Wait until no process has an image of the volume open for writing.

    A qemu-img outlives the process that started it.

    :raises ImageOpenElsewhere: when one still has after some seconds
    """
    for name in reader.images_of(context.directory, volume):
        contexts.refuse_open(context, name, found)


def _free_leaked(
    context: contexts.Context,
    volume: hypervisor.Target,
    journal: journals.Journal,
) -> None:
    """Free what a merge that was killed had allocated and not yet linked.

    One that is marked was not killed, and its images are not to be touched:
    whether somebody wrote to them since is still to be told.
    """
    for index, step in enumerate(journal.plan.steps):
        progress = journal.step(index)
        if progress.marked or _is_pivoted(step, progress):
            continue
        if isinstance(step, plan.Commit):
            target, overlay = step.base, step.top
        elif isinstance(step, plan.Pull):
            target = overlay = step.overlay
        else:
            continue
        # A base that is raw leaks nothing.
        path = context.path(overlay)
        if not files.is_file(path) or _is_raw(context, volume.name, target):
            continue
        key = context.key(volume) if secrets.is_encrypted(path) else None
        try:
            qemu_check.free_leaked(context.execute, context.path(target), key)
        except exception.CommandFailed as error:
            lines.about(LOG, volume.name, journal.plan).warning('%s', error)


def _is_pivoted(step: plan.Step, progress: hypervisor.Progress) -> bool:
    """Tell whether it is noted what was below a guest at its pivot."""
    return isinstance(step, plan.CommitInPlace) and pivot.is_noted(progress)


def _is_raw(context: contexts.Context, volume: str, name: str) -> bool:
    """Tell whether an image is raw, by the record or by what is above it."""
    if name != volume:
        return False
    known = record.base_format(context.directory, volume)
    for above in reader.referrers(context.directory, volume, name):
        known = known or header.read(context.path(above)).backing_format
    return known != 'qcow2'


def recover_all(context: contexts.Context) -> dict[str, str]:
    """Recover every volume in the directory; one never blocks another.

    :returns: what came of it in words, by the name of the volume
    """
    outcome = {}
    for volume in journals.all_volumes(context.directory):
        try:
            with context.locks(volume, blocking=False):
                finished = recover(context, None, volume)
            if finished is not None:
                outcome[volume] = f'{FINISHED}: {finished}'
        except locking.Locked:
            # No crash: whoever holds the lock is at work on it just now.
            lines.about(LOG, volume).debug('%s is being worked on', volume)
        except exception.VolumeDriverError as error:
            lines.about(LOG, volume).error('%s', error)
            outcome[volume] = f'{NOT_FINISHED}: {error}'
    return outcome
