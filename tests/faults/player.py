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

"""Plays cases one after the other, in one process."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import time
import traceback

import fixtures

from tests.faults import cases
from tests.faults import processes
from tests.faults import templates
from tests.faults import verdict as verdicts
from tests.faults import world

_TRIES = 4


class Player(fixtures.Fixture):
    """Keeps what cases share: templates, and how long operations take.

    :param run: how children are run
    """

    def __init__(self, run: processes.Run = processes.run) -> None:
        self._run = run

    def _setUp(self) -> None:
        directory = self.useFixture(fixtures.TempDir(rootdir='/var/tmp')).path
        self._templates = templates.Templates(pathlib.Path(directory))
        self._times: dict[tuple[cases.Operation, bool], tuple[float, ...]] = {}

    def play(
        self,
        case: cases.Case,
        when_fired: collections.abc.Callable[[], None] | None = None,
    ) -> verdicts.Verdict:
        """Play a case; a fault that came too late comes earlier again."""
        began = time.monotonic()
        try:
            verdict = self._try(case, when_fired)
        except Exception:
            # One broken case must not end the run; it is no success either.
            verdict = verdicts.Verdict(invalid=traceback.format_exc()[-1500:])
        verdict.seconds = time.monotonic() - began
        return verdict

    def _try(
        self,
        case: cases.Case,
        when_fired: collections.abc.Callable[[], None] | None,
    ) -> verdicts.Verdict:
        for _ in range(_TRIES):
            with world.World(
                case, self._templates, self._run, self._delay(case), when_fired
            ) as made:
                verdict = made.judge()
            earlier = _earlier(case.fault)
            again = earlier != case.fault or case.fault.suspended
            if not verdict.invalid or not again:
                break
            case = dataclasses.replace(case, fault=earlier)
        return verdict

    def _delay(self, case: cases.Case) -> float:
        fault = case.fault
        if not fault.share:
            return 0.0
        times = self.times(case)
        return (times[fault.point + 1] - times[fault.point]) * fault.share

    def times(self, case: cases.Case) -> tuple[float, ...]:
        """Return when an operation without a fault passes its points."""
        key = (case.operation, case.big)
        if key not in self._times:
            plain = dataclasses.replace(
                case, fault=cases.Fault('none', -1, '')
            )
            with world.World(plain, self._templates, self._run) as made:
                self._times[key] = made.times()
        return self._times[key]


def _earlier(fault: cases.Fault) -> cases.Fault:
    """Return the same fault with a better chance to be in time."""
    return dataclasses.replace(
        fault,
        share=fault.share / 2,
        spare=max(fault.spare // 8, 4) if fault.spare else 0,
    )
