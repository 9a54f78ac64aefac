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
import typing

from tests import base
from volume_driver import exception
from volume_driver.images import locks


class IsOpenTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.temp_dir() / 'volume-u'
        self.path.touch()

    def lock(self, byte: int) -> typing.BinaryIO:
        """Hold a shared lock on a byte, as QEMU does."""
        stream = self.path.open('rb')
        self.addCleanup(stream.close)
        fcntl.fcntl(
            stream.fileno(),
            fcntl.F_OFD_SETLK,
            struct.pack('hhqqi', fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0),
        )
        return stream

    def is_open(self) -> bool:
        return locks.is_open_for_writing(str(self.path))

    def test_nobody(self) -> None:
        self.assertFalse(self.is_open())

    def test_a_writer(self) -> None:
        stream = self.lock(101)
        self.assertTrue(self.is_open())
        stream.close()
        self.assertFalse(self.is_open())

    def test_asking_takes_no_lock(self) -> None:
        self.lock(101)
        self.assertTrue(self.is_open())
        self.assertTrue(self.is_open())
        self.lock(101)

    def test_readers_do_not_count(self) -> None:
        self.lock(100)
        # "Others must not write" is byte 200 + 1.
        self.lock(201)
        self.assertFalse(self.is_open())

    def test_filesystem_without_locks(self) -> None:
        def refuse(*_: object) -> bytes:
            raise OSError(38, 'no locks')

        self.patch(fcntl, 'fcntl', refuse)
        self.assertFalse(self.is_open())

    def test_missing_image(self) -> None:
        self.path.unlink()
        self.assertRaises(exception.ImageInvalid, self.is_open)
