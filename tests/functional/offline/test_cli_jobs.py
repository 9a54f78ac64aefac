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

"""Merges that take a while: seen, followed, interrupted and gone on with."""

from __future__ import annotations

import collections.abc
import contextlib
import json
import os
import pty
import signal
import subprocess

from tests.fixtures import image_tools
from tests.fixtures import processes
from tests.functional.offline import test_cli

_MIB = 1 << 20
_DATA = 96 * _MIB
_TIMEOUT = 60.0


class SlowTestCase(test_cli.CliTestCase):
    """A volume whose only snapshot takes seconds to be deleted."""

    def setUp(self) -> None:
        super().setUp()
        self.text = self.config_file.read_text()
        self.limit(6)
        self.output('volume', 'create', test_cli.ID, '--size', '1')
        self.output('snapshot', 'create', test_cli.ID, 'a')
        overlay = self.directory / f'{test_cli.NAME}.a'
        image_tools.qemu_io_write(overlay, 'qcow2', 0, _DATA, 0x61)

    def limit(self, bandwidth: int, direction: str = 'commit') -> None:
        self.config_file.write_text(
            f'{self.text}merge_direction = {direction}\n'
            f'merge_bandwidth = {bandwidth}\n'
        )

    def delete(self, snapshot: str = 'a') -> list[str]:
        return self.command('snapshot', 'delete', test_cli.ID, snapshot)

    @contextlib.contextmanager
    def deleting(
        self, snapshot: str = 'a', into: str = ''
    ) -> collections.abc.Iterator[subprocess.Popen[str]]:
        """Have a snapshot deleted; it copies already.

        :param into: the end of the name of the image that grows
        """
        process = subprocess.Popen(
            self.delete(snapshot),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        grows = self.directory / f'{test_cli.NAME}{into}'
        try:
            processes.wait_until(
                lambda: grows.stat().st_blocks * 512 > 4 * _MIB,
                'the merge has begun',
                _TIMEOUT,
            )
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def check_deleted(self) -> None:
        """Check that the snapshot is gone, and every byte is there."""
        self.assertEqual([], self.data('snapshot', 'list', test_cli.ID))
        self.assertEqual(
            [
                test_cli.NAME,
                f'{test_cli.NAME}.info',
                f'{test_cli.NAME}.record',
            ],
            self.files(),
        )
        content = image_tools.content(self.directory / test_cli.NAME, 'qcow2')
        self.assertEqual(b'\x61' * _DATA, content[:_DATA])
        self.assertEqual(b'', content[_DATA:].strip(b'\0'))


class FollowTest(SlowTestCase):
    def test_a_bar_on_a_terminal(self) -> None:
        ours, its = pty.openpty()
        process = subprocess.Popen(
            self.delete(), stdin=its, stdout=its, stderr=its
        )
        os.close(its)
        shown = b''
        with contextlib.suppress(OSError), os.fdopen(ours, 'rb', 0) as stream:
            while data := stream.read(4096):
                shown += data
        self.assertEqual(0, process.wait(_TIMEOUT))
        text = shown.decode()
        self.assertIn('merging', text)
        self.assertRegex(text, r'[1-9][0-9]%')
        self.assertRegex(text, r'[0-9.]+/96[.0-9]* MiB')
        self.check_deleted()

    def test_seen_by_others(self) -> None:
        with self.deleting() as process:
            (job,) = self.data('job', 'list')
            followed = self.run_program('-v', 'job', 'follow', test_cli.ID)
            self.assertIsNotNone(process.poll())
        self.assertEqual(
            (test_cli.NAME, 'delete snapshot a', 'commit', 'running'),
            (job['volume'], job['operation'], job['way'], job['state']),
        )
        self.assertGreaterEqual(job['total_bytes'], _DATA)
        self.assertEqual(0, followed.returncode)
        self.assertRegex(followed.stderr, r'merging: [0-9]+ of [0-9]+ bytes')
        self.assertEqual([], self.data('job', 'list'))
        self.check_deleted()

    def test_what_is_soon_done_is_not_shown(self) -> None:
        self.assertEqual('', self.output('job', 'follow', test_cli.ID))

    def test_cannot_be_cancelled_from_outside(self) -> None:
        with self.deleting():
            self.check_error(
                'interrupt the process', 'job', 'cancel', test_cli.ID
            )


class InterruptedTest(SlowTestCase):
    def test_the_next_call_goes_on(self) -> None:
        with self.deleting() as process:
            # A terminal gives it to all in the foreground.
            os.killpg(process.pid, signal.SIGINT)
            out, error = process.communicate(timeout=_TIMEOUT)
        self.assertEqual((130, ''), (process.returncode, out))
        self.assertNotIn('Traceback', error)
        self.assertIn('volume-driver: interrupted; ', error)
        for job in self.data('job', 'list'):
            self.assertEqual('cut off', job['state'])
        self.limit(0)
        done = self.run_program('snapshot', 'delete', test_cli.ID, 'a')
        self.assertEqual(0, done.returncode, done.stderr)
        self.check_deleted()

    def test_killed(self) -> None:
        with self.deleting() as process:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=_TIMEOUT)
        (job,) = self.data('job', 'list')
        self.assertEqual('cut off', job['state'])
        self.limit(0)
        done = self.run_program('recover', '-f', 'json')
        (volume,) = json.loads(done.stdout)
        self.assertEqual('finished: delete snapshot a', volume['outcome'])
        self.check_deleted()


class PulledTest(SlowTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.limit(6, 'pull')
        self.output('snapshot', 'create', test_cli.ID, 'b')

    def test_it_is_limited_and_gone_on_with(self) -> None:
        names = (test_cli.NAME, f'{test_cli.NAME}.a', f'{test_cli.NAME}.b')
        base, lower, upper = (self.directory / name for name in names)
        before = image_tools.content(upper, 'qcow2')
        with self.deleting('b', '.b') as process:
            # All of it takes sixteen seconds, and it has just begun.
            copied = upper.stat().st_blocks * 512
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=_TIMEOUT)
        self.assertLess(copied, _DATA)
        (found,) = json.loads(self.run_program('check', '-f', 'json').stdout)
        self.assertEqual('unfinished', found['kind'])
        done = self.run_program('recover', '-f', 'json')
        (volume,) = json.loads(done.stdout)
        self.assertEqual('finished: delete snapshot b', volume['outcome'])
        self.assertFalse(lower.exists())
        self.assertEqual(before, image_tools.content(upper, 'qcow2'))
        info = json.loads(
            image_tools.qemu_img('info', '--output=json', '-f', 'qcow2', upper)
        )
        # A plain name, whatever qemu-img was given.
        self.assertEqual(base.name, info['backing-filename'])
        self.assertEqual('', self.output('check', '--deep'))
