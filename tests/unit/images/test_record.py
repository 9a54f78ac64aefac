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

import json

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from volume_driver import exception
from volume_driver.images import record


@ddt.ddt
class RecordTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'volume-u.record'

    def read(self) -> str | None:
        return record.base_format(str(self.directory), 'volume-u')

    @ddt.data('qcow2', 'raw')
    def test_written_and_read(self, image_format: str) -> None:
        record.write(str(self.directory), 'volume-u', image_format)
        self.assertEqual(image_format, self.read())

    def test_a_person_can_read_it(self) -> None:
        record.write(str(self.directory), 'volume-u', 'raw')
        self.assertEqual(
            '{\n "base_format": "raw",\n "version": 1\n}\n',
            self.path.read_text(),
        )

    def test_overlays_without_a_snapshot(self) -> None:
        where = str(self.directory), 'volume-u'
        self.assertEqual(frozenset(), record.nameless(*where))
        record.add_nameless(*where, 'volume-u.a')
        self.assertIsNone(self.read())
        record.write(*where, 'raw')
        self.assertEqual('raw', self.read())
        self.assertEqual({'volume-u.a'}, record.nameless(*where))

    def test_overlays_that_are_gone_are_forgotten(self) -> None:
        where = str(self.directory), 'volume-u'
        record.write(*where, 'qcow2')
        (self.directory / 'volume-u.b').touch()
        for name in ('a', 'b', 'c'):
            record.add_nameless(*where, f'volume-u.{name}')
        self.assertEqual({'volume-u.b', 'volume-u.c'}, record.nameless(*where))
        self.assertEqual('qcow2', self.read())

    def test_no_record(self) -> None:
        self.assertIsNone(self.read())

    @ddt.data(
        '',
        '{',
        '[]',
        'null',
        '{}',
        '{"version": 1}',
        '{"version": 2, "base_format": "raw"}',
        '{"version": 1, "base_format": "vmdk"}',
        '{"version": 1, "base_format": ["raw"]}',
        '[' * 60000,
        '{"version": 1, "nameless": []}',
        '{"version": 1, "nameless": ["../x"]}',
        '{"version": 1, "nameless": [1]}',
        '{"version": 1, "nameless": "volume-u.a"}',
    )
    def test_anything_else_is_corrupt(self, text: str) -> None:
        self.path.write_text(text)
        error = self.assertRaises(exception.RecordCorrupt, self.read)
        self.assertEqual(str(self.path), error.path)

    def test_more_than_was_ever_written_is_corrupt(self) -> None:
        text = json.dumps({'base_format': 'raw', 'version': 1})
        self.path.write_text(text + ' ' * 70000 + 'x')
        with self.path.open('r+') as stream:
            stream.write('x')
        self.assertRaises(exception.RecordCorrupt, self.read)

    @hypothesis.given(strategies.binary(max_size=200))
    def test_any_bytes_are_corrupt_or_a_format(self, text: bytes) -> None:
        self.path.write_bytes(text)
        try:
            self.assertIn(self.read(), ('raw', 'qcow2'))
        except exception.RecordCorrupt as error:
            self.assertIn(str(self.path), str(error))
