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

import logging
import pathlib

import ddt

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.executors import base as executors
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import context as contexts
from volume_driver.operations import faults
from volume_driver.operations import run
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.a', 'volume-u', None)
START = plan.StartFrom('volume-u', 'qcow2')
RECORD = plan.Record({'active': 'volume-u'})
REMOVE = plan.Remove('volume-u.a')
DELETE = plan.Plan(
    'delete snapshot a',
    fakes.VOLUME,
    (COMMIT, START, RECORD, REMOVE),
    'commit',
    'it is cheaper',
)
OVERLAY = plan.CreateOverlay('volume-u.a', 'volume-u', 'qcow2', 1)
SWITCH = plan.Switch('volume-u.a', 'volume-u', 'qcow2')
CREATE = plan.Plan(
    'create snapshot a', fakes.VOLUME, (OVERLAY, SWITCH, RECORD)
)


class Executor(executors.Executor):
    """Takes down what it is to do; fails where the test says so."""

    def __init__(self) -> None:
        self.events: list[tuple[str, plan.Step]] = []
        self.done: set[plan.Step | str] = set()
        self.errors: dict[tuple[str, str], Exception] = {}
        self.let_go_of = 0
        self.journal: pathlib.Path | None = None
        self.holds = False

    def _call(self, what: str, step: plan.Step) -> None:
        self.events.append((what, step))
        error = self.errors.get((what, type(step).__name__))
        if error is not None:
            raise error

    def is_done(self, step: plan.Step, progress: executors.Progress) -> bool:
        return progress.marked or type(step).__name__ in self.done

    def do(self, step: plan.Step, progress: executors.Progress) -> None:
        assert self.journal is None or self.journal.exists()
        if self.holds:
            progress.hold()
        self._call('do', step)

    def undo(self, step: plan.Step) -> None:
        self._call('undo', step)

    def let_go(self, progress: executors.Progress) -> None:
        self.let_go_of += 1
        progress.release()


class Records(logging.Handler):
    """Keeps what lines carry beside their text."""

    def __init__(self) -> None:
        super().__init__()
        self.carried: list[tuple[str, ...]] = []

    def emit(self, record: logging.LogRecord) -> None:
        names = 'resource', 'volume', 'snapshot'
        self.carried.append(tuple(getattr(record, name) for name in names))


class RunTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'volume-u.journal'
        self.hypervisor = fakes.Hypervisor()
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)
        self.executor = Executor()
        self.executor.journal = self.path
        self.made_for: list[hypervisors.Found] = []

        def executor(
            _: contexts.Context,
            target: hypervisors.Target,
            found: hypervisors.Found,
        ) -> executors.Executor:
            self.assertIs(self.target, target)
            self.made_for.append(found)
            return self.executor

        self.patch(contexts.Context, 'executor', executor)

    def run_plan(self, content: plan.Plan) -> None:
        run.run(self.context, self.target, content, self.hypervisor.found)

    def fail_at(self, what: str, step: str, error: Exception) -> None:
        self.executor.errors[what, step] = error

    def did(self, what: str = 'do') -> list[plan.Step]:
        return [step for event, step in self.executor.events if event == what]

    def journal(self) -> journals.Journal:
        found = journals.find(str(self.directory), fakes.VOLUME)
        assert found is not None
        return found


