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

import typing

import ddt
from oslo_concurrency import processutils

from tests import base
from tests.fixtures import image_tools
from tests.unit import fakes
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver.executors import base as executors
from volume_driver.executors import offline
from volume_driver.executors import pivot
from volume_driver.images import clusters
from volume_driver.images import header
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.planning import plan

COMMIT = plan.Commit('volume-u.b', 'volume-u.a', None)
BASE = 'volume-u'
IN_PLACE = plan.CommitInPlace(
    'volume-u.b', 'volume-u', None, 'qcow2', fakes.SIZE
)
PULL = plan.Pull('volume-u.b', 'volume-u.a', 'qcow2', 'volume-u', 'qcow2')
EMPTY = plan.Empty('volume-u.b', 'volume-u.a', 'qcow2', fakes.SIZE)
CREATE = plan.CreateOverlay('volume-u.c', 'volume-u.b', 'qcow2', 2 << 20)
REPLACE = plan.Replace('volume-u', 'volume-u.export-x', 'raw', 'qcow2')
SWITCH = plan.Switch('volume-u.c', 'volume-u.b', 'qcow2')


class OfflineTestCase(base.TestCase):
    """``volume-u <- volume-u.a <- volume-u.b^``, real images of 1 MiB."""

    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        fakes.make_volume(self.directory, 'ab')
        self.defined = fakes.Defined()
        self.progress = fakes.Progress()
        self.verbs: list[str] = []
        self.executor = self.make_executor()

    def make_executor(
        self, execute: qemu_img.Execute = processutils.execute
    ) -> offline.OfflineExecutor:
        return offline.OfflineExecutor(
            str(self.directory), fakes.VOLUME, execute, (self.defined,)
        )

    def failing(self) -> offline.OfflineExecutor:
        """Return one whose qemu-img always fails."""

        def execute(*_: str, **__: object) -> typing.Any:
            raise processutils.ProcessExecutionError(exit_code=1, stderr='no')

        return self.make_executor(execute)

    def do(self, step: plan.Step) -> None:
        self.executor.do(step, self.progress)

    def is_done(self, step: plan.Step, marked: bool = False) -> bool:
        return self.executor.is_done(step, fakes.Progress(marked))

    def write(self, name: str) -> None:
        """Write to one image."""
        image_tools.qemu_io(self.directory / name, 'qcow2', 'write -P 7 0 64k')

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}

    def header(self, name: str) -> header.Header:
        return header.read(str(self.directory / name))


