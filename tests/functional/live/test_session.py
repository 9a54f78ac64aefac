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

"""The session of the docs can be recorded."""

from __future__ import annotations

from lxml import etree

from examples import session
from tests import base


class SessionTest(base.TestCase):
    def test_session(self) -> None:
        directory = self.temp_dir()
        self.assertEqual(0, session.main([str(directory)]))
        text = (directory / 'session.inc').read_text()
        for expected in (
            '$ volume-driver snapshot delete demo before-upgrade\n',
            ' 100% ',
            'error  info-corrupt',
            'info-corrupt  volume-demo.info  refused',
            'info-corrupt  volume-demo.info  done',
            'Nothing is wrong (volumes looked at: 1).',
        ):
            self.assertIn(expected, text)
        self.assertNotIn('\x1b', text)
        self.assertNotIn('/tmp', text)
        etree.parse(directory / 'session.svg')
