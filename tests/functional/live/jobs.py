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

"""Block jobs that a test watches while the driver works elsewhere."""

from __future__ import annotations

import collections.abc
import concurrent.futures
import contextlib

from tests.fixtures import guest as guests
from tests.fixtures import processes

_TIMEOUT = 60.0

Call = concurrent.futures.Future[object]


@contextlib.contextmanager
def in_background(
    call: collections.abc.Callable[[], object],
) -> collections.abc.Iterator[Call]:
    """Run a call in a thread; at the end of the context it has ended.

    What came of it is asked for by ``result()``.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(call)


def wait_for_job(
    guest: guests.Guest, call: Call | None = None
) -> dict[str, int]:
    """Wait until a block job runs on the first disk; return its state.

    :param call: what starts it; that it ends without is an error
    """
    found: dict[str, int] = {}

    def look() -> bool:
        ended = call is not None and call.done()
        found.update(guest.domain.blockJobInfo('vda', 0) or {})
        if ended and not found:
            raise AssertionError('the call ended before its job was seen')
        return bool(found)

    processes.wait_until(look, f'{guest.name}: a block job', _TIMEOUT)
    return found


def wait_until_ready(guest: guests.Guest) -> None:
    """Wait until a job on the first disk has nothing left to copy."""
    processes.wait_until(
        lambda: "ready='yes'" in guest.live_xml(),
        f'{guest.name}: the block job is ready',
        _TIMEOUT,
    )


def wait_until_gone(guest: guests.Guest) -> None:
    """Wait until no job is on the first disk any more."""
    processes.wait_until(
        lambda: (
            not guest.domain.blockJobInfo('vda', 0)
            and '<mirror' not in guest.live_xml()
        ),
        f'{guest.name}: the block job is gone',
        _TIMEOUT,
    )