@ddt.ddt
class DoTest(OfflineTestCase):
    def test_create_overlay(self) -> None:
        (self.directory / 'volume-u.b').chmod(0o640)
        self.assertFalse(self.is_done(CREATE))
        self.do(CREATE)
        self.assertTrue(self.is_done(CREATE))
        found = self.header('volume-u.c')
        self.assertEqual('volume-u.b', found.backing)
        self.assertEqual('qcow2', found.backing_format)
        self.assertEqual(2 << 20, found.size)
        mode = (self.directory / 'volume-u.c').stat().st_mode & 0o7777
        self.assertEqual(0o640, mode)

    def test_create_overlay_writes_what_was_cut_off_anew(self) -> None:
        (self.directory / 'volume-u.c.part').write_bytes(b'torn')
        self.do(CREATE)
        self.assertNotIn('volume-u.c.part', self.names())
        self.assertEqual('volume-u.b', self.header('volume-u.c').backing)

    def test_failed_create_leaves_nothing(self) -> None:
        before = self.names()
        error = self.assertRaises(
            exception.CommandFailed, self.failing().do, CREATE, self.progress
        )
        self.assertEqual('no', error.stderr)
        self.assertEqual(before, self.names())

    def test_switch_reaches_guests_that_are_off(self) -> None:
        self.do(CREATE)
        self.do(SWITCH)
        self.assertEqual(
            [('start_from', 'volume-u.c', 'qcow2')], self.defined.calls
        )

    def test_start_from(self) -> None:
        self.do(plan.StartFrom('volume-u', 'raw'))
        self.assertEqual(
            [('start_from', 'volume-u', 'raw')], self.defined.calls
        )

    def test_commit(self) -> None:
        self.do(COMMIT)
        self.assertEqual('volume-u.a', self.header('volume-u.b').backing)

    def test_pull(self) -> None:
        self.do(PULL)
        self.assertEqual('volume-u', self.header('volume-u.b').backing)

    def test_pull_of_a_base(self) -> None:
        self.do(plan.Pull('volume-u.a', 'volume-u', 'qcow2', None, None))
        self.assertIsNone(self.header('volume-u.a').backing)

    def test_pull_puts_the_old_name_back_first(self) -> None:
        """A new name on disk is no proof of its data."""
        self.write('volume-u.a')
        path = str(self.directory / 'volume-u.b')
        qemu_img.point(processutils.execute, path, 'volume-u', 'qcow2')
        commands: list[str] = []

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            commands.append(' '.join(command))
            return processutils.execute(*command, **options)

        self.make_executor(execute).do(PULL, self.progress)
        self.assertEqual(2, len(commands))
        self.assertIn('-u -f qcow2 -b volume-u.a', commands[0])
        self.assertNotIn('-u', commands[1].split())

    def test_what_adds_nothing_is_not_merged(self) -> None:
        executor = self.make_executor(self.counting)
        executor.do(COMMIT, self.progress)
        self.assertEqual([], self.verbs)
        self.write('volume-u.b')
        executor.do(PULL, self.progress)
        self.assertEqual(['rebase -q -u'], self.verbs)
        self.assertEqual('volume-u', self.header('volume-u.b').backing)

    def test_what_was_written_meanwhile_is_merged(self) -> None:
        executor = self.make_executor(self.counting)
        executor.do(COMMIT, self.progress)
        self.write('volume-u.b')
        self.assertFalse(executor.is_done(COMMIT, self.progress))
        executor.do(COMMIT, self.progress)
        self.assertEqual(['commit -q -d'], self.verbs)

    def test_images_between_are_committed_too(self) -> None:
        self.write('volume-u.a')
        executor = self.make_executor(self.counting)
        executor.do(plan.Commit('volume-u.b', 'volume-u', None), self.progress)
        self.assertEqual(['commit -q -d'], self.verbs)
        top, base = (
            image_tools.digest(self.directory / name, 'qcow2')
            for name in ('volume-u.b', 'volume-u')
        )
        self.assertEqual(top, base)

    def counting(self, *command: str, **options: typing.Any) -> typing.Any:
        self.verbs.append(' '.join(command[1:4]))
        return processutils.execute(*command, **options)

    def test_point(self) -> None:
        step = plan.Point('volume-u.b', 'volume-u', 'qcow2')
        self.assertFalse(self.is_done(step))
        self.do(step)
        self.assertTrue(self.is_done(step))
        self.assertEqual('volume-u', self.header('volume-u.b').backing)

    def test_record(self) -> None:
        step = plan.Record({'active': 'volume-u.b', 'b': 'volume-u.b'})
        self.assertFalse(self.is_done(step))
        self.do(step)
        self.assertTrue(self.is_done(step))
        self.assertEqual(
            info.Info('volume-u.b', {'b': 'volume-u.b'}),
            info.read(str(self.directory), 'volume-u'),
        )

    def test_record_is_not_done_without_a_file(self) -> None:
        (self.directory / 'volume-u.info').unlink()
        self.assertFalse(self.is_done(plan.Record({'active': 'volume-u'})))

    def test_remove(self) -> None:
        step = plan.Remove('volume-u.b')
        self.assertFalse(self.is_done(step))
        self.do(step)
        self.assertTrue(self.is_done(step))

    @ddt.data(('volume-u', 'volume-u.a'), ('volume-u.a', 'volume-u.b'))
    @ddt.unpack
    def test_remove_keeps_what_is_referred_to(
        self, name: str, referrer: str
    ) -> None:
        error = self.assertRaises(
            exception.StillReferenced, self.do, plan.Remove(name)
        )
        self.assertEqual(referrer, error.referrer)
        self.assertIn(name, self.names())

    def test_empty_keeps_name_backing_and_mode(self) -> None:
        path = self.directory / 'volume-u.b'
        (self.directory / 'volume-u.a').chmod(0o640)
        inode = path.stat().st_ino
        self.do(EMPTY)
        self.assertNotEqual(inode, path.stat().st_ino)
        self.assertEqual('volume-u.a', self.header('volume-u.b').backing)
        self.assertEqual(0o640, path.stat().st_mode & 0o7777)

    def test_failed_empty_leaves_the_old_overlay(self) -> None:
        inode = (self.directory / 'volume-u.b').stat().st_ino
        self.assertRaises(
            exception.CommandFailed, self.failing().do, EMPTY, self.progress
        )
        self.assertEqual(inode, (self.directory / 'volume-u.b').stat().st_ino)
        self.assertNotIn('volume-u.b.part', self.names())

    def test_commit_in_place(self) -> None:
        self.write('volume-u.b')
        self.do(IN_PLACE)
        self.assertEqual('volume-u', self.header('volume-u.b').backing)
        self.assertTrue(clusters.is_blank(str(self.directory / 'volume-u.b')))
        self.assertFalse(clusters.is_blank(str(self.directory / 'volume-u')))
        self.assertNotIn('volume-u.b.part', self.names())

    def test_commit_in_place_once_more(self) -> None:
        self.do(IN_PLACE)
        # A guest was started by the name meanwhile.
        self.write('volume-u.b')
        self.do(IN_PLACE)
        self.assertFalse(clusters.is_blank(str(self.directory / 'volume-u')))

    def note_pivot(self) -> None:
        """Note that both images hold the same, and the pivot comes next."""
        top, below = (self.directory / each for each in ('volume-u.b', BASE))
        pivot.note(self.progress, str(top), str(below))

    def test_base_that_a_guest_went_on_with_is_the_truth(self) -> None:
        self.write('volume-u.b')
        self.note_pivot()
        image_tools.qemu_io(self.directory / BASE, 'qcow2', 'write -P 9 0 64k')
        before = files.trace(str(self.directory / BASE))
        self.do(IN_PLACE)
        self.assertEqual(before, files.trace(str(self.directory / BASE)))
        self.assertTrue(clusters.is_blank(str(self.directory / 'volume-u.b')))

    def test_top_that_a_guest_went_on_with_is_the_truth(self) -> None:
        self.note_pivot()
        self.write('volume-u.b')
        self.do(IN_PLACE)
        self.assertFalse(clusters.is_blank(str(self.directory / BASE)))

    def test_nobody_knows_when_guests_wrote_to_both(self) -> None:
        self.note_pivot()
        for name in ('volume-u.b', BASE):
            self.write(name)
        before = files.trace(str(self.directory / BASE))
        self.assertRaises(exception.ImagesDiverged, self.do, IN_PLACE)
        self.assertEqual(before, files.trace(str(self.directory / BASE)))

    def test_top_that_was_renewed_is_the_truth(self) -> None:
        self.note_pivot()
        self.write(BASE)
        self.executor.make_overlay('volume-u.b', (BASE, 'qcow2'), fakes.SIZE)
        image_tools.qemu_io(
            self.directory / 'volume-u.b', 'qcow2', 'write -P 8 512k 64k'
        )
        self.do(IN_PLACE)
        self.assertTrue(clusters.is_blank(str(self.directory / 'volume-u.b')))
        # It fails when that is not there.
        image_tools.qemu_io(
            self.directory / BASE, 'qcow2', 'read -P 8 512k 64k'
        )

    def test_remember(self) -> None:
        step = plan.Remember('volume-u.b')
        self.assertFalse(self.is_done(step))
        self.do(step)
        self.assertTrue(self.is_done(step))

    def test_resize(self) -> None:
        step = plan.Resize('volume-u.b', 'qcow2', 3 << 20)
        self.assertFalse(self.is_done(step))
        self.do(step)
        self.assertTrue(self.is_done(step))
        self.assertEqual(fakes.SIZE, self.header('volume-u.a').size)

    def test_resize_to_less_is_done_already(self) -> None:
        self.assertTrue(self.is_done(plan.Resize('volume-u.b', 'qcow2', 1)))

    def test_unknown_step(self) -> None:
        self.assertRaises(
            NotImplementedError, self.do, typing.cast(plan.Step, 'a step')
        )


