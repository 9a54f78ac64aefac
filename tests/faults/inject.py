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

"""What a child does to itself, to QEMU, or to its qemu-img, at a point."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import signal
import threading
import time
import typing

from oslo_concurrency import processutils

from tests.fixtures import hypervisor
from tests.fixtures import processes
from volume_driver import exception
from volume_driver.planning import plan


@dataclasses.dataclass
class Injector:
    """Counts the calls of the seam and lets one of them go wrong.

    :ivar directory: the notes for the parent go there: ``fired`` says at
        which point the fault happened, ``times`` when each point was passed
    :ivar point: which call, 0 for the beginning of the operation
    :ivar kill: whom, see :class:`tests.faults.cases.Fault`
    :ivar error: ``driver``, ``os`` or ``command``: which error to raise
    :ivar delay: seconds from the point to the fault
    :ivar suspended: uuid of a guest: the fault waits until it is suspended
    :ivar qemu: process id of the guest's QEMU
    :ivar fill: a directory whose filesystem is filled, but for ``spare``
        bytes
    :ivar hold: wait until the parent makes the file ``go``
    """

    directory: str
    point: int = -1
    kill: tuple[str, ...] = ()
    error: str = ''
    delay: float = 0.0
    suspended: str = ''
    qemu: int = 0
    fill: str = ''
    spare: int = 0
    hold: bool = False

    def __post_init__(self) -> None:
        self._count = 0
        self._times: list[float] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        """The operation begins."""
        self._at('the beginning')

    def seam(self, moment: str, step: plan.Step | None) -> None:
        """Take a call of the seam."""
        self._count += 1
        self._at(f'{moment} {type(step).__name__ if step else "journal"}')

    def command(self, moment: str, words: tuple[object, ...]) -> None:
        """Take the beginning or the end of a child process."""
        self._count += 1
        self._at(f'{moment} {" ".join(str(word) for word in words[:2])}')

    def end(self) -> None:
        """The operation has ended; nothing happens to it from here on."""
        with self._lock:
            self.point = -1
        self._times.append(time.monotonic())
        self._write('times', json.dumps(self._times))

    def _at(self, where: str) -> None:
        self._times.append(time.monotonic())
        if self._count != self.point:
            return
        if self.delay or self.suspended:
            timer = threading.Timer(self.delay, self._later, [where])
            timer.daemon = True
            timer.start()
        else:
            self._strike(where)

    def _later(self, where: str) -> None:
        ready = self._readiness()
        while True:
            with self._lock:
                if self.point < 0:
                    return
                if ready():
                    self._strike(where)
                    return
            time.sleep(0.001)

    def _readiness(self) -> collections.abc.Callable[[], bool]:
        """Return what tells whether the moment is there."""
        if self.suspended:
            return guest_is_suspended(self.suspended)
        if 'children' in self.kill:
            # Between two commands there is nobody to be killed.
            return lambda: bool(children())
        return lambda: True

    def _strike(self, where: str) -> None:
        self._write('fired', where)
        if self.fill:
            fill(pathlib.Path(self.fill), self.spare)
        if self.hold:
            go = pathlib.Path(self.directory) / 'go'
            processes.wait_until(go.exists, 'the parent says go', 120.0)
        if 'children' in self.kill:
            for pid in children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if 'qemu' in self.kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.qemu, signal.SIGKILL)
        if 'driver' in self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.error == 'os':
            raise OSError(errno.EIO, 'injected')
        if self.error == 'command':
            raise processutils.ProcessExecutionError(
                cmd='injected', exit_code=1, stderr=where
            )
        if self.error == 'driver':
            raise exception.CommandFailed(
                command='injected', exit_code=1, stderr=where
            )

    def _write(self, name: str, text: str) -> None:
        path = pathlib.Path(self.directory) / name
        part = path.with_suffix('.part')
        part.write_text(text)
        part.rename(path)


def children() -> list[int]:
    """Return the process ids of our children."""
    found: list[int] = []
    for path in pathlib.Path('/proc/self/task').glob('*/children'):
        with contextlib.suppress(FileNotFoundError):
            found += [int(pid) for pid in path.read_text().split()]
    return found


def guest_is_suspended(uuid: str) -> collections.abc.Callable[[], bool]:
    """Return what tells whether a guest is suspended."""
    import libvirt

    domain = hypervisor.connect().lookupByUUIDString(uuid)
    return lambda: bool(domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED)


def fill(directory: pathlib.Path, spare: int) -> None:
    """Fill a small filesystem but for so many bytes."""
    found = os.statvfs(directory)
    length = found.f_bavail * found.f_frsize - spare
    if length <= 0:
        return
    with (directory / 'filler').open('wb') as stream:
        os.posix_fallocate(stream.fileno(), 0, length)


def wrap(execute: typing.Any, injector: Injector) -> typing.Any:
    """Return the same way to run commands, with points around each."""

    def run(*words: object, **options: object) -> object:
        injector.command('before', words)
        found = execute(*words, **options)
        injector.command('after', words)
        return found

    return run
