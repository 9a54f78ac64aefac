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

"""The journal: the plan of an operation on disk while it runs.

It stands beside the volume as ``volume-<uuid>.journal``, readable by a
person, from before the first step until after the last one. Whoever finds one
under the volume's lock knows that its writer was cut off, and runs the plan
again. A step is marked only where the files themselves cannot tell that it
has happened: a merge, whose pointer on disk is never proof of its data.

Marks are single bytes written in place: neither torn by a crash nor refused
for want of space, however full the filesystem is by then.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import os
import socket
import time
import types
import typing

from volume_driver import exception
from volume_driver import files
from volume_driver import foreign
from volume_driver import info
from volume_driver import names
from volume_driver import native
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import trust
from volume_driver.planning import plan

_VERSION = 1
_MAX_BYTES = 16 << 20
_YES, _NO = 'x', '-'


@dataclasses.dataclass
class Journal:
    """The journal of one operation; made by :func:`begin` or :func:`find`.

    :ivar plan: the plan that is carried out
    :ivar target: the volume, with the hosts that its attachments named
    :ivar notes: what steps noted, see :class:`hypervisor.Progress`
    :ivar written_by: host and process that began it
    :ivar done: one letter for each step, ``x`` when it is known to have
        happened
    :ivar held: likewise, ``x`` while its guest is suspended by us
    :ivar pauses: for how many seconds this process held the guest, each time
    """

    path: str
    plan: plan.Plan
    target: hypervisor.Target
    written_by: str
    written_at: str
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    done: str = ''
    held: str = ''
    pauses: list[float] = dataclasses.field(
        default_factory=list, init=False, compare=False
    )
    _held_at: float | None = dataclasses.field(
        default=None, init=False, compare=False
    )

    def __post_init__(self) -> None:
        self.done = self.done or _NO * len(self.plan.steps)
        self.held = self.held or _NO * len(self.plan.steps)

    @property
    def marked(self) -> bool:
        """Whether any step is marked: there is no way back."""
        return _YES in self.done

    @property
    def is_holding(self) -> bool:
        """A guest may be suspended, by us."""
        return _YES in self.held

    def step(self, index: int) -> StepProgress:
        """Return what one step writes down of itself."""
        return StepProgress(self, index)

    def drop(self) -> None:
        """Remove the journal: the operation is finished or undone."""
        files.remove(self.path)

    def write(self) -> None:
        """Write it whole, durably.

        :raises NoSpace: when the filesystem is full
        """
        content = {
            'version': _VERSION,
            'written_by': self.written_by,
            'written_at': self.written_at,
            'done': self.done,
            'held': self.held,
            'notes': self.notes,
            'target': dataclasses.asdict(self.target),
            'plan': self.plan.as_dict(),
        }
        text = json.dumps(content, indent=1) + '\n'
        files.replace(self.path, text.encode())

    def begin_pause(self) -> None:
        """Remember when the guest was suspended, in memory only."""
        self._held_at = time.monotonic()

    def end_pause(self) -> None:
        """Remember for how long it was, if this process suspended it."""
        if self._held_at is not None:
            self.pauses.append(time.monotonic() - self._held_at)
            self._held_at = None

    def put(self, field: str, index: int, letter: str) -> None:
        """Change one letter of ``done`` or ``held`` in place, durably."""
        letters = getattr(self, field)
        if letters[index] == letter:
            return
        native.call(_overwrite, self.path, field, index, letter)
        changed = letters[:index] + letter + letters[index + 1 :]
        setattr(self, field, changed)


def _overwrite(path: str, field: str, index: int, letter: str) -> None:
    key = f'"{field}": "'.encode()
    with files.open_to_write(path, 'r+b') as stream:
        stream.seek(stream.read().index(key) + len(key) + index)
        stream.write(letter.encode())
        stream.flush()
        os.fsync(stream.fileno())


@dataclasses.dataclass(frozen=True)
class StepProgress:
    """What one step writes down of itself while it runs."""

    journal: Journal
    index: int

    @property
    def marked(self) -> bool:
        return self.journal.done[self.index] == _YES

    @property
    def held(self) -> bool:
        return self.journal.held[self.index] == _YES

    def mark(self) -> None:
        """The step has happened: it must not be done again."""
        self.journal.put('done', self.index, _YES)

    def hold(self) -> None:
        """The guest is about to be suspended, by us."""
        self.journal.put('held', self.index, _YES)
        self.journal.begin_pause()

    def release(self) -> None:
        """The guest was resumed."""
        self.journal.end_pause()
        self.journal.put('held', self.index, _NO)

    @property
    def notes(self) -> dict[str, str]:
        return self.journal.notes

    def note(self, key: str, value: str | None) -> None:
        """Note a value under a key, durably; None drops the note."""
        if self.journal.notes.get(key) == value:
            return
        if value is None:
            self.journal.notes.pop(key, None)
        else:
            self.journal.notes[key] = value
        self.journal.write()


def path_of(directory: str, volume: str) -> str:
    """Return the path of a volume's journal."""
    return os.path.join(directory, volume + names.JOURNAL)


