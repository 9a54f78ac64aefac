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

"""Follows a block job: its events wake us, its state is read.

An event that was sent while nobody listened is lost, so an event never says
anything by itself, and its absence neither: the wait between two looks is
bounded and grows.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import selectors
import time
import typing

from volume_driver import native
from volume_driver.hypervisors.libvirt import connection

_FIRST_WAIT = 0.02
_LONGEST_WAIT = 0.5


class Waker:
    """Woken by each block job event of one domain.

    The events come in a native thread, and a greenlet may wait for them. A
    file descriptor does for both; it is closed when neither libvirt nor a
    waiter knows it any more.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        os.close(self._fd)

    def wake(self, *_: object) -> None:
        os.eventfd_write(self._fd, 1)

    def until(
        self,
        condition: collections.abc.Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """Wait until a condition holds; look after each event.

        :param timeout: in seconds, None for no end
        :returns: whether it holds
        """
        end = None if timeout is None else time.monotonic() + timeout
        wait = _FIRST_WAIT
        while True:
            self._clear()
            if condition():
                return True
            if end is not None and time.monotonic() > end:
                return False
            if not self._is_woken(wait):
                wait = min(wait * 1.5, _LONGEST_WAIT)

    def _clear(self) -> None:
        # Nothing to read: it was not woken.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def _is_woken(self, timeout: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            return bool(selector.select(timeout))


@contextlib.contextmanager
def events(domain: typing.Any) -> collections.abc.Iterator[Waker]:
    """Listen to the block job events of a domain."""
    libvirt = connection.module()
    waker = Waker()
    owner = domain.connect()
    kind = libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2
    handle = native.call(
        owner.domainEventRegisterAny, domain, kind, waker.wake, None
    )
    try:
        yield waker
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            native.call(owner.domainEventDeregisterAny, handle)
