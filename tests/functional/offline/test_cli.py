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

"""The console script as an operator runs it, with real images."""

from __future__ import annotations

from importlib import metadata
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import typing

from tests import base
from tests.fixtures import image_tools

GIB = 1 << 30
ID = '6f0d0d3e-55c1-4b4c-8f0e-8f4bb1a3c0de'
NAME = f'volume-{ID}'
PROGRAM = pathlib.Path(sys.executable).with_name('volume-driver')

# The program, killed before it removes a file.
KILLED = """
import os, signal, sys
from volume_driver.cli import app
from volume_driver.operations import faults
from volume_driver.planning import plan

def kill(moment, step):
    if moment == 'before' and isinstance(step, plan.Remove):
        os.kill(os.getpid(), signal.SIGKILL)

faults.hook = kill
sys.exit(app.main(sys.argv[1:]))
"""


class CliTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        root = self.temp_dir()
        self.directory = root / 'volumes'
        self.directory.mkdir()
        self.config_file = root / 'volume_driver.conf'
        self.config_file.write_text(
            '[volume_driver]\n'
            f'volume_files_dir = {self.directory}\n'
            'hypervisor = none\n'
        )

    def command(self, *argv: str) -> list[str]:
        return [str(PROGRAM), '--config-file', str(self.config_file), *argv]

    def run_program(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the program, its result in a pipe."""
        return subprocess.run(
            self.command(*argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def output(self, *argv: str) -> str:
        """Return what is on stdout; there may be nothing on stderr."""
        done = self.run_program(*argv)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return done.stdout

    def data(self, *argv: str) -> typing.Any:
        return json.loads(self.output(*argv, '-f', 'json'))

    def check_error(self, text: str, *argv: str) -> None:
        """Check that the program fails with one line that has a text."""
        done = self.run_program(*argv)
        self.assertEqual((1, ''), (done.returncode, done.stdout))
        line, rest = done.stderr.split('\n', 1)
        self.assertEqual('', rest)
        self.assertTrue(line.startswith('volume-driver: '), line)
        self.assertIn(text, line)

    def files(self) -> list[str]:
        return sorted(
            path.name
            for path in self.directory.iterdir()
            if not path.name.startswith('.')
        )


class VolumeTest(CliTestCase):
    def test_create_makes_an_image_of_that_size(self) -> None:
        self.assertEqual('', self.output('volume', 'create', ID, '--size=3'))
        found = json.loads(
            image_tools.qemu_img(
                'info', '--output=json', self.directory / NAME
            )
        )
        self.assertEqual(3 * GIB, found['virtual-size'])
        self.assertEqual('qcow2', found['format'])

    def test_create_refuses_a_volume_that_is_there(self) -> None:
        self.output('volume', 'create', ID, '--size', '1')
        self.check_error(NAME, 'volume', 'create', NAME, '--size', '1')

    def test_list(self) -> None:
        self.assertEqual([], self.data('volume', 'list'))
        self.output('volume', 'create', ID, '--size', '1')
        self.output('volume', 'create', 'other', '--size', '2')
        self.output('snapshot', 'create', ID, 'a')
        found = self.data('volume', 'list')
        for row in found:
            self.assertGreater(row.pop('allocated_bytes'), 0)
        keys = ('volume', 'size_gib', 'images', 'snapshots', 'active', 'error')
        self.assertEqual(
            [
                (NAME, 1, 2, 1, f'{NAME}.a', None),
                ('volume-other', 2, 1, 0, 'volume-other', None),
            ],
            [tuple(row[key] for key in keys) for row in found],
        )

    def test_list_goes_on_after_a_broken_volume(self) -> None:
        self.output('volume', 'create', 'bad', '--size', '1')
        self.output('volume', 'create', ID, '--size', '1')
        (self.directory / 'volume-bad.info').write_text('no JSON')
        found = {row['volume']: row for row in self.data('volume', 'list')}
        self.assertIn('it is not JSON', found['volume-bad']['error'])
        self.assertIsNone(found[NAME]['error'])
        self.check_error('it is not JSON', 'volume', 'show', 'bad')

    def test_extend(self) -> None:
        self.output('volume', 'create', ID, '--size', '1')
        self.output('volume', 'extend', NAME, '--size', '2')
        self.assertEqual(
            2 * GIB, self.data('volume', 'show', ID)['size_bytes']
        )
        self.check_error(
            f'at least {2 * GIB} bytes', 'volume', 'extend', ID, '--size=1'
        )

    def test_delete(self) -> None:
        self.output('volume', 'create', ID, '--size', '1')
        self.output('snapshot', 'create', ID, 'a')
        self.check_error('has the snapshots a', 'volume', 'delete', ID)
        self.output('snapshot', 'delete', ID, 'a')
        self.output('volume', 'delete', ID)
        self.assertEqual([], self.files())

    def test_delete_what_is_gone(self) -> None:
        done = self.run_program('volume', 'delete', ID)
        self.assertEqual((0, ''), (done.returncode, done.stdout))
        self.assertEqual(
            f'volume-driver: Volume {NAME} is gone already\n', done.stderr
        )


class ShowTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', ID, '--size', '1')
        self.output('snapshot', 'create', ID, 'a')

    def test_in_a_pipe(self) -> None:
        found = self.data('volume', 'show', ID)
        below, above = (
            f'{image["allocated_bytes"] // 1024} KiB'
            for image in found['images']
        )
        total = f'{found["allocated_bytes"] // 1024} KiB'
        self.assertEqual(
            f"""\
{NAME}: 1 GiB, {total} allocated
guest: none
+-- {NAME}
|   qcow2, 1 GiB, {below} allocated, data of snapshot a
`-- {NAME}.a (active)
    qcow2, 1 GiB, {above} allocated
""",
            self.output('volume', 'show', ID),
        )

    def test_on_a_terminal(self) -> None:
        ours, its = pty.openpty()
        env = {**os.environ, 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'}
        env.pop('NO_COLOR', None)
        with os.fdopen(ours, 'rb', buffering=0) as stream:
            done = subprocess.run(
                self.command('volume', 'show', ID),
                stdin=subprocess.DEVNULL,
                stdout=its,
                env=env,
                check=False,
                timeout=120,
            )
            os.close(its)
            text = _drain(stream).decode()
        self.assertEqual(0, done.returncode, text)
        self.assertIn(f'├── {NAME}\r\n', text)
        self.assertIn(f'\x1b[32m{NAME}.a\x1b[0m', text)

    def test_as_data(self) -> None:
        found = self.data('volume', 'show', NAME)
        images = found.pop('images')
        allocated = [image.pop('allocated_bytes') for image in images]
        self.assertEqual(
            {
                'volume': NAME,
                'size_bytes': GIB,
                'allocated_bytes': sum(allocated),
                'active': f'{NAME}.a',
                'guest': None,
                'looked_at': 'nowhere',
                'holders': [],
                'unfinished': None,
            },
            found,
        )
        common = {'format': 'qcow2', 'size_bytes': GIB}
        self.assertEqual(
            [
                {
                    'name': NAME,
                    'backing': None,
                    'snapshot': 'a',
                    'active': False,
                    **common,
                },
                {
                    'name': f'{NAME}.a',
                    'backing': NAME,
                    'snapshot': None,
                    'active': True,
                    **common,
                },
            ],
            images,
        )

    def test_other_formats(self) -> None:
        show = ('volume', 'show', ID, '-c', 'active', '-f')
        self.assertEqual(f'{NAME}.a\n', self.output(*show, 'value'))
        self.assertEqual(f'active: {NAME}.a\n', self.output(*show, 'yaml'))

    def test_unknown_volume(self) -> None:
        self.check_error('volume-nope has no file', 'volume', 'show', 'nope')


class HelpTest(CliTestCase):
    def test_each_command_has_an_example(self) -> None:
        text = self.output('--help')
        self.assertIn('--volume-files-dir', text)
        for point in metadata.entry_points(group='volume_driver.cli'):
            words = point.name.split('_')
            self.assertIn(f'  {" ".join(words)} ', text)
            shown = self.output(*words, '--help')
            example = f'Example: volume-driver {" ".join(words)}'
            self.assertIn(example, shown)
            self.assertNotIn('%%', shown)


class SnapshotTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', ID, '--size', '1')
        self.output('snapshot', 'create', ID, 'a')
        self.output('snapshot', 'create', NAME, 'b')

    def test_list(self) -> None:
        self.assertEqual(
            [
                {
                    'snapshot': 'a',
                    'image': NAME,
                    'overlay': f'{NAME}.a',
                    'size_bytes': GIB,
                },
                {
                    'snapshot': 'b',
                    'image': f'{NAME}.a',
                    'overlay': f'{NAME}.b',
                    'size_bytes': GIB,
                },
            ],
            self.data('snapshot', 'list', ID),
        )

    def test_create_is_silent_when_it_is_there(self) -> None:
        before = self.files()
        self.output('snapshot', 'create', ID, 'a')
        self.assertEqual(before, self.files())

    def test_create_on_an_unknown_volume(self) -> None:
        self.check_error('has no file', 'snapshot', 'create', 'nope', 'a')

    def test_dry_run_changes_nothing(self) -> None:
        before = {
            name: (self.directory / name).read_bytes() for name in self.files()
        }
        text = self.output('snapshot', 'delete', ID, 'a', '--dry-run')
        self.assertTrue(text.startswith(f'delete snapshot a of {NAME}\n'))
        self.assertIn(f'1. commit {NAME}.a into {NAME}\n', text)
        self.assertIn(f'\n  after: {NAME} <- {NAME}.b\n', text)
        self.assertEqual(list(before), self.files())
        for name, content in before.items():
            self.assertEqual(content, (self.directory / name).read_bytes())

    def test_delete_does_what_the_dry_run_said(self) -> None:
        removed = [
            line.rpartition(' ')[2]
            for line in self.output(
                'snapshot', 'delete', ID, 'a', '--dry-run'
            ).splitlines()
            if ' remove ' in line
        ]
        before = self.files()
        self.assertEqual('', self.output('snapshot', 'delete', ID, 'a'))
        self.assertEqual(removed, sorted(set(before) - set(self.files())))
        left = self.data('snapshot', 'list', ID)
        self.assertEqual(['b'], [row['snapshot'] for row in left])

    def test_delete_what_is_gone(self) -> None:
        done = self.run_program('snapshot', 'delete', ID, 'nope')
        self.assertEqual((0, ''), (done.returncode, done.stdout))
        self.assertEqual(
            f'volume-driver: Snapshot nope of {NAME} is gone already\n',
            done.stderr,
        )

    def test_dry_run_of_what_is_gone(self) -> None:
        self.assertEqual(
            f'Snapshot nope of {NAME} is gone already, nothing would be '
            'done\n',
            self.output('snapshot', 'delete', ID, 'nope', '--dry-run'),
        )


class UnfinishedTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', ID, '--size', '1')
        self.output('snapshot', 'create', ID, 'a')
        _, *argv = self.command('snapshot', 'delete', ID, 'a')
        done = subprocess.run(
            [sys.executable, '-c', KILLED, *argv], check=False, timeout=120
        )
        self.assertEqual(-signal.SIGKILL, done.returncode)

    def test_is_shown_and_left_alone(self) -> None:
        before = self.files()
        self.assertIn(f'{NAME}.journal', before)
        text = self.output('volume', 'show', ID)
        self.assertIn('\nunfinished: delete snapshot a by ', text)
        self.output('volume', 'list')
        self.assertEqual(before, self.files())

    def test_recover_says_what_cannot_be_finished(self) -> None:
        journal = self.directory / f'{NAME}.journal'
        text = journal.read_bytes()
        journal.write_bytes(b'{')
        done = self.run_program('recover', '-f', 'value')
        self.assertEqual(1, done.returncode)
        self.assertIn('not finished: ', done.stdout)
        journal.write_bytes(text)
        done = self.run_program('recover', '-f', 'value')
        self.assertEqual(0, done.returncode)
        self.assertIn(' finished: delete snapshot', done.stdout)

    def test_is_finished_by_the_next_change(self) -> None:
        done = self.run_program('snapshot', 'create', ID, 'b')
        self.assertEqual((0, ''), (done.returncode, done.stdout))
        self.assertIn('it is finished now', done.stderr)
        found = self.data('volume', 'show', ID)
        self.assertIsNone(found['unfinished'])
        self.assertEqual(
            ['b', None], [image['snapshot'] for image in found['images']]
        )


class SetUpTest(CliTestCase):
    def test_directory_is_missing(self) -> None:
        self.directory.rmdir()
        for argv in (('volume', 'list'), ('volume', 'create', ID, '--size=1')):
            self.check_error('it is not a directory', *argv)

    def test_directory_of_the_arguments(self) -> None:
        other = self.temp_dir()
        self.output(
            '--volume-files-dir',
            str(other),
            'volume',
            'create',
            ID,
            '--size=1',
        )
        self.assertTrue((other / NAME).is_file())
        self.assertEqual([], self.files())

    def test_configuration_file_is_missing(self) -> None:
        self.config_file.unlink()
        self.check_error(str(self.config_file), 'volume', 'list')

    def test_option_is_wrong(self) -> None:
        with self.config_file.open('a') as stream:
            stream.write('merge_direction = up\n')
        self.check_error('merge_direction', 'volume', 'list')

    def test_wrong_usage(self) -> None:
        for argv in ((), ('volume',), ('volume', 'create', ID)):
            done = self.run_program(*argv)
            self.assertEqual((2, ''), (done.returncode, done.stdout))
            self.assertIn('usage: volume-driver', done.stderr)
            self.assertNotIn('Traceback', done.stderr)


def _drain(stream: typing.IO[bytes]) -> bytes:
    """Read all of a terminal whose other end is closed."""
    found = b''
    while True:
        try:
            chunk = stream.read(4096)
        except OSError:
            # Linux tells the end of a terminal with EIO.
            return found
        if not chunk:
            return found
        found += chunk
