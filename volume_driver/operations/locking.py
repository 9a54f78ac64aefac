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

"""The lock of a volume.

Ordering: one operation holds one volume's lock, and before it, if it creates
a volume, that one's lock, which nobody else asks for while holding another;
so two operations cannot wait for each other.
Reading (list, show) takes none. A lock dies with its process.

Under eventlet greenlets exclude each other, and who waits holds up no other
one: tooz waits for its own process by a condition of ``threading``, and for
others by trying again after ``time.sleep``; both are eventlet's own then.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import threading
import typing

from tooz import coordination

_DIRECTORY = '.locks'


class Locked(Exception):
    """Somebody else holds a lock that was not to be waited for."""


class Locks(typing.Protocol):
    """Where the locks of volumes come from."""

    def __call__(
        self, name: str, blocking: bool = True
    ) -> contextlib.AbstractContextManager[object]:
        """Return what holds the lock of a volume while it is entered.

        :param blocking: wait while another one holds it
        :raises Locked: on entering, when it is held and not waited for
        """


class FileLocks:
    """Locks by files beside the volumes, for every host that mounts them.

    :param directory: the directory of the volumes
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.join(directory, _DIRECTORY)
        self._coordinator: coordination.CoordinationDriver | None = None
        self._starting = threading.Lock()

    @contextlib.contextmanager
    def __call__(
        self, name: str, blocking: bool = True
    ) -> collections.abc.Iterator[None]:
        """Hold the lock of a volume; see :class:`Locks`."""
        with self._starting:
            if self._coordinator is None:
                self._coordinator = self._start()
        lock = self._coordinator.get_lock(name.encode())
        if not lock.acquire(blocking=blocking):
            raise Locked(name)
        try:
            yield
        finally:
            lock.release()

    def _start(self) -> coordination.CoordinationDriver:
        coordinator = coordination.get_coordinator(
            f'file://{self._directory}', f'pid-{os.getpid()}'.encode()
        )
        coordinator.start()
        return coordinator
