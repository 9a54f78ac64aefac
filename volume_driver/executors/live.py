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

"""Carries out steps while a guest runs on the chain.

What only the guest's process may do goes to the hypervisor plugin; the rest
is the same as offline.
"""

from __future__ import annotations

import functools

from oslo_log import log

from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.executors import base
from volume_driver.executors import offline
from volume_driver.executors import pivot
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import qemu_img
from volume_driver.images import secrets
from volume_driver.planning import plan

LOG = log.getLogger(__name__)


class LiveExecutor(offline.OfflineExecutor):
    """Steps on the files of a volume that a guest has open.

    :param disk: the guest's disk
    """

    def __init__(
        self,
        directory: str,
        volume: str,
        execute: qemu_img.Execute,
        disk: hypervisor.GuestDisk,
        defined: tuple[hypervisor.DefinedDisk, ...] = (),
        unlock: secrets.Unlock | None = None,
    ) -> None:
        super().__init__(directory, volume, execute, defined, unlock=unlock)
        self.disk = disk
        # The guest is not to be resumed by us: see _Renewal.may_resume.
        self._stays = False

    @functools.singledispatchmethod
    def is_done(self, step: plan.Step, progress: base.Progress) -> bool:
        return super().is_done(step, progress)

    @is_done.register
    def _(self, step: plan.Switch, progress: base.Progress) -> bool:
        return self.disk.chain()[-1] == step.overlay

    @is_done.register
    def _(self, step: plan.Commit, progress: base.Progress) -> bool:
        return False  # going through the barrier once more does no harm

    @is_done.register
    def _(self, step: plan.CommitInPlace, progress: base.Progress) -> bool:
        return progress.marked

    @is_done.register
    def _(self, step: plan.Pull, progress: base.Progress) -> bool:
        return False

    @is_done.register
    def _(self, step: plan.Resize, progress: base.Progress) -> bool:
        return self.disk.size() >= step.size

    @functools.singledispatchmethod
    def do(self, step: plan.Step, progress: base.Progress) -> None:
        super().do(step, progress)

    @do.register
    def _(self, step: plan.Switch, progress: base.Progress) -> None:
        self.disk.switch_to(step.overlay)
        self.disk.start_from(step.overlay, 'qcow2')

    @do.register
    def _(self, step: plan.StartFrom, progress: base.Progress) -> None:
        self.disk.start_from(step.active, step.format)

    @do.register
    def _(self, step: plan.Commit, progress: base.Progress) -> None:
        if step.above is not None:
            self._check_same_guest(step, step.top, progress)
        else:
            self._check_pivoted(step, progress)
        self.disk.commit(step.top, step.base, progress)
        if step.above is None:
            progress.note(step.top, files.trace(self.path(step.top)))

    @do.register
    def _(self, step: plan.CommitInPlace, progress: base.Progress) -> None:
        self._check_pivoted(step, progress)
        renewal = _Renewal(self, step, progress)
        if step.top in self.disk.chain():
            top, below = self.path(step.top), self.path(step.base)
            if pivot.is_base_truth(progress, top, below):
                raise exception.ImagesDiverged(top=top, base=below)
            pivot.forget(progress)
            renewal.prepare()
        try:
            self.disk.commit_in_place(step.top, step.base, renewal, progress)
        except exception.JobNotStarted:
            renewal.discard()
            raise
        except Exception:
            self._stays = not renewal.may_resume()
            raise

    @do.register
    def _(self, step: plan.Pull, progress: base.Progress) -> None:
        self._check_same_guest(step, step.pulled, progress)
        self.disk.pull(step.pulled, step.backing, progress)

    @do.register
    def _(self, step: plan.Resize, progress: base.Progress) -> None:
        self.disk.resize(step.size)

    @do.register
    def _(self, step: plan.Point, progress: base.Progress) -> None:
        # A live commit writes the name itself; nobody else may write to an
        # image that a guest has open.
        raise exception.UnexpectedChain(
            operation=f'"{step}"',
            guest=self.disk.guest,
            found=f'{self.backing_of(step.overlay)} below {step.overlay}',
            expected=f'{step.backing} there',
        )

    @do.register
    def _(self, step: plan.Remove, progress: base.Progress) -> None:
        if step.name in self.disk.chain():
            raise exception.VolumeInUse(
                volume=self.volume, holder=self.disk.guest, operation=str(step)
            )
        super().do(step, progress)

    def refuse_open(self, name: str) -> None:
        """The guest tells by itself which images it has open."""

    @do.register
    def _(
        self, step: plan.Empty | plan.Replace, progress: base.Progress
    ) -> None:
        raise exception.VolumeInUse(
            volume=self.volume, holder=self.disk.guest, operation=str(step)
        )

    def _check_same_guest(
        self, step: plan.Step, merged: str, progress: base.Progress
    ) -> None:
        """Check that no other QEMU than the one that merged has the chain.

        One that was killed between the end of the job and the barrier leaves
        headers without their data; a guest started from those does not see
        it, and nobody can put it under its feet while it runs.

        :raises GuestStartedTooEarly: when one was started meanwhile
        """
        if merged in self.disk.chain():
            progress.note('guest', self.disk.identity())
        elif progress.marked:
            return
        elif progress.notes.get('guest') != self.disk.identity():
            raise exception.GuestStartedTooEarly(
                guest=self.disk.guest, step=str(step), merged=merged
            )

    def _check_pivoted(
        self, step: plan.Commit, progress: base.Progress
    ) -> None:
        """Check that a guest without the top was switched away from it.

        Then it misses nothing, whichever run of the guest it is: both images
        held the same before the pivot.

        :raises GuestStartedTooEarly: when it was started from the base while
            that was not the truth
        """
        if step.top in self.disk.chain():
            # The pivot changes the definition; recovery goes by that.
            self.disk.start_from(step.top, 'qcow2')
            progress.note('guest', self.disk.identity())
        elif not progress.marked and progress.notes.get('guest') is None:
            raise exception.GuestStartedTooEarly(
                guest=self.disk.guest, step=str(step), merged=step.top
            )

    def let_go(self, progress: base.Progress) -> None:
        if self._stays:
            LOG.error(
                '%s stays suspended: what it would write now is not what it '
                'would be started from again; the next call on %s ends that',
                self.disk.guest,
                self.volume,
            )
            return
        self.disk.let_go(progress)

    @functools.singledispatchmethod
    def undo(self, step: plan.Step) -> None:
        super().undo(step)

    @undo.register
    def _(self, step: plan.CreateOverlay) -> None:
        if step.name in self.disk.chain():
            raise base.CannotUndo(step)
        super().undo(step)

    @undo.register
    def _(self, step: plan.Switch) -> None:
        if self.disk.unsure or self.disk.chain()[-1] != step.below:
            raise base.CannotUndo(step)

    @undo.register
    def _(self, step: plan.Pull) -> None:
        # A job that still runs would end later, and nobody would know.
        if self.disk.job() or step.pulled not in self.disk.chain():
            raise base.CannotUndo(step)