class RunTest(RunTestCase):
    def test_all_steps_in_order_then_no_journal(self) -> None:
        self.run_plan(DELETE)
        self.assertEqual(list(DELETE.steps), self.did())
        self.assertFalse(self.path.exists())

    def test_nothing_is_done_before_the_journal_is_written(self) -> None:
        # A directory in its place refuses every write.
        (self.directory / 'volume-u.journal.part').mkdir()
        self.assertRaises(OSError, self.run_plan, DELETE)
        self.assertEqual([], self.executor.events)

    def test_steps_that_are_done_are_skipped(self) -> None:
        self.executor.done = {'StartFrom', 'Record'}
        self.run_plan(DELETE)
        self.assertEqual([COMMIT, REMOVE], self.did())

    def test_only_merges_are_marked(self) -> None:
        marks: list[str] = []

        def hook(moment: str, step: plan.Step | None) -> None:
            marks.append(self.journal().done)

        self.patch(faults, 'hook', hook)
        self.run_plan(DELETE)
        self.assertEqual('----', marks[0])
        self.assertEqual('x---', marks[-1])

    def test_every_step_passes_the_seam(self) -> None:
        moments: list[tuple[str, plan.Step | None]] = []
        self.patch(
            faults, 'hook', lambda when, step: moments.append((when, step))
        )
        self.run_plan(CREATE)
        expected: list[tuple[str, plan.Step | None]] = [('after', None)]
        for step in CREATE.steps:
            expected += [('before', step), ('after', step)]
        self.assertEqual([*expected, ('before', None)], moments)

    def test_guest_is_looked_for_again_from_the_second_step_on(self) -> None:
        self.run_plan(DELETE)
        # For StartFrom and Remove; Commit has the guest that the plan was
        # made for.
        self.assertEqual(['find'] * 2, self.hypervisor.called())
        self.assertEqual(3, len(self.made_for))

    def test_guest_that_a_step_left_suspended_is_let_go(self) -> None:
        self.executor.holds = True
        self.run_plan(CREATE)
        self.assertEqual(3, self.executor.let_go_of)

    def test_lines_of_the_log_carry_volume_and_snapshot(self) -> None:
        handler = Records()
        logger = logging.getLogger(run.__name__)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.run_plan(DELETE)
        self.assertEqual(
            {('[volume-u] ', 'volume-u', 'a')}, set(handler.carried)
        )
        self.assertEqual(2 + len(DELETE.steps), len(handler.carried))

    def test_guest_that_runs_is_left_alone(self) -> None:
        self.run_plan(DELETE)
        self.assertEqual(0, self.executor.let_go_of)


@ddt.ddt
class TakeBackTest(RunTestCase):
    def test_refused_at_the_first_step_leaves_nothing(self) -> None:
        error = fakes.refusal()
        self.fail_at('do', 'Commit', error)
        raised = self.assertRaises(
            exception.VolumeInUse, self.run_plan, DELETE
        )
        self.assertIs(error, raised)
        self.assertEqual([], self.did('undo'))
        self.assertFalse(self.path.exists())

    def test_refused_step_is_not_undone_but_those_before_it(self) -> None:
        self.fail_at('do', 'Switch', fakes.refusal())
        self.assertRaises(exception.Refused, self.run_plan, CREATE)
        self.assertEqual([OVERLAY], self.did('undo'))
        self.assertFalse(self.path.exists())

    def test_failed_step_is_undone_and_those_before_it(self) -> None:
        self.fail_at('do', 'Switch', fakes.live_error())
        self.assertRaises(exception.LiveOperationFailed, self.run_plan, CREATE)
        self.assertEqual([SWITCH, OVERLAY], self.did('undo'))
        self.assertFalse(self.path.exists())

    def test_steps_done_before_are_undone_too(self) -> None:
        self.executor.done = {'CreateOverlay'}
        self.fail_at('do', 'Switch', fakes.live_error())
        self.assertRaises(exception.LiveOperationFailed, self.run_plan, CREATE)
        self.assertEqual([SWITCH, OVERLAY], self.did('undo'))

    @ddt.data(fakes.live_error(), OSError(5, 'no'), ValueError('a bug'))
    def test_step_that_cannot_be_undone_keeps_the_journal(
        self, error: Exception
    ) -> None:
        self.fail_at('do', 'Commit', error)
        self.fail_at('undo', 'Commit', executors.CannotUndo(COMMIT))
        raised = self.assertRaises(type(error), self.run_plan, DELETE)
        self.assertIs(error, raised)
        self.assertEqual(DELETE, self.journal().plan)
        self.assertFalse(self.journal().marked)

    def test_error_while_taking_back_keeps_the_journal(self) -> None:
        self.fail_at('do', 'Record', fakes.live_error())
        self.fail_at('undo', 'Switch', OSError(5, 'no'))
        self.assertRaises(exception.LiveOperationFailed, self.run_plan, CREATE)
        self.assertEqual([RECORD, SWITCH], self.did('undo'))
        self.assertTrue(self.path.exists())
        self.assertIn('is not taken back', self.log.output)

    @ddt.data('StartFrom', 'Record', 'Remove')
    def test_after_a_mark_there_is_no_way_back(self, step: str) -> None:
        for error in (fakes.live_error(), fakes.refusal()):
            self.executor.errors.clear()
            self.executor.events.clear()
            self.fail_at('do', step, error)
            self.assertRaises(type(error), self.run_plan, DELETE)
            self.assertEqual([], self.did('undo'))
            self.assertEqual('x---', self.journal().done)

    def test_guest_that_cannot_be_looked_for_is_an_error_too(self) -> None:
        self.hypervisor.errors['find'] = fakes.refusal()
        self.assertRaises(exception.Refused, self.run_plan, DELETE)
        self.assertEqual([COMMIT], self.did())
        self.assertEqual('x---', self.journal().done)


