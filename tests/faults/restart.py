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

"""Restarts libvirtd, if it is ours to restart."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess

from tests.fixtures import daemons
from tests.fixtures import hypervisor
from tests.fixtures import processes

_TIMEOUT = 60.0
_HARNESS = 'tests.fixtures.daemons'


@dataclasses.dataclass
class Daemon:
    """The libvirtd that tests.fixtures.daemons started for this run.

    :ivar command: how it was started
    """

    pid: int
    command: list[str]

    def restart(self) -> None:
        """Kill it, and start it again the same way; guests run on."""
        os.kill(self.pid, signal.SIGKILL)
        processes.wait_until(
            lambda: not processes.runs(self.pid), 'libvirtd ends', _TIMEOUT
        )
        pid_file = pathlib.Path(self.command[-1])
        pid_file.unlink(missing_ok=True)
        subprocess.run(
            self.command,
            check=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.wait_until(
            lambda: pid_file.exists() and pid_file.read_text().strip() != '',
            'libvirtd writes its pid file',
            _TIMEOUT,
        )
        self.pid = int(pid_file.read_text())
        processes.wait_until(_answers, f'{daemons.URI} answers', _TIMEOUT)

    def stop(self) -> None:
        """End one that we started: the harness knows only its own."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        processes.wait_until(
            lambda: not processes.runs(self.pid), 'libvirtd ends', _TIMEOUT
        )


def find_own() -> Daemon | None:
    """Return the libvirtd that the harness around us started, if any.

    The harness makes itself the parent of what it starts, and is one of our
    own parents.
    """
    harness = _harness()
    for path in pathlib.Path('/proc').iterdir():
        if not path.name.isdigit():
            continue
        command = _command(int(path.name))
        if not command or not command[0].endswith('libvirtd'):
            continue
        if harness and _parent(int(path.name)) == harness:
            return Daemon(int(path.name), command)
    return None


def _harness() -> int:
    """Return the process of the harness that takes up orphans, or 0."""
    found, pid = 0, os.getpid()
    while pid > 1:
        if _HARNESS in _command(pid):
            found = pid
        pid = _parent(pid)
    return found


def _parent(pid: int) -> int:
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text.rpartition(')')[2].split()[1])


def _command(pid: int) -> list[str]:
    try:
        text = pathlib.Path(f'/proc/{pid}/cmdline').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.split('\0')[:-1]


def _answers() -> bool:
    try:
        hypervisor.connect().close()
    except hypervisor.HypervisorError:
        return False
    return True
