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

"""Merges two images of a running guest's disk by a block job.

::

    start or adopt - follow - read the chain - barrier

and for the active image, whose guest has to be switched to the one below::

    start or adopt - converge - suspend - settle - pivot - read the chain -
    barrier - mark - resume

A job outlives the process that started it, so one that runs already is
adopted, and one that has ended since is only taken through the barrier.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses

from oslo_log import log

from volume_driver import exception
from volume_driver import native
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import barrier
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import converge
from volume_driver.hypervisors.libvirt import device as devices
from volume_driver.hypervisors.libvirt import jobs

LOG = log.getLogger(__name__)

# libvirt may show the old chain for a moment after a job (bz1202719).
_XML_LAG = 10.0
# What is left to copy, in bytes, when the guest may be suspended for it.
_NEARLY = 16 << 20

Start = collections.abc.Callable[[], None]


@dataclasses.dataclass(frozen=True)
class InPlace:
    """How a commit of the active image ends that leaves its name behind.

    :param renewal: of the file
    :param go_on: renews it and switches the guest, which is suspended, to it
    """

    renewal: base.Renewal
    go_on: collections.abc.Callable[[], None]


def commit(
    disk: devices.Device,
    top: str,
    base: str,
    progress: base.Progress,
    in_place: InPlace | None = None,
) -> None:
    """Merge an image down; see :meth:`.base.GuestDisk.commit`.

    :param in_place: how it ends if the top keeps its name
    """
    libvirt = connection.module()
    found = disk.read()
    active = top == found.names[-1]
    kind = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE
    if active:
        kind = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT
        flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE

    def start() -> None:
        native.call(
            disk.domain.blockCommit,
            disk.device,
            found.device(base),
            found.device(top),
            disk.settings.merge_bandwidth,
            flags,
        )

    operation = f'commit of {top} into {base}'
    if in_place is not None and found.names[-1] not in (top, base):
        raise exception.UnexpectedChain(
            operation=operation,
            guest=disk.guest,
            found=' <- '.join(found.names),
            expected=f'{top} or {base} on top',
        )
    after = _without(disk, found.names, base, top, operation)
    merge = _Merge(disk, found.names, after, operation, in_place)
    merge.run(kind, start, progress, active)


def pull(
    disk: devices.Device,
    pulled: str,
    backing: str | None,
    progress: base.Progress,
) -> None:
    """Merge an image up; see :meth:`.base.GuestDisk.pull`."""
    libvirt = connection.module()
    found = disk.read()

    def start() -> None:
        # RELATIVE is refused without a base.
        flags = libvirt.VIR_DOMAIN_BLOCK_REBASE_RELATIVE if backing else 0
        native.call(
            disk.domain.blockRebase,
            disk.device,
            found.device(backing) if backing else None,
            disk.settings.merge_bandwidth,
            flags,
        )

    operation = f'pull of {pulled} into {found.names[-1]}'
    after = _without(disk, found.names, backing, pulled, operation)
    merge = _Merge(disk, found.names, after, operation)
    kind = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL
    merge.run(kind, start, progress, active=False)


def _without(
    disk: devices.Device,
    names: tuple[str, ...],
    lower: str | None,
    upper: str,
    operation: str,
) -> tuple[str, ...]:
    """Return a chain without what lies above one image, up to another.

    :param lower: name of the image, None for below the base
    :param upper: name of the other one, which goes too; it has gone if it is
        not there
    :raises UnexpectedChain: when the lower one is not there
    """
    if lower is not None and lower not in names:
        raise exception.UnexpectedChain(
            operation=operation,
            guest=disk.guest,
            found=' <- '.join(names),
            expected=f'{lower} in it',
        )
    if upper not in names:
        return names
    first = names.index(lower) + 1 if lower else 0
    return names[:first] + names[names.index(upper) + 1 :]


class _Merge:
    """One merge, from its job's start to the barrier.

    :param before: names of the chain before it, the base first
    :param after: names of the chain after it
    :param operation: what it is, in words
    :param in_place: how it ends if the top keeps its name
    """

    def __init__(
        self,
        disk: devices.Device,
        before: tuple[str, ...],
        after: tuple[str, ...],
        operation: str,
        in_place: InPlace | None = None,
    ) -> None:
        self._disk = disk
        self._before = before
        self._after = after
        self._operation = operation
        self._in_place = in_place
        self._libvirt = connection.module()

    def run(
        self, kind: int, start: Start, progress: base.Progress, active: bool
    ) -> None:
        """Run it to its end, whatever part of it has happened already.

        :param kind: libvirt's number for this kind of job
        :param active: the active image is committed
        """
        if self._before != self._after:
            with self._listening() as waker:
                self._start(kind, start)
                if active:
                    self._pivot(waker, progress)
                    return
                self._finish(waker)
        domain, guest = self._disk.domain, self._disk.guest
        if self._in_place is not None:
            with self._suspended(progress):
                self._end(progress)
            return
        barrier.flush(domain, guest, progress)
        progress.mark()

    def _suspended(
        self, progress: base.Progress
    ) -> contextlib.AbstractContextManager[None]:
        """Hold the guest suspended for as long as it must not write."""
        return barrier.suspended(
            self._disk.domain,
            self._disk.guest,
            progress,
            self._in_place.renewal.may_resume if self._in_place else None,
        )

    @contextlib.contextmanager
    def _listening(self) -> collections.abc.Iterator[jobs.Waker]:
        with contextlib.ExitStack() as stack:
            with self._disk.failing('listening to its block jobs'):
                waker = stack.enter_context(jobs.events(self._disk.domain))
            yield waker

    def _start(self, kind: int, start: Start) -> None:
        info = self._disk.job_info()
        if info and info['type'] != kind:
            raise exception.JobConflict(
                guest=self._disk.guest, job=self._disk.job()
            )
        if info:
            LOG.info(
                '%s: a job for the %s runs already',
                self._disk.guest,
                self._operation,
            )
            return
        try:
            start()
        except self._libvirt.libvirtError as error:
            if self._disk.job_info() or self._changed():
                # libvirt went away after QEMU had begun.
                raise exception.GuestUnknown(
                    operation=self._operation,
                    guest=self._disk.guest,
                    reason=str(error),
                ) from error
            raise exception.JobNotStarted(
                operation=self._operation,
                guest=self._disk.guest,
                reason=str(error),
            ) from error

    def _finish(self, waker: jobs.Waker) -> None:
        """Wait for the end of the job and look at what came of it."""
        waker.until(lambda: not self._disk.job_info())
        waker.until(self._changed, timeout=1.0)
        if not self._is_merged():
            raise self._failed('it failed, or somebody cancelled it')

    def _pivot(self, waker: jobs.Waker, progress: base.Progress) -> None:
        """End the commit of the active image: the guest goes on below it.

        The guest is suspended from before the pivot until that was written
        down. Both images hold the same on disk by the time of the pivot, so
        that whichever a guest is started from after a crash, it misses
        nothing; and libvirt lets its definition name the base from the pivot
        on, so that the definition tells which one it was.
        """
        domain, settings = self._disk.domain, self._disk.settings
        converge.wait(
            domain,
            self._disk.device,
            waker,
            self._is_ready_or_gone,
            settings.convergence_timeout,
            progress,
        )
        with self._suspended(progress):
            if not waker.until(self._is_ready_or_gone, settings.longest_pause):
                self._give_up('it did not converge')
            self._settle(waker)
            if self._in_place is not None:
                self._in_place.renewal.settled()
            try:
                native.call(
                    domain.blockJobAbort,
                    self._disk.device,
                    self._libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT,
                )
            except self._libvirt.libvirtError as error:
                # Also when the job has gone: then the chain tells why.
                self._give_up(str(error))
            waker.until(self._changed, timeout=_XML_LAG)
            if not self._is_merged():
                self._give_up('the pivot had no effect')
            self._end(progress)

    def _end(self, progress: base.Progress) -> None:
        """Finish a commit of the active image, whose guest is below it."""
        try:
            barrier.flush_suspended(self._disk.domain, self._disk.guest)
        finally:
            if self._in_place is not None:
                # Only the name of the image above is the truth by then.
                self._in_place.go_on()
            # Else the guest goes on on the image below in any case.
            progress.mark()

    def _settle(self, waker: jobs.Waker) -> None:
        """Let the job copy the last writes, and bring them onto the disk.

        The job looks for new writes now and then only; stopping QEMU makes it
        look. What it found may be on its way at the first stop, and is on
        disk with the second.
        """
        for _ in range(2):
            barrier.flush_suspended(self._disk.domain, self._disk.guest)
            if not waker.until(
                self._is_copied_or_gone, self._disk.settings.longest_pause
            ):
                self._give_up('it did not converge')
        barrier.flush_suspended(self._disk.domain, self._disk.guest)

    def _is_copied_or_gone(self) -> bool:
        info = self._disk.job_info()
        return not info or info['cur'] == info['end']

    def _is_ready_or_gone(self) -> bool:
        # Neither cur == end (bz1442266, bz1376580) nor an event is enough; and
        # once ready it stays so, however much the guest writes since.
        info = self._disk.job_info()
        mirror = self._disk.read().mirror
        return not info or (
            mirror is not None
            and mirror.ready == 'yes'
            and info['end'] - info['cur'] <= _NEARLY
        )

    def _changed(self) -> bool:
        return self._disk.chain() != self._before

    def _is_merged(self) -> bool:
        return self._disk.outcome(self._before, self._after, self._operation)

    def _failed(self, reason: str) -> exception.JobFailed:
        return exception.JobFailed(
            operation=self._operation, guest=self._disk.guest, reason=reason
        )

    def _give_up(self, reason: str) -> None:
        """Cancel a commit that did not pivot; return if it did."""
        if self._changed():
            return
        with contextlib.suppress(self._libvirt.libvirtError):
            native.call(self._disk.domain.blockJobAbort, self._disk.device, 0)
        raise self._failed(reason)
