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

"""How long a guest had to wait for the next acknowledged write.

    python -m benchmarks.gaps FILE

The guest writes without pause and says so on its console once each block is on
its disk. A process of its own reads the console and notes when each line came:
the clock of a guest stands still while the guest is suspended, and a thread of
this process would have to wait for the others.
"""

from __future__ import annotations

import collections.abc
import itertools
import os
import pathlib
import re
import select
import subprocess
import sys
import time

from benchmarks import errors

_STEP = 0.001
_TIMEOUT = 30.0
_ACKNOWLEDGED = re.compile(rb'^ACK \d+\r?$')

Stamps = list[float]


class Watcher:
    """Notes when a guest's writes are acknowledged, inside its context.

    :param console: the guest's console, a file
    :ivar stamps: seconds of the monotonic clock, one for each read that had
        acknowledgements in it; known once the context has ended
    """

    def __init__(self, console: pathlib.Path) -> None:
        self._console = console
        self.stamps: Stamps = []

    def __enter__(self) -> Watcher:
        self._process = subprocess.Popen(
            command(self._console),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._process.wait()
            raise errors.GuestSilent(
                f'{self._console} cannot be read: look at what the guest '
                'printed last'
            )
        return self

    @property
    def pid(self) -> int:
        """The process that reads the console."""
        return self._process.pid

    def __exit__(self, *_error: object) -> None:
        try:
            out, _ = self._process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        self.stamps = [float(line) for line in out.splitlines()]


def command(console: pathlib.Path) -> list[str]:
    """Return what watches a console until its standard input ends."""
    return [sys.executable, '-m', 'benchmarks.gaps', os.fspath(console)]


def longest(stamps: Stamps, begin: float, end: float) -> float:
    """Return the longest gap that a span of time lay in, or had in it.

    :param stamps: of acknowledgements, in their order
    :raises GuestSilent: when there was none before or none after it
    """
    if not stamps or stamps[0] > begin or stamps[-1] < end:
        raise errors.GuestSilent(
            'the guest acknowledged no write before, or none after what was '
            'measured: give the machine more time, or look at its console'
        )
    return max(
        second - first
        for first, second in itertools.pairwise(stamps)
        if second >= begin and first <= end
    )


class Lines:
    """Counts the acknowledgements in a console that grows."""

    def __init__(self) -> None:
        self._rest = b''

    def feed(self, data: bytes) -> int:
        """Take what was added; return how many whole lines are new ones."""
        *whole, self._rest = (self._rest + data).split(b'\n')
        return sum(bool(_ACKNOWLEDGED.match(line)) for line in whole)


def watch(
    path: pathlib.Path,
    say: collections.abc.Callable[[float], None],
    ended: collections.abc.Callable[[], bool],
) -> None:
    """Say when something was acknowledged, until it is enough."""
    lines = Lines()
    with path.open('rb') as stream:
        stream.seek(0, 2)
        # What comes from here on is seen.
        print('ready', flush=True)
        while not ended():
            data = stream.read()
            if data and lines.feed(data):
                say(time.monotonic())
            time.sleep(_STEP)


def main(arguments: list[str]) -> int:
    """Watch a console until standard input ends; then print the stamps."""
    stamps: Stamps = []
    ended = _Ended(sys.stdin.fileno())
    try:
        watch(pathlib.Path(arguments[0]), stamps.append, ended)
    except OSError as error:
        sys.stderr.write(f'gaps: {error}\n')
        return 1
    print('\n'.join(f'{stamp:.6f}' for stamp in stamps))
    return 0


class _Ended:
    """Tells whether a pipe was closed at its other end."""

    def __init__(self, descriptor: int) -> None:
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def __call__(self) -> bool:
        return bool(self._poll.poll(0))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
