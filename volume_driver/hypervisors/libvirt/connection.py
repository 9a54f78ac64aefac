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

"""Connections to libvirt, one per URI, and the thread that takes its events.

The module ``libvirt`` is imported with the first connection: a host that
never asks a hypervisor does not need it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import types
import typing

from volume_driver import native

# A dead peer is noticed after about this many seconds times the count.
_KEEPALIVE = (5, 3)


class Unavailable(Exception):
    """libvirt at a URI cannot be asked; the text says why."""


_lock = threading.Lock()
_opening: dict[str, threading.Lock] = {}
_open: dict[str, typing.Any] = {}
# Of connections that died, too: their domains may still be asked for. They
# are kept, so that no other one gets the same id.
_uris: dict[int, str] = {}
_kept: list[typing.Any] = []
_started = False


def module() -> types.ModuleType:
    """Return the module libvirt.

    :raises Unavailable: when libvirt-python is not installed
    """
    try:
        import libvirt
    except ImportError as error:
        raise Unavailable(
            f'the Python module libvirt is missing ({error}); install the '
            f'extra "libvirt"'
        ) from error
    return typing.cast(types.ModuleType, libvirt)


def get(uri: str) -> typing.Any:
    """Return the connection to a URI, opened anew if it died.

    :raises Unavailable: when it cannot be opened
    """
    libvirt = module()
    with _lock:
        _start_events(libvirt)
    # Nobody waits for a host but who asks for it.
    with _opening.setdefault(uri, threading.Lock()):
        found = _open.get(uri)
        try:
            if found is not None and native.call(found.isAlive):
                return found
            found = native.call(_connect, libvirt, uri)
        except libvirt.libvirtError as error:
            _open.pop(uri, None)
            raise Unavailable(str(error)) from error
        _open[uri] = found
        _uris[id(found)] = uri
        _kept.append(found)
        return found


def again(domain: typing.Any) -> typing.Any:
    """Return a domain over a connection that is alive.

    :raises Unavailable: when there is none
    :raises libvirtError: when the domain is not there any more
    """
    owner = domain.connect()
    if native.call(owner.isAlive):
        return domain
    found = get(_uris[id(owner)])
    return native.call(found.lookupByUUID, domain.UUID())


def _connect(libvirt: types.ModuleType, uri: str) -> typing.Any:
    made = libvirt.open(uri)
    made.setKeepAlive(*_KEEPALIVE)
    return made


def _start_events(libvirt: types.ModuleType) -> None:
    global _started
    if _started:
        return
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    native.start_thread(
        functools.partial(_take_events, libvirt), 'libvirt-events'
    )
    _started = True


def _take_events(libvirt: types.ModuleType) -> None:
    while True:
        # It tries again, without a word: the lock of a log handler is not to
        # be taken in a native thread.
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()
