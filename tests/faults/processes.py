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

"""Runs children, and says what came of them."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from tests.faults import child

# Nothing here takes longer than some seconds; recovery may wait for ten.
TIMEOUT = 90.0
_ROOT = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a child ended.

    :ivar code: its exit code, minus the signal that ended it, None when it
        did not end
    :ivar text: what it said
    :ivar fired: where its fault happened, empty if it did not
    :ivar times: when it passed the points
    """

    code: int | None
    text: str
    fired: str
    times: tuple[float, ...]

    @property
    def well(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        if self.code is None:
            return f'does not end within {TIMEOUT:.0f} s'
        ended = f'exit code {self.code}'
        return f'{ended}: {self.text}' if self.text else ended


# Runs a spec in a child whose notes go to a directory; calls back meanwhile.
Run = collections.abc.Callable[
    [child.Spec, pathlib.Path, collections.abc.Callable[[], None] | None],
    Outcome,
]


def run(
    spec: child.Spec,
    notes: pathlib.Path,
    when_fired: collections.abc.Callable[[], None] | None = None,
) -> Outcome:
    """Run our driver in a process of its own.

    :param notes: an empty directory
    :param when_fired: called as soon as the fault has happened
    """
    process = start(spec, notes)
    if when_fired is not None:
        while process.poll() is None and not (notes / 'fired').exists():
            time.sleep(0.005)
        if process.poll() is None:
            when_fired()
    return end(process, notes)


def start(spec: child.Spec, notes: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start a child."""
    spec.save(notes / 'spec.json')
    with (notes / 'stderr').open('wb') as stream:
        return subprocess.Popen(
            [sys.executable, '-m', child.__name__, notes / 'spec.json'],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=_ROOT,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], notes: pathlib.Path) -> Outcome:
    """Wait for the end of a child; one that does not end is killed."""
    code: int | None
    try:
        code = process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        code = None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return read(code, notes)


def read(code: int | None, notes: pathlib.Path) -> Outcome:
    """Read what a child left in its directory."""
    times = _text(notes / 'times')
    return Outcome(
        code,
        _text(notes / 'stderr').strip()[-1000:],
        _text(notes / 'fired'),
        tuple(json.loads(times)) if times else (),
    )


def _text(path: pathlib.Path) -> str:
    return path.read_text(errors='replace') if path.exists() else ''