def begin(
    directory: str,
    content: plan.Plan,
    target: hypervisor.Target,
    notes: dict[str, str],
) -> Journal:
    """Write the journal of a plan, durably, before its first step.

    :param notes: what is known from the beginning
    :raises NoSpace: when the filesystem is full
    """
    journal = Journal(
        path=path_of(directory, content.volume),
        plan=content,
        target=target,
        written_by=f'{socket.gethostname()}, pid {os.getpid()}',
        written_at=datetime.datetime.now(datetime.UTC).isoformat(),
        notes=notes,
    )
    journal.write()
    return journal


def find(directory: str, volume: str) -> Journal | None:
    """Return the journal that a cut-off operation left; None without one.

    :raises JournalCorrupt: when it is not one of ours
    :raises FileOperationFailed: when it cannot be read
    """
    path = path_of(directory, volume)
    corrupt = functools.partial(_corrupt, path)
    text = files.read(path, _MAX_BYTES, corrupt)
    return None if text is None else parse(text, volume, path)


def parse(text: bytes, volume: str, path: str) -> Journal:
    """Read the content of a journal.

    :raises JournalCorrupt: when it is not one of ours, or of another volume
    """
    try:
        return _parse(path, volume, json.loads(text))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise _corrupt(path, f'{type(error).__name__}: {error}') from error
    except exception.InfoCorrupt as error:
        raise _corrupt(path, str(error.reason)) from error


def _corrupt(path: str, reason: str) -> exception.JournalCorrupt:
    return exception.JournalCorrupt(path=path, reason=foreign.shown(reason))


def _parse(path: str, volume: str, found: typing.Any) -> Journal:
    if found['version'] != _VERSION:
        raise ValueError(f'its version is {found["version"]!r}')
    content = plan.Plan.from_dict(found['plan'])
    fields = dict(found['target'])
    fields['hosts'] = tuple(fields['hosts'])
    target = hypervisor.Target(**fields)
    notes = dict(found['notes'])
    for value in (content, *content.steps, target):
        _check_types(value)
    if not _is(notes, dict[str, str]):
        raise ValueError(f'its notes are {notes!r}')
    if {content.volume, target.name} != {volume}:
        raise ValueError(f'it is for {content.volume} ({target.name})')
    for field in ('done', 'held'):
        letters = str(found[field])
        if len(letters) != len(content.steps) or set(letters) - {_YES, _NO}:
            raise ValueError(f'its marks are {letters!r}')
    for step in content.steps:
        _check_step(path, volume, step)
    return Journal(
        path=path,
        plan=content,
        target=target,
        written_by=str(found['written_by']),
        written_at=str(found['written_at']),
        notes=notes,
        done=str(found['done']),
        held=str(found['held']),
    )


def _check_step(path: str, volume: str, step: plan.Step) -> None:
    """Check that a step is about files of the volume, in formats we have."""
    for name in plan.names_in(step):
        if not names.is_file_of(volume, name):
            raise ValueError(f'{name!r} is no file of the volume')
    if isinstance(step, plan.Record):
        info.check(step.content, volume, path)
    for field, value in vars(step).items():
        if field.endswith('format') and value not in (*trust.FORMATS, None):
            raise ValueError(f'its format is {value!r}')


@functools.cache
def _hints(kind: type) -> dict[str, typing.Any]:
    return typing.get_type_hints(kind)


def _check_types(value: plan.Plan | plan.Step | hypervisor.Target) -> None:
    """Check that each field of a value is what it is declared to be."""
    kind: type = type(value)
    for name, hint in _hints(kind).items():
        if not _is(getattr(value, name), hint):
            raise TypeError(f'{name} is {getattr(value, name)!r}')


def _is(value: object, hint: typing.Any) -> bool:
    within = typing.get_args(hint)
    if isinstance(value, dict):
        return typing.get_origin(hint) is dict and all(
            _is(each, within[0]) for pair in value.items() for each in pair
        )
    if isinstance(value, tuple):
        return typing.get_origin(hint) is tuple and all(
            _is(each, within[0]) for each in value
        )
    return typing.get_origin(hint) in (None, types.UnionType) and isinstance(
        value, hint
    )


def all_volumes(directory: str) -> list[str]:
    """Return the names of the volumes that have a journal, sorted."""
    return sorted(
        name.removesuffix(names.JOURNAL)
        for name in os.listdir(directory)
        if name.endswith(names.JOURNAL)
    )
