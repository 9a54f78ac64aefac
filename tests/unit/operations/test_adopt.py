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
import contextlib
import dataclasses
import errno
import os
import pathlib
import stat
from unittest import mock

import ddt
from oslo_concurrency import processutils

from tests import data
from tests.unit import fakes
from tests.unit.operations import case
from volume_driver import chain
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.operations import adopt
from volume_driver.operations import context as contexts


@contextlib.contextmanager
def refusing_renames_to(name: str) -> collections.abc.Iterator[None]:
    """Let a file get any name but one, as between two mounts."""
    rename = files.rename

    def refusing(source: str, target: str) -> None:
        if os.path.basename(target) == name:
            with files.typed(target):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    with mock.patch.object(
        files, 'rename', autospec=True, side_effect=refusing
    ):
        yield


class AdoptTestCase(case.OperationsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.context = fakes.context(self.directory, self.hypervisor)
        self.locks = fakes.Locks()
        self.context = dataclasses.replace(self.context, locks=self.locks)

    def names(self, directory: pathlib.Path | None = None) -> set[str]:
        return {path.name for path in (directory or self.directory).iterdir()}

    def recorded(self, name: str = fakes.VOLUME) -> str | None:
        return record.base_format(str(self.directory), name)

    def put(self, name: str, content: bytes, size: int) -> pathlib.Path:
        """Make a file that begins with some bytes."""
        path = self.directory / name
        path.write_bytes(content)
        os.truncate(path, size)
        return path

    def make_qcow2(self, name: str) -> None:
        path = str(self.directory / name)
        qemu_img.create(processutils.execute, path, 'qcow2', fakes.SIZE)

    def make_overlay(
        self, name: str, backing: str, backing_format: str
    ) -> None:
        qemu_img.create_overlay(
            processutils.execute,
            str(self.directory / name),
            backing,
            backing_format,
            fakes.SIZE,
        )


@ddt.ddt
class RememberTest(AdoptTestCase):
    def remember(self, base_format: str | None) -> None:
        adopt.remember_format(
            self.context, self.target, base_format, fakes.SIZE
        )

    @ddt.data(None, 'raw', 'qcow2')
    def test_without_a_header_it_is_raw(self, said: str | None) -> None:
        self.put('volume-u', b'data', fakes.SIZE)
        self.remember(said)
        self.assertEqual('raw', self.recorded())

    @ddt.data(None, 'raw', 'qcow2')
    def test_header_and_another_size_is_what_its_maker_says(
        self, said: str | None
    ) -> None:
        self.make_qcow2('volume-u')
        self.remember(said)
        self.assertEqual(said, self.recorded())

    @ddt.data(None, 'qcow2')
    def test_forged_header_is_refused(self, said: str | None) -> None:
        self.put('volume-u', data.header('v3'), fakes.SIZE)
        error = self.assertRaises(
            exception.ImageNotTrusted, self.remember, said
        )
        self.assertIn('.record', str(error.reason))
        self.assertIsNone(self.recorded())

    def test_forged_header_in_what_its_maker_knows_as_raw(self) -> None:
        self.put('volume-u', data.header('v3'), fakes.SIZE)
        self.remember('raw')
        self.assertEqual('raw', self.recorded())

    def test_overlay_knows_better(self) -> None:
        """The maker's record may be that of the active image."""
        self.put('volume-u', data.header('v3'), 2 * fakes.SIZE)
        self.make_overlay('volume-u.a', 'volume-u', 'raw')
        self.remember('qcow2')
        self.assertEqual('raw', self.recorded())

    def test_record_is_believed(self) -> None:
        self.put('volume-u', b'data', fakes.SIZE)
        record.write(str(self.directory), 'volume-u', 'qcow2')
        self.remember('raw')
        self.assertEqual('qcow2', self.recorded())
        self.assertEqual([], self.locks.taken)

    def test_record_that_somebody_wrote_meanwhile_is_believed(self) -> None:
        self.put('volume-u', b'data', fakes.SIZE)
        locks = mock.MagicMock()
        locks.return_value.__enter__.side_effect = lambda: record.write(
            str(self.directory), 'volume-u', 'qcow2'
        )
        self.context = dataclasses.replace(self.context, locks=locks)
        self.remember('raw')
        self.assertEqual('qcow2', self.recorded())

    def test_no_file(self) -> None:
        self.remember('raw')
        self.assertEqual(set(), self.names())

    def test_link_is_left_alone(self) -> None:
        (self.directory / 'volume-u').symlink_to('/etc/passwd')
        self.remember('raw')
        self.assertIsNone(self.recorded())


@ddt.ddt
class LookTest(AdoptTestCase):
    def look(self, name: str) -> chain.Image:
        return adopt.look(self.context, name)

    def test_raw(self) -> None:
        self.put('disk', b'data', fakes.SIZE)
        found = self.look('disk')
        self.assertEqual(('raw', fakes.SIZE), (found.format, found.size))

    def test_qcow2(self) -> None:
        self.make_qcow2('disk.img')
        found = self.look('disk.img')
        self.assertEqual(('qcow2', fakes.SIZE), (found.format, found.size))

    def test_record_is_believed(self) -> None:
        self.put('volume-u', data.header('v3'), fakes.SIZE)
        record.write(str(self.directory), 'volume-u', 'raw')
        self.assertEqual('raw', self.look('volume-u').format)

    @ddt.data(
        *('', '.', '..', '.hidden', '../volume-u', '/etc/passwd', 'a/b'),
        *('volume-u.a', 'volume-u.info', 'volume-u.export-a'),
        *('volume-u.record', 'volume-u.journal', 'volume-u.part'),
    )
    def test_other_names_are_refused(self, name: str) -> None:
        for own in ('volume-u.a', 'volume-u.info', 'volume-u.part'):
            self.put(own, b'data', fakes.SIZE)
        self.assertRaises(exception.ImageNotTrusted, self.look, name)

    def test_missing(self) -> None:
        self.assertRaises(exception.ImageInvalid, self.look, 'disk')

    def test_link_is_refused(self) -> None:
        (self.directory / 'disk').symlink_to('/etc/passwd')
        self.assertRaises(exception.ImageNotTrusted, self.look, 'disk')

    def test_no_regular_file_is_refused(self) -> None:
        os.mkfifo(self.directory / 'disk')
        self.assertRaises(exception.ImageNotTrusted, self.look, 'disk')

    @ddt.data('v3-overlay', 'v3-overlay-by-path', 'data-file')
    def test_header_that_names_other_files_is_refused(self, name: str) -> None:
        self.put('disk', data.header(name), fakes.SIZE)
        self.assertRaises(exception.ImageNotTrusted, self.look, 'disk')


class TakeTest(AdoptTestCase):
    def take(self, name: str) -> chain.Image:
        return adopt.take(self.context, self.target, name)

    def test_file_gets_the_name(self) -> None:
        path = self.put('disk', b'data', fakes.SIZE)
        inode = path.stat().st_ino
        self.assertEqual('raw', self.take('disk').format)
        self.assertEqual(inode, (self.directory / 'volume-u').stat().st_ino)
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())
        self.assertEqual('raw', self.recorded())

    def test_refused_file_stays(self) -> None:
        self.put('disk', data.header('v3-overlay'), fakes.SIZE)
        self.assertRaises(exception.ImageNotTrusted, self.take, 'disk')
        self.assertEqual({'disk'}, self.names())

    def test_volume_that_is_there_stays(self) -> None:
        self.put('disk', b'data', fakes.SIZE)
        self.put('volume-u', b'mine', fakes.SIZE)
        self.assertRaises(exception.VolumeExists, self.take, 'disk')
        self.assertEqual({'disk', 'volume-u'}, self.names())

    def test_link_of_that_name_stays(self) -> None:
        self.put('disk', b'data', fakes.SIZE)
        (self.directory / 'volume-u').symlink_to('nowhere')
        self.assertRaises(exception.NameCollision, self.take, 'disk')
        self.assertEqual({'disk', 'volume-u'}, self.names())

    def test_refused_rename_leaves_no_record(self) -> None:
        self.put('disk', b'data', fakes.SIZE)
        with refusing_renames_to('volume-u'):
            self.assertRaises(exception.FileOperationFailed, self.take, 'disk')
        self.assertEqual({'disk'}, self.names())

    def test_former_volume_leaves_nothing(self) -> None:
        fakes.make_volume(self.directory, name='volume-o')
        info.write(str(self.directory), 'volume-o', info.Info('volume-o'))
        self.take('volume-o')
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())
        self.assertEqual('qcow2', self.recorded())

    def test_former_volume_without_a_record(self) -> None:
        self.put('volume-o', b'data', fakes.SIZE)
        self.assertEqual('raw', self.take('volume-o').format)
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())
        self.assertEqual('raw', self.recorded())

    def test_base_of_overlays_keeps_its_name(self) -> None:
        fakes.make_volume(self.directory, 'a', name='volume-o')
        before = self.names()
        self.assertRaises(exception.StillReferenced, self.take, 'volume-o')
        (self.directory / 'volume-o.info').unlink()
        self.assertRaises(exception.StillReferenced, self.take, 'volume-o')
        self.assertEqual(before - {'volume-o.info'}, self.names())


