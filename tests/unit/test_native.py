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

import errno
import os
import subprocess
import sys
import threading
import time

from tests import base
from tests.fixtures import greened
from volume_driver import files
from volume_driver import native
from volume_driver.hypervisors.libvirt import jobs


def _wait_for_a_greenlet() -> dict[str, object]:
    """A call ends only after a greenlet went on: through a pipe."""
    import eventlet

    reader, writer = os.pipe()
    main = threading.get_native_id()
    eventlet.spawn(os.write, writer, b'!')

    def read() -> tuple[str, bool]:
        with open(reader, 'rb', buffering=0) as stream:
            text = stream.read(1).decode()
        return text, threading.get_native_id() != main

    text, elsewhere = native.call(read)
    return {'read': text, 'in another thread': elsewhere}


def _call_within_a_call() -> bool:
    def inner() -> bool:
        mine = threading.get_native_id()
        return mine == native.call(threading.get_native_id)

    return native.call(inner)


def _raise(path: str) -> list[object]:
    try:
        native.call(os.unlink, path)
    except FileNotFoundError as error:
        return [error.errno, error.filename]
    return []


def _start_a_thread() -> bool:
    found: list[int] = []
    waker = jobs.Waker()

    def target() -> None:
        found.append(threading.get_native_id())
        waker.wake()

    native.start_thread(target, 'a thread')
    waker.until(lambda: bool(found))
    return found != [threading.get_native_id()]


def _be_woken() -> dict[str, object]:
    """Without the event from the native thread it would take an hour."""
    jobs._FIRST_WAIT = jobs._LONGEST_WAIT = 3600.0
    waker = jobs.Waker()
    looks: list[int] = []
    reader, writer = os.pipe()

    def wake() -> None:
        with open(reader, 'rb', buffering=0) as stream:
            stream.read(1)
        waker.wake()

    def condition() -> bool:
        looks.append(1)
        if len(looks) == 1:
            os.write(writer, b'!')
        return len(looks) == 2

    native.start_thread(wake, 'wakes')
    with greened.Ticks() as ticks:
        woken = waker.until(condition)
    return {'woken': woken, 'blocked': ticks.largest_gap > 1}


def _wait_unwoken() -> dict[str, object]:
    with greened.Ticks() as ticks:
        woken = jobs.Waker().until(lambda: False, 1.5)
    return {'woken': woken, 'blocked': ticks.largest_gap > 1}


def _replace(path: str) -> bool:
    real, main = os.fsync, threading.get_native_id()
    there: list[bool] = []

    def fsync(fd: int) -> None:
        there.append(threading.get_native_id() == main)
        real(fd)

    os.fsync = fsync  # type: ignore[assignment]
    files.replace(path, b'data')
    return there == [False, False]


def _stand_still() -> bool:
    import eventlet

    with greened.Ticks() as ticks:
        time.sleep(0.1)
        eventlet.patcher.original('time').sleep(1.2)
        time.sleep(0.1)
    return ticks.largest_gap > 1


class DirectTest(base.TestCase):
    """In a process that is not patched."""

    def test_call_is_a_plain_call(self) -> None:
        found = native.call(lambda *a, **k: (a, k), 1, key=2)
        self.assertEqual(((1,), {'key': 2}), found)
        self.assertEqual(
            threading.get_native_id(), native.call(threading.get_native_id)
        )

    def test_error_passes(self) -> None:
        self.assertRaises(ZeroDivisionError, native.call, lambda: 1 // 0)

    def test_thread_ends_with_the_process(self) -> None:
        found: list[threading.Thread] = []
        ended = threading.Event()

        def target() -> None:
            found.append(threading.current_thread())
            ended.set()

        native.start_thread(target, 'a thread')
        ended.wait()
        self.assertTrue(found[0].daemon)
        self.assertEqual('a thread', found[0].name)

    def test_eventlet_is_not_imported(self) -> None:
        program = (
            'import sys; from volume_driver import native; '
            'native.call(int); native.start_thread(int, ""); '
            'sys.exit("eventlet" in sys.modules)'
        )
        subprocess.run([sys.executable, '-c', program], check=True)

    def test_eventlet_that_patched_nothing_is_not_used(self) -> None:
        program = (
            'import sys, eventlet; from volume_driver import native; '
            'native.call(int); sys.exit("eventlet.tpool" in sys.modules)'
        )
        subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program], check=True
        )


class PatchedTest(base.TestCase):
    """In a process that eventlet has patched, as cinder-volume is."""

    def test_greenlets_go_on_during_a_call(self) -> None:
        self.assertEqual(
            {'read': '!', 'in another thread': True},
            greened.call(_wait_for_a_greenlet),
        )

    def test_call_within_a_call_is_a_plain_one(self) -> None:
        self.assertTrue(greened.call(_call_within_a_call))

    def test_error_passes(self) -> None:
        path = str(self.temp_dir() / 'missing')
        self.assertEqual([errno.ENOENT, path], greened.call(_raise, path))

    def test_thread_is_one_of_the_operating_system(self) -> None:
        self.assertTrue(greened.call(_start_a_thread))

    def test_event_of_a_native_thread_wakes(self) -> None:
        self.assertEqual(
            {'woken': True, 'blocked': False}, greened.call(_be_woken)
        )

    def test_greenlets_go_on_while_no_event_comes(self) -> None:
        self.assertEqual(
            {'woken': False, 'blocked': False}, greened.call(_wait_unwoken)
        )

    def test_files_are_synced_in_another_thread(self) -> None:
        path = self.temp_dir() / 'file'
        self.assertTrue(greened.call(_replace, str(path)))
        self.assertEqual(b'data', path.read_bytes())


class TicksTest(base.TestCase):
    """What the tests above rest on."""

    def test_a_hub_that_stands_still_is_seen(self) -> None:
        self.assertTrue(greened.call(_stand_still))
