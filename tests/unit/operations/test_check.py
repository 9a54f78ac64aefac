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

"""How a check looks: with which guests, under which locks."""

from __future__ import annotations

import collections.abc
import contextlib
import errno
import json
import random
from unittest import mock

from oslo_concurrency import processutils

from tests.unit import fakes
from tests.unit.operations import case
from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.checking import facts
from volume_driver.checking import findings
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import qemu_check
from volume_driver.operations import check
from volume_driver.operations import locking
from volume_driver.operations import look
from volume_driver.planning import plan

_ENDS = ('.info', '.record', '.journal')


class Locks(fakes.Locks):
    """Locks that can be had or not."""

    error: Exception | None = None

    @contextlib.contextmanager
    def __call__(
        self, name: str, blocking: bool = True
    ) -> collections.abc.Iterator[None]:
        assert not blocking
        if self.error is not None:
            raise self.error
        with super().__call__(name, blocking):
            yield


class CheckTest(case.OperationsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.images = fakes.make_volume(self.directory, 'ab')
        self.locks = Locks()

    def check(self, deep: bool = False) -> list[tuple[str, str]]:
        context = fakes.context(self.directory, self.hypervisor)
        object.__setattr__(context, 'locks', self.locks)
        report = check.check(context, self.target, deep)
        self.assertEqual(('volume-u',), report.volumes)
        return [(each.kind, each.file) for each in report.findings]

    def test_no_lock_is_taken_where_nothing_is_wrong(self) -> None:
        self.locks.error = locking.Locked('volume-u')
        self.assertEqual([], self.check())

    def test_lock_is_held_while_it_is_looked_at_again(self) -> None:
        (self.directory / 'volume-u.x.part').touch()
        self.assertEqual([('leftover', 'volume-u.x.part')], self.check())
        self.assertEqual(
            (['volume-u'], []), (self.locks.taken, self.locks.held)
        )

    def test_what_is_mended_meanwhile_is_not_told(self) -> None:
        part = self.directory / 'volume-u.x.part'
        part.touch()
        seen = look.look

        def once(*args: object) -> object:
            found = seen(*args)  # type: ignore[arg-type]
            part.unlink(missing_ok=True)
            return found

        with mock.patch.object(look, 'look', new=once):
            self.assertEqual([], self.check())

    def test_volume_that_is_worked_on(self) -> None:
        (self.directory / 'volume-u.x.part').touch()
        self.locks.error = locking.Locked('volume-u')
        self.assertEqual([('busy', '')], self.check(deep=True))

    def test_frozen_image_is_told_of_all_the_same(self) -> None:
        self.hypervisor.found = hypervisors.Found(fakes.Disk('volume-u'))
        self.locks.error = locking.Locked('volume-u')
        self.assertEqual(
            [('frozen-guest', 'volume-u'), ('busy', '')], self.check()
        )

    def test_directory_that_cannot_be_written_to(self) -> None:
        (self.directory / 'volume-u.x.part').touch()
        self.locks.error = OSError(errno.EROFS, 'read-only')
        self.assertEqual([('leftover', 'volume-u.x.part')], self.check())

    def test_running_guest(self) -> None:
        self.hypervisor.found = hypervisors.Found(fakes.Disk(*self.images))
        self.assertEqual([], self.check())
        self.hypervisor.found = hypervisors.Found(fakes.Disk('volume-u'))
        self.assertEqual([('frozen-guest', 'volume-u')], self.check())

    def test_guest_that_is_off(self) -> None:
        defined = fakes.Defined()
        self.hypervisor.found = hypervisors.Found(None, (defined,))
        self.assertEqual([('frozen-start', 'volume-u')], self.check())
        defined.named = self.images[-1]
        self.assertEqual([], self.check())

    def test_nobody_can_be_asked(self) -> None:
        error = exception.HypervisorUnreachable(
            uri='u', volume='volume-u', reason='it is off'
        )
        with mock.patch.object(
            self.hypervisor, 'find', autospec=True, side_effect=error
        ):
            self.assertEqual([('no-answer', '')], self.check())
            self.assertEqual(
                [('no-answer', '')]
                + [('unchecked', name) for name in self.images],
                self.check(deep=True),
            )

    def test_guest_does_not_answer(self) -> None:
        disk = fakes.Disk(*self.images)
        self.hypervisor.found = hypervisors.Found(disk)
        with mock.patch.object(
            disk, 'size', autospec=True, side_effect=fakes.live_error()
        ):
            self.assertEqual([('no-answer', '')], self.check())
        defined = fakes.Defined()
        defined.errors['active'] = fakes.live_error()
        self.hypervisor.found = hypervisors.Found(None, (defined,))
        self.assertEqual([('no-answer', '')], self.check())

    def test_images_of_a_guest_are_not_opened(self) -> None:
        self.hypervisor.found = hypervisors.Found(fakes.Disk(*self.images))
        with mock.patch.object(qemu_check, 'check', autospec=True) as called:
            found = self.check(deep=True)
        called.assert_not_called()
        self.assertEqual([('unchecked', name) for name in self.images], found)

    def test_answer_of_an_image_that_changed_is_worth_nothing(self) -> None:
        def change(execute: object, path: str, key: object) -> str:
            with open(path, 'r+b') as stream:
                stream.seek(1 << 20)
                stream.write(b'x')
            return 'corrupt'

        with mock.patch.object(qemu_check, 'check', change):
            found = self.check(deep=True)
        self.assertEqual([('unchecked', name) for name in self.images], found)

    def test_records(self) -> None:
        context = fakes.context(self.directory, self.hypervisor)
        records = {'volume-x': facts.Known()}
        for target, kinds in (
            (None, ['no-files', 'unrecorded']),
            (self.target, ['unrecorded']),
        ):
            report = check.check(context, target, records=records)
            self.assertEqual(kinds, [each.kind for each in report.findings])

    def test_host_that_is_asked_about_all(self) -> None:
        context = fakes.context(self.directory, self.hypervisor)
        with mock.patch.object(
            self.hypervisor, 'find', autospec=True
        ) as called:
            called.return_value = hypervisors.Found()
            check.check(context, None, hosts=('h1',))
        (target,) = called.call_args.args
        self.assertEqual((('h1',), None), (target.hosts, target.attached))

    def test_no_bytes_stop_it(self) -> None:
        """Whatever stands in the files is told of, and nothing is raised."""
        chance = random.Random(8)
        journal = journals.begin(
            str(self.directory),
            plan.Plan('it', 'volume-u', (plan.Remove('volume-u.a'),)),
            self.target,
            {},
        )
        paths = [self.directory / name for name in self.images]
        paths += [self.directory / f'volume-u{end}' for end in _ENDS]
        whole = {path: path.read_bytes() for path in paths}
        self.assertIn(journal.path, map(str, paths))
        for number in range(300):
            path = chance.choice(paths)
            data = bytearray(whole[path])
            for _ in range(chance.randrange(1, 12)):
                # Most of what is read of an image is at its beginning.
                at = chance.randrange(min(len(data), 640))
                data[at] = chance.choice((0, 0xFF, chance.randrange(256)))
            if number % 10 == 0:
                del data[chance.randrange(len(data)) :]
            path.write_bytes(data)
            for kind, _ in self.check():
                self.assertIn(kind, findings.KINDS)
            path.write_bytes(whole[path])

    def test_journal_of_other_types(self) -> None:
        path = self.directory / 'volume-u.journal'
        step = {'step': 'Remove', 'name': 5}
        documents: tuple[object, ...] = (
            *(5, [], {}, {'version': 1, 'plan': 5}),
            {
                'version': 1,
                'plan': {'operation': 'x', 'volume': 'y', 'steps': [step]},
                'done': '-',
                'held': '-',
            },
        )
        for found in documents:
            path.write_text(json.dumps(found))
            self.assertEqual(
                [('journal-corrupt', 'volume-u.journal')], self.check()
            )

    def test_qemu_img_cannot_check(self) -> None:
        failing = mock.Mock(
            side_effect=processutils.ProcessExecutionError(exit_code=1)
        )
        context = fakes.context(self.directory, self.hypervisor)
        object.__setattr__(context, 'execute', failing)
        report = check.check(context, None, deep=True)
        self.assertEqual(
            {('unchecked', findings.UNKNOWN)},
            {(each.kind, each.severity) for each in report.findings},
        )
