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

"""Proves that a repair loses nothing, and carries it out.

The volume's lock is held from the look that led to the repair to its end.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import functools
import itertools
import os

from oslo_concurrency import processutils
from oslo_log import log

from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import names
from volume_driver.checking import repairs
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import allocation
from volume_driver.images import header
from volume_driver.images import locks as image_locks
from volume_driver.images import qemu_check
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.images import secrets
from volume_driver.images import trust
from volume_driver.operations import context as contexts
from volume_driver.operations import quarantine
from volume_driver.operations import recovery

LOG = log.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Mender:
    """Mends one volume, under its lock.

    :param words: what is written down of the finding that is dealt with
    :param base_format: of the base, as it was found; it is never probed
    """

    context: contexts.Context
    target: hypervisor.Target
    words: quarantine.Words
    base_format: str

    def doubt(self, action: repairs.Action) -> str:
        """Return why an action cannot be proved right; nothing if it can."""
        try:
            return self._doubt(action)
        except exception.VolumeDriverError as error:
            return str(error).rstrip('.')
        except Exception as error:
            # Bytes that nobody thought of: then nothing is proved.
            LOG.exception('It cannot be proved right: %s', action)
            return f'it cannot be told ({error})'

    @functools.singledispatchmethod
    def _doubt(self, _action: repairs.Action) -> str:
        return ''

    @functools.singledispatchmethod
    def do(self, action: repairs.Action) -> None:
        """Carry out an action that was proved right.

        :raises VolumeDriverError: when it cannot be; then the volume is as
            before, or the next check tells what it is
        """
        raise NotImplementedError(action)

    # -- by what recovers anyway ---------------------------------------------

    @do.register
    def _recover(self, _action: repairs.Recover) -> None:
        # Who looks at all volumes knows nothing of where they are attached;
        # the journal does.
        known = self.target if self.target.attached is not None else None
        recovery.recover(self.context, known, self._volume)

    @do.register
    def _drop_copies(self, _action: repairs.DropCopies) -> None:
        recovery.drop_passing(self.context, self.target)

    # -- files ---------------------------------------------------------------

    @_doubt.register
    def _doubt_aside(self, action: repairs.SetAside) -> str:
        path = self._path(action.name)
        if not os.path.islink(path) and image_locks.is_open_for_writing(path):
            return 'a process has it open for writing'
        below = action.blank_over
        if below is not None and not allocation.adds_nothing(
            self.context.directory, action.name, below
        ):
            return f'it is not empty: it may hold what is newer than {below}'
        return ''

    @do.register
    def _set_aside(self, action: repairs.SetAside) -> None:
        quarantine.take(
            self.context.directory, self._volume, action.name, self.words
        )

    @_doubt.register
    def _doubt_info(self, action: repairs.WriteInfo) -> str:
        if action.merged is None:
            return ''
        name, below = action.merged
        if not self._is_newer(below, name):
            return f'nothing shows that {name} was merged into {below}'
        if not self._shows_same(name, below):
            return f'{name} does not show the same as {below}'
        return ''

    @do.register
    def _write_info(self, action: repairs.WriteInfo) -> None:
        self._keep(self._volume + names.INFO)
        info.write(self.context.directory, self._volume, action.content)

    @do.register
    def _write_record(self, action: repairs.WriteRecord) -> None:
        self._keep(self._volume + names.RECORD)
        record.write(self.context.directory, self._volume, action.base_format)

    # -- images --------------------------------------------------------------

    @_doubt.register
    def _doubt_point(self, action: repairs.Point) -> str:
        overlay, backing = map(self._path, (action.overlay, action.backing))
        if action.proof == repairs.SAME_FILE:
            named = header.read(overlay).backing or ''
            found = os.path.join(self.context.directory, named)
            if not os.path.samefile(found, backing):
                return f'{named} is not this file'
        elif action.proof == repairs.SAME_DATA:
            below = trust.plain(header.read(backing).backing or '')
            if not self._is_newer(action.backing, below):
                return f'{below} was written to since'
            if not self._shows_same(action.overlay, None, action.backing):
                return f'on {action.backing} it would not show the same'
        return ''

    @do.register
    def _point(self, action: repairs.Point) -> None:
        path = self._path(action.overlay)
        with _time_kept(path):
            qemu_img.point(
                *(self.context.execute, path, action.backing),
                action.backing_format,
            )
        files.sync(path)

    @do.register
    def _free_leaks(self, action: repairs.FreeLeaks) -> None:
        path = self._path(action.name)
        with _time_kept(path):
            qemu_check.free_leaked(self.context.execute, path)
        files.sync(path)

    @do.register
    def _rebuild(self, action: repairs.Rebuild) -> None:
        path = self._path(action.name)
        part = path + names.PART
        try:
            with image_locks.kept_from_writers(path):
                before = files.trace(path)
                self._make_sound(path, part)
                self._keep(action.name)
                if files.trace(path) != before:
                    raise exception.RepairUnproved(
                        path=path, reason='somebody wrote to it meanwhile'
                    )
                files.rename(part, path)
        finally:
            files.discard(part)

    def _make_sound(self, path: str, part: str) -> None:
        """Mend a copy, and prove it."""
        execute = self.context.execute
        self._copy(path, part)
        with _time_kept(part):
            qemu_check.mend(execute, part)
        left = qemu_check.check(execute, part)
        if left:
            raise exception.RepairUnproved(
                path=path, reason=f'the mended copy still is: {left}'
            )
        named = ((part, 'qcow2'), (path, 'qcow2'))
        if not qemu_check.shows_same(execute, *named):
            raise exception.RepairUnproved(
                path=path, reason='the mended copy does not show the same'
            )
        files.cover(part, path)
        files.sync(part)

    def _copy(self, path: str, part: str) -> None:
        """Copy a file as it is, by sharing its extents where that goes."""
        needed = os.stat(path).st_blocks * 512
        if needed > files.available(self.context.directory):
            raise files.no_space(part, needed)
        command = (
            *('cp', '--reflink=auto', '--sparse=always', '--preserve=all'),
            *(path, part),
        )
        try:
            self.context.execute(*command)
        except processutils.ProcessExecutionError as error:
            raise exception.CommandFailed(
                command=' '.join(command),
                exit_code=error.exit_code,
                stderr=(error.stderr or '').strip(),
            ) from error

    # -- guests --------------------------------------------------------------

    @_doubt.register
    def _doubt_start(self, action: repairs.StartFrom) -> str:
        for lower, upper in itertools.pairwise(action.frozen):
            if not self._is_newer(upper, lower):
                return (
                    f'{lower} was written to after {upper}, which lies on '
                    'top of it'
                )
        return ''

    @do.register
    def _start_from(self, action: repairs.StartFrom) -> None:
        path = self._path(action.active)
        below = secrets.named_below(path, action.image_format)
        found = self.context.hypervisor.find_all(self.target)
        for disk in (*found.defined, *found.next_starts):
            if disk.guest == action.guest:
                disk.start_from(action.active, action.image_format, below)

    # ------------------------------------------------------------------------

    @property
    def _volume(self) -> str:
        return self.target.name

    def _path(self, name: str) -> str:
        return self.context.path(name)

    def _keep(self, name: str) -> None:
        if files.exists(self._path(name)):
            quarantine.keep(
                self.context.directory, self._volume, name, self.words
            )

    def _shows_same(
        self, name: str, other: str | None, below: str | None = None
    ) -> bool:
        """Tell whether an image shows the same as another one does.

        :param other: None: as itself does on top of another image
        :param below: that image
        """

        def named(each: str) -> tuple[str, str]:
            is_base = each == self._volume
            return self._path(each), self.base_format if is_base else 'qcow2'

        return qemu_check.shows_same(
            self.context.execute,
            named(name),
            named(other or name),
            named(below) if below else None,
        )

    def _is_newer(self, name: str, other: str) -> bool:
        """Tell whether an image was written to after another one was."""
        times = [
            os.stat(self._path(each)).st_mtime_ns for each in (name, other)
        ]
        return times[0] > times[1]


@contextlib.contextmanager
def _time_kept(path: str) -> collections.abc.Iterator[None]:
    """Leave a file the time at which its data was changed.

    That time tells other repairs what a guest wrote to; what is done here
    changes nothing that a guest sees.
    """
    before = os.stat(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
