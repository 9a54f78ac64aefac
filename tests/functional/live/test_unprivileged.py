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

"""The whole main job as an ordinary user, libvirt as it is by default.

QEMU runs as its own user, to whom libvirt gives the images of a guest, and
whose they were it remembers or not.
"""

from __future__ import annotations

import collections.abc
import os
import pathlib
import pwd
import re
import stat
import subprocess
import typing

import ddt

from tests import base
from tests.fixtures import domain_xml
from tests.fixtures import guest as guests
from tests.fixtures import ordinary_user
from tests.fixtures import own_libvirtd
from tests.fixtures import traces

_MIB = 1 << 20
_QEMU = 'libvirt-qemu'
_VOLUME = 'volume-5f0c'
_CONFIGURATION = """\
[volume_driver]
volume_files_dir = {directory}
libvirt_uri = {uri}
volume_format = {format}
"""
# What the program may run, and write to and read besides the volumes.
_PROGRAMS = frozenset(
    {
        *('volume-driver', 'qemu-img', 'timeout', 'setpriv', 'prlimit'),
        *('sudo', 'privsep-helper'),
    }
)
_WRITTEN = ('/dev/null',)
_READ = ('/usr', '/lib', '/etc', '/proc', '/sys', '/dev/urandom')
# What Python tries out before it makes the directory of privsep's socket.
_TRIED = re.compile('/tmp/[a-z0-9_]{8}')