@ddt.ddt
class IsDoneTest(OfflineTestCase):
    @ddt.data(COMMIT, IN_PLACE, PULL, EMPTY, SWITCH)
    def test_only_a_mark_says_so(self, step: plan.Step) -> None:
        self.assertFalse(self.is_done(step))
        self.assertTrue(self.is_done(step, marked=True))

    def test_a_pointer_is_no_proof_of_a_pull(self) -> None:
        path = str(self.directory / 'volume-u.b')
        qemu_img.point(processutils.execute, path, 'volume-u', 'qcow2')
        self.assertFalse(self.is_done(PULL))

    @ddt.data(
        CREATE,
        plan.Point('volume-u.b', 'volume-u', 'qcow2'),
        plan.Remove('volume-u.b'),
        plan.Record({'active': 'volume-u'}),
    )
    def test_a_mark_is_no_proof_of_what_can_be_seen(
        self, step: plan.Step
    ) -> None:
        self.assertFalse(self.is_done(step, marked=True))


class ReplaceTest(OfflineTestCase):
    """``volume-u^``, and a raw file that is to be in its place."""

    def setUp(self) -> None:
        super().setUp()
        for path in self.directory.iterdir():
            path.unlink()
        fakes.make_volume(self.directory)
        self.base = self.directory / 'volume-u'
        self.source = self.directory / 'volume-u.export-x'
        self.source.write_bytes(b'data')
        for path in (self.base, self.source):
            self.progress.note(path.name, files.trace(str(path)))

    def is_done_now(self) -> bool:
        return self.executor.is_done(REPLACE, self.progress)

    def recorded(self) -> str | None:
        return record.base_format(str(self.directory), 'volume-u')

    def check_kept(self, inode: int) -> None:
        """Check that the base stayed, and its format is known."""
        self.assertEqual(inode, self.base.stat().st_ino)
        self.assertEqual('qcow2', self.recorded())
        self.assertEqual(
            ('start_from', 'volume-u', 'qcow2'), self.defined.calls[-1]
        )
        self.assertIn('is kept', self.log.output)

    def test_file_becomes_the_base(self) -> None:
        self.assertFalse(self.is_done_now())
        self.do(REPLACE)
        self.assertTrue(self.is_done_now())
        self.assertEqual(b'data', self.base.read_bytes())
        self.assertEqual('raw', self.recorded())
        self.assertEqual(
            [('start_from', 'volume-u', 'raw')], self.defined.calls
        )

    def test_format_of_the_file_is_not_that_of_the_base(self) -> None:
        """Neither is read as the other before it has the name."""
        step = plan.Replace('volume-u.export-x', 'volume-u', 'qcow2', 'raw')
        self.do(step)
        self.assertEqual(
            [('start_from', 'volume-u.export-x', 'qcow2')],
            self.defined.calls,
        )

    def test_what_a_guest_wrote_since_does_not_matter(self) -> None:
        self.do(REPLACE)
        self.base.write_bytes(b'more')
        self.assertTrue(self.is_done_now())

    def test_again_after_the_record(self) -> None:
        record.write(str(self.directory), 'volume-u', 'raw')
        self.assertFalse(self.is_done_now())
        self.do(REPLACE)
        self.assertEqual(b'data', self.base.read_bytes())

    def test_file_that_was_dropped(self) -> None:
        """It is gone, but not because it was renamed."""
        inode = self.base.stat().st_ino
        record.write(str(self.directory), 'volume-u', 'raw')
        self.source.unlink()
        self.assertFalse(self.is_done_now())
        self.do(REPLACE)
        self.check_kept(inode)

    def test_file_that_is_another_by_now(self) -> None:
        inode = self.base.stat().st_ino
        record.write(str(self.directory), 'volume-u', 'raw')
        self.source.write_bytes(b'other')
        self.do(REPLACE)
        self.check_kept(inode)
        self.assertEqual(b'other', self.source.read_bytes())

    def test_base_that_was_written_to(self) -> None:
        inode = self.base.stat().st_ino
        record.write(str(self.directory), 'volume-u', 'raw')
        with self.base.open('ab') as stream:
            stream.write(b'a guest did this')
        self.do(REPLACE)
        self.check_kept(inode)

    def test_undo(self) -> None:
        record.write(str(self.directory), 'volume-u', 'raw')
        self.executor.undo(REPLACE)
        self.assertEqual('qcow2', self.recorded())
        self.assertEqual(
            [('start_from', 'volume-u', 'qcow2')], self.defined.calls
        )

    def test_undo_after_the_rename(self) -> None:
        self.do(REPLACE)
        self.assertRaises(executors.CannotUndo, self.executor.undo, REPLACE)
        self.assertEqual('raw', self.recorded())


