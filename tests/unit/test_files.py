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

import errno
import os
import pathlib
import socket
import stat
import subprocess
import sys
from unittest import mock

import fixtures

from tests import base
from volume_driver import exception
from volume_driver import files


class FilesTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'file'

    def listed(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def mode(self, path: pathlib.Path | None = None) -> int:
        return stat.S_IMODE((path or self.path).stat().st_mode)


class ReadTest(FilesTestCase):
    def read(self) -> bytes | None:
        def corrupt(reason: str) -> exception.InfoCorrupt:
            return exception.InfoCorrupt(path=str(self.path), reason=reason)

        return files.read(str(self.path), 8, corrupt)

    def assert_corrupt(self, reason: str) -> None:
        error = self.assertRaises(exception.InfoCorrupt, self.read)
        self.assertIn(reason, str(error))

    def test_content(self) -> None:
        self.path.write_bytes(b'12345678')
        self.assertEqual(b'12345678', self.read())

    def test_nothing_there(self) -> None:
        self.assertIsNone(self.read())

    def test_too_large(self) -> None:
        self.path.write_bytes(b'123456789')
        self.assert_corrupt('larger than 8 bytes')

    def test_symlink_is_not_followed(self) -> None:
        target = self.directory / 'target'
        target.write_bytes(b'secret')
        self.path.symlink_to(target)
        self.assert_corrupt('not a regular file')

    def test_symlink_to_nothing(self) -> None:
        self.path.symlink_to(self.directory / 'nowhere')
        self.assert_corrupt('not a regular file')

    def test_pipe_does_not_block(self) -> None:
        os.mkfifo(self.path)
        self.assert_corrupt('not a regular file')

    def test_socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            self.assert_corrupt('not a regular file')

    def test_directory(self) -> None:
        self.path.mkdir()
        self.assert_corrupt('not a regular file')

    def test_what_cannot_be_read_is_typed(self) -> None:
        broken = OSError(errno.EIO, 'broken')
        with mock.patch('os.open', autospec=True, side_effect=broken):
            error = self.assertRaises(exception.FileOperationFailed, self.read)
        self.assertIn('broken', str(error))

    def test_no_descriptor_is_left_open(self) -> None:
        before = os.listdir('/proc/self/fd')
        self.path.mkdir()
        self.assert_corrupt('not a regular file')
        self.path.rmdir()
        self.path.write_bytes(b'1')
        self.read()
        self.assertEqual(before, os.listdir('/proc/self/fd'))


class ReplaceTest(FilesTestCase):
    def replace(self, data: bytes, like: str | None = None) -> None:
        files.replace(str(self.path), data, like)

    def test_new_file(self) -> None:
        self.replace(b'new')
        self.assertEqual(b'new', self.path.read_bytes())
        self.assertEqual(['file'], self.listed())

    def test_old_file_has_the_new_content_and_its_mode(self) -> None:
        self.path.write_bytes(b'old and longer')
        self.path.chmod(0o640)
        self.replace(b'new')
        self.assertEqual(b'new', self.path.read_bytes())
        self.assertEqual(0o640, self.mode())

    def test_symlink_in_the_place_of_the_part_is_not_followed(self) -> None:
        target = self.directory / 'target'
        target.write_bytes(b'of somebody else')
        part = self.directory / 'file.part'
        part.symlink_to(target)
        self.assertRaises(exception.FileOperationFailed, self.replace, b'new')
        self.assertEqual(b'of somebody else', target.read_bytes())
        # It is out of the way then.
        self.replace(b'new')
        self.assertEqual(['file', 'target'], self.listed())

    def test_new_file_has_the_mode_of_another(self) -> None:
        other = self.directory / 'other'
        other.touch()
        other.chmod(0o604)
        self.replace(b'new', like=str(other))
        self.assertEqual(0o604, self.mode())

    def test_old_file_prevails_over_another(self) -> None:
        other = self.directory / 'other'
        other.touch()
        other.chmod(0o604)
        self.path.touch()
        self.path.chmod(0o640)
        self.replace(b'new', like=str(other))
        self.assertEqual(0o640, self.mode())

    def test_what_an_earlier_write_left_is_overwritten(self) -> None:
        (self.directory / 'file.part').write_bytes(b'torn and much longer')
        self.replace(b'new')
        self.assertEqual(b'new', self.path.read_bytes())
        self.assertEqual(['file'], self.listed())

    def test_whoever_has_the_old_file_open_keeps_it(self) -> None:
        self.path.write_bytes(b'old')
        with self.path.open('rb') as stream:
            self.replace(b'new')
            self.assertEqual(b'old', stream.read())

    def test_order_is_data_then_name_then_directory(self) -> None:
        order: list[str] = []
        real_sync, real_rename = os.fsync, os.rename

        def fsync(fd: int) -> None:
            order.append(os.path.basename(os.readlink(f'/proc/self/fd/{fd}')))
            real_sync(fd)

        def rename(source: str, target: str) -> None:
            order.append('rename')
            real_rename(source, target)

        self.useFixture(fixtures.MonkeyPatch('os.fsync', fsync))
        self.useFixture(fixtures.MonkeyPatch('os.rename', rename))
        self.replace(b'new')
        self.assertEqual(['file.part', 'rename', self.directory.name], order)

    def test_refused_write_leaves_the_old_content(self) -> None:
        """The kernel refuses to let a file grow; so in another process."""
        self.path.write_bytes(b'old')
        code = (
            'import resource, signal, sys\n'
            'from volume_driver import exception, files\n'
            'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
            'resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n'
            'try:\n'
            '    files.replace(sys.argv[1], bytes(4096))\n'
            'except exception.FileOperationFailed as error:\n'
            '    sys.exit(error.__cause__.errno)\n'
        )
        result = subprocess.run([sys.executable, '-c', code, str(self.path)])
        self.assertEqual(errno.EFBIG, result.returncode)
        self.assertEqual(b'old', self.path.read_bytes())
        self.assertEqual(['file'], self.listed())

    def test_failed_sync_leaves_the_old_content(self) -> None:
        self.path.write_bytes(b'old')
        failed = OSError(errno.EIO, 'failed')
        with mock.patch('os.fsync', autospec=True, side_effect=failed):
            error = self.assertRaises(
                exception.FileOperationFailed, self.replace, b'new'
            )
        self.assertIs(failed, error.__cause__)
        self.assertEqual('failed', error.reason)
        self.assertEqual(b'old', self.path.read_bytes())
        self.assertEqual(['file'], self.listed())

    def test_full_filesystem_is_an_error_with_figures(self) -> None:
        self.path.write_bytes(b'old')
        for code in (errno.ENOSPC, errno.EDQUOT):
            with mock.patch(
                'os.fsync', autospec=True, side_effect=OSError(code, '')
            ):
                error = self.assertRaises(
                    exception.NoSpace, self.replace, b'new'
                )
            self.assertEqual(str(self.directory), error.directory)
            self.assertIsInstance(error.available, int)
            self.assertEqual(b'old', self.path.read_bytes())

    def test_missing_directory_is_named(self) -> None:
        self.path = self.directory / 'missing' / 'file'
        error = self.assertRaises(
            exception.FileOperationFailed, self.replace, b'new'
        )
        self.assertEqual(f'{self.path}.part', error.path)
        self.assertIn('No such file', str(error))


class CoverTest(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path.touch()
        self.like = self.directory / 'like'
        self.like.touch()

    def test_mode_is_taken_over(self) -> None:
        self.like.chmod(0o660)
        files.cover(str(self.path), str(self.like))
        self.assertEqual(0o660, self.mode())

    def test_own_files_are_not_given_away(self) -> None:
        with mock.patch('os.chown', autospec=True) as chown:
            files.cover(str(self.path), str(self.like))
        chown.assert_not_called()

    def test_owner_is_taken_over(self) -> None:
        with (
            mock.patch('os.geteuid', autospec=True, return_value=12345),
            mock.patch('os.chown', autospec=True) as chown,
        ):
            files.cover(str(self.path), str(self.like))
        found = self.like.stat()
        chown.assert_called_once_with(
            str(self.path), found.st_uid, found.st_gid
        )

    def test_owner_that_may_not_be_given_is_no_error(self) -> None:
        with (
            mock.patch('os.geteuid', autospec=True, return_value=12345),
            mock.patch('os.chown', autospec=True, side_effect=PermissionError),
        ):
            files.cover(str(self.path), str(self.like))


class RemoveTest(FilesTestCase):
    def test_file_is_gone_and_the_directory_synced(self) -> None:
        self.path.touch()
        with mock.patch('os.fsync', autospec=True) as fsync:
            files.remove(str(self.path))
        self.assertEqual([], self.listed())
        fsync.assert_called_once()

    def test_gone_already_is_no_error(self) -> None:
        files.remove(str(self.path))
        files.discard(str(self.path))

    def test_discard_waits_for_nothing(self) -> None:
        self.path.touch()
        with mock.patch('os.fsync', autospec=True) as fsync:
            files.discard(str(self.path))
        self.assertEqual([], self.listed())
        fsync.assert_not_called()

    def test_symlink_goes_and_its_target_stays(self) -> None:
        target = self.directory / 'target'
        target.touch()
        self.path.symlink_to(target)
        files.remove(str(self.path))
        self.assertEqual(['target'], self.listed())


class RenameTest(FilesTestCase):
    def test_target_is_replaced(self) -> None:
        self.path.write_bytes(b'old')
        source = self.directory / 'source'
        source.write_bytes(b'new')
        files.rename(str(source), str(self.path))
        self.assertEqual(b'new', self.path.read_bytes())
        self.assertEqual(['file'], self.listed())


class TypedTest(FilesTestCase):
    def typed(self, error: Exception) -> None:
        with files.typed(str(self.path)):
            raise error

    def test_refusal_names_the_file_and_the_reason(self) -> None:
        error = self.assertRaises(
            exception.FileOperationFailed,
            *(self.typed, PermissionError(errno.EACCES, 'denied')),
        )
        self.assertEqual(str(self.path), error.path)
        self.assertEqual('denied', error.reason)

    def test_file_that_the_system_names_prevails(self) -> None:
        error = self.assertRaises(
            exception.FileOperationFailed,
            *(self.typed, OSError(errno.EIO, 'broken', '/other')),
        )
        self.assertEqual('/other', error.path)

    def test_refusal_without_a_text(self) -> None:
        error = self.assertRaises(
            exception.FileOperationFailed, self.typed, OSError('odd')
        )
        self.assertEqual('odd', error.reason)

    def test_full_filesystem_and_quota(self) -> None:
        for code in (errno.ENOSPC, errno.EDQUOT):
            error = self.assertRaises(
                exception.NoSpace, self.typed, OSError(code, 'full')
            )
            self.assertEqual(str(self.directory), error.directory)

    def test_other_errors_pass(self) -> None:
        self.assertRaises(KeyError, self.typed, KeyError('x'))
        with files.typed(str(self.path)):
            pass


class LookTest(FilesTestCase):
    def test_regular_file(self) -> None:
        self.path.touch()
        self.assertTrue(files.exists(str(self.path)))
        self.assertTrue(files.is_file(str(self.path)))

    def test_nothing(self) -> None:
        self.assertFalse(files.exists(str(self.path)))
        self.assertFalse(files.is_file(str(self.path)))

    def test_broken_symlink_exists_and_is_no_file(self) -> None:
        self.path.symlink_to('nowhere')
        self.assertTrue(files.exists(str(self.path)))
        self.assertFalse(files.is_file(str(self.path)))

    def test_symlink_to_a_file_is_no_file(self) -> None:
        self.path.symlink_to('target')
        (self.directory / 'target').touch()
        self.assertFalse(files.is_file(str(self.path)))

    def test_directory_is_no_file(self) -> None:
        self.path.mkdir()
        self.assertFalse(files.is_file(str(self.path)))

    def test_available_is_what_the_filesystem_says(self) -> None:
        found = os.statvfs(self.directory)
        with mock.patch('os.statvfs', autospec=True, return_value=found):
            self.assertEqual(
                found.f_bavail * found.f_frsize,
                files.available(str(self.directory)),
            )
