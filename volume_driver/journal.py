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
import json
import os
import socket
import time
import typing

from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver import native
from volume_driver.hypervisors import base as hypervisor
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
    with open(path, 'r+b') as stream:
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
    try:
        with open(path, 'rb') as stream:
            text = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise exception.FileOperationFailed(
            path=path, reason=error.strerror or str(error)
        ) from error
    try:
        found = _parse(path, json.loads(text))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise exception.JournalCorrupt(
            path=path, reason=f'{type(error).__name__}: {error}'
        ) from error
    if found.plan.volume != volume:
        raise exception.JournalCorrupt(
            path=path, reason=f'it is for {found.plan.volume}'
        )
    return found


def _parse(path: str, found: typing.Any) -> Journal:
    if found['version'] != _VERSION:
        raise ValueError(f'its version is {found["version"]!r}')
    content = plan.Plan.from_dict(found['plan'])
    for field in ('done', 'held'):
        letters = str(found[field])
        if len(letters) != len(content.steps) or set(letters) - {_YES, _NO}:
            raise ValueError(f'its marks are {letters!r}')
    for step in content.steps:
        for name in plan.names_in(step):
            if not names.is_file_of(content.volume, name):
                raise ValueError(f'{name!r} is no file of the volume')
    fields = dict(found['target'])
    fields['hosts'] = tuple(fields['hosts'])
    return Journal(
        path=path,
        plan=content,
        target=hypervisor.Target(**fields),
        written_by=str(found['written_by']),
        written_at=str(found['written_at']),
        notes=dict(found['notes']),
        done=str(found['done']),
        held=str(found['held']),
    )


def all_volumes(directory: str) -> list[str]:
    """Return the names of the volumes that have a journal, sorted."""
    return sorted(
        name.removesuffix(names.JOURNAL)
        for name in os.listdir(directory)
        if name.endswith(names.JOURNAL)
    )
