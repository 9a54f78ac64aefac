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

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from volume_driver import exception
from volume_driver import names

_GOOD = (
    'volume-1b4e28ba-2fa1-41d2-883f-b9a761bde3fb',
    'a',
    '0',
    'A_b-C',
    'x' * 100,
)
_BAD = (
    '',
    '.',
    '..',
    '.hidden',
    '-f',
    '_a',
    'a.b',
    'a/b',
    '/etc/passwd',
    '../a',
    'a b',
    'a\n',
    'a\0',
    'ä',
    '\uff11',
    'a:b',
    'json:{}',
    'a*',
    'x' * 129,
)


@ddt.ddt
class CheckTest(base.TestCase):
    @ddt.data(*_GOOD)
    def test_good_names_are_returned(self, name: str) -> None:
        self.assertEqual(name, names.check_volume(name))
        self.assertEqual(name, names.check_snapshot(name))

    @ddt.data(*_BAD)
    def test_bad_volume_names_are_refused(self, name: str) -> None:
        error = self.assertRaises(
            exception.InvalidName, names.check_volume, name
        )
        self.assertEqual('volume name', error.kind)
        self.assertEqual(name, error.name)

    @ddt.data(*_BAD, 'active', 'info', 'record', 'journal', 'part')
    def test_bad_snapshot_ids_are_refused(self, name: str) -> None:
        error = self.assertRaises(
            exception.InvalidName, names.check_snapshot, name
        )
        self.assertEqual('snapshot id', error.kind)
        self.assertIn(repr(name), str(error))

    @ddt.data('export-', 'export-a', 'export-volume')
    def test_ids_that_would_name_an_export_are_refused(
        self, name: str
    ) -> None:
        error = self.assertRaises(
            exception.InvalidName, names.check_snapshot, name
        )
        self.assertIn('"export-"', str(error))

    def test_error_names_the_reserved_words(self) -> None:
        error = self.assertRaises(
            exception.InvalidName, names.check_snapshot, 'info'
        )
        for word in ('active', 'info', 'record', 'journal', 'part'):
            self.assertIn(word, str(error.expected))

    def test_a_volume_may_have_a_name_that_no_snapshot_may(self) -> None:
        self.assertEqual('info', names.check_volume('info'))


@ddt.ddt
class OverlayTest(base.TestCase):
    def test_overlay_is_volume_dot_snapshot(self) -> None:
        self.assertEqual('volume-u.a', names.overlay('volume-u', 'a'))

    @ddt.data('', 'info', '../a', 'a/b')
    def test_overlay_of_a_bad_id_is_refused(self, snapshot: str) -> None:
        self.assertRaises(
            exception.InvalidName, names.overlay, 'volume-u', snapshot
        )


@ddt.ddt
class ExportTest(base.TestCase):
    @ddt.data('volume', 'image', '1b4e28ba-2fa1-41d2-883f-b9a761bde3fb')
    def test_export_is_a_file_and_no_image(self, what: str) -> None:
        name = names.export('volume-u', what)
        self.assertEqual(f'volume-u.export-{what}', name)
        self.assertTrue(names.is_export_of('volume-u', name))
        self.assertTrue(names.is_file_of('volume-u', name))
        self.assertFalse(names.is_image_of('volume-u', name))

    @ddt.data('', '../a', 'a/b', 'a.b', 'export-a', 'part')
    def test_export_of_a_bad_id_is_refused(self, what: str) -> None:
        self.assertRaises(
            exception.InvalidName, names.export, 'volume-u', what
        )

    @ddt.data(
        'volume-u',
        'volume-u.export-',
        'volume-u.export-a.part',
        'volume-u.export-../a',
        'volume-u.export-part',
        'volume-u2.export-a',
        'volume-u.exports-a',
    )
    def test_nothing_else_is_an_export(self, name: str) -> None:
        self.assertFalse(names.is_export_of('volume-u', name))

    @hypothesis.given(strategies.text())
    def test_an_export_never_leaves_the_directory(self, tail: str) -> None:
        name = f'volume-u.export-{tail}'
        if names.is_export_of('volume-u', name):
            self.assertNotIn('/', name)
            self.assertEqual(1, name.count('.'))

    def test_longest_name_fits_into_that_of_a_file(self) -> None:
        volume = names.check_volume('v' * 100)
        name = names.export(volume, 's' * 128) + names.PART
        self.assertLessEqual(len(name), 255)


@ddt.ddt
class IsImageTest(base.TestCase):
    @ddt.data('volume-u', 'volume-u.a', 'volume-u.1b4e28ba-2fa1')
    def test_base_and_overlays_are(self, name: str) -> None:
        self.assertTrue(names.is_image_of('volume-u', name))

    @ddt.data(
        '',
        'volume-u.',
        'volume-u.info',
        'volume-u.record',
        'volume-u.journal',
        'volume-u.part',
        'volume-u.a.part',
        'volume-u.active',
        'volume-u.a.b',
        'volume-u.export-a',
        'volume-u./etc',
        'volume-u.../x',
        'volume-u2',
        'volume-u2.a',
        'volume-v.a',
        './volume-u',
        '/volumes/volume-u',
        'volume-u\n',
        'volume-u.a\n',
        'volume-U',
    )
    def test_nothing_else_is(self, name: str) -> None:
        self.assertFalse(names.is_image_of('volume-u', name))

    @hypothesis.given(strategies.text())
    def test_an_image_never_leaves_the_directory(self, tail: str) -> None:
        name = f'volume-u{tail}'
        if names.is_image_of('volume-u', name):
            self.assertNotIn('/', name)
            self.assertNotIn('\0', name)
            self.assertLessEqual(name.count('.'), 1)
            self.assertEqual(name, name.strip())

    @hypothesis.given(strategies.from_regex(r'[A-Za-z0-9_.-]{1,12}'))
    def test_a_good_id_makes_an_image(self, snapshot: str) -> None:
        try:
            name = names.overlay('volume-u', snapshot)
        except exception.InvalidName:
            self.assertFalse(
                names.is_image_of('volume-u', f'volume-u.{snapshot}')
            )
        else:
            self.assertTrue(names.is_image_of('volume-u', name))
