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

"""The barrier: from here on merged data is known to be on disk.

A finished block job leaves L2 tables in QEMU's memory; QEMU killed up to 5 s
later loses them (seen 11 times of 11 on QEMU 7.2). Stopping the virtual
machine flushes every image that it has open (``do_vm_stop`` calls
``bdrv_drain_all`` and ``bdrv_flush_all``), and does so also when it is
stopped already, as long as QEMU itself is asked; libvirt does not pass on
what it holds for a repetition.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import typing

import tenacity

from volume_driver import exception
from volume_driver import native
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import connection

_RESUME_SECONDS = 30.0


def flush(domain: typing.Any, guest: str, progress: base.Progress) -> None:
    """Bring everything that the guest's QEMU holds onto the disk.

    A running guest is suspended for as long as that takes; one that is
    suspended stays so.

    :raises BarrierFailed: when that cannot be proven
    """
    if _is_running(domain, guest):
        with suspended(domain, guest, progress):
            pass
    else:
        flush_suspended(domain, guest)


def flush_suspended(domain: typing.Any, guest: str) -> None:
    """The same for a guest that is suspended.

    :raises BarrierFailed: when that cannot be proven
    """
    import libvirt_qemu

    libvirt = connection.module()
    with _failing(libvirt, guest):
        answer = native.call(
            libvirt_qemu.qemuMonitorCommand,
            *(domain, json.dumps({'execute': 'stop'}), 0),
        )
    if 'error' in json.loads(answer):
        raise exception.BarrierFailed(guest=guest, reason=answer)


@contextlib.contextmanager
def suspended(
    domain: typing.Any,
    guest: str,
    progress: base.Progress,
    may_resume: collections.abc.Callable[[], bool] | None = None,
) -> collections.abc.Iterator[None]:
    """Hold a guest suspended; resume it, if it ran, whatever happens.

    That we did so is written down first: after our own death recovery
    resumes a guest that we suspended, and no other.

    :param may_resume: asked at the end; where it says no the guest stays
        suspended, which is written down still
    :raises BarrierFailed: when it cannot be suspended or resumed
    """
    ran = _is_running(domain, guest)
    if not ran:
        yield
        return
    progress.hold()
    try:
        with _failing(connection.module(), guest):
            native.call(domain.suspend)
        yield
    finally:
        if may_resume is None or may_resume():
            resume(domain, guest)
            progress.release()


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(exception.BarrierFailed),
    stop=tenacity.stop_after_delay(_RESUME_SECONDS),
    wait=tenacity.wait_exponential(0.05, max=1.0),
    reraise=True,
)
def resume(domain: typing.Any, guest: str) -> None:
    """Resume a guest if it is suspended.

    A libvirtd that is being restarted is waited for: nobody else may know
    that it was us who suspended the guest.

    :raises BarrierFailed: when it stays suspended
    """
    libvirt = connection.module()
    with _failing(libvirt, guest):
        try:
            domain = connection.again(domain)
            if _state(domain) == libvirt.VIR_DOMAIN_PAUSED:
                native.call(domain.resume)
        except connection.Unavailable as error:
            raise exception.BarrierFailed(
                guest=guest, reason=str(error)
            ) from error
        except libvirt.libvirtError as error:
            gone = libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID
            if error.get_error_code() not in gone:
                raise


def _is_running(domain: typing.Any, guest: str) -> bool:
    libvirt = connection.module()
    with _failing(libvirt, guest):
        return bool(_state(domain) == libvirt.VIR_DOMAIN_RUNNING)


def _state(domain: typing.Any) -> int:
    return int(native.call(domain.state)[0])


@contextlib.contextmanager
def _failing(
    libvirt: typing.Any, guest: str
) -> collections.abc.Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise exception.BarrierFailed(
            guest=guest, reason=str(error)
        ) from error
