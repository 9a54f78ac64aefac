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

"""One call of the driver in a process of its own: ``child CALL.json``.

The process may kill itself at a point of the call. Connections to libvirt do
not outlive a fork, so it is a fresh one.

The points are those before and after each step and at the two ends of the
journal; and within a merge those before each wait for the job, before and
after the guest is suspended, before the flush, before and after the mark, and
before the guest is resumed.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing

from tests.fixtures import driver as drivers
from volume_driver import journal
from volume_driver.hypervisors.libvirt import barrier
from volume_driver.hypervisors.libvirt import jobs
from volume_driver.operations import faults

_ROOT = pathlib.Path(__file__).parents[3]
# Recovery itself waits for some seconds at most.
_TIMEOUT = 120.0


class ChildError(Exception):
    """The child failed by itself; the message holds what it said."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of the driver for one snapshot.

    :ivar method: of the driver, it takes a snapshot
    :ivar volume_id: of the snapshot's volume, which is attached
    :ivar options: of the driver
    :ivar point: how many points are passed before the process kills itself
    """

    method: str
    snapshot_id: str
    volume_id: str
    directory: str
    options: dict[str, typing.Any]
    point: int = -1

    def snapshot(self) -> drivers.Snapshot:
        """Return the record that the driver gets."""
        volume = drivers.volume(
            id=self.volume_id,
            status='in-use',
            volume_attachment=[drivers.Attachment()],
        )
        return drivers.snapshot(volume, self.snapshot_id)


def start(call: Call) -> subprocess.Popen[bytes]:
    """Start a child that makes a call."""
    return subprocess.Popen(
        [sys.executable, '-m', __name__, json.dumps(dataclasses.asdict(call))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that has not ended by itself."""
    process.kill()
    if not ended_by_kill(process):
        raise ChildError('the child had ended before it was killed')


def ended_by_kill(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a child.

    :returns: False when it ran to its end and succeeded
    """
    _, text = process.communicate(timeout=_TIMEOUT)
    if process.returncode > 0:
        raise ChildError(text.decode(errors='replace')[-4000:])
    return process.returncode == -signal.SIGKILL


class _Points:
    """Counts the points, and ends the process at one of them."""

    def __init__(self, point: int) -> None:
        self._left = point

    def reach(self, *_: object) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def put_before(self, owner: object, name: str) -> None:
        """Make a point of each call of a function."""
        original: collections.abc.Callable[..., object] = getattr(owner, name)

        def wrapped(*args: object, **kwargs: object) -> object:
            self.reach()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)


def main(text: str) -> None:
    call = Call(**json.loads(text))
    points = _Points(call.point)
    faults.hook = points.reach
    points.put_before(jobs.Waker, 'until')
    points.put_before(barrier, 'flush_suspended')
    points.put_before(barrier, 'resume')
    for name in ('hold', 'mark', 'release'):
        points.put_before(journal.StepProgress, name)
    made = drivers.DriverFixture(call.directory, **call.options)
    made.directory = pathlib.Path(call.directory)
    getattr(made.make(), call.method)(call.snapshot())


if __name__ == '__main__':
    main(sys.argv[1])
