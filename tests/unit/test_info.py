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
import os
import typing

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from volume_driver import exception
from volume_driver import info

VOLUME = 'volume-u'
PATH = '/volumes/volume-u.info'

_ids = strategies.from_regex(r'[a-z0-9]{1,6}', fullmatch=True).filter(
    lambda word: word not in ('active', 'info', 'record', 'part', 'journal')
)
_infos = strategies.lists(_ids, unique=True, max_size=6).map(
    lambda ids: info.Info(
        f'{VOLUME}.{ids[-1]}' if ids else VOLUME,
        {each: f'{VOLUME}.{each}' for each in ids},
    )
)
_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.floats()
    | strategies.integers()
    | strategies.text()
    | strategies.sampled_from([VOLUME, f'{VOLUME}.a', f'{VOLUME}.b']),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.sampled_from(['active', 'a', 'b', '..', 'info'])
            | strategies.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def _parse(content: object) -> info.Info:
    return info.parse(json.dumps(content).encode(), VOLUME, PATH)


class InfoTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.info = info.Info(
            'volume-u.b', {'a': 'volume-u.a', 'b': 'volume-u.b'}
        )

    def test_new_snapshot_has_the_active_image(self) -> None:
        found = self.info.with_snapshot('c', 'volume-u.c')
        self.assertEqual('volume-u.c', found.active)
        self.assertEqual('volume-u.c', found.snapshots['c'])
        self.assertEqual(3, len(found.snapshots))

    def test_a_dropped_snapshot_leaves_the_rest(self) -> None:
        found = self.info.without_snapshot('b')
        self.assertEqual(info.Info('volume-u.b', {'a': 'volume-u.a'}), found)
        self.assertEqual(2, len(self.info.snapshots))

    def test_renaming_reaches_snapshots_and_active(self) -> None:
        found = self.info.with_renamed('volume-u.b', 'volume-u.x')
        self.assertEqual('volume-u.x', found.active)
        self.assertEqual(
            {'a': 'volume-u.a', 'b': 'volume-u.x'}, found.snapshots
        )

    def test_renaming_what_is_not_there_changes_nothing(self) -> None:
        found = self.info.with_renamed('volume-u.c', 'volume-u.x')
        self.assertEqual(self.info, found)

    def test_snapshot_of_an_overlay(self) -> None:
        self.assertEqual('a', self.info.snapshot_of('volume-u.a'))
        self.assertIsNone(self.info.snapshot_of('volume-u'))


@ddt.ddt
class ParseTest(base.TestCase):
    def assert_corrupt(self, text: bytes, reason: str) -> None:
        error = self.assertRaises(
            exception.InfoCorrupt, info.parse, text, VOLUME, PATH
        )
        self.assertEqual(PATH, error.path)
        self.assertRegex(str(error.reason), reason)

    def test_what_the_design_shows(self) -> None:
        found = _parse(
            {'active': 'volume-u.b', 'a': 'volume-u.a', 'b': 'volume-u.b'}
        )
        self.assertEqual('volume-u.b', found.active)
        self.assertEqual({'a', 'b'}, set(found.snapshots))

    def test_active_alone(self) -> None:
        self.assertEqual(
            info.Info('volume-u.a'), _parse({'active': 'volume-u.a'})
        )

    def test_order_in_the_file_is_of_no_meaning(self) -> None:
        self.assertEqual(
            _parse({'a': 'volume-u.a', 'active': 'volume-u.a'}),
            _parse({'active': 'volume-u.a', 'a': 'volume-u.a'}),
        )

    @ddt.data(
        b'',
        b'{',
        b'{"active": "volume-u"',
        b'\xff\xfe\xff',
        b'[' * 100000,
        b'{"active": ' + b'9' * 5000 + b'}',
        b'\0' * 4096,
    )
    def test_torn_content(self, text: bytes) -> None:
        self.assert_corrupt(text, 'JSON|cannot be an image')

    @ddt.data(b'[]', b'null', b'"active"', b'{}', b'{"a": "volume-u.a"}', b'1')
    def test_no_object_with_active(self, text: bytes) -> None:
        self.assert_corrupt(text, 'key "active"')

    @ddt.data(
        '/etc/passwd',
        '../volume-u',
        './volume-u',
        'volume-v',
        'volume-u.info',
        'volume-u.a.b',
        '',
        None,
        7,
        ['volume-u'],
    )
    def test_no_name_of_an_image(self, name: typing.Any) -> None:
        for content in (
            {'active': name},
            {'active': 'volume-u', 'a': name},
        ):
            self.assert_corrupt(
                json.dumps(content).encode(), 'cannot be an image of volume-u'
            )

    @ddt.data('', '../a', 'a.b', 'info', 'a/b', 'journal', '\ud800')
    def test_no_snapshot_id(self, key: str) -> None:
        content = {'active': 'volume-u.a', key: 'volume-u.a'}
        self.assert_corrupt(json.dumps(content).encode(), 'snapshot id')

    def test_error_is_one_short_line(self) -> None:
        content = {'active': 'volume-u', 'a\n' * 100000: 'volume-u.a'}
        error = self.assertRaises(exception.InfoCorrupt, _parse, content)
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 1000)

    def test_two_snapshots_of_one_overlay(self) -> None:
        content = {
            'active': 'volume-u.a',
            'a': 'volume-u.a',
            'b': 'volume-u.a',
        }
        self.assert_corrupt(json.dumps(content).encode(), 'same overlay')

    @hypothesis.given(strategies.binary())
    def test_any_bytes_are_corrupt_or_read(self, text: bytes) -> None:
        self.assert_parsed_or_corrupt(text)

    @hypothesis.given(_values)
    def test_any_json_is_corrupt_or_read(self, content: object) -> None:
        self.assert_parsed_or_corrupt(json.dumps(content).encode())

    @hypothesis.given(
        _infos, strategies.integers(0, 200), strategies.binary(max_size=3)
    )
    def test_any_damage_is_found_or_harmless(
        self, content: info.Info, at: int, damage: bytes
    ) -> None:
        text = content.dumps()
        self.assert_parsed_or_corrupt(
            text[:at] + damage + text[at + len(damage) :]
        )

    def assert_parsed_or_corrupt(self, text: bytes) -> None:
        try:
            found = info.parse(text, VOLUME, PATH)
        except exception.InfoCorrupt as error:
            self.assertIn(PATH, str(error))
        else:
            self.assertTrue(found.active.startswith(VOLUME))
            self.assertEqual(found, info.parse(found.dumps(), VOLUME, PATH))


