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

"""The locks of volumes inside Cinder."""

from __future__ import annotations

import collections.abc
import contextlib
import hashlib

from cinder import coordination

from volume_driver.operations import locking


class CinderLocks:
    """Cinder's coordination first, then the file lock beside the volume.

    The one holds between all services, by whatever means the operator chose
    (tooz); the other holds off the command line, which knows nothing of it.

    A volume that moves from one share to another is locked on both.

    :param address: of the share; every host knows it by the same one
    :param directory: the directory of the volumes
    """

    def __init__(self, address: str, directory: str) -> None:
        share = hashlib.sha256(address.encode()).hexdigest()[:16]
        self._head = f'volume-driver-{share}-'
        self._files = locking.FileLocks(directory)

    @contextlib.contextmanager
    def __call__(
        self, name: str, blocking: bool = True
    ) -> collections.abc.Iterator[None]:
        """Hold the lock of a volume; see :class:`.locking.Locks`."""
        lock = coordination.COORDINATOR.get_lock(self._head + name)
        if not lock.acquire(blocking=blocking):
            raise locking.Locked(name)
        try:
            with self._files(name, blocking):
                yield
        finally:
            lock.release()
