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
import json
import os
import typing

from oslo_concurrency import processutils

from tests import base
from volume_driver import exception
from volume_driver.images import qemu_img


class Recorder:
    """Takes commands down instead of running them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.options: dict[str, typing.Any] = {}
        self._error = error

    def __call__(
        self, *command: str, **options: typing.Any
    ) -> tuple[str, str]:
        self.commands.append(command)
        self.options = options
        if self._error is not None:
            raise self._error
        return 'output', ''


class CommandTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.execute = Recorder()

    def assert_command(self, *expected: str) -> None:
        self.assertEqual([('qemu-img', *expected)], self.execute.commands)

    def assert_limited(self, *expected: str) -> None:
        (command,) = self.execute.commands
        at = command.index('qemu-img')
        self.assertEqual(('qemu-img', *expected), command[at:])
        self.assertEqual('timeout', command[0])
        self.assertIn('prlimit', command[:at])

    def test_create(self) -> None:
        qemu_img.create(self.execute, '/volumes/v', 'raw', 1024)
        self.assert_command('create', '-q', '-f', 'raw', '/volumes/v', '1024')

    def test_create_overlay_opens_nothing_below_it(self) -> None:
        qemu_img.create_overlay(self.execute, '/volumes/v.a', 'v', 'raw', 512)
        self.assert_command(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', 'v', '-F', 'raw'),
            *('/volumes/v.a', '512'),
        )

    def test_commit_does_not_empty_the_overlay(self) -> None:
        qemu_img.commit(self.execute, '/volumes/v.a')
        self.assert_command(
            'commit', '-q', '-d', '-f', 'qcow2', '/volumes/v.a'
        )

    def test_commit_of_a_pair_opens_nothing_else(self) -> None:
        qemu_img.commit_pair(self.execute, '/volumes/v.b', 'v.a', 2)
        (command,) = self.execute.commands
        *words, name = command
        self.assertEqual(
            ['qemu-img', 'commit', '-q', '-d', '-r', '2097152'], words
        )
        node = json.loads(name.removeprefix('json:'))
        self.assertEqual('/volumes/v.b', node['file']['filename'])
        self.assertEqual('/volumes/v.a', node['backing']['file']['filename'])
        self.assertIsNone(node['backing']['backing'])

    def test_commit_over_images_between(self) -> None:
        qemu_img.commit(self.execute, '/volumes/v.b', 'v')
        self.assert_command(
            *('commit', '-q', '-d', '-b', 'v', '-f', 'qcow2', '/volumes/v.b')
        )

    def test_bandwidth_is_given_in_bytes(self) -> None:
        qemu_img.commit(self.execute, '/volumes/v.a', bandwidth=3)
        self.assert_command(
            *('commit', '-q', '-d', '-r', '3145728'),
            *('-f', 'qcow2', '/volumes/v.a'),
        )

    def test_rebase_to_an_image_is_the_safe_mode(self) -> None:
        qemu_img.rebase(self.execute, '/volumes/v.b', 'v', 'raw')
        self.assert_command(
            *('rebase', '-q', '-f', 'qcow2', '-b', 'v', '-F', 'raw'),
            '/volumes/v.b',
        )

    def test_rebase_that_is_limited(self) -> None:
        qemu_img.rebase(self.execute, '/volumes/v.b', 'v', 'raw', 3)
        limited, pointed = self.execute.commands
        *command, image = limited
        self.assertEqual(
            [
                *('qemu-img', 'rebase', '-q', '--object'),
                'throttle-group,id=limit,x-bps-write=3145728',
                *('-b', '/volumes/v', '-F', 'raw'),
            ],
            command,
        )
        node = json.loads(image.removeprefix('json:'))
        self.assertEqual('throttle', node['file']['driver'])
        self.assertEqual('/volumes/v.b', node['file']['file']['filename'])
        # The name in the header is a plain one all the same.
        self.assertEqual(
            (
                *('qemu-img', 'rebase', '-q', '-u', '-f', 'qcow2'),
                *('-b', 'v', '-F', 'raw', '/volumes/v.b'),
            ),
            pointed,
        )

    def test_rebase_to_nothing_names_no_format(self) -> None:
        qemu_img.rebase(self.execute, '/volumes/v.b', None, '')
        self.assert_command(
            'rebase', '-q', '-f', 'qcow2', '-b', '', '/volumes/v.b'
        )

    def test_point_touches_only_the_header(self) -> None:
        qemu_img.point(self.execute, '/volumes/v.b', 'v', 'qcow2')
        self.assert_command(
            *('rebase', '-q', '-u', '-f', 'qcow2', '-b', 'v', '-F', 'qcow2'),
            '/volumes/v.b',
        )

    def test_resize(self) -> None:
        qemu_img.resize(self.execute, '/volumes/v', 'raw', 2048)
        self.assert_limited('resize', '-q', '-f', 'raw', '/volumes/v', '2048')

    def test_convert_names_both_formats(self) -> None:
        qemu_img.convert(self.execute, '/a', '/b', ('qcow2', 'raw'), 512)
        (command,) = self.execute.commands
        self.assertEqual(('/a', '/b'), command[-2:])
        self.assertEqual('qcow2', command[command.index('-f') + 1])
        self.assertEqual('raw', command[command.index('-O') + 1])

    def test_convert_onto_makes_no_image(self) -> None:
        formats = ('raw', 'qcow2')
        qemu_img.convert_onto(self.execute, '/a', '/b', formats, 512)
        self.assert_limited(
            *('convert', '-q', '-n', '-f', 'raw', '-O', 'qcow2'),
            *('-t', 'writeback', '/a', '/b'),
        )

    def test_children_run_in_the_directory_and_speak_english(self) -> None:
        qemu_img.commit(self.execute, '/volumes/v.a')
        self.assertEqual('/volumes', self.execute.options['cwd'])
        environment = self.execute.options['env_variables']
        self.assertEqual('C', environment['LC_ALL'])
        self.assertEqual(os.environ['PATH'], environment['PATH'])


class ErrorTest(base.TestCase):
    def failed(self, error: Exception) -> typing.Any:
        return self.assertRaises(
            exception.VolumeDriverError,
            qemu_img.commit,
            Recorder(error),
            f'{self.temp_dir()}/v.a',
        )

    def test_failure_has_command_code_and_text(self) -> None:
        error = self.failed(
            processutils.ProcessExecutionError(
                exit_code=1, stderr='qemu-img: broken\n'
            )
        )
        self.assertIsInstance(error, exception.CommandFailed)
        self.assertIn('qemu-img commit', str(error.command))
        self.assertEqual(1, error.exit_code)
        self.assertEqual('qemu-img: broken', error.stderr)

    def test_text_on_the_other_stream_is_shown_too(self) -> None:
        error = self.failed(
            processutils.ProcessExecutionError(exit_code=1, stdout='broken')
        )
        self.assertEqual('broken', error.stderr)

    def test_full_filesystem(self) -> None:
        error = self.failed(
            processutils.ProcessExecutionError(
                exit_code=1,
                stderr=f'qemu-img: write: {os.strerror(errno.ENOSPC)}',
            )
        )
        self.assertIsInstance(error, exception.NoSpace)

    def test_missing_program(self) -> None:
        error = self.failed(FileNotFoundError('qemu-img'))
        self.assertIsInstance(error, exception.ProgramMissing)
        self.assertEqual('qemu-utils', error.package)

    def test_installed_program_is_found(self) -> None:
        self.require_program('qemu-img', 'qemu-utils')
        qemu_img.check_installed(processutils.execute)
