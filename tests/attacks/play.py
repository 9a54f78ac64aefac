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

"""Plays an attack through one entry, and judges what came of it."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import time

from tests.attacks import attack as attacks
from tests.attacks import canary as canaries
from tests.attacks import content
from tests.attacks import stage as stages

# What came of it; the first three are good.
REFUSED = 'refused'
RIGHT = 'right'
# It was begun, and QEMU gave up on an image that was damaged before.
FAILED = 'failed'
ESCAPED = 'escaped'
WRONG = 'wrong'
CHANGED = 'changed'
UNTYPED = 'untyped'
SLOW = 'slow'
GOOD = frozenset({REFUSED, RIGHT, FAILED})

# Seconds that a call may take on a machine that has other work.
LONGEST = 20.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of an attack.

    :ivar state: one of the words above
    :ivar text: the error, or what is wrong
    """

    state: str
    text: str = ''
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.state in GOOD


Image = tuple[pathlib.Path, str]
Prints = dict[str, content.Print]
# Compares what an entry made; says what is wrong, in words.
Check = collections.abc.Callable[[stages.Stage], str]


Call = collections.abc.Callable[[stages.Stage, pathlib.Path], Check]


@dataclasses.dataclass(frozen=True)
class Entry:
    """What somebody can call.

    :ivar call: calls it; returns what tells whether the result is right,
        from the same volume with the same attack, before the call
    :ivar places: in which an attack can reach it
    :ivar shape: of the volume before
    :ivar kinds: of the attacks that can be of interest here
    """

    name: str
    call: Call
    places: frozenset[str]
    shape: stages.Shape = dataclasses.field(default_factory=stages.Shape)
    kinds: tuple[str, ...] = attacks.KINDS

    def reached(self, attack: attacks.Attack) -> list[str]:
        """Return the places from which an attack can reach it."""
        if attack.kind not in self.kinds:
            return []
        return [
            each
            for each in stages.PLACES
            if each in self.places and stages.fits(attack, each)
        ]


@dataclasses.dataclass(frozen=True)
class Case:
    """An attack in a place, and what is called."""

    attack: attacks.Attack
    place: str
    entry: Entry

    def __str__(self) -> str:
        return f'{self.attack}, {self.place}, {self.entry.name}'


def cases(
    corpus: collections.abc.Iterable[attacks.Attack],
    entries: collections.abc.Sequence[Entry],
) -> list[Case]:
    """Return every attack with all that it can reach."""
    return [
        Case(attack, place, entry)
        for attack in corpus
        for entry in entries
        for place in entry.reached(attack)
    ]


def sample(
    corpus: collections.abc.Sequence[attacks.Attack],
    entries: collections.abc.Sequence[Entry],
) -> list[Case]:
    """Return what a gate has time for.

    All but this: what a guest writes is data, whatever it is, so that each of
    these attacks has a third of the entries.
    """
    numbers = {each.name: number for number, each in enumerate(corpus)}
    order = [each.name for each in entries]
    return [
        case
        for case in cases(corpus, entries)
        if case.place != stages.GUEST
        or (numbers[case.attack.name] + order.index(case.entry.name)) % 3 == 0
    ]


@dataclasses.dataclass(frozen=True)
class Player:
    """Plays the entries of one driver.

    :ivar typed: the errors that its users know
    :ivar unchanged: those of them after which all files are as before
    :ivar out: an empty directory, for what is copied out
    """

    canary: canaries.Canary
    directory: pathlib.Path
    reference: pathlib.Path
    out: pathlib.Path
    typed: tuple[type[Exception], ...]
    unchanged: tuple[type[Exception], ...] = ()

    def play(self, case: Case) -> Verdict:
        entry = case.entry
        stage = stages.Stage(
            self.directory, self.canary, case.attack, case.place
        )
        stage.set_up(entry.shape)
        there = self._prints(entry)
        other = self.directory / stages.OTHER
        began = time.monotonic()
        check: Check | None = None
        error: Exception | None = None
        with self.canary.watched(other) as touched:
            try:
                check = entry.call(stage, self.out)
            except Exception as found:
                error = found
        seconds = time.monotonic() - began
        touched += self._leaks(str(error))
        left = _children()
        state, text = REFUSED, f'{type(error).__name__}: {error}'
        if touched or left:
            state, text = ESCAPED, ', '.join([*touched, *left])
        elif seconds >= LONGEST:
            state = SLOW
        elif check is not None:
            text = _checked(check, self._before(stage, entry))
            state = WRONG if text else RIGHT
        elif not isinstance(error, self.typed):
            state = UNTYPED
        else:
            state = self._changed(stage, there, self._prints(entry), error)
        for path in self.out.iterdir():
            path.unlink()
        return Verdict(state, text, seconds)

    def _before(self, stage: stages.Stage, entry: Entry) -> stages.Stage:
        before = dataclasses.replace(stage, directory=self.reference)
        before.set_up(entry.shape)
        return before

    def _changed(
        self,
        stage: stages.Stage,
        then: Prints,
        now: Prints,
        error: Exception | None,
    ) -> str:
        """Judge a call that failed by the files that it changed."""
        changed = {
            name for name in {*then, *now} if then.get(name) != now.get(name)
        }
        if not changed:
            return REFUSED
        # QEMU marks an image as corrupt; what to do about it is kept.
        allowed = {*stage.attacked, f'{stages.VOLUME}.journal'}
        if not self.unchanged:
            # Cinder's manager deletes what could not be made.
            allowed |= {*now} - {*then}
        if isinstance(error, self.unchanged) or changed - allowed:
            return CHANGED
        return FAILED

    def _prints(self, entry: Entry) -> Prints:
        found = content.prints(self.directory)
        # It is used up in any case.
        found.pop(entry.shape.file, None)
        return found

    def _leaks(self, text: str) -> list[str]:
        """Look for the secret where it is not to be."""
        words = self.canary.words
        found = ['the error has the secret'] * (words.decode() in text)
        for directory in (self.directory, self.out):
            for path in sorted(directory.rglob('*')):
                plain = path.is_file() and not path.is_symlink()
                if not plain or path.name == stages.OTHER:
                    continue
                if content.holds(path, words):
                    found.append(f'{path.name} has the secret')
        return found


def _checked(check: Check, before: stages.Stage) -> str:
    try:
        return check(before)
    except Exception as error:
        # Whatever it is, the check could not read what was made.
        return f'not readable: {type(error).__name__}: {error}'


def _children() -> list[str]:
    """Return the children that this process still has."""
    found: list[str] = []
    for path in pathlib.Path('/proc/self/task').glob('*/children'):
        found += path.read_text().split()
    return [f'child {pid} is left' for pid in found]