@ddt.ddt
class UndoTest(OfflineTestCase):
    def test_create_overlay(self) -> None:
        self.do(CREATE)
        self.executor.undo(CREATE)
        self.assertNotIn('volume-u.c', self.names())
        self.executor.undo(CREATE)

    def test_switch(self) -> None:
        self.executor.undo(SWITCH)
        self.assertEqual(
            [('start_from', 'volume-u.b', 'qcow2')], self.defined.calls
        )

    def test_pull(self) -> None:
        path = str(self.directory / 'volume-u.b')
        qemu_img.point(processutils.execute, path, 'volume-u', 'qcow2')
        self.executor.undo(PULL)
        self.assertEqual('volume-u.a', self.header('volume-u.b').backing)

    def test_pull_that_was_not_begun(self) -> None:
        self.failing().undo(PULL)
        self.assertEqual('volume-u.a', self.header('volume-u.b').backing)

    def test_empty(self) -> None:
        (self.directory / 'volume-u.b.part').touch()
        self.executor.undo(EMPTY)
        self.assertNotIn('volume-u.b.part', self.names())

    def test_resize(self) -> None:
        self.executor.undo(plan.Resize('volume-u.b', 'qcow2', 1))

    @ddt.data(
        COMMIT,
        plan.Point('volume-u.b', 'volume-u', 'qcow2'),
        plan.StartFrom('volume-u', 'qcow2'),
        plan.Record({'active': 'volume-u'}),
        plan.Remove('volume-u.b'),
    )
    def test_only_forward_is_right(self, step: plan.Step) -> None:
        error = self.assertRaises(
            executors.CannotUndo, self.executor.undo, step
        )
        self.assertEqual(str(step), error.step)

    def test_let_go_of_a_guest_that_is_gone(self) -> None:
        progress = fakes.Progress(held=True)
        self.executor.let_go(progress)
        self.assertFalse(progress.held)
