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

"""Brings an active commit to its end though the guest keeps writing.

A commit is ready once nothing is left to copy; a guest that writes faster
than the job copies can put that off for ever. So, one after the other, each
only when the one before did not do within ``convergence_timeout`` seconds::

    wait  ->  limit the guest's writes to this disk  ->  suspend the guest

The guest stays suspended for ``longest_pause`` seconds at most; a commit that
is not ready by then is given up, and nothing has happened. The limits that
the disk had before are noted first, so that they come back after our own
death, too.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import typing

from oslo_log import log

from volume_driver import exception
from volume_driver import native
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import jobs

LOG = log.getLogger(__name__)

_NOTE = 'throttle'
_KEY = 'write_bytes_sec'
_READ = 'read_bytes_sec'
# Even a slow disk copies this much beside the guest's own writes.
_LIMIT = 1 << 20


def wait(
    domain: typing.Any,
    device: str,
    waker: jobs.Waker,
    ready: collections.abc.Callable[[], bool],
    timeout: float,
    progress: base.Progress,
) -> None:
    """Return once a commit is ready, or is as near as it can be brought.

    :param ready: tells whether it is, or has ended otherwise
    :param timeout: seconds after which the guest's writes are limited, and
        again after which this returns all the same
    """
    if waker.until(ready, timeout):
        return
    LOG.warning(
        '%s: the guest writes faster than its commit copies; its writes to '
        '%s are limited to %d bytes/s until it is done',
        domain.name(),
        device,
        _LIMIT,
    )
    with _throttled(domain, device, progress):
        waker.until(ready, timeout)


@contextlib.contextmanager
def _throttled(
    domain: typing.Any, device: str, progress: base.Progress
) -> collections.abc.Iterator[None]:
    _limit(domain, device, progress)
    try:
        yield
    finally:
        restore(domain, progress)


def _limit(domain: typing.Any, device: str, progress: base.Progress) -> None:
    """Limit what a guest writes to a disk; go on without if libvirt refuses.

    A limit that the operator set is left alone: it is not ours to lift.
    """
    libvirt = connection.module()
    try:
        before = native.call(domain.blockIoTune, device)
        if before.get(_KEY) or before.get('total_bytes_sec'):
            return
        # libvirt takes the limits of a group together: none is left out.
        read = before.get(_READ, 0)
        progress.note(_NOTE, json.dumps({'device': device, _READ: read}))
        limits = {_KEY: _LIMIT, _READ: read}
        native.call(domain.setBlockIoTune, device, limits)
    except libvirt.libvirtError as error:
        progress.note(_NOTE, None)
        LOG.warning('%s: no limit is possible: %s', domain.name(), error)


def restore(domain: typing.Any, progress: base.Progress) -> None:
    """Lift the limit that was noted, if there is one.

    :raises LiveOperationFailed: when libvirt refuses
    """
    noted = progress.notes.get(_NOTE)
    if noted is None:
        return
    libvirt = connection.module()
    try:
        before = json.loads(noted)
        limits = {_KEY: 0, _READ: before[_READ]}
        native.call(domain.setBlockIoTune, before['device'], limits)
    except libvirt.libvirtError as error:
        raise exception.LiveOperationFailed(
            operation='lifting the limit of its disk',
            guest=domain.name(),
            reason=str(error),
        ) from error
    progress.note(_NOTE, None)
