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

import threading

from tests import base
from tests.unit.hypervisors.libvirt import fake_libvirt
from volume_driver.hypervisors.libvirt import jobs


class WakerTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.waker = jobs.Waker()

    def test_what_holds_already_is_not_waited_for(self) -> None:
        self.assertTrue(self.waker.until(lambda: True))
        self.assertTrue(self.waker.until(lambda: True, timeout=0))

    def test_without_an_event_it_looks_again(self) -> None:
        looks = iter([False, False, True])
        self.assertTrue(self.waker.until(lambda: next(looks)))
        self.assertEqual([], list(looks))

    def test_what_never_holds_ends_with_the_time(self) -> None:
        self.assertFalse(self.waker.until(lambda: False, timeout=0))

    def test_last_look_comes_after_the_time(self) -> None:
        looks: list[int] = []

        def condition() -> bool:
            looks.append(1)
            return False

        self.assertFalse(self.waker.until(condition, timeout=0.01))
        self.assertGreater(len(looks), 1)

    def test_an_event_wakes(self) -> None:
        """The condition holds only once another thread saw us wait."""
        looked, done = threading.Event(), threading.Event()

        def other() -> None:
            looked.wait()
            done.set()
            self.waker.wake('domain', 'device', 0, 0, None)

        thread = threading.Thread(target=other)
        thread.start()
        self.addCleanup(thread.join)

        def condition() -> bool:
            looked.set()
            return done.is_set()

        self.assertTrue(self.waker.until(condition))

    def test_an_event_during_the_look_is_not_lost(self) -> None:
        """Without a bound on the wait this would need the event."""
        self.patch(jobs, '_FIRST_WAIT', 3600.0)
        self.patch(jobs, '_LONGEST_WAIT', 3600.0)
        looks: list[int] = []

        def condition() -> bool:
            looks.append(1)
            if len(looks) == 1:
                self.waker.wake()
            return len(looks) == 2

        self.assertTrue(self.waker.until(condition))

    def test_wait_between_two_looks_grows_and_is_bounded(self) -> None:
        waits: list[float] = []

        def never(timeout: float) -> bool:
            waits.append(timeout)
            return False

        self.patch(self.waker, '_is_woken', never)
        self.waker.until(lambda: len(waits) == 20)
        self.assertEqual(sorted(waits), waits)
        self.assertLess(waits[0], 0.1)
        self.assertEqual(0.5, waits[-1])

    def test_an_error_of_the_condition_passes(self) -> None:
        self.assertRaises(ZeroDivisionError, self.waker.until, lambda: 1 // 0)


class EventsTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        fake_libvirt.install(self)
        self.domain = fake_libvirt.Domain(domainEventRegisterAny=7)

    def test_events_of_block_jobs_wake_as_long_as_we_listen(self) -> None:
        with jobs.events(self.domain) as waker:
            name, domain, kind, wake, _ = self.domain.calls[-1]
        self.assertEqual('domainEventRegisterAny', name)
        self.assertIs(self.domain, domain)
        self.assertEqual(16, kind)
        self.assertEqual(waker.wake, wake)
        self.assertEqual(
            ('domainEventDeregisterAny', 7), self.domain.calls[-1]
        )

    def test_connection_that_died_needs_no_end(self) -> None:
        self.domain.answers['domainEventDeregisterAny'] = fake_libvirt.Error()
        with jobs.events(self.domain):
            pass
