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

"""Carries out steps while no guest has the chain open: qemu-img and files.

A merge returns only after the barrier: what it wrote was synced to disk.
"""

from __future__ import annotations

import functools
import os

from oslo_log import log

from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import names
from volume_driver.executors import base
from volume_driver.executors import images
from volume_driver.executors import pivot
from volume_driver.images import allocation
from volume_driver.images import locks
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.images import record
from volume_driver.images import secrets
from volume_driver.planning import plan

LOG = log.getLogger(__name__)


class OfflineExecutor(images.ImageExecutor):
    """Steps on the files of one volume, by qemu-img."""

    # -- has it happened? ----------------------------------------------------

    @functools.singledispatchmethod
    def is_done(self, step: plan.Step, progress: base.Progress) -> bool:
        return progress.marked

    @is_done.register
    def _(self, step: plan.Commit, progress: base.Progress) -> bool:
        if not progress.marked:
            return self._was_pivoted(step, progress)
        return not self._was_written_since(step, progress)

    def _was_written_since(
        self, step: plan.Commit, progress: base.Progress
    ) -> bool:
        """Tell whether a guest was started from the top after its commit.

        :raises ImagesDiverged: when the base was written to as well
        """
        top, below = self.path(step.top), self.path(step.base)
        noted = progress.notes.get(step.top)
        if noted is None or files.trace(top) in ('', noted):
            return False
        if files.trace(below) != progress.notes.get(step.base):
            raise exception.ImagesDiverged(top=top, base=below)
        return True

    def _was_pivoted(self, step: plan.Commit, progress: base.Progress) -> bool:
        """Tell whether a guest that has died since was switched to the base.

        Both images held the same by then. A guest that was started again
        writes to the one that its definition names, which libvirt lets be the
        base from the pivot on.
        """
        begun_live = progress.notes.get('guest') is not None
        return (
            begun_live
            and step.above is None
            and any(disk.active() == step.base for disk in self.defined)
        )

    @is_done.register
    def _(self, step: plan.CommitInPlace, progress: base.Progress) -> bool:
        return progress.marked

    @is_done.register
    def _(self, step: plan.Empty, progress: base.Progress) -> bool:
        """Tell whether the overlay was emptied, or was written to since.

        What was written then, to its data or to the empty one, is not to go.
        """
        noted = progress.notes.get('reverted')
        now = files.trace(self.path(step.overlay))
        return progress.marked or (noted is not None and now != noted)

    @is_done.register
    def _(self, step: plan.CreateOverlay, progress: base.Progress) -> bool:
        return files.is_file(self.path(step.name))

    @is_done.register
    def _(self, step: plan.Point, progress: base.Progress) -> bool:
        return self.backing_of(step.overlay) == step.backing

    @is_done.register
    def _(self, step: plan.Remember, progress: base.Progress) -> bool:
        return step.overlay in record.nameless(self.directory, self.volume)

    @is_done.register
    def _(self, step: plan.Record, progress: base.Progress) -> bool:
        found = info.read(self.directory, self.volume)
        return found is not None and found.as_dict() == step.content

    @is_done.register
    def _(self, step: plan.Remove, progress: base.Progress) -> bool:
        return not os.path.lexists(self.path(step.name))

    @is_done.register
    def _(self, step: plan.Replace, progress: base.Progress) -> bool:
        """Tell whether the file was renamed; it may have been dropped."""
        noted = progress.notes.get(step.name, '').split()[:1]
        now = files.trace(self.path(step.name)).split()[:1]
        return not files.exists(self.path(step.source)) and now != noted

    @is_done.register
    def _(self, step: plan.Resize, progress: base.Progress) -> bool:
        found = reader.read_image(
            self.directory, self.volume, step.name, step.format
        )
        return found.size >= step.size

    # -- let it happen -------------------------------------------------------

    @functools.singledispatchmethod
    def do(self, step: plan.Step, progress: base.Progress) -> None:
        raise NotImplementedError(step)

    @do.register
    def _(self, step: plan.CreateOverlay, progress: base.Progress) -> None:
        self.make_overlay(
            step.name, (step.backing, step.backing_format), step.size
        )

    @do.register
    def _(self, step: plan.Empty, progress: base.Progress) -> None:
        backing = step.backing, step.backing_format
        self._renew(step.overlay, backing, step.size)

    @do.register
    def _(self, step: plan.Switch, progress: base.Progress) -> None:
        below = self._named_below(step.overlay, 'qcow2')
        for disk in self.defined:
            disk.switch_to(step.overlay, 'qcow2', below)

    @do.register
    def _(self, step: plan.StartFrom, progress: base.Progress) -> None:
        self._start_from(step.active, step.format)

    @do.register
    def _(self, step: plan.Commit, progress: base.Progress) -> None:
        if not allocation.adds_nothing(self.directory, step.top, step.base):
            self.commit(step)
        for name in (step.top, step.base):
            progress.note(name, files.trace(self.path(name)))

    @do.register
    def _(self, step: plan.CommitInPlace, progress: base.Progress) -> None:
        top, below = self.path(step.top), self.path(step.base)
        if not pivot.is_base_truth(progress, top, below):
            pivot.forget(progress)
            if not allocation.adds_nothing(
                self.directory, step.top, step.base
            ):
                self.commit(step)
        self._renew(step.top, (step.base, step.base_format), step.size)

    def _renew(self, name: str, backing: tuple[str, str], size: int) -> None:
        """Put an empty overlay in the place of one that nobody has open.

        :raises ImageOpenElsewhere: when somebody has
        """
        self.refuse_open(name)
        # The making takes long enough for a guest to be started.
        guard = locks.kept_from_writers(self.path(name))
        self.make_overlay(name, backing, size, guard)

    @do.register
    def _(self, step: plan.Pull, progress: base.Progress) -> None:
        self.point_back(step)
        if step.backing and allocation.adds_nothing(
            self.directory, step.pulled, step.backing
        ):
            to = (step.backing, step.backing_format or '')
            self.point(step.overlay, *to)
            return
        qemu_img.rebase(
            self.execute,
            self.path(step.overlay),
            step.backing,
            step.backing_format or '',
            self.bandwidth,
        )
        files.sync(self.path(step.overlay))

    @do.register
    def _(self, step: plan.Point, progress: base.Progress) -> None:
        self.point(step.overlay, step.backing, step.backing_format)

    @do.register
    def _(self, step: plan.Remember, progress: base.Progress) -> None:
        record.add_nameless(self.directory, self.volume, step.overlay)

    @do.register
    def _(self, step: plan.Record, progress: base.Progress) -> None:
        content = dict(step.content)
        active = content.pop('active')
        info.write(self.directory, self.volume, info.Info(active, content))

    @do.register
    def _(self, step: plan.Remove, progress: base.Progress) -> None:
        referrers = reader.referrers(self.directory, self.volume, step.name)
        if referrers:
            raise exception.StillReferenced(
                path=self.path(step.name), referrer=', '.join(referrers)
            )
        noted = progress.notes.get(step.name)
        path = self.path(step.name)
        if noted is not None and files.trace(path) != noted:
            raise exception.ImagesDiverged(top=path, base='what has its data')
        self.refuse_open(step.name)
        files.remove(path)

    @do.register
    def _(self, step: plan.Replace, progress: base.Progress) -> None:
        self.refuse_open(step.name)
        for name in (step.source, step.name):
            if files.trace(self.path(name)) != progress.notes.get(name):
                LOG.warning('%s was changed since: %s is kept', name, step)
                self._keep_base(step)
                return
        record.write(self.directory, self.volume, step.format)
        self._start_from(step.name, step.format, step.source)
        files.rename(self.path(step.source), self.path(step.name))

    @do.register
    def _(self, step: plan.Resize, progress: base.Progress) -> None:
        key = self.key_of(step.name, step.format)
        qemu_img.resize(
            self.execute, self.path(step.name), step.format, step.size, key
        )
        files.sync(self.path(step.name))

    # -- take it back --------------------------------------------------------

    @functools.singledispatchmethod
    def undo(self, step: plan.Step) -> None:
        raise base.CannotUndo(step)

    @undo.register
    def _(self, step: plan.CreateOverlay) -> None:
        path = self.path(step.name)
        if files.is_file(path) and locks.is_open_for_writing(path):
            raise base.CannotUndo(step)
        files.remove(path)

    @undo.register
    def _(self, step: plan.Switch) -> None:
        below = self._named_below(step.below, step.below_format)
        for disk in self.defined:
            disk.switch_back(step.below, step.below_format, below)

    @undo.register
    def _(self, step: plan.Pull) -> None:
        self.point_back(step)

    @undo.register
    def _(self, step: plan.Empty) -> None:
        files.discard(self.path(step.overlay) + names.PART)

    @undo.register
    def _(self, step: plan.Replace) -> None:
        if not files.is_file(self.path(step.source)):
            raise base.CannotUndo(step)
        self._keep_base(step)

    @undo.register
    def _(self, step: plan.Resize) -> None:
        """Nothing: an image that has grown already only reads as zeros."""

    def let_go(self, progress: base.Progress) -> None:
        """A guest that is gone needs nothing back."""
        progress.release()

    def refuse_open(self, name: str) -> None:
        """Refuse to take an image away while a process may write to it.

        :raises ImageOpenElsewhere: when one may
        """
        path = self.path(name)
        if names.is_image_of(self.volume, name) and (
            locks.is_open_for_writing(path)
        ):
            raise exception.ImageOpenElsewhere(
                path=path, looked_at='the locks that QEMU holds'
            )

    # -- pieces --------------------------------------------------------------

    def _keep_base(self, step: plan.Replace) -> None:
        known = record.base_format(self.directory, self.volume)
        # Nothing is to be written on a full filesystem without need.
        if known != step.old_format:
            record.write(self.directory, self.volume, step.old_format)
        self._start_from(step.name, step.old_format)

    def _start_from(
        self, active: str, image_format: str, image: str = ''
    ) -> None:
        """Let guests that are shut off start from an image.

        :param image: the file that is about to get that name, if it has not
        """
        below = self._named_below(image or active, image_format)
        for disk in self.defined:
            disk.start_from(active, image_format, below)

    def _named_below(self, name: str, image_format: str) -> tuple[str, ...]:
        """Return what a definition has to name below an image."""
        if not self.defined:
            return ()
        return secrets.named_below(self.path(name), image_format)
