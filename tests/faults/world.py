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

"""Runs one case: a volume, perhaps a guest, a fault, the same call again."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import time
import typing

import fixtures

from tests.faults import cases
from tests.faults import guests
from tests.faults import processes
from tests.faults import small
from tests.faults import templates
from tests.faults import verdict as verdicts
from tests.faults import work
from tests.fixtures import driver as drivers
from tests.fixtures import processes as system

_SMALL = 320


class World(fixtures.Fixture):
    """All that one case needs, and its run.

    :param run: how children are run
    :param delay: seconds from the fault's point to the fault
    :param when_fired: called when the fault's point was reached
    """

    def __init__(
        self,
        case: cases.Case,
        made: templates.Templates,
        run: processes.Run = processes.run,
        delay: float = 0.0,
        when_fired: collections.abc.Callable[[], None] | None = None,
    ) -> None:
        self.case = case
        self._templates = made
        self._run = run
        self._delay = delay
        self._when_fired = when_fired
        self._children = 0
        self.verdict = verdicts.Verdict()

    def _setUp(self) -> None:
        operation, fault = self.case.operation, self.case.fault
        temporary = self.useFixture(fixtures.TempDir(rootdir='/var/tmp'))
        self._notes = pathlib.Path(temporary.path) / 'notes'
        self._notes.mkdir()
        directory = pathlib.Path(temporary.path) / 'volumes'
        cache = 'none'
        if fault.kind == cases.FULL:
            filesystem = self.useFixture(small.SmallFilesystem(_SMALL))
            directory, cache = filesystem.path / 'volumes', filesystem.cache
        directory.mkdir()
        kind = 'single' if operation.name == 'delete volume' else 'chain'
        if self.case.big:
            kind = 'big'
        self.copy = self._templates.copy(
            kind, operation.base_format, directory
        )
        self.work = work.Work(self.case, self.copy)
        self.user: guests.User | None = None
        if operation.live:
            self.user = guests.User(self.copy, cache)
            self.useFixture(self.user.guest)
            self.user.begin()
        self.work.freeze()

    # -- the case ------------------------------------------------------------

    def judge(self) -> verdicts.Verdict:
        """Run the case and return what came of it."""
        began = time.monotonic()
        first = self._child(self._fault(self.case.fault, self._delay))
        self.log(f'first: {first}, fired {first.fired}')
        self.verdict.invalid = self._unreal(first)
        if not self.verdict.invalid:
            self._settle()
            self._recover_and_die()
            self._again(first)
        self.verdict.seconds = time.monotonic() - began
        return self.verdict

    def times(self) -> tuple[float, ...]:
        """Run the operation without a fault; return when it passed what."""
        return self._child({}).times

    def log(self, text: str) -> None:
        self.verdict.log += f'{text}\n'

    def _unreal(self, outcome: processes.Outcome) -> str:
        """Return why nothing happened, empty if something did."""
        fault = self.case.fault
        if not outcome.fired:
            return f'the point was not reached ({outcome})'
        if 'driver' in fault.kill and outcome.code != -9:
            return f'the driver was not killed ({outcome})'
        if fault.kind == cases.FULL and outcome.well:
            return 'the filesystem was large enough'
        return ''

    def _settle(self) -> None:
        """Wait until a killed guest is gone; let another one go on."""
        if self.user is not None:
            guest = self.user.guest
            if self.case.fault.kind == cases.LIBVIRTD:
                guest.reconnect()
            if 'qemu' in self.case.fault.kill:
                system.wait_until(
                    lambda: not guest.is_active(), 'QEMU is gone', 30.0
                )
            elif self.case.fault.kind != cases.FULL:
                self.user.go_on()
        self.work.note_meanwhile()
        if self.case.fault.kind == cases.FULL:
            # While it is full it is refused, and nothing gets worse.
            self.log(f'still full: {self._child({})}')
            (self.copy.directory / 'filler').unlink()

    def _recover_and_die(self) -> None:
        again = self.case.again
        if again is None:
            return
        outcome = self._child(self._fault(again, 0.0), recover=True)
        self.log(f'recovery: {outcome}, fired {outcome.fired}')
        if outcome.code != -9:
            self.verdict.invalid = f'the recovery was not killed ({outcome})'

    def _again(self, first: processes.Outcome) -> None:
        """Make the same call once more, and look at everything."""
        # To make what was made is refused, and rightly so.
        made = first.well and self.case.operation.name == 'clone'
        outcome = first if made else self._child({})
        self.log(f'again: {outcome}')
        if not outcome.well:
            self.verdict.stuck.append(f'called again: {outcome}')
        gone = self.case.operation.name == 'delete volume' and outcome.well
        if self.user is not None:
            self.user.finish(self.verdict)
        if not gone:
            self._look(outcome.well)
        names = set() if gone else {self.copy.record.name}
        if self.case.operation.name == 'clone':
            names.add(self.work.new_name)
            self._look_at_clone(outcome.well)
        if outcome.well:
            verdicts.look_around(self.verdict, self.copy.directory, names)

    def _look(self, settled: bool) -> None:
        directory, record = self.copy.directory, self.copy.record
        verdicts.look(
            self.verdict,
            directory,
            record.name,
            self.work.expected(settled),
            settled,
        )
        options = {**self.work.options(), 'hypervisor': 'none'}
        if settled and not self.verdict.lost:
            made = drivers.DriverFixture(directory, **options)
            verdicts.describe(self.verdict, self.useFixture(made), record)

    def _look_at_clone(self, settled: bool) -> None:
        name = self.work.new_name
        there = (self.copy.directory / name).exists()
        if there or settled:
            verdicts.look(
                self.verdict,
                self.copy.directory,
                name,
                self.work.expected_new(),
                settled,
            )

    # -- children ------------------------------------------------------------

    def _child(
        self, fault: dict[str, typing.Any], recover: bool = False
    ) -> processes.Outcome:
        self._children += 1
        notes = self._notes / str(self._children)
        notes.mkdir()
        spec = self.work.spec({'directory': str(notes), **fault}, recover)
        when_fired = self._when_fired if fault else None
        return self._run(spec, notes, when_fired)

    def _fault(
        self, fault: cases.Fault, delay: float
    ) -> dict[str, typing.Any]:
        found: dict[str, typing.Any] = {
            'point': fault.point,
            'kill': fault.kill,
            'error': fault.error,
            'delay': delay,
        }
        if 'qemu' in fault.kill and self.user is not None:
            found['qemu'] = self.user.guest.pid()
        if fault.suspended and self.user is not None:
            found['suspended'] = self.user.guest.uuid
        if fault.spare:
            found['fill'] = os.fspath(self.copy.directory)
            found['spare'] = fault.spare << 10
        return found
