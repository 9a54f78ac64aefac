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

"""Access to images that belong to somebody else."""

from __future__ import annotations

import os
import pathlib
from unittest import mock

import fixtures

from tests import base
from volume_driver import access
from volume_driver import exception


class AccessTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.temp_dir() / 'volume-5f0c'
        self.path.write_bytes(b'x')
        # Whoever runs the tests: root may read and write anything.
        self.allowed = [False]
        self.useFixture(
            fixtures.MonkeyPatch(
                'os.access', lambda _path, _mode: self.allowed[0]
            )
        )
        self.call = mock.Mock(side_effect=self.allow)
        self.useFixture(
            fixtures.MonkeyPatch('volume_driver.access._call', self.call)
        )

    def allow(self, *_arguments: str) -> None:
        self.allowed[0] = True

    def test_asks(self) -> None:
        access.ensure(str(self.path))
        self.call.assert_called_once_with(
            'share', str(self.path.parent), self.path.name
        )

    def test_does_not_ask_where_it_may(self) -> None:
        self.allowed[0] = True
        access.ensure(str(self.path))
        self.call.assert_not_called()

    def test_leaves_others_to_whoever_opens_them(self) -> None:
        access.ensure(str(self.path.parent))
        access.ensure(str(self.path) + '.first')
        self.call.assert_not_called()

    def test_does_not_get_it(self) -> None:
        self.call.side_effect = OSError('no sudo')
        error = self.assertRaises(
            exception.AccessDenied, access.ensure, str(self.path)
        )
        self.assertIn('no sudo', str(error))

    def test_still_may_not(self) -> None:
        self.call.side_effect = None
        error = self.assertRaises(
            exception.AccessDenied, access.ensure, str(self.path)
        )
        self.assertIn('its group is that of the directory', str(error))

    def test_is_no_image(self) -> None:
        refused = exception.ImageNotTrusted(path='p', reason='r')
        self.call.side_effect = refused
        error = self.assertRaises(
            exception.ImageNotTrusted, access.ensure, str(self.path)
        )
        self.assertIs(refused, error)

    def test_opens_again(self) -> None:
        opened = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, opened)
        answers = mock.Mock(side_effect=[PermissionError(), opened])
        with mock.patch('os.open', answers):
            found = access.open_image(str(self.path), os.O_RDONLY)
        self.assertEqual(opened, found)
        self.call.assert_called_once()

    def test_belongs_to_the_service_if_it_cannot_be_given(self) -> None:
        self.call.side_effect = OSError('no sudo')
        below = pathlib.Path('/dev/null')
        with mock.patch('os.stat', autospec=True) as stat:
            stat.side_effect = _owners(1000, 107)
            access.give(str(self.path), str(below))
        self.call.assert_called_once_with(
            'give', str(self.path.parent), self.path.name, 'null'
        )

    def test_is_not_given_to_whom_it_belongs(self) -> None:
        with mock.patch('os.stat', autospec=True) as stat:
            stat.side_effect = _owners(107, 107)
            access.give(str(self.path), '/dev/null')
        self.call.assert_not_called()


def _owners(*numbers: int) -> list[mock.Mock]:
    return [mock.Mock(st_uid=each, st_gid=each) for each in numbers]
