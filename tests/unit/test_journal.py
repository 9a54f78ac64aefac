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
import time
from unittest import mock

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal
from volume_driver.hypervisors import base as hypervisors
from volume_driver.planning import plan

PLAN = plan.Plan(
    operation='delete snapshot a',
    volume=fakes.VOLUME,
    steps=(
        plan.Commit('volume-u.a', 'volume-u', None),
        plan.StartFrom('volume-u', 'qcow2'),
        plan.Record({'active': 'volume-u'}),
        plan.Remove('volume-u.a'),
    ),
    way='commit',
    reason='it is cheaper',
    cost=7,
)


class JournalTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.path = self.directory / 'volume-u.journal'
        self.target = hypervisors.Target(
            'u', 'volume-u', str(self.directory), ('host1', 'host2'), True
        )

    def begin(self, **notes: str) -> journal.Journal:
        return journal.begin(str(self.directory), PLAN, self.target, notes)

    def find(self) -> journal.Journal:
        found = journal.find(str(self.directory), 'volume-u')
        assert found is not None
        return found


class BeginTest(JournalTestCase):
    def test_all_is_found_again(self) -> None:
        begun = self.begin(guest='first run')
        found = self.find()
        self.assertEqual(begun, found)
        self.assertEqual(PLAN, found.plan)
        self.assertEqual(self.target, found.target)
        self.assertEqual({'guest': 'first run'}, found.notes)
        self.assertIn(f'pid {os.getpid()}', found.written_by)
        self.assertFalse(found.marked)

    def test_it_stands_beside_the_volume(self) -> None:
        self.begin()
        self.assertEqual(['volume-u.journal'], os.listdir(self.directory))

    def test_a_person_can_read_it(self) -> None:
        self.begin()
        text = self.path.read_text()
        self.assertIn('\n "done": "----",\n', text)
        self.assertIn('"operation": "delete snapshot a"', text)

    def test_without_one_nothing_is_found(self) -> None:
        self.assertIsNone(journal.find(str(self.directory), 'volume-u'))

    def test_dropped_is_gone(self) -> None:
        begun = self.begin()
        begun.drop()
        self.assertEqual([], os.listdir(self.directory))
        begun.drop()


class PauseTest(JournalTestCase):
    def test_pauses_are_timed(self) -> None:
        clock = iter((1.0, 1.5, 7.0, 7.25))
        self.patch(time, 'monotonic', lambda: next(clock))
        begun = self.begin()
        for index in (0, 2):
            begun.step(index).hold()
            begun.step(index).release()
        self.assertEqual([0.5, 0.25], begun.pauses)

    def test_pause_that_another_process_began_is_not(self) -> None:
        self.begin().step(0).hold()
        found = self.find()
        found.step(0).release()
        self.assertEqual([], found.pauses)


