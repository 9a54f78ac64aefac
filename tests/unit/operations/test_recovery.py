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

import fcntl
import os
import struct

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import info
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import context as contexts
from volume_driver.operations import recovery
from volume_driver.planning import plan

RECORD = plan.Plan(
    'delete snapshot b',
    fakes.VOLUME,
    (plan.Record({'active': 'volume-u.b', 'a': 'volume-u.a'}),),
)


class RecoveryTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        fakes.make_volume(self.directory, 'ab')
        self.hypervisor = fakes.Hypervisor()
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)

    def cut_off(
        self, content: plan.Plan = RECORD, **notes: str
    ) -> journals.Journal:
        return journals.begin(str(self.directory), content, self.target, notes)

    def recover(self) -> str | None:
        return recovery.recover(self.context, self.target)

    def info(self) -> info.Info | None:
        return info.read(str(self.directory), fakes.VOLUME)

    def is_left(self) -> bool:
        return (self.directory / 'volume-u.journal').exists()


class RecoverTest(RecoveryTestCase):
    def test_nothing_was_left(self) -> None:
        self.assertIsNone(self.recover())
        self.assertEqual([], self.hypervisor.calls)

    def test_what_was_left_is_finished(self) -> None:
        self.cut_off()
        self.assertEqual('delete snapshot b', self.recover())
        self.assertFalse(self.is_left())
        self.assertEqual(
            info.Info('volume-u.b', {'a': 'volume-u.a'}), self.info()
        )
        self.assertIn('was cut off', self.log.output)

    def test_without_records_the_journal_tells_the_volume(self) -> None:
        self.cut_off()
        finished = recovery.recover(self.context, None, fakes.VOLUME)
        self.assertEqual('delete snapshot b', finished)
        self.assertEqual([('find', 'volume-u')], self.hypervisor.calls)

    def test_corrupt_journal_stops_everything(self) -> None:
        (self.directory / 'volume-u.journal').write_text('{')
        self.assertRaises(exception.JournalCorrupt, self.recover)
        self.assertTrue(self.is_left())

    def test_what_cannot_be_finished_now_says_why(self) -> None:
        self.cut_off()
        self.hypervisor.errors['find'] = fakes.refusal()
        error = self.assertRaises(exception.RecoveryFailed, self.recover)
        self.assertIn('in use by the test', str(error))
        self.assertIn('delete snapshot b', str(error))
        self.assertTrue(self.is_left())
        self.assertEqual('delete snapshot b', self.recover())

    def test_writer_that_outlives_its_parent_is_waited_for(self) -> None:
        self.cut_off()
        self.patch(contexts, 'refuse_open', self.refuse_twice())
        self.assertEqual('delete snapshot b', self.recover())

    def refuse_twice(self) -> object:
        answers = iter([True, True])

        def refuse_open(*_: object) -> None:
            if next(answers, False):
                raise exception.ImageOpenElsewhere(path='p', looked_at='x')

        return refuse_open

    def test_writer_that_stays_is_an_error(self) -> None:
        self.cut_off()
        stream = (self.directory / 'volume-u.a').open('rb')
        self.addCleanup(stream.close)
        fcntl.fcntl(
            stream.fileno(),
            fcntl.F_OFD_SETLK,
            struct.pack('hhqqi', fcntl.F_RDLCK, os.SEEK_SET, 101, 1, 0),
        )
        self.patch(recovery._wait_released.retry, 'stop', lambda _: True)
        error = self.assertRaises(exception.RecoveryFailed, self.recover)
        self.assertIn('open for writing', str(error))

    def test_pull_that_was_cut_off_is_done_again(self) -> None:
        """``qemu-img rebase`` died behind the new name."""
        pull = plan.Pull(
            'volume-u.b', 'volume-u.a', 'qcow2', 'volume-u', 'qcow2'
        )
        self.cut_off(plan.Plan('delete snapshot b', fakes.VOLUME, (pull,)))
        self.context.executor(self.target, hypervisors.Found()).do(
            plan.Point('volume-u.b', 'volume-u', 'qcow2'), fakes.Progress()
        )
        self.recover()
        self.assertFalse(self.is_left())

    def test_guest_started_in_the_middle_of_a_merge_is_refused(self) -> None:
        pull = plan.Pull(
            'volume-u.b', 'volume-u.a', 'qcow2', 'volume-u', 'qcow2'
        )
        self.cut_off(plan.Plan('delete snapshot b', fakes.VOLUME, (pull,)))
        disk = fakes.Disk('volume-u', 'volume-u.b')
        self.hypervisor.found = hypervisors.Found(disk)
        error = self.assertRaises(exception.RecoveryFailed, self.recover)
        self.assertIn('was started after its QEMU died', str(error))
        self.assertTrue(self.is_left())
        self.assertEqual([], disk.calls)


class LockedTest(RecoveryTestCase):
    def test_lock_is_held_while_recovering_and_inside(self) -> None:
        self.cut_off()
        locks = self.context.locks
        assert isinstance(locks, fakes.Locks)
        with recovery.locked(self.context, self.target):
            self.assertEqual([fakes.VOLUME], locks.held)
            self.assertFalse(self.is_left())
        self.assertEqual([], locks.held)

    def test_nothing_goes_on_where_recovery_failed(self) -> None:
        self.cut_off()
        self.hypervisor.errors['find'] = fakes.refusal()

        def enter() -> None:
            with recovery.locked(self.context, self.target):
                self.fail('it went on')

        self.assertRaises(exception.RecoveryFailed, enter)

    def test_passing_snapshot_of_a_dead_copy_goes(self) -> None:
        name = 'volume-u.tmp-snap-n'
        executor = self.context.executor(self.target, hypervisors.Found())
        executor.do(
            plan.CreateOverlay(name, 'volume-u.b', 'qcow2', fakes.SIZE),
            fakes.Progress(),
        )
        before = self.info()
        assert before is not None
        info.write(
            str(self.directory),
            fakes.VOLUME,
            before.with_snapshot('tmp-snap-n', name),
        )
        with recovery.locked(self.context, self.target):
            after = self.info()
        assert after is not None
        self.assertEqual({'a', 'b'}, set(after.snapshots))


class RecoverAllTest(RecoveryTestCase):
    def test_nothing_to_do(self) -> None:
        self.assertEqual({}, recovery.recover_all(self.context))

    def test_one_volume_never_blocks_another(self) -> None:
        self.cut_off()
        (self.directory / 'volume-a.journal').write_text('{')
        found = recovery.recover_all(self.context)
        self.assertEqual({'volume-a', 'volume-u'}, set(found))
        self.assertIn('not finished', found['volume-a'])
        self.assertEqual('finished: delete snapshot b', found['volume-u'])
