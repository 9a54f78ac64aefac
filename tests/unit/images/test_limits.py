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

import shutil
import signal

import ddt

from tests import base
from volume_driver import exception
from volume_driver.images import limits

GIB = 1 << 30


class PrefixTest(base.TestCase):
    def limit(self, length: int, option: str) -> int:
        (found,) = (
            each.partition('=')[2]
            for each in limits.prefix(length)
            if each.startswith(option)
        )
        return int(found.partition(':')[0])

    def test_time_grows_with_what_is_to_be_read(self) -> None:
        cpus = [self.limit(each * GIB, '--cpu') for each in (0, 1, 2, 1024)]
        self.assertEqual(sorted({*cpus}), cpus)
        self.assertEqual(self.limit(GIB, '--cpu'), self.limit(1, '--cpu'))

    def test_memory_does_not(self) -> None:
        memory = [self.limit(each * GIB, '--as') for each in (0, 1024)]
        self.assertEqual([2 * GIB] * 2, memory)


@ddt.ddt
class FailureTest(base.TestCase):
    command = (*limits.prefix(0), 'qemu-img', 'map')

    def failure(
        self, exit_code: int, text: str = ''
    ) -> exception.VolumeDriverError:
        return limits.failure(self.command, exit_code, text)

    @ddt.data(
        (124, '', 'its time,'),
        (-signal.SIGXCPU, '', 'on the CPU'),
        (128 + signal.SIGXCPU, '', 'on the CPU'),
        (1, 'qemu-img: no: Cannot allocate memory', '2 GiB of memory'),
        (-signal.SIGTRAP, 'GLib: failed to allocate 7 bytes', 'of memory'),
    )
    @ddt.unpack
    def test_limit(self, exit_code: int, text: str, words: str) -> None:
        error = self.failure(exit_code, text)
        self.assertIsInstance(error, exception.LimitReached)
        self.assertIn(words, str(error))

    @ddt.data((1, 'broken'), (-signal.SIGSEGV, ''), (2, ''))
    @ddt.unpack
    def test_any_other_failure(self, exit_code: int, text: str) -> None:
        error = self.failure(exit_code, text)
        self.assertIs(exception.CommandFailed, type(error))
        self.assertEqual(exit_code, error.exit_code)

    def test_without_limits_it_is_none_of_them(self) -> None:
        error = limits.failure(('qemu-img', 'commit'), 124, '')
        self.assertIs(exception.CommandFailed, type(error))

    @ddt.data(
        ('timeout', 'coreutils'),
        ('setpriv', 'util-linux'),
        ('prlimit', 'util-linux'),
        ('qemu-img', 'qemu-utils'),
    )
    @ddt.unpack
    def test_missing_program(self, program: str, package: str) -> None:
        def which(name: str) -> str | None:
            return None if name == program else f'/usr/bin/{name}'

        self.patch(shutil, 'which', which)
        error = self.failure(127)
        self.assertIsInstance(error, exception.ProgramMissing)
        self.assertEqual(program, error.program)
        self.assertEqual(package, error.package)
