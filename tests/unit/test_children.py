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

import os

from oslo_concurrency import processutils

from tests import base
from volume_driver import children
from volume_driver import native


class ExecuteTest(base.TestCase):
    def test_what_it_wrote_is_returned(self) -> None:
        found = children.execute('sh', '-c', 'echo out; echo error >&2')
        self.assertEqual(('out\n', 'error\n'), found)

    def test_where_and_with_what_it_runs(self) -> None:
        directory = self.temp_dir()
        out, _ = children.execute(
            *('sh', '-c', 'echo $WORD; pwd'),
            cwd=str(directory),
            env_variables={**os.environ, 'WORD': 'here'},
        )
        self.assertEqual(f'here\n{directory}\n', out)

    def test_a_failure_is_told_as_processutils_does(self) -> None:
        command = ('sh', '-c', 'echo out; echo why >&2; exit 3')
        ours, theirs = (
            self.assertRaises(
                processutils.ProcessExecutionError, execute, *command
            )
            for execute in (children.execute, processutils.execute)
        )
        for name in ('exit_code', 'stdout', 'stderr'):
            self.assertEqual(getattr(theirs, name), getattr(ours, name))

    def test_a_program_that_is_not_there(self) -> None:
        self.assertRaises(FileNotFoundError, children.execute, '/no/program')

    def test_nothing_waits_for_input(self) -> None:
        self.assertEqual(('', ''), children.execute('cat'))

    def test_under_eventlet_it_is_left_to_processutils(self) -> None:
        commands = []

        def execute(*command: str, **_: object) -> tuple[str, str]:
            commands.append(command)
            return 'out', 'error'

        self.patch(native, 'is_green', lambda: True)
        self.patch(processutils, 'execute', execute)
        self.assertEqual(('out', 'error'), children.execute('true'))
        self.assertEqual([('true',)], commands)
