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

"""Each function at the top runs in a process that eventlet has patched."""

from __future__ import annotations

import collections.abc
import typing

from tests import base
from tests.fixtures import greened
from tests.unit.hypervisors.libvirt import fake_libvirt
from volume_driver.hypervisors.libvirt import connection


class _Connection:
    def __init__(self, uri: str) -> None:
        self.uri = uri

    def isAlive(self) -> bool:
        return True

    def setKeepAlive(self, interval: int, count: int) -> None:
        pass


class _Module(fake_libvirt.Module):
    """Opens connections in its time."""

    def __init__(
        self, opening: collections.abc.Callable[[str], None] = lambda _: None
    ) -> None:
        import eventlet

        self._threading = eventlet.patcher.original('threading')
        self._opening = opening
        self.opened: list[str] = []

    def open(self, uri: str) -> _Connection:
        self._opening(uri)
        self.opened.append(uri)
        return _Connection(uri)

    def registerErrorHandler(self, *_: object) -> None:
        pass

    def virEventRegisterDefaultImpl(self) -> None:
        pass

    def virEventRunDefaultImpl(self) -> None:
        self._threading.Event().wait()


def _get(module: _Module, *uris: str) -> list[typing.Any]:
    """Return connections that greenlets ask for at the same time."""
    import eventlet

    connection.module = lambda: module  # type: ignore[assignment, return-value]
    greenlets = [eventlet.spawn(connection.get, uri) for uri in uris]
    return [greenlet.wait() for greenlet in greenlets]


def _ask_for_the_same() -> list[object]:
    module = _Module()
    first, second = _get(module, 'there', 'there')
    return [module.opened, first is second]


def _ask_for_another() -> list[str]:
    """The first host answers only once the second one did."""
    import eventlet

    answered = eventlet.patcher.original('threading').Event()

    def opening(uri: str) -> None:
        if uri == 'slow':
            answered.wait()
        else:
            answered.set()

    module = _Module(opening)
    _get(module, 'slow', 'fast')
    return sorted(module.opened)


class GreenletsTest(base.TestCase):
    def test_they_share_a_connection(self) -> None:
        self.assertEqual([['there'], True], greened.call(_ask_for_the_same))

    def test_slow_host_holds_up_nobody_else(self) -> None:
        self.assertEqual(['fast', 'slow'], greened.call(_ask_for_another))