class RenameSnapshotTest(AdoptTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.images = fakes.make_volume(self.directory, 'ab')

    def rename(self, old: str, new: str) -> None:
        adopt.rename_snapshot(self.context, self.target, old, new)

    def found(self) -> dict[str, str]:
        found = info.read(str(self.directory), 'volume-u')
        assert found is not None
        return found.as_dict()

    def test_overlay_keeps_its_name(self) -> None:
        before = self.names()
        self.rename('b', 'c')
        self.assertEqual(
            {'active': 'volume-u.b', 'a': 'volume-u.a', 'c': 'volume-u.b'},
            self.found(),
        )
        self.assertEqual(before, self.names())

    def test_under_a_guest(self) -> None:
        disk = fakes.Disk(*self.images)
        self.hypervisor.found = hypervisors.Found(disk)
        self.rename('a', 'c')
        self.assertEqual([], disk.calls)
        self.assertEqual('volume-u.a', self.found()['c'])

    def test_again(self) -> None:
        self.rename('a', 'c')
        self.rename('a', 'c')
        self.rename('c', 'c')
        self.assertEqual('volume-u.a', self.found()['c'])

    def test_id_of_another_snapshot_is_refused(self) -> None:
        before = self.found()
        self.assertRaises(exception.NameCollision, self.rename, 'a', 'b')
        self.assertEqual(before, self.found())

    def test_unknown(self) -> None:
        self.assertRaises(exception.SnapshotNotFound, self.rename, 'z', 'c')

    def test_bad_ids(self) -> None:
        for name in ('active', '../c', 'tmp-snap-c', 'export-c'):
            self.assertRaises(exception.InvalidName, self.rename, 'a', name)


class MoveTest(AdoptTestCase):
    def setUp(self) -> None:
        super().setUp()
        fakes.make_volume(self.directory)
        self.there = self.temp_dir()
        self.place = fakes.context(self.there)

    def move(
        self, place: contexts.Context | None = None, name: str = 'volume-u'
    ) -> bool:
        return adopt.move(self.context, self.target, place or self.place, name)

    def test_to_another_directory(self) -> None:
        info.write(str(self.directory), 'volume-u', info.Info('volume-u'))
        (self.directory / 'volume-u.export-volume').touch()
        inode = (self.directory / 'volume-u').stat().st_ino
        self.assertTrue(self.move())
        self.assertEqual(set(), self.names())
        self.assertEqual(
            {'volume-u', 'volume-u.record'}, self.names(self.there)
        )
        self.assertEqual(inode, (self.there / 'volume-u').stat().st_ino)
        self.assertEqual(
            'qcow2', record.base_format(str(self.there), 'volume-u')
        )

    def test_to_another_name(self) -> None:
        self.assertTrue(self.move(self.context, 'volume-n'))
        self.assertEqual({'volume-n', 'volume-n.record'}, self.names())

    def test_to_where_it_is(self) -> None:
        before = self.names()
        self.assertTrue(self.move(self.context))
        self.assertEqual(before, self.names())

    def test_both_names_are_locked(self) -> None:
        self.move(self.context, 'volume-n')
        self.assertEqual(['volume-u', 'volume-n'], self.locks.taken)

    def test_again(self) -> None:
        self.move()
        record.write(str(self.directory), 'volume-u', 'qcow2')
        self.assertTrue(self.move())
        self.assertEqual(set(), self.names())

    def test_lost(self) -> None:
        (self.directory / 'volume-u').unlink()
        self.assertRaises(exception.VolumeNotFound, self.move)
        self.put('volume-n', b'mine', 4096)
        self.assertRaises(
            exception.VolumeNotFound, self.move, self.context, 'volume-n'
        )

    def test_volume_with_overlays_stays(self) -> None:
        (self.directory / 'volume-u').unlink()
        fakes.make_volume(self.directory, 'a')
        before = self.names()
        self.assertFalse(self.move())
        self.assertEqual(before, self.names())
        self.assertEqual(set(), self.names(self.there))

    def test_base_that_an_overlay_needs_stays(self) -> None:
        self.make_overlay('volume-u.x', 'volume-u', 'qcow2')
        self.assertFalse(self.move())

    def test_volume_of_a_guest_stays(self) -> None:
        self.hypervisor.found = hypervisors.Found(fakes.Disk('volume-u'))
        self.assertRaises(exception.VolumeInUse, self.move)
        self.hypervisor.found = hypervisors.Found(None, (fakes.Defined(),))
        self.assertFalse(self.move())
        self.assertEqual(set(), self.names(self.there))

    def test_what_is_there_stays(self) -> None:
        for name in ('volume-u', 'volume-u.info'):
            path = self.there / name
            path.write_text('mine')
            self.assertRaises(exception.NameCollision, self.move)
            self.assertEqual('mine', path.read_text())
            path.unlink()
        (self.there / 'volume-u').symlink_to('nowhere')
        self.assertRaises(exception.NameCollision, self.move)
        self.assertIn('volume-u', self.names())

    def test_other_filesystem(self) -> None:
        found = mock.Mock(st_dev=-1, st_mode=stat.S_IFDIR)
        look = os.stat

        def looking(path: str, *args: object, **kwargs: object) -> object:
            if path == str(self.there):
                return found
            return look(path, *args, **kwargs)  # type: ignore[arg-type]

        with mock.patch('os.stat', autospec=True, side_effect=looking):
            self.assertFalse(self.move(name='volume-n'))
        self.assertIn('volume-u', self.names())

    def test_other_mount_of_the_same_filesystem(self) -> None:
        before = self.names()
        with refusing_renames_to('volume-u'):
            self.assertFalse(self.move())
        self.assertEqual(before, self.names())
        self.assertEqual(set(), self.names(self.there))
