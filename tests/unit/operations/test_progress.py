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

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import progress
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.a', 'volume-u', None)
PULL = plan.Pull('volume-u.a', 'volume-u', 'qcow2', None, None)
BYTES = 64 << 10


class WatchTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        for name in ('volume-u', 'volume-u.a'):
            (self.directory / name).touch()
        self.hypervisor = fakes.Hypervisor()
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)
        self.watch = progress.Watch(self.context, self.target)

    def begin(self, step: plan.Step = COMMIT, way: str = 'commit') -> None:
        journal.begin(
            str(self.directory),
            plan.Plan('it', 'volume-u', (step,), way, cost=4 * BYTES),
            self.target,
            {},
        )

    def grow(self, name: str) -> None:
        with (self.directory / name).open('ab') as stream:
            stream.write(b'x' * BYTES)

    def test_nothing_is_under_way(self) -> None:
        self.assertIsNone(self.watch.percent())

    def test_no_merge_is_under_way(self) -> None:
        self.begin(way='')
        self.assertIsNone(self.watch.percent())

    def test_commit_lets_the_base_grow(self) -> None:
        self.begin()
        self.assertEqual(0, self.watch.percent())
        self.grow('volume-u.a')
        self.assertEqual(0, self.watch.percent())
        self.grow('volume-u')
        self.assertEqual(25, self.watch.percent())
        for _ in range(9):
            self.grow('volume-u')
        self.assertEqual(99, self.watch.percent())

    def test_pull_lets_the_overlay_grow(self) -> None:
        self.begin(PULL, 'pull')
        self.grow('volume-u.a')
        self.grow('volume-u.a')
        self.assertEqual(50, self.watch.percent())

    def test_it_never_goes_back(self) -> None:
        self.begin()
        self.grow('volume-u')
        self.assertEqual(25, self.watch.percent())
        (self.directory / 'volume-u').unlink()
        self.assertEqual(25, self.watch.percent())

    def test_image_that_was_not_there_counts_from_nothing(self) -> None:
        (self.directory / 'volume-u').unlink()
        watch = progress.Watch(self.context, self.target)
        self.begin()
        self.grow('volume-u')
        self.assertEqual(25, watch.percent())

    def test_job_of_a_guest(self) -> None:
        disk = fakes.Disk('volume-u', 'volume-u.a')
        self.hypervisor.found = hypervisors.Found(disk)
        self.begin()
        self.assertEqual(0, self.watch.percent())
        disk.running_job = 'commit'
        self.assertEqual(50, self.watch.percent())
        disk.running_job = None
        self.assertEqual(50, self.watch.percent())

    def test_step_that_copies_nothing(self) -> None:
        self.begin(plan.Remove('volume-u.a'))
        self.assertEqual(0, self.watch.percent())

    def test_errors_are_left_to_the_merge(self) -> None:
        self.begin()
        problem = exception.GuestUnknown(
            operation='it', guest='guest', reason='the test says so'
        )
        with mock.patch.object(
            self.hypervisor, 'find', autospec=True, side_effect=problem
        ):
            self.assertIsNone(self.watch.percent())
        (self.directory / 'volume-u.journal').write_text('{')
        self.assertIsNone(self.watch.percent())


class HasFilesTest(base.TestCase):
    def test_base_or_info(self) -> None:
        for name in ('volume-u', 'volume-u.info', 'volume-u.record'):
            directory = self.temp_dir()
            (directory / name).touch()
            self.assertEqual(
                name != 'volume-u.record',
                progress.has_files(
                    fakes.context(directory), fakes.target(directory)
                ),
            )