class _Renewal(hypervisor.Renewal):
    """Puts an empty overlay in the place of a top that was committed."""

    def __init__(
        self,
        executor: LiveExecutor,
        step: plan.CommitInPlace,
        progress: base.Progress,
    ) -> None:
        self._executor = executor
        self._step = step
        self._progress = progress
        self._run = executor.disk.identity()
        self._top = executor.path(step.top)
        self._part = self._top + names.PART

    def prepare(self) -> None:
        """Make the empty overlay, which has not got its name yet."""
        backing = self._step.base, self._step.base_format
        self._executor.prepare_overlay(
            self._step.top, backing, self._step.size
        )

    def discard(self) -> None:
        """Drop it again: nothing was begun."""
        files.discard(self._part)

    def settled(self) -> None:
        below = self._executor.path(self._step.base)
        pivot.note(self._progress, self._top, below)

    def renew(self) -> None:
        if pivot.is_renewed(self._progress, self._top):
            return
        if not files.is_file(self._part):
            self.prepare()
        disk = self._executor.disk
        if disk.identity() != self._run or disk.chain()[-1] != self._step.base:
            # Somebody started the guest again; it may have the top open.
            raise exception.GuestUnknown(
                operation=str(self._step),
                guest=disk.guest,
                reason='it was started again meanwhile',
            )
        files.rename(self._part, self._top)

    def may_resume(self) -> bool:
        if pivot.is_renewed(self._progress, self._top):
            return True
        try:
            return self._step.top in self._executor.disk.chain()
        except exception.VolumeDriverError:
            return False
