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

import ddt

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.operations import jobs
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.a', 'volume-u', None)


@ddt.ddt
class LimitTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.disk = fakes.Disk('volume-u', 'volume-u.a')
        self.hypervisor = fakes.Hypervisor(self.disk)
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)

    def begin(self, way: str = 'commit') -> None:
        content = plan.Plan('delete snapshot a', 'volume-u', (COMMIT,), way)
        journals.begin(str(self.directory), content, self.target, {})

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
