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

"""A small filesystem that can be full."""

from __future__ import annotations

import pathlib
import subprocess

import fixtures


class SmallFilesystem(fixtures.Fixture):
    """An ext4 in a file, or where there are no loop devices, a tmpfs.

    :param size: MiB
    :ivar cache: the cache mode that a guest needs on it
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def _setUp(self) -> None:
        temporary = self.useFixture(fixtures.TempDir(rootdir='/var/tmp'))
        self.path = pathlib.Path(temporary.path) / 'mounted'
        self.path.mkdir()
        image = pathlib.Path(temporary.path) / 'image'
        with image.open('wb') as stream:
            stream.truncate(self._size << 20)
        # Without blocks that are kept for root: the tests are root.
        _run('mkfs.ext4', '-q', '-m', '0', image)
        try:
            _run('mount', '-o', 'loop', image, self.path)
            self.cache = 'none'
        except subprocess.CalledProcessError:
            options = f'size={self._size}m'
            _run('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', self.path)
            self.cache = 'writeback'
        self.addCleanup(_run, 'umount', '--lazy', self.path)


def _run(*command: str | pathlib.Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
