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

"""What runs as root for the service refuses all but images."""

from __future__ import annotations

import os
import pathlib
import stat

import ddt

from tests import base
from volume_driver import access
from volume_driver import exception
from volume_driver import privileged

_NAME = 'volume-5f0c'
_OVERLAY = f'{_NAME}.first'
_SOMEBODY = 61348
_GROUP = 61349


@ddt.ddt
class PrivilegedTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        # As in the process that it starts.
        privileged.context.set_client_mode(False)
        self.addCleanup(privileged.context.set_client_mode, True)
        self.directory = self.temp_dir()
        os.chown(self.directory, _SOMEBODY, _GROUP)

    def make(self, name: str, mode: int = 0o600) -> pathlib.Path:
        path = self.directory / name
        path.write_bytes(b'')
        path.chmod(mode)
        return path

    def assert_untouched(self, path: pathlib.Path) -> None:
        found = path.stat()
        self.assertEqual((0, 0), (found.st_uid, found.st_gid))
        self.assertEqual(0o600, stat.S_IMODE(found.st_mode))

    @ddt.data(_NAME, _OVERLAY, f'{_OVERLAY}.part')
    def test_shared_with_the_group_of_the_directory(self, name: str) -> None:
        path = self.make(name, 0o4600)
        privileged.share(str(self.directory), name)
        found = path.stat()
        self.assertEqual((0, _GROUP), (found.st_uid, found.st_gid))
        self.assertEqual(0o660, stat.S_IMODE(found.st_mode))

    @ddt.data(
        *('shadow', 'volume-', f'{_NAME}.info', f'{_NAME}.journal', '.', '..'),
        *('a/volume-5f0c', '../volume-5f0c', f'{_NAME}/{_NAME}'),
    )
    def test_no_image(self, name: str) -> None:
        path = self.make(_NAME)
        other = self.make('shadow')
        for call in (
            lambda: privileged.share(str(self.directory), name),
            lambda: privileged.give(str(self.directory), name, _NAME),
            lambda: privileged.give(str(self.directory), _NAME, name),
        ):
            self.assertRaises(exception.ImageNotTrusted, call)
        self.assert_untouched(path)
        self.assert_untouched(other)

    def test_second_name_of_a_file(self) -> None:
        path = self.make('shadow')
        os.link(path, self.directory / _NAME)
        error = self.assertRaises(
            exception.ImageNotTrusted,
            *(privileged.share, str(self.directory), _NAME),
        )
        self.assertIn('it has 2 names', str(error))
        self.assert_untouched(path)

    def test_symlink(self) -> None:
        path = self.make('shadow')
        os.symlink(path, self.directory / _NAME)
        error = self.assertRaises(
            exception.ImageNotTrusted,
            *(privileged.share, str(self.directory), _NAME),
        )
        self.assertIn('it is not a regular file', str(error))
        self.assert_untouched(path)

    @ddt.data('mkfifo', 'mkdir')
    def test_no_file(self, made: str) -> None:
        getattr(os, made)(self.directory / _NAME, 0o600)
        self.assertRaises(
            exception.ImageNotTrusted,
            *(privileged.share, str(self.directory), _NAME),
        )
        self.assert_untouched(self.directory / _NAME)

    def test_given_to_whom_the_image_below_belongs(self) -> None:
        below = self.make(_NAME, 0o640)
        os.chown(below, _SOMEBODY, _GROUP)
        path = self.make(f'{_OVERLAY}.part')
        access.give(str(path), str(below))
        found = path.stat()
        self.assertEqual((_SOMEBODY, _GROUP), (found.st_uid, found.st_gid))
        self.assertEqual(0o640, stat.S_IMODE(found.st_mode))

    def test_of_another_volume(self) -> None:
        below = self.make(_NAME)
        os.chown(below, _SOMEBODY, _GROUP)
        path = self.make('volume-5f0d.first')
        self.assertRaises(
            exception.ImageNotTrusted,
            *(privileged.give, str(self.directory), path.name, below.name),
        )
        self.assert_untouched(path)
