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

import os
import subprocess
import sys
import threading
import time

from tests import base
from tests.fixtures import greened
from volume_driver.operations import locking

_HOLDER = """
import sys
from volume_driver.operations import locking
with locking.FileLocks(sys.argv[1])('volume-u'):
    print('held', flush=True)
    sys.stdin.read()
"""


def _take_turns(directory: str) -> dict[str, object]:
    """What greenlets do; each is in its turn while the others have theirs."""
    import eventlet

    locks = locking.FileLocks(directory)
    inside: list[int] = []
    most = []

    def take(number: int) -> None:
        for _ in range(5):
            with locks('volume-u'):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

    with greened.Ticks() as ticks:
        for greenlet in [eventlet.spawn(take, number) for number in range(4)]:
            greenlet.wait()
    return {
        'turns': len(most),
        'at once': max(most),
        'blocked': ticks.largest_gap > 1,
    }


def _be_refused(directory: str) -> str:
    import eventlet

    locks = locking.FileLocks(directory)

    def take() -> str:
        try:
            with locks('volume-u', blocking=False):
                return 'taken'
        except locking.Locked as error:
            return f'locked: {error}'

    with locks('volume-u'):
        return str(eventlet.spawn(take).wait())


def _wait_for_a_process(directory: str) -> list[str]:
    """Were the hub to wait for the lock, nobody would let the holder end."""
    import eventlet

    holder = _start_holder(directory)
    order: list[str] = []

    def take() -> None:
        with locking.FileLocks(directory)('volume-u'):
            order.append('taken')

    greenlet = eventlet.spawn(take)
    # It cannot be taken, however long this is; 0.1 s finds most errors.
    time.sleep(0.1)
    order.append('given back')
    holder.communicate()
    greenlet.wait()
    return order


def _start_holder(directory: str) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock until its input ends."""
    holder = subprocess.Popen(
        [sys.executable, '-c', _HOLDER, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b'held\n'
    return holder


class FileLocksTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = str(self.temp_dir())
        self.locks = locking.FileLocks(self.directory)

    def test_lock_can_be_taken_again_and_again(self) -> None:
        for _ in range(3):
            with self.locks('volume-u'):
                pass

    def test_lock_is_given_back_after_an_error(self) -> None:
        def fail() -> None:
            with self.locks('volume-u'):
                raise KeyError

        self.assertRaises(KeyError, fail)
        with self.locks('volume-u'):
            pass

    def test_volumes_do_not_wait_for_each_other(self) -> None:
        with self.locks('volume-u'), self.locks('volume-v'):
            pass

    def test_files_of_volumes_are_left_alone(self) -> None:
        with self.locks('volume-u'):
            pass
        self.assertEqual(['.locks'], os.listdir(self.directory))

    def test_threads_take_turns(self) -> None:
        """Each adds one in two moves; a turn taken twice would lose one."""
        counter = [0]

        def add() -> None:
            for _ in range(20):
                with self.locks('volume-u'):
                    before = counter[0]
                    inside.append(1)
                    self.assertEqual(1, len(inside))
                    counter[0] = before + 1
                    inside.pop()

        inside: list[int] = []
        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(80, counter[0])

    def test_second_thread_waits_for_the_first(self) -> None:
        order: list[str] = []

        def second() -> None:
            with self.locks('volume-u'):
                order.append('second')

        thread = threading.Thread(target=second)
        with self.locks('volume-u'):
            thread.start()
            order.append('first')
        thread.join()
        self.assertEqual(['first', 'second'], order)


class OtherProcessTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = str(self.temp_dir())
        self.locks = locking.FileLocks(self.directory)
        self.taken = threading.Event()
        self.holder = _start_holder(self.directory)
        self.addCleanup(self.holder.communicate)

    def take(self) -> None:
        with self.locks('volume-u'):
            self.taken.set()

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.take)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def test_lock_is_waited_for(self) -> None:
        thread = self.start()
        # It cannot be taken, however long this is; 0.1 s finds most errors.
        self.assertFalse(self.taken.wait(0.1))
        self.holder.communicate()
        thread.join()
        self.assertTrue(self.taken.is_set())

    def test_lock_dies_with_its_process(self) -> None:
        thread = self.start()
        self.holder.kill()
        thread.join()
        self.assertTrue(self.taken.is_set())

    def test_other_volumes_are_free(self) -> None:
        with self.locks('volume-v'):
            pass


class GreenletsTest(base.TestCase):
    """In a process that eventlet has patched."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = str(self.temp_dir())

    def test_greenlets_take_turns(self) -> None:
        self.assertEqual(
            {'turns': 20, 'at once': 1, 'blocked': False},
            greened.call(_take_turns, self.directory),
        )

    def test_lock_of_another_greenlet_is_not_waited_for(self) -> None:
        self.assertEqual(
            'locked: volume-u', greened.call(_be_refused, self.directory)
        )

    def test_greenlets_go_on_while_another_process_has_it(self) -> None:
        self.assertEqual(
            ['given back', 'taken'],
            greened.call(_wait_for_a_process, self.directory),
        )
