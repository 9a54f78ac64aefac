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

from __future__ import annotations

import os
import subprocess
import sys

from tests import base
from tests.fixtures import effort

_MIB = 1 << 20


class EffortTest(base.TestCase):
    def test_nothing_costs_nothing(self) -> None:
        with effort.Watch() as watch:
            pass
        self.assertEqual(effort.Effort(), watch.effort)

    def test_each_way_to_start_a_child_counts_once(self) -> None:
        with effort.Watch() as watch:
            subprocess.run(['true', 'first'], check=True)
            # Python uses posix_spawn for this one.
            subprocess.run(['/bin/true', 'second'], close_fds=False)
            pid = os.posix_spawn('/bin/true', ['true', 'third'], {})
            os.waitpid(pid, 0)
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        self.assertEqual(
            (
                ('true', 'first'),
                ('/bin/true', 'second'),
                ('true', 'third'),
                ('fork',),
            ),
            watch.effort.commands,
        )
        self.assertEqual(4, watch.effort.children)

    def test_children_outside_do_not_count(self) -> None:
        subprocess.run(['true'], check=True)
        with effort.Watch() as watch:
            subprocess.run('true', check=True)
        subprocess.run(['true'], check=True)
        self.assertEqual((('true',),), watch.effort.commands)

    def test_written_bytes_are_exact(self) -> None:
        path = self.temp_dir() / 'file'
        with effort.Watch() as watch:
            path.write_bytes(bytes(3 * _MIB + 17))
        self.assertEqual(3 * _MIB + 17, watch.effort.written)

    def test_written_bytes_of_children_are_exact(self) -> None:
        path = self.temp_dir() / 'file'
        command = f'dd if=/dev/zero of={path} bs=1000 count=777 status=none'
        with effort.Watch() as watch:
            # A child of a child, too.
            subprocess.run(['sh', '-c', f'{command}; :'], check=True)
        self.assertEqual(777_000, watch.effort.written)

    def test_written_bytes_of_another_process(self) -> None:
        code = "import sys; sys.stdout.write('x' * 5000); sys.stdout.flush()"
        code += '; sys.stdin.read()'
        with subprocess.Popen(
            [sys.executable, '-c', code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.read(5000)
            self.assertEqual(5000, effort.written(process.pid))