@ddt.ddt
class MarkTest(JournalTestCase):
    @ddt.data(0, 1, 2, 3)
    def test_mark_is_found_again(self, index: int) -> None:
        begun = self.begin()
        begun.step(index).mark()
        for each in (begun, self.find()):
            self.assertEqual(
                [number == index for number in range(4)],
                [each.step(number).marked for number in range(4)],
            )
            self.assertTrue(each.marked)

    def test_mark_changes_one_byte_in_place(self) -> None:
        begun = self.begin()
        before, inode = self.path.read_bytes(), self.path.stat().st_ino
        begun.step(2).mark()
        after = self.path.read_bytes()
        differing = [
            number
            for number, pair in enumerate(zip(before, after, strict=True))
            if pair[0] != pair[1]
        ]
        self.assertEqual(1, len(differing))
        self.assertEqual(inode, self.path.stat().st_ino)

    def test_mark_is_on_disk_before_it_counts(self) -> None:
        begun = self.begin()

        with mock.patch(
            'os.fsync', autospec=True, side_effect=OSError(5, 'no')
        ):
            self.assertRaises(OSError, begun.step(0).mark)
        self.assertFalse(begun.step(0).marked)

    def test_second_mark_writes_nothing(self) -> None:
        begun = self.begin()
        begun.step(1).mark()
        self.path.unlink()
        begun.step(1).mark()

    def test_words_in_other_fields_do_not_mislead(self) -> None:
        begun = self.begin()
        begun.written_by = '"done": "----", "held": "----"'
        begun.write()
        begun.step(3).mark()
        begun.step(0).hold()
        found = self.find()
        self.assertEqual('---x', found.done)
        self.assertEqual('x---', found.held)
        self.assertEqual(begun.written_by, found.written_by)

    def test_hold_and_release(self) -> None:
        begun = self.begin()
        begun.step(0).hold()
        self.assertTrue(self.find().step(0).held)
        self.assertFalse(self.find().step(1).held)
        begun.step(0).release()
        self.assertFalse(self.find().step(0).held)
        self.assertFalse(begun.step(0).marked)

    def test_notes_are_found_again(self) -> None:
        begun = self.begin()
        begun.step(0).mark()
        begun.step(1).note('throttle', 'before')
        found = self.find()
        self.assertEqual({'throttle': 'before'}, found.step(0).notes)
        self.assertTrue(found.step(0).marked)
        begun.step(1).note('throttle', None)
        self.assertEqual({}, self.find().notes)

    def test_dropping_a_note_that_is_not_there(self) -> None:
        begun = self.begin()
        self.path.unlink()
        begun.step(1).note('throttle', None)
        self.assertFalse(self.path.exists())

    @hypothesis.given(
        strategies.lists(
            strategies.tuples(
                strategies.integers(0, 3),
                strategies.sampled_from(['mark', 'hold', 'release', 'note']),
            ),
            max_size=8,
        )
    )
    def test_what_is_in_memory_is_on_disk(
        self, changes: list[tuple[int, str]]
    ) -> None:
        begun = self.begin()
        for index, change in changes:
            if change == 'note':
                begun.step(index).note('guest', f'run {index}')
            else:
                getattr(begun.step(index), change)()
            self.assertEqual(begun, self.find())