@ddt.ddt
class CarryOutTest(RunTestCase):
    """What a dead process left is run again."""

    def begin(self, content: plan.Plan, done: str = '') -> journals.Journal:
        journal = journals.begin(str(self.directory), content, self.target, {})
        for index, letter in enumerate(done):
            if letter == 'x':
                journal.step(index).mark()
        return self.journal()

    def carry_out(self, journal: journals.Journal) -> None:
        run.carry_out(
            self.context,
            self.target,
            journal,
            self.hypervisor.found,
            fresh=False,
        )

    def test_from_the_beginning(self) -> None:
        self.carry_out(self.begin(DELETE))
        self.assertEqual(list(DELETE.steps), self.did())
        self.assertFalse(self.path.exists())

    def test_marked_steps_are_not_done_again(self) -> None:
        self.carry_out(self.begin(DELETE, 'x---'))
        self.assertEqual([START, RECORD, REMOVE], self.did())

    @ddt.data(*range(4))
    def test_cut_off_before_each_step_and_run_again(self, number: int) -> None:
        class Killed(BaseException):
            """Nothing catches it, as nothing catches SIGKILL."""

        stop = DELETE.steps[number]

        def hook(moment: str, step: plan.Step | None) -> None:
            if (moment, step) == ('before', stop):
                raise Killed

        self.patch(faults, 'hook', hook)
        self.assertRaises(Killed, self.run_plan, DELETE)
        self.assertEqual(list(DELETE.steps[:number]), self.did())
        self.patch(faults, 'hook', None)
        self.executor.events.clear()
        self.carry_out(self.journal())
        self.assertIn(stop, self.did())
        self.assertEqual(REMOVE, self.did()[-1])
        self.assertEqual(number == 0, COMMIT in self.did())
        self.assertFalse(self.path.exists())

    def test_refused_step_may_have_been_begun_before(self) -> None:
        """Unlike in the first run, it is taken back as well."""
        pull = plan.Pull('volume-u.a', 'volume-u', 'qcow2', None, None)
        content = plan.Plan('delete snapshot a', fakes.VOLUME, (pull, RECORD))
        self.fail_at('do', 'Pull', fakes.refusal())
        self.assertRaises(
            exception.Refused, self.carry_out, self.begin(content)
        )
        self.assertEqual([pull], self.did('undo'))

    def test_refused_step_that_cannot_be_undone_keeps_the_journal(
        self,
    ) -> None:
        self.fail_at('do', 'Commit', fakes.refusal())
        self.fail_at('undo', 'Commit', executors.CannotUndo(COMMIT))
        self.assertRaises(
            exception.Refused, self.carry_out, self.begin(DELETE)
        )
        self.assertTrue(self.path.exists())

    def test_guest_that_a_dead_process_suspended_is_let_go(self) -> None:
        journal = self.begin(DELETE, 'x---')
        journal.step(0).hold()
        self.carry_out(self.journal())
        self.assertEqual(1, self.executor.let_go_of)

    def test_error_of_another_step_does_not_hide_it(self) -> None:
        journal = self.begin(DELETE)
        journal.step(0).hold()
        self.fail_at('do', 'Commit', fakes.live_error())
        self.fail_at('undo', 'Commit', executors.CannotUndo(COMMIT))
        self.assertRaises(
            exception.LiveOperationFailed, self.carry_out, self.journal()
        )
        self.assertEqual(1, self.executor.let_go_of)