class DumpsTest(base.TestCase):
    def test_bytes_are_those_that_cinder_writes(self) -> None:
        content = info.Info(
            'volume-u.b', {'b': 'volume-u.b', 'a': 'volume-u.a'}
        )
        self.assertEqual(
            b'{\n "a": "volume-u.a",\n "active": "volume-u.b",\n'
            b' "b": "volume-u.b"\n}',
            content.dumps(),
        )

    @hypothesis.given(_infos)
    def test_dumps_is_what_remotefs_does(self, content: info.Info) -> None:
        # RemoteFSSnapDriverBase._write_info_file
        expected = json.dumps(content.as_dict(), indent=1, sort_keys=True)
        self.assertEqual(expected.encode(), content.dumps())

    @hypothesis.given(_infos)
    def test_what_was_written_is_read(self, content: info.Info) -> None:
        self.assertEqual(content, info.parse(content.dumps(), VOLUME, PATH))


class FileTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'volume-u.info'
        self.content = info.Info('volume-u.a', {'a': 'volume-u.a'})

    def read(self) -> info.Info | None:
        return info.read(str(self.directory), VOLUME)

    def write(self) -> None:
        info.write(str(self.directory), VOLUME, self.content)

    def test_no_file_is_no_info(self) -> None:
        self.assertIsNone(self.read())

    def test_written_and_read(self) -> None:
        (self.directory / 'volume-u.a').touch()
        self.write()
        self.assertEqual(self.content, self.read())
        self.assertEqual(
            ['volume-u.a', 'volume-u.info'],
            sorted(os.listdir(self.directory)),
        )

    def test_new_file_has_the_mode_of_the_active_image(self) -> None:
        image = self.directory / 'volume-u.a'
        image.touch()
        image.chmod(0o640)
        self.write()
        self.assertEqual(0o640, self.path.stat().st_mode & 0o7777)

    def test_old_file_keeps_its_mode(self) -> None:
        (self.directory / 'volume-u.a').touch(0o600)
        self.path.touch()
        self.path.chmod(0o664)
        self.write()
        self.assertEqual(0o664, self.path.stat().st_mode & 0o7777)

    def test_huge_file_is_not_read(self) -> None:
        with self.path.open('wb') as stream:
            stream.truncate(5 << 20)
        error = self.assertRaises(exception.InfoCorrupt, self.read)
        self.assertIn('larger than', str(error))

    def test_empty_file_is_corrupt(self) -> None:
        self.path.touch()
        self.assertRaises(exception.InfoCorrupt, self.read)
