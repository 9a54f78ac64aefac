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

import collections.abc
import json

import ddt

from tests import base
from tests.unit import fakes
from tests.unit.hypervisors.libvirt import fake_libvirt
from volume_driver import exception
from volume_driver.hypervisors.libvirt import converge
from volume_driver.hypervisors.libvirt import jobs

NOTE = '{"device": "vdb", "read_bytes_sec": 7}'


class Waker(jobs.Waker):
    """Looks once for each time that it is to wait."""

    def until(
        self,
        condition: collections.abc.Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        return condition()


class ConvergeTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        fake_libvirt.install(self)
        self.domain = fake_libvirt.Domain(blockIoTune={})
        self.progress = fakes.Progress()

    def limits(self) -> list[object]:
        return [
            call[2] for call in self.domain.calls if 'setBlock' in str(call)
        ]


@ddt.ddt
class WaitTest(ConvergeTestCase):
    def wait(self, *ready: bool) -> None:
        looks = iter(ready)
        converge.wait(
            *(self.domain, 'vda', Waker(), lambda: next(looks)),
            *(60, self.progress),
        )
        self.assertEqual([], list(looks))

    def test_ready_in_time_changes_nothing(self) -> None:
        self.wait(True)
        self.assertEqual([], self.domain.calls)

    @ddt.data(True, False)
    def test_writes_are_limited_and_then_not(self, ready: bool) -> None:
        self.wait(False, ready)
        self.assertEqual(
            [
                {'write_bytes_sec': 1 << 20, 'read_bytes_sec': 0},
                {'write_bytes_sec': 0, 'read_bytes_sec': 0},
            ],
            self.limits(),
        )
        self.assertEqual({}, self.progress.notes)

    def test_limit_is_noted_before_it_is_set(self) -> None:
        notes: list[str] = []
        self.patch(
            self.domain,
            'setBlockIoTune',
            lambda *_: notes.append(self.progress.notes['throttle']),
        )
        self.wait(False, True)
        self.assertEqual('vda', json.loads(notes[0])['device'])

    def test_an_error_lifts_the_limit_too(self) -> None:
        looks = iter([False])
        self.assertRaises(
            StopIteration,
            converge.wait,
            *(self.domain, 'vda', Waker(), lambda: next(looks)),
            *(60, self.progress),
        )
        self.assertEqual(
            {'write_bytes_sec': 0, 'read_bytes_sec': 0}, self.limits()[-1]
        )

    @ddt.data('write_bytes_sec', 'total_bytes_sec')
    def test_limit_of_the_operator_stays(self, key: str) -> None:
        self.domain.answers['blockIoTune'] = {key: 5}
        self.wait(False, True)
        self.assertEqual([], self.limits())
        self.assertEqual({}, self.progress.notes)

    def test_no_limit_is_possible(self) -> None:
        self.domain.answers['blockIoTune'] = fake_libvirt.Error('no')
        self.wait(False, True)
        self.assertIn('no limit is possible', self.log.output)


class RestoreTest(ConvergeTestCase):
    def test_nothing_was_noted(self) -> None:
        converge.restore(self.domain, self.progress)
        self.assertEqual([], self.domain.calls)

    def test_limit_that_a_dead_process_left(self) -> None:
        self.progress.note(
            'throttle', '{"device": "vdb", "read_bytes_sec": 7}'
        )
        converge.restore(self.domain, self.progress)
        self.assertEqual(
            [
                (
                    *('setBlockIoTune', 'vdb'),
                    {'write_bytes_sec': 0, 'read_bytes_sec': 7},
                )
            ],
            self.domain.calls,
        )
        self.assertEqual({}, self.progress.notes)

    def test_limit_that_cannot_be_lifted_stays_noted(self) -> None:
        self.progress.note(
            'throttle', '{"device": "vdb", "read_bytes_sec": 7}'
        )
        self.domain.answers['setBlockIoTune'] = fake_libvirt.Error('no')
        self.assertRaises(
            exception.LiveOperationFailed,
            *(converge.restore, self.domain, self.progress),
        )
        self.assertIn('throttle', self.progress.notes)
