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

"""Runs a plan, or the rest of one that was cut off.

::

    lock - recover - read - plan - journal - steps - drop the journal

A crash at any point leaves the journal, and the next operation on the volume
begins with finishing it. An error is taken back where that is provably right
(the journal goes, the volume is as before); else the journal stays, too.
"""

from __future__ import annotations

import time

from oslo_log import log
import tenacity

from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.executors import base as executors
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.operations import faults
from volume_driver.operations import lines
from volume_driver.operations import speed
from volume_driver.planning import plan

LOG = log.getLogger(__name__)

# For how long a guest that we hold is not left alone.
_HELD_SECONDS = 30.0
# Steps whose outcome the files alone cannot prove.
_MARKED = (plan.Commit, plan.Pull, plan.Empty)
# Steps from which on a guest may have written to a new overlay.
_WRITTEN = (plan.CreateOverlay, plan.Switch)
# Steps for which it matters whether a guest runs at just that time.
_GUEST = (
    plan.Switch,
    plan.Commit,
    plan.Pull,
    plan.Point,
    plan.StartFrom,
    plan.Empty,
    plan.Replace,
    plan.Remove,
    plan.Resize,
)


def run(
    context: contexts.Context,
    target: hypervisor.Target,
    content: plan.Plan,
    found: hypervisor.Found,
    notes: dict[str, str] | None = None,
) -> None:
    """Journal a plan and run it; the volume's lock must be held.

    :param found: the guest disks that use the volume
    :param notes: what the journal says from the beginning
    """
    started = time.monotonic()
    logger = lines.about(LOG, target.name, content)
    logger.debug('%s', content)
    journal = journals.begin(context.directory, content, target, notes or {})
    with context.meter.operation(journal):
        faults.reach('after', None)
        try:
            carry_out(context, target, journal, found, fresh=True)
        except exception.VolumeDriverError:
            left = journals.find(context.directory, target.name)
            if left is None or not journal.is_holding:
                raise
            _finish_held(context, target, journal)
    seconds = time.monotonic() - started
    if content.way and content.exact:
        speed.remember(context.directory, content.cost, seconds)
    logger.info(
        '%(operation)s of %(volume)s: done in %(ms)d ms%(way)s',
        {
            'operation': content.operation,
            'volume': target.name,
            'ms': seconds * 1000,
            'way': f', {content.way} ({content.reason})'
            if content.way
            else '',
        },
    )


def _finish_held(
    context: contexts.Context,
    target: hypervisor.Target,
    journal: journals.Journal,
) -> None:
    """Go on for some time with what left a guest suspended.

    libvirtd may be restarted just then; the guest waits for the next call.
    """
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(exception.VolumeDriverError),
        stop=tenacity.stop_after_delay(_HELD_SECONDS),
        wait=tenacity.wait_fixed(1.0),
        reraise=True,
    )

    def finish() -> None:
        found = context.hypervisor.find(target)
        carry_out(context, target, journal, found, fresh=False)

    again(finish)


def carry_out(
    context: contexts.Context,
    target: hypervisor.Target,
    journal: journals.Journal,
    found: hypervisor.Found,
    fresh: bool,
) -> None:
    """Run the steps of a journal's plan that have not happened yet.

    :param found: the guest disks that use the volume
    :param fresh: none of them was begun before
    """
    executor = context.executor(target, found)
    looked = True
    for index, step in enumerate(journal.plan.steps):
        try:
            if isinstance(step, _GUEST):
                if not looked:
                    found = context.hypervisor.find(target)
                    executor = context.executor(target, found)
                looked = False
            _carry_out_step(executor, step, journal.step(index))
        except Exception as error:
            untouched = fresh and isinstance(error, exception.Refused)
            _take_back(executor, journal, index - untouched, fresh)
            raise
    faults.reach('before', None)
    journal.drop()


def _carry_out_step(
    executor: executors.Executor,
    step: plan.Step,
    progress: journals.StepProgress,
) -> None:
    try:
        if not executor.is_done(step, progress):
            content = progress.journal.plan
            lines.about(LOG, content.volume, content).debug(
                '%s: %s', content.volume, step
            )
            faults.reach('before', step)
            executor.do(step, progress)
            faults.reach('after', step)
        if isinstance(step, _MARKED):
            progress.mark()
    finally:
        if progress.held or progress.notes.get('throttle'):
            executor.let_go(progress)


def _take_back(
    executor: executors.Executor,
    journal: journals.Journal,
    last: int,
    fresh: bool,
) -> None:
    """Undo the steps up to the last one; keep the journal if we cannot.

    :param fresh: no process before this one ran any of them; else an overlay
        may hold what a guest wrote that has died since
    """
    try:
        for step in reversed(journal.plan.steps[: last + 1]):
            if journal.marked or (not fresh and isinstance(step, _WRITTEN)):
                raise executors.CannotUndo(step)
            executor.undo(step)
        journal.drop()
    except Exception as problem:
        lines.about(LOG, journal.plan.volume, journal.plan).error(
            '%(operation)s of %(volume)s failed and is not taken back: '
            '%(problem)s',
            {
                'operation': journal.plan.operation,
                'volume': journal.plan.volume,
                'problem': problem,
            },
        )