class UnprivilegedTestCase(base.TestCase):
    """An ordinary user, a libvirtd, and a volume of his.

    :ivar directory: of the volumes
    :ivar traced: where what the program does is written down, if anywhere
    """

    traced: traces.Traces | None = None

    def set_up(
        self,
        volume_format: str = 'qcow2',
        *,
        becomes_root: bool = True,
        **qemu: str,
    ) -> None:
        self.require_program('sudo', 'sudo')
        self.qemu = pwd.getpwnam(_QEMU).pw_uid
        self.user = self.useFixture(
            ordinary_user.OrdinaryUser(becomes_root=becomes_root)
        )
        self.libvirtd = self.useFixture(
            own_libvirtd.Libvirtd(qemu, replaced=self.user.files)
        )
        self.user.home.chmod(0o711)
        self.directory = self.user.make_directory(self.user.home / 'volumes')
        (self.user.home / 'volume_driver.conf').write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                uri=self.libvirtd.uri,
                format=volume_format,
            )
        )
        self.format = volume_format
        self.call('volume create', '--size=1')

    def run_program(
        self, words: str, *arguments: str, **options: typing.Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the program on the volume, as the user."""
        return self.user.run(
            'volume-driver',
            f'--config-file={self.user.home}/volume_driver.conf',
            *words.split(),
            _VOLUME,
            *arguments,
            **options,
        )

    def call(self, words: str, *arguments: str, **options: typing.Any) -> str:
        """Run a command, which succeeds; return what it says."""
        if self.traced is not None:
            options['under'] = self.traced.command(ordinary_user.NAME)
        done = self.run_program(words, *arguments, **options)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def start(self) -> None:
        """Start a guest on the active image."""
        path = self.active()
        image_format = 'qcow2' if path.suffix else self.format
        self.guest = self.useFixture(
            guests.Guest(
                [domain_xml.Disk(path, image_format)], uri=self.libvirtd.uri
            )
        )
        self.guest.start()
        self.assertEqual(self.qemu, path.stat().st_uid)

    def stop(self) -> None:
        """Shut the guest off, and let libvirt forget it."""
        self.guest.destroy()
        self.guest.undefine()

    def active(self) -> pathlib.Path:
        """Return the path of the active image, as the user is told it."""
        shown = self.call('volume show', '--format=value', '--column=active')
        return self.directory / shown.strip()

    def assert_reads(self, *patterns: int) -> None:
        """Check the first MiB, the second, ... through the guest."""
        for index, pattern in enumerate(patterns):
            self.assertTrue(
                self.guest.read_is(index * _MIB, _MIB, pattern), hex(pattern)
            )


@ddt.ddt
class UnprivilegedTest(UnprivilegedTestCase):
    @ddt.data(('qcow2', '1'), ('raw', '0'))
    @ddt.unpack
    def test_main_job(self, volume_format: str, remembers: str) -> None:
        self.set_up(volume_format, remember_owner=remembers)
        self.play()
        self.assertEqual([], list(self.directory.glob('*.journal')))

    def test_may_not_become_root(self) -> None:
        self.set_up(becomes_root=False)
        self.start()
        self.guest.write(0, _MIB, 0x11)
        before = sorted(path.name for path in self.directory.iterdir())
        done = self.run_program('snapshot create', 'first')
        self.assertEqual(1, done.returncode)
        active = self.directory / _VOLUME
        for expected in (
            f'The image {active} belongs to {_QEMU}:',
            f'user {ordinary_user.NAME}, groups ',
            f'in group {ordinary_user.NAME}, that of the directory',
        ):
            self.assertIn(expected, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        after = sorted(path.name for path in self.directory.iterdir())
        self.assertEqual(before, after)
        self.assert_reads(0x11)

    def test_reading_takes_no_right_to_write(self) -> None:
        self.set_up(becomes_root=False)
        active = self.directory / _VOLUME
        os.chown(active, 0, ordinary_user.UID)
        active.chmod(0o640)
        self.call('check', '--deep')
        self.assertEqual(0o640, stat.S_IMODE(active.stat().st_mode))
        done = self.run_program('volume extend', '--size=2')
        self.assertEqual(1, done.returncode)
        self.assertIn(f'The image {active} belongs to root:', done.stderr)

    def test_nothing_else_is_touched(self) -> None:
        self.require_program('strace', 'strace')
        self.set_up()
        self.traced = self.useFixture(traces.Traces())
        self.play()
        seen = self.traced.read()
        programs = {pathlib.Path(path).name for path in seen.executed}
        self.assertIn('qemu-img', programs)
        self.assertIn('privsep-helper', programs)
        self.assertEqual(set(), programs - _PROGRAMS)
        self.assertIn(f'{self.directory}/{_VOLUME}', seen.written)
        written = {path for path in seen.written if not _TRIED.fullmatch(path)}
        self.assert_below(written, [str(self.directory), *_WRITTEN])
        program = [*ordinary_user.PYTHON, ordinary_user.ROOT]
        self.assert_below(
            seen.read, [str(self.user.home), *_READ, *map(str, program)]
        )

    def assert_below(
        self, paths: collections.abc.Iterable[str], places: list[str]
    ) -> None:
        """Check that all paths are in, or below, one of some places."""
        found = [
            path
            for path in sorted(paths)
            if not any(f'{path}/'.startswith(f'{at}/') for at in places)
        ]
        self.assertEqual([], found)

    def play(self) -> None:
        """Take, delete and revert, under a guest and without one."""
        self.start()
        for index, name in enumerate(('first', 'second', 'third')):
            self.guest.write(index * _MIB, _MIB, 0x11 + index)
            self.call('snapshot create', name)
        self.guest.write(3 * _MIB, _MIB, 0x14)
        for name in ('first', 'third', 'second'):
            self.call('snapshot delete', name)
            self.assert_reads(0x11, 0x12, 0x13, 0x14)
        self.call('snapshot create', 'kept')
        self.call('volume extend', '--size=2')
        self.guest.write(0, _MIB, 0x21)
        self.call('check')
        self.stop()
        self.call('snapshot revert', 'kept')
        for name in ('fourth', 'fifth'):
            self.call('snapshot create', name)
        self.call('snapshot delete', 'kept')
        self.call('volume extend', '--size=3')
        self.start()
        self.assert_reads(0x11, 0x12, 0x13, 0x14)
        self.guest.write(0, _MIB, 0x31)
        self.stop()
        for name in ('fifth', 'fourth'):
            self.call('snapshot delete', name)
        self.start()
        self.assert_reads(0x31, 0x12, 0x13, 0x14)
        self.call('check')
        self.stop()
        self.call('volume delete')
        self.assertEqual([], list(self.directory.glob('volume-*')))
