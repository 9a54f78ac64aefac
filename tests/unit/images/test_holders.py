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

"""Processes that have a file open, seen for real."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from tests import base
from volume_driver.images import holders


class HoldersTest(base.TestCase):
    def find(self, directory: pathlib.Path) -> list[holders.Holder]:
        return holders.find(str(directory), ['volume-u', 'volume-u.a'])

    def test_nobody(self) -> None:
        directory = self.temp_dir()
        self.assertEqual([], self.find(directory))
        (directory / 'volume-u').touch()
        (directory / 'volume-other').touch()
        with (directory / 'volume-other').open('rb'):
            self.assertEqual([], self.find(directory))

    def test_this_process_and_another(self) -> None:
        directory = self.temp_dir()
        for name in ('volume-u', 'volume-u.a'):
            (directory / name).touch()
        link = self.temp_dir() / 'link'
        link.symlink_to(directory)
        with (directory / 'volume-u.a').open('ab') as stream:
            process = subprocess.Popen(
                [sys.executable, '-c', 'input()'],
                stdin=subprocess.PIPE,
                stdout=stream,
            )
        try:
            with (directory / 'volume-u').open('rb'):
                found = self.find(link)
        finally:
            process.communicate(b'')
        self.assertEqual(
            {
                (os.getpid(), 'volume-u', False),
                (process.pid, 'volume-u.a', True),
            },
            {(each.pid, each.image, each.writes) for each in found},
        )
        self.assertTrue(all(each.program for each in found))
