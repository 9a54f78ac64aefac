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

"""Calls that block, in a process whose threads eventlet may have patched.

cinder-volume is such a process: all its threads are greenlets of one thread
of the operating system, run by a hub, and whatever blocks that one blocks
them all. What may block for long is therefore called by :func:`call`.
Elsewhere that is a plain call, and eventlet is not even imported.

What runs in a native thread takes no lock that greenlets take, that of a log
handler for one: it would be given to a hub that does not run there.
"""

from __future__ import annotations

import collections.abc
import importlib
import os
import sys
import threading
import types
import typing

P = typing.ParamSpec('P')
T = typing.TypeVar('T')


def call(
    function: collections.abc.Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call what may block; under eventlet in a native thread.

    Other greenlets go on meanwhile. What it returns or raises comes back
    unchanged.
    """
    # The hub has the main thread, whose id is that of the process; a native
    # thread has nobody to hold up.
    if _patcher() and threading.get_native_id() == os.getpid():
        tpool: typing.Any = importlib.import_module('eventlet.tpool')
        return typing.cast(T, tpool.execute(function, *args, **kwargs))
    return function(*args, **kwargs)


def is_green() -> bool:
    """Tell whether the threads of this process are greenlets."""
    return _patcher() is not None


def start_thread(
    target: collections.abc.Callable[[], None], name: str
) -> None:
    """Start a thread of the operating system that ends with the process."""
    patcher = _patcher()
    module = patcher.original('threading') if patcher else threading
    module.Thread(target=target, name=name, daemon=True).start()


def _patcher() -> types.ModuleType | None:
    """Return eventlet's patcher if it has patched the threads."""
    patcher = sys.modules.get('eventlet.patcher')
    if patcher is None or not patcher.is_monkey_patched('thread'):
        return None
    return patcher