@ddt.ddt
class CorruptTest(JournalTestCase):
    def assert_corrupt(self, reason: str = '') -> None:
        error = self.assertRaises(exception.JournalCorrupt, self.find)
        self.assertEqual(str(self.path), error.path)
        self.assertIn(reason, str(error.reason))

    @ddt.data('', '{', 'null', '[]', '7', '"x"', '{}', '[' * 100000, '\udcff')
    def test_no_journal_at_all(self, text: str) -> None:
        self.path.write_bytes(text.encode(errors='surrogateescape'))
        self.assert_corrupt()

    def test_torn_anywhere(self) -> None:
        self.begin()
        whole = self.path.read_bytes()
        for end in range(0, len(whole.rstrip()), 7):
            self.path.write_bytes(whole[:end])
            self.assert_corrupt()

    @ddt.data(
        ('version', 2, 'version is 2'),
        ('version', None, 'version is None'),
        ('version', '1', "version is '1'"),
        ('done', '', 'marks'),
        ('done', '-----', 'marks'),
        ('held', '--X-', 'marks'),
        ('held', None, ''),
        ('plan', None, ''),
        ('plan', {'steps': []}, ''),
        ('notes', None, ''),
        ('target', None, ''),
        ('target', {'name': 'volume-u'}, ''),
    )
    @ddt.unpack
    def test_wrong_field(self, field: str, value: object, reason: str) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content[field] = value
        self.path.write_text(json.dumps(content))
        self.assert_corrupt(reason)

    @ddt.data(
        *('version', 'done', 'held', 'plan', 'target', 'notes'),
        *('written_by', 'written_at'),
    )
    def test_missing_field(self, field: str) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        del content[field]
        self.path.write_text(json.dumps(content))
        self.assert_corrupt(field)

    @ddt.data(7, None, ['volume-u.a'], {})
    def test_name_that_is_no_text(self, name: object) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content['plan']['steps'][0]['top'] = name
        self.path.write_text(json.dumps(content))
        self.assertRaises(exception.JournalCorrupt, self.find)

    def change(self, number: int, field: str, value: object) -> None:
        """Write another value into a step."""
        self.begin()
        content = json.loads(self.path.read_text())
        content['plan']['steps'][number][field] = value
        self.path.write_text(json.dumps(content))

    @ddt.data('vmdk', '', '-O', 'json:{}')
    def test_format_that_no_image_has(self, found: str) -> None:
        self.change(1, 'format', found)
        self.assert_corrupt('its format is')

    @ddt.data(None, 7, ['qcow2'], {'qcow2': 1})
    def test_format_that_is_no_text(self, found: object) -> None:
        self.change(1, 'format', found)
        self.assert_corrupt('format is')

    @ddt.data(
        {},
        {'active': 'volume-u', 'a': '/etc/passwd'},
        {'active': 'volume-u', 'a': '../volume-u'},
        {'active': 'volume-u', '../a': 'volume-u.a'},
        {'active': 'volume-u', 'a': 7},
        ['active'],
    )
    def test_what_info_could_not_hold(self, content: object) -> None:
        self.change(2, 'content', content)
        self.assert_corrupt()

    @ddt.data('7', None, 1.5, [7])
    def test_cost_that_is_no_number(self, cost: object) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content['plan']['cost'] = cost
        self.path.write_text(json.dumps(content))
        self.assert_corrupt('cost is')

    @ddt.data(
        ('name', 'volume-v', 'volume-v'),
        ('directory', 7, 'directory is 7'),
        ('hosts', [7], 'hosts is'),
        ('attached', 'yes', 'attached is'),
    )
    @ddt.unpack
    def test_wrong_target(
        self, field: str, value: object, reason: str
    ) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content['target'][field] = value
        self.path.write_text(json.dumps(content))
        self.assert_corrupt(reason)

    @ddt.data({'guest': 7}, {'guest': None}, {'guest': ['run']})
    def test_notes_that_are_no_text(self, notes: object) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content['notes'] = notes
        self.path.write_text(json.dumps(content))
        self.assert_corrupt('its notes are')

    def test_symlink_is_not_followed(self) -> None:
        self.begin()
        self.path.rename(self.directory / 'away')
        self.path.symlink_to(self.directory / 'away')
        self.assert_corrupt('not a regular file')

    def test_pipe_does_not_block(self) -> None:
        os.mkfifo(self.path)
        self.assert_corrupt('not a regular file')

    def test_error_is_one_short_line(self) -> None:
        self.begin()
        content = json.loads(self.path.read_text())
        content['plan']['\ud800\n' + 'x' * 100000] = 1
        self.path.write_text(json.dumps(content))
        error = self.assertRaises(exception.JournalCorrupt, self.find)
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 1000)

    def test_journal_of_another_volume(self) -> None:
        self.begin()
        self.path.rename(self.directory / 'volume-v.journal')
        error = self.assertRaises(
            exception.JournalCorrupt,
            *(journal.find, str(self.directory), 'volume-v'),
        )
        self.assertIn('it is for volume-u', str(error))

    @hypothesis.given(strategies.integers(0, 2000), strategies.binary())
    def test_any_damage_is_corrupt_or_harmless(
        self, at: int, damage: bytes
    ) -> None:
        self.begin()
        whole = self.path.read_bytes()
        self.path.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
        try:
            found = self.find()
        except exception.JournalCorrupt:
            return
        self.assertEqual('volume-u', found.plan.volume)
        self.assertEqual(len(found.plan.steps), len(found.done))


class AllVolumesTest(JournalTestCase):
    def test_only_those_with_a_journal(self) -> None:
        for name in (
            *('volume-b.journal', 'volume-a.journal', 'volume-c'),
            *('volume-c.info', 'volume-d.journal.part'),
        ):
            (self.directory / name).touch()
        self.assertEqual(
            ['volume-a', 'volume-b'], journal.all_volumes(str(self.directory))
        )
