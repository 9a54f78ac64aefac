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

"""What the tests of volumes that no guest uses have in common."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import typing

import fixtures

from tests import base
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from volume_driver import exception

KIB = 1 << 10
MIB = 1 << 20
GIB = drivers.GIB

FORMATS = ('qcow2', 'raw')


class OfflineTestCase(base.TestCase):
    """With a driver on a directory of its own; no guest, no hypervisor."""

    def make_driver(
        self, volume_format: str = 'qcow2', **options: typing.Any
    ) -> drivers.DriverFixture:
        """Make a driver for volumes of a format."""
        self.require_program('qemu-img', 'qemu-utils')
        made = drivers.DriverFixture(volume_format=volume_format, **options)
        self.useFixture(made)
        return made

    def make_volume(
        self, volume_format: str = 'qcow2', **options: typing.Any
    ) -> modelled.ModelledVolume:
        """Make a volume of 1 GiB with data at its beginning and its end."""
        made = self.make_driver(volume_format, **options)
        volume = modelled.ModelledVolume.create(made)
        volume.write(0, 256 * KIB, 0x11)
        volume.write(512 * MIB, 128 * KIB, 0x12)
        volume.write(GIB - 96 * KIB, 96 * KIB, 0x13)
        return volume

    def make_snapshots(
        self, volume: modelled.ModelledVolume, count: int
    ) -> list[drivers.Snapshot]:
        """Take snapshots of a volume, each layer with data of its own."""
        return volume.take_snapshots(count)

    def check(self, *volumes: modelled.ModelledVolume) -> None:
        """Compare volumes with their models: every view, bit for bit."""
        for volume in volumes:
            self.assertEqual([], volume.differences())

    def check_images(self, volume: modelled.ModelledVolume) -> None:
        """Let qemu-img check the metadata of every image of a volume."""
        files = volume.files()
        for name in files.chain:
            if files.format(name) == 'qcow2':
                path = files.directory / name
                image_tools.qemu_img('check', '-q', '-f', 'qcow2', path)

    @contextlib.contextmanager
    def refused(
        self,
        error: type[exception.VolumeDriverError],
        directory: pathlib.Path,
    ) -> typing.Iterator[None]:
        """Expect an error that leaves every file as it was."""
        before = model.fingerprint(directory)
        try:
            yield
        except error as problem:
            # What to do next is what the message ends with.
            self.assertRegex(str(problem), r'[.]$')
        else:
            self.fail(f'{error.__name__} was not raised')
        self.assertEqual(before, model.fingerprint(directory))

    def mount(self, *arguments: str | pathlib.Path) -> pathlib.Path:
        """Mount a filesystem for the time of the test; return where.

        :param arguments: of ``mount``, without the directory
        """
        directory = self.temp_dir()
        subprocess.run(['mount', *arguments, directory], check=True)
        unmount = ['umount', str(directory)]
        self.addCleanup(lambda: subprocess.run(unmount, check=True))
        return directory

    def without_programs(self) -> None:
        """Let no program be found from here on."""
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/nonexistent'))
