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

from unittest import mock

import ddt

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.operations import jobs
from volume_driver.operations import locking
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.a', 'volume-u', None)


class JobsTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.disk = fakes.Disk('volume-u', 'volume-u.a')
        self.hypervisor = fakes.Hypervisor(self.disk)
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)

    def begin(self, way: str = 'commit') -> None:
        content = plan.Plan(
            'delete snapshot a', 'volume-u', (COMMIT,), way, cost=1000
        )
        journals.begin(str(self.directory), content, self.target, {})


@ddt.ddt
class LimitTest(JobsTestCase):
    def limit(self) -> None:
        jobs.limit(self.context, self.target, 7)

    def assert_refused(self, reason: str) -> None:
        error = self.assertRaises(exception.MergeNotRunning, self.limit)
        self.assertIn(reason, str(error))

    def test_the_job_is_limited_and_no_lock_is_taken(self) -> None:
        self.begin()
        self.disk.running_job = 'commit'
        self.limit()
        self.assertIn(('limit_job', 7), self.disk.calls)
        assert isinstance(self.context.locks, fakes.Locks)
        self.assertEqual([], self.context.locks.taken)

    def test_nothing_is_under_way(self) -> None:
        self.assert_refused('no merge of it is under way')

    def test_something_else_is_under_way(self) -> None:
        self.begin(way='')
        self.disk.running_job = 'not ours'
        self.assert_refused('no merge of it is under way')
        self.assertEqual([], self.disk.calls)

    def test_offline(self) -> None:
        self.begin()
        self.context = fakes.context(self.directory)
        self.assert_refused('no guest runs on it')

    def test_the_job_is_over(self) -> None:
        self.begin()
        self.assert_refused('is over')


class CancelTest(JobsTestCase):
    def cancel(self) -> None:
        jobs.cancel(self.context, self.target)

    def test_the_job_is_ended(self) -> None:
        self.begin()
        self.disk.running_job = 'commit'
        self.cancel()
        self.assertIn(('cancel_job',), self.disk.calls)

    def test_there_is_none(self) -> None:
        error = self.assertRaises(exception.MergeNotRunning, self.cancel)
        self.assertIn('no merge of it', str(error))
        self.begin()
        error = self.assertRaises(exception.MergeNotRunning, self.cancel)
        self.assertIn('is over', str(error))
        self.context = fakes.context(self.directory)
        error = self.assertRaises(exception.MergeNotRunning, self.cancel)
        self.assertIn('interrupt the process', str(error))


class ListTest(JobsTestCase):
    def test_none(self) -> None:
        self.assertEqual([], jobs.listed(self.context))

    def test_under_a_guest_and_offline(self) -> None:
        self.begin()
        (job,) = jobs.listed(self.context)
        self.assertEqual(
            ('volume-u', 'delete snapshot a', 'commit', jobs.CUT_OFF),
            (job.volume, job.operation, job.way, job.state),
        )
        self.assertEqual((None, 1000), (job.done, job.total))
        self.disk.running_job = 'commit'
        (job,) = jobs.listed(self.context)
        self.assertEqual((500, 1000), (job.done, job.total))

    def test_somebody_is_at_work(self) -> None:
        self.begin()
        with mock.patch.object(
            fakes.Locks, '__call__', autospec=True, side_effect=locking.Locked
        ):
            (job,) = jobs.listed(self.context)
        self.assertEqual(jobs.RUNNING, job.state)

    def test_guest_that_cannot_be_asked(self) -> None:
        self.begin()
        problem = exception.GuestUnknown(
            operation='it', guest='guest', reason='the test says so'
        )
        with mock.patch.object(
            self.hypervisor, 'find', autospec=True, side_effect=problem
        ):
            (job,) = jobs.listed(self.context)
        self.assertIsNone(job.done)
