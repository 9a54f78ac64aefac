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

"""What is not to be touched, and tells when it was.

A file with a lease on it: the kernel tells its holder when anybody opens it,
reads or not (fcntl(2), ``F_SETLEASE``). A port of this host on which nobody is
to call. And words that stand in those files only, and are looked for.
"""

from __future__ import annotations

import collections.abc
import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import types
import uuid

import fixtures

_LENGTH = 64 << 10


class Canary(fixtures.Fixture):
    """A secret of the host, and another tenant's volume.

    :ivar words: what stands in all of them
    :ivar secret: a file outside the directory
    :ivar port: where something listens
    """

    def _setUp(self) -> None:
        place = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.words = f'<{uuid.uuid4()}>'.encode()
        self.secret = place / 'secret'
        self.secret.write_bytes(self.content)
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.setblocking(False)
        self.addCleanup(self._listener.close)
        self.port: int = self._listener.getsockname()[1]

    @property
    def content(self) -> bytes:
        """What stands in a file that is a secret."""
        return (self.words * (_LENGTH // len(self.words))).ljust(_LENGTH)

    @contextlib.contextmanager
    def watched(
        self, *others: pathlib.Path
    ) -> collections.abc.Iterator[list[str]]:
        """Yield a list that gets what was touched.

        :param others: further files that hold the secret
        """
        touched: list[str] = []
        with contextlib.ExitStack() as stack:
            held = {
                stack.enter_context(_open(path)): path
                for path in (self.secret, *others)
            }

            def broken(_signal: int, _frame: types.FrameType | None) -> None:
                for fd, path in held.items():
                    # While it is being broken it is none for writing.
                    if fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_WRLCK:
                        touched.append(f'{path.name} was opened')
                        _release(fd)

            before = signal.signal(signal.SIGIO, broken)
            stack.callback(signal.signal, signal.SIGIO, before)
            for fd in held:
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            yield touched
            for fd in held:
                _release(fd)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                touched.append('the port was called')


@contextlib.contextmanager
def _open(path: pathlib.Path) -> collections.abc.Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _release(fd: int) -> None:
    if fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_UNLCK:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
