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
from volume_driver.executors import base as executors
from volume_driver.executors import live
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.b', 'volume-u.a', None)
MIDDLE = plan.Commit('volume-u.a', 'volume-u', 'volume-u.b')
PULL = plan.Pull('volume-u.b', 'volume-u.a', 'qcow2', 'volume-u', 'qcow2')
CREATE = plan.CreateOverlay('volume-u.c', 'volume-u.b', 'qcow2', fakes.SIZE)
SWITCH = plan.Switch('volume-u.c', 'volume-u.b', 'qcow2')
RESIZE = plan.Resize('volume-u.b', 'qcow2', 2 << 20)
POINT = plan.Point('volume-u.b', 'volume-u', 'qcow2')


class LiveTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.disk = fakes.Disk('volume-u', 'volume-u.a', 'volume-u.b')
        self.progress = fakes.Progress()
        self.executor = live.LiveExecutor(
            str(self.directory), fakes.VOLUME, self.execute, self.disk
        )

    def execute(self, *command: str, **_: object) -> tuple[str, str]:
        self.fail(f'{command} while a guest runs')
        return '', ''

    def do(self, step: plan.Step) -> None:
        self.executor.do(step, self.progress)

    def is_done(self, step: plan.Step, marked: bool = False) -> bool:
        return self.executor.is_done(step, fakes.Progress(marked))


@ddt.ddt
class DoTest(LiveTestCase):
    def test_switch_changes_the_guest_then_its_definition(self) -> None:
        self.assertFalse(self.is_done(SWITCH))
        self.do(SWITCH)
        self.assertTrue(self.is_done(SWITCH))
        self.assertEqual(
            [
                ('switch_to', 'volume-u.c'),
                ('start_from', 'volume-u.c', 'qcow2'),
            ],
            self.disk.calls,
        )

    def test_start_from(self) -> None:
        self.do(plan.StartFrom('volume-u.a', 'qcow2'))
        self.assertEqual(
            [('start_from', 'volume-u.a', 'qcow2')], self.disk.calls
        )

    def test_commit(self) -> None:
        self.do(COMMIT)
        self.assertEqual(
            [
                ('start_from', 'volume-u.b', 'qcow2'),
                ('commit', 'volume-u.b', 'volume-u.a'),
            ],
            self.disk.calls,
        )
        self.assertTrue(self.progress.marked)

    def test_pull(self) -> None:
        self.do(PULL)
        self.assertEqual([('pull', 'volume-u.a', 'volume-u')], self.disk.calls)

    def test_resize(self) -> None:
        self.assertFalse(self.is_done(RESIZE))
        self.do(RESIZE)
        self.assertTrue(self.is_done(RESIZE))

    @ddt.data(COMMIT, PULL)
    def test_a_merge_goes_through_the_barrier_again(
        self, step: plan.Step
    ) -> None:
        self.assertFalse(self.is_done(step, marked=True))

    def test_an_image_that_is_open_is_never_pointed(self) -> None:
        fakes.make_volume(self.directory, 'ab')
        self.assertFalse(self.is_done(POINT))
        error = self.assertRaises(exception.UnexpectedChain, self.do, POINT)
        self.assertIn('volume-u.a below volume-u.b', str(error.found))

    def test_point_is_done_where_libvirt_did_it(self) -> None:
        fakes.make_volume(self.directory, 'ab')
        self.assertTrue(
            self.is_done(plan.Point('volume-u.b', 'volume-u.a', 'qcow2'))
        )

    def test_an_image_that_is_open_is_never_emptied(self) -> None:
        step = plan.Empty('volume-u.b', 'volume-u.a', 'qcow2', 1)
        error = self.assertRaises(exception.VolumeInUse, self.do, step)
        self.assertEqual('guest on host', error.holder)

    def test_files_are_written_as_offline(self) -> None:
        step = plan.Record({'active': 'volume-u'})
        (self.directory / 'volume-u').touch()
        self.do(step)
        self.assertTrue(self.is_done(step))

    def test_let_go_is_for_the_guest(self) -> None:
        self.executor.let_go(self.progress)
        self.assertEqual(['let_go'], self.disk.called())


@ddt.ddt
class SameGuestTest(LiveTestCase):
    """The merge of one QEMU is not finished under another one."""

    @ddt.data(COMMIT, PULL)
    def test_the_guest_of_a_merge_is_noted_before_it(
        self, step: plan.Step
    ) -> None:
        self.do(step)
        self.assertEqual('first run', self.progress.notes['guest'])

    def merged(self, step: plan.Commit | plan.Pull) -> None:
        gone = step.top if isinstance(step, plan.Commit) else step.pulled
        self.disk.images.remove(gone)
        self.progress.note('guest', 'first run')

    @ddt.data(COMMIT, PULL)
    def test_the_same_guest_is_only_flushed(
        self, step: plan.Commit | plan.Pull
    ) -> None:
        self.merged(step)
        self.do(step)
        self.assertEqual(1, len(self.disk.calls))

    @ddt.data(MIDDLE, PULL)
    def test_another_guest_is_refused(
        self, step: plan.Commit | plan.Pull
    ) -> None:
        self.merged(step)
        self.disk.run = 'second run'
        error = self.assertRaises(
            exception.GuestStartedTooEarly, self.do, step
        )
        self.assertEqual(str(step), error.step)
        self.assertEqual([], self.disk.calls)

    @ddt.data(COMMIT, PULL)
    def test_a_guest_that_nobody_noted_is_refused(
        self, step: plan.Commit | plan.Pull
    ) -> None:
        """As after an offline merge that was cut off."""
        self.merged(step)
        self.progress.note('guest', None)
        self.assertRaises(exception.GuestStartedTooEarly, self.do, step)

    @ddt.data(COMMIT, PULL)
    def test_what_is_marked_is_safe_under_any_guest(
        self, step: plan.Commit | plan.Pull
    ) -> None:
        self.merged(step)
        self.disk.run = 'second run'
        self.progress.mark()
        self.do(step)

    def test_another_guest_goes_on_after_a_pivot(self) -> None:
        self.merged(COMMIT)
        self.disk.run = 'second run'
        self.do(COMMIT)
        self.assertEqual(['commit'], self.disk.called())


class UndoTest(LiveTestCase):
    def assert_cannot(self, step: plan.Step) -> None:
        self.assertRaises(executors.CannotUndo, self.executor.undo, step)

    def test_overlay_that_no_guest_has(self) -> None:
        path = self.directory / 'volume-u.c'
        path.touch()
        self.executor.undo(CREATE)
        self.assertFalse(path.exists())

    def test_overlay_that_the_guest_has_stays(self) -> None:
        path = self.directory / 'volume-u.c'
        path.touch()
        self.disk.images.append('volume-u.c')
        self.assert_cannot(CREATE)
        self.assertTrue(path.exists())

    def test_switch_that_did_not_happen(self) -> None:
        self.executor.undo(SWITCH)

    def test_switch_that_happened_stays(self) -> None:
        self.disk.images.append('volume-u.c')
        self.assert_cannot(SWITCH)

    def test_pull_that_did_not_happen(self) -> None:
        self.executor.undo(PULL)

    def test_pull_that_still_runs(self) -> None:
        self.disk.running_job = 'pull'
        self.assert_cannot(PULL)

    def test_pull_that_happened(self) -> None:
        self.disk.images.remove('volume-u.a')
        self.assert_cannot(PULL)

    def test_commit(self) -> None:
        self.assert_cannot(COMMIT)
