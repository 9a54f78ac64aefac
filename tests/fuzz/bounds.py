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

"""What a reader may use for one input, wherever that came from.

A limit on work is one on what is read, not on time: it means the same on a
machine that has much else to do.
"""

from __future__ import annotations

import codecs
import collections.abc
import contextlib
import os
import sys
import tracemalloc
import typing

# Far above what any input of the size of ours needs.
_MOST_MEMORY = 64 << 20
_MOST_READS = 4096
_MOST_READ = 64 << 20

# json guesses one of these, and their modules are read from disk only then.
_ENCODINGS = ('utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-le')
_FORBIDDEN = (
    'subprocess.Popen',
    'os.exec',
    'os.posix_spawn',
    'os.fork',
    'os.system',
    'socket.connect',
    'socket.getaddrinfo',
    'os.listdir',
    'os.scandir',
)


class Finding(Exception):
    """A reader did what no input may lead to."""


class Bounds:
    """Watches what a reader does; made once in a process, as hooks stay.

    :param directory: the only place where it may open files
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.realpath(directory)
        self._watching = False
        self._broken: list[str] = []
        self._reads = 0
        self._read = 0
        for name in (*_ENCODINGS, 'utf-32-be', 'utf-8-sig', 'idna'):
            codecs.lookup(name)
        sys.addaudithook(self._audit)
        # Once: each start leaves some memory behind that is never freed.
        tracemalloc.start()

    def close(self) -> None:
        """Watch memory no more; the hook stays, and does nothing."""
        tracemalloc.stop()

    @contextlib.contextmanager
    def hold(self) -> collections.abc.Iterator[None]:
        """Watch what is done within.

        :raises Finding: when a bound was left, even if that was caught there
        """
        self._broken, self._reads, self._read = [], 0, 0
        real = os.pread

        def pread(fd: int, length: int, offset: int) -> bytes:
            self._reads += 1
            found = real(fd, length, offset)
            self._read += len(found)
            if self._reads > _MOST_READS or self._read > _MOST_READ:
                raise self._break('it reads without end')
            return found

        os.pread = pread
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        self._watching = True
        try:
            yield
        finally:
            self._watching = False
            _, peak = tracemalloc.get_traced_memory()
            os.pread = real
        if peak - before > _MOST_MEMORY:
            raise Finding(f'it takes {peak - before} bytes of memory')
        if self._broken:
            raise Finding(self._broken[0])

    def _audit(self, event: str, args: tuple[typing.Any, ...]) -> None:
        if not self._watching:
            return
        if event == 'open' and not isinstance(args[0], int):
            path = os.fsdecode(args[0])
            if os.path.dirname(os.path.realpath(path)) != self._directory:
                raise self._break(f'it opens {path!r}')
        elif event in _FORBIDDEN:
            raise self._break(f'{event} {args!r}')

    def _break(self, what: str) -> Finding:
        self._broken.append(what)
        return Finding(what)
