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

import dataclasses
import os
import typing

import ddt
from oslo_concurrency import processutils

from tests.unit import fakes
from tests.unit.operations import case
from volume_driver import exception
from volume_driver import info
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import header
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.operations import copies

EXPORT = 'volume-u.export-volume'


class CopiesTestCase(case.OperationsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.context = fakes.context(self.directory, self.hypervisor)

    def make(self, snapshots: str = 'a', name: str = fakes.VOLUME) -> None:
        self.images = fakes.make_volume(self.directory, snapshots, name)

    def run_guest(self) -> fakes.Disk:
        """Let a guest run on the volume; return its disk."""
        disk = fakes.Disk(*self.images)
        self.hypervisor.found = hypervisors.Found(disk)
        return disk

    def source(self, snapshot: str | None = None) -> copies.Source:
        return copies.Source(self.context, self.target, snapshot)

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}

    def header(self, name: str) -> header.Header:
        return header.read(str(self.directory / name))

    def fail_on(self, verb: str) -> None:
        """Let qemu-img fail at one of its verbs."""

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            if verb in command:
                raise processutils.ProcessExecutionError(exit_code=1)
            return processutils.execute(*command, **options)

        self.context = dataclasses.replace(self.context, execute=execute)


class CopyTest(CopiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make()
        self.new = fakes.target(self.directory, 'volume-n')

    def copy(self, snapshot: str | None = None, size: int = 0) -> None:
        copies.copy(self.context, self.new, self.source(snapshot), size)

    def test_volume(self) -> None:
        self.copy()
        found = self.header('volume-n')
        self.assertEqual(fakes.SIZE, found.size)
        self.assertIsNone(found.backing)
        self.assertIn('volume-n.record', self.names())

    def test_snapshot_to_a_larger_volume(self) -> None:
        self.copy('a', 5 << 20)
        self.assertEqual(5 << 20, self.header('volume-n').size)

    def test_too_small(self) -> None:
        error = self.assertRaises(
            exception.InvalidSize, self.copy, 'a', 1 << 10
        )
        self.assertEqual(fakes.SIZE, error.minimum)
        self.assertNotIn('volume-n', self.names())

    def test_unknown_snapshot(self) -> None:
        self.assertRaises(exception.SnapshotNotFound, self.copy, 'z')

    def test_from_another_directory(self) -> None:
        place = fakes.context(self.temp_dir())
        copies.copy(place, self.new, self.source('a'), 0)
        self.assertEqual(
            {'volume-n', 'volume-n.record'}, set(os.listdir(place.directory))
        )

    def test_under_a_guest_a_snapshot_lasts_as_long_as_the_copy(self) -> None:
        disk = self.run_guest()
        before = self.names()
        self.copy()
        self.assertEqual(('switch_to', 'volume-u.tmp-snap-n'), disk.calls[0])
        self.assertEqual(
            before | {'volume-n', 'volume-n.record'}, self.names()
        )
        found = info.read(str(self.directory), 'volume-u')
        assert found is not None
        self.assertEqual({'a'}, set(found.snapshots))

    def test_failed_copy_leaves_no_snapshot(self) -> None:
        self.fail_on('convert')
        disk = self.run_guest()
        before = self.names()
        self.assertRaises(exception.CommandFailed, self.copy)
        self.assertEqual(before, self.names())
        self.assertEqual(list(self.images), disk.images)

    def test_too_small_for_what_a_guest_has_takes_no_snapshot(self) -> None:
        disk = self.run_guest()
        self.assertRaises(exception.InvalidSize, self.copy, None, 1 << 10)
        self.assertEqual([], disk.calls)


@ddt.ddt
class ReadOutTest(CopiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make()
        self.path = self.directory / EXPORT

    def read_out(
        self, snapshot: str | None = None, image_format: str = 'raw'
    ) -> None:
        copies.read_out(self.source(snapshot), str(self.path), image_format)

    @ddt.data(None, 'a')
    def test_raw(self, snapshot: str | None) -> None:
        (self.directory / 'volume-u').chmod(0o640)
        (self.directory / 'volume-u.a').chmod(0o640)
        before = self.names()
        self.read_out(snapshot)
        self.assertEqual(bytes(fakes.SIZE), self.path.read_bytes())
        self.assertEqual(0o640, self.path.stat().st_mode & 0o7777)
        self.assertEqual(before | {EXPORT}, self.names())

    def test_qcow2_is_flat(self) -> None:
        self.read_out(image_format='qcow2')
        self.assertIsNone(self.header(EXPORT).backing)

    def test_what_was_cut_off_is_written_anew(self) -> None:
        outside = self.temp_dir() / 'outside'
        outside.write_text('mine')
        (self.directory / f'{EXPORT}.part').symlink_to(outside)
        self.read_out()
        self.assertEqual('mine', outside.read_text())
        self.assertFalse(self.path.is_symlink())
        self.assertNotIn(f'{EXPORT}.part', self.names())

    def test_failure_leaves_nothing(self) -> None:
        self.fail_on('convert')
        before = self.names()
        self.assertRaises(exception.CommandFailed, self.read_out)
        self.assertEqual(before, self.names())

    def test_unknown_snapshot(self) -> None:
        self.assertRaises(exception.SnapshotNotFound, self.read_out, 'z')

    def test_under_a_guest_it_is_read_through_a_snapshot(self) -> None:
        disk = self.run_guest()
        before = self.names()
        self.read_out()
        self.assertIn('tmp-snap-', str(disk.calls[0]))
        self.assertEqual(list(self.images), disk.images)
        self.assertEqual(before | {EXPORT}, self.names())

    def test_a_snapshot_needs_no_other_under_a_guest(self) -> None:
        disk = self.run_guest()
        self.read_out('a')
        self.assertEqual([], disk.calls)

    def test_snapshot_that_cannot_go_does_not_hide_the_error(self) -> None:
        self.fail_on('convert')
        disk = self.run_guest()
        disk.errors['commit'] = disk.errors['pull'] = fakes.live_error()
        self.assertRaises(exception.CommandFailed, self.read_out)
        self.assertIn('the test says so', self.log.output)


class FrozenImageTest(CopiesTestCase):
    def test_image_below_the_overlay(self) -> None:
        self.make('ab')
        self.assertEqual(
            'volume-u.a', copies.frozen_image(self.source('b')).name
        )

    def test_unknown(self) -> None:
        self.make('ab')
        for snapshot in ('z', None):
            error = self.assertRaises(
                exception.SnapshotNotFound,
                copies.frozen_image,
                self.source(snapshot),
            )
            self.assertEqual('a, b', error.known)


class WriteOverTestCase(CopiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / EXPORT

    def put(self, data: bytes, size: int = fakes.SIZE) -> None:
        """Make the raw file that is to be the volume's data."""
        self.path.write_bytes(data)
        os.truncate(self.path, size)

    def write_over(self, image_format: str = 'raw') -> None:
        copies.write_over(
            self.context, self.target, str(self.path), image_format
        )

    def read(self, name: str) -> bytes:
        """Return the first bytes that one sees through an image."""
        path = self.temp_dir() / 'flat'
        image_format = 'qcow2' if '.' in name else self.recorded()
        qemu_img.convert(
            processutils.execute,
            str(self.directory / name),
            str(path),
            (image_format, 'raw'),
            fakes.SIZE,
        )
        return path.read_bytes()[:4]

    def recorded(self) -> str:
        found = record.base_format(str(self.directory), 'volume-u')
        assert found is not None
        return found


class WriteOverBaseTest(WriteOverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make('')

    def test_file_becomes_the_base_with_its_own_format(self) -> None:
        (self.directory / 'volume-u').chmod(0o640)
        self.put(b'data')
        inode = self.path.stat().st_ino
        self.write_over()
        found = (self.directory / 'volume-u').stat()
        self.assertEqual((inode, 0o640), (found.st_ino, found.st_mode & 0o777))
        self.assertEqual('raw', self.recorded())
        self.assertEqual(b'data', self.read('volume-u'))
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())

    def test_smaller_file_grows(self) -> None:
        self.put(b'data', 4096)
        self.write_over()
        self.assertEqual(
            fakes.SIZE, (self.directory / 'volume-u').stat().st_size
        )

    def test_guest_that_is_off_learns_of_the_format(self) -> None:
        defined = fakes.Defined()
        self.hypervisor.found = hypervisors.Found(None, (defined,))
        self.put(b'data')
        self.write_over()
        self.assertIn(('start_from', 'volume-u', 'raw'), defined.calls)

    def test_failure_is_taken_back(self) -> None:
        defined = fakes.Defined()
        defined.errors['start_from'] = fakes.live_error()
        self.hypervisor.found = hypervisors.Found(None, (defined,))
        self.put(b'data')
        self.assertRaises(exception.LiveOperationFailed, self.write_over)
        self.assertEqual('qcow2', self.recorded())
        self.assertNotIn('volume-u.journal', self.names())
        self.assertEqual(b'data', self.path.read_bytes()[:4])
        self.write_over()
        self.assertEqual(b'data', self.read('volume-u'))

    def test_larger_file_is_refused(self) -> None:
        self.put(b'data', 2 * fakes.SIZE)
        error = self.assertRaises(exception.InvalidSize, self.write_over)
        self.assertEqual(2 * fakes.SIZE, error.minimum)
        self.assertTrue(self.path.exists())

    def test_missing_file_is_refused(self) -> None:
        self.assertRaises(exception.ImageInvalid, self.write_over)

    def test_file_of_another_name_is_refused(self) -> None:
        """A journal may not name it."""
        for name in ('volume-u', 'volume-v.export-volume', 'file'):
            self.assertRaises(
                exception.ImageNotTrusted,
                copies.write_over,
                self.context,
                self.target,
                str(self.directory / name),
                'raw',
            )
        elsewhere = self.temp_dir() / EXPORT
        elsewhere.touch()
        self.path = elsewhere
        self.assertRaises(exception.ImageNotTrusted, self.write_over)

    def test_link_is_refused(self) -> None:
        self.path.symlink_to('volume-u')
        self.assertRaises(exception.ImageNotTrusted, self.write_over)
        self.assertIn('volume-u', self.names())

    def test_image_with_something_behind_it_is_refused(self) -> None:
        qemu_img.create_overlay(
            processutils.execute,
            str(self.path),
            'volume-u',
            'qcow2',
            fakes.SIZE,
        )
        self.assertRaises(exception.ImageNotTrusted, self.write_over, 'qcow2')

    def test_guest_is_left_alone(self) -> None:
        disk = self.run_guest()
        self.put(b'data')
        self.assertRaises(exception.VolumeInUse, self.write_over)
        self.assertEqual([], disk.calls)
        self.assertTrue(self.path.exists())

    def test_guest_that_starts_meanwhile_is_left_alone(self) -> None:
        self.put(b'data', 4096)

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            self.run_guest()
            return processutils.execute(*command, **options)

        self.context = dataclasses.replace(self.context, execute=execute)
        self.assertRaises(exception.VolumeInUse, self.write_over)
        self.assertEqual('qcow2', self.recorded())


class WriteOverOverlayTest(WriteOverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make('ab')

    def test_active_overlay_is_another(self) -> None:
        (self.directory / 'volume-u.b').chmod(0o640)
        before = self.names()
        self.put(b'data', 4096)
        self.write_over()
        self.assertEqual(before, self.names())
        found = self.header('volume-u.b')
        self.assertEqual(
            ('volume-u.a', 'qcow2', fakes.SIZE),
            (found.backing, found.backing_format, found.size),
        )
        self.assertEqual(b'data', self.read('volume-u.b'))
        self.assertEqual(bytes(4), self.read('volume-u.a'))
        mode = (self.directory / 'volume-u.b').stat().st_mode
        self.assertEqual(0o640, mode & 0o7777)
        self.assertEqual('qcow2', self.recorded())

    def test_overlay_that_a_pull_left_alone(self) -> None:
        (self.directory / 'volume-u').unlink()
        (self.directory / 'volume-u.a').unlink()
        info.write(str(self.directory), 'volume-u', info.Info('volume-u.b'))
        path = str(self.directory / 'volume-u.b')
        qemu_img.create(processutils.execute, path, 'qcow2', fakes.SIZE)
        self.put(b'data')
        self.write_over()
        self.assertIsNone(self.header('volume-u.b').backing)
        self.assertEqual(b'data', self.read('volume-u.b'))

    def test_failure_leaves_all_as_it_was(self) -> None:
        self.fail_on('convert')
        self.put(b'data')
        before = self.names()
        inode = (self.directory / 'volume-u.b').stat().st_ino
        self.assertRaises(exception.CommandFailed, self.write_over)
        self.assertEqual(before, self.names())
        self.assertEqual(inode, (self.directory / 'volume-u.b').stat().st_ino)

    def test_guest_that_starts_meanwhile_is_left_alone(self) -> None:
        self.put(b'data')
        inode = (self.directory / 'volume-u.b').stat().st_ino

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            if 'convert' in command:
                self.run_guest()
            return processutils.execute(*command, **options)

        self.context = dataclasses.replace(self.context, execute=execute)
        self.assertRaises(exception.VolumeInUse, self.write_over)
        self.assertEqual(inode, (self.directory / 'volume-u.b').stat().st_ino)
        self.assertNotIn(f'{EXPORT}.part', self.names())
