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

"""A finding with all that is known, and what has to be so for a repair."""

from __future__ import annotations

import collections.abc
import dataclasses

from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import walk as walks
from volume_driver.images import header

# With one of these nobody can tell what an image shows.
_UNSOUND = frozenset(
    {'frozen-guest', 'missing-image', 'foreign-backing', 'cycle'}
    | {'unreadable', 'corrupt', 'format', 'encryption', 'size'}
    | {'open-elsewhere', 'many-guests', 'foreign-job', 'guest-mismatch'}
    | {'forged-header', 'record-corrupt'}
)
_USED = 'shut it off first'


class Refused(Exception):
    """Nothing is done; the text says why."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A finding, and all that is known when it is looked at."""

    facts: seen.Facts
    finding: findings.Finding
    found: collections.abc.Sequence[findings.Finding]
    known: seen.Known | None
    settle: float = 0.0

    @property
    def walk(self) -> walks.Walk:
        return walks.walk(self.facts)

    def header(self, name: str) -> header.Header:
        found = self.facts.images[name].header
        if found is None:
            raise Refused(f'the header of {name} cannot be read')
        return found

    def named_after(self, overlay: str) -> str:
        """Return the id of the snapshot that an overlay was made for."""
        return overlay.removeprefix(f'{self.facts.volume}.')

    def seen_all(self) -> None:
        """Refuse where not all could be looked at, or something is open."""
        facts = self.facts
        if facts.journal is not None or facts.journal_problem is not None:
            raise Refused(
                'first the journal that is open has to be dealt with'
            )
        if facts.looked_at is None:
            raise Refused('what guests do with the volume is not known')
        if any(each.kind == 'no-access' for each in facts.unseen):
            raise Refused('not all of its files may be read by this user')
        if facts.quiet < self.settle:
            # Another driver takes none of our locks.
            raise Refused(
                f'its files were changed {facts.quiet:.0f} s ago, so another '
                f'driver may be at work on it; wait until nothing changed for '
                f'{self.settle:.0f} s (--settle)'
            )

    def unused(self) -> None:
        """Refuse where somebody uses the volume."""
        self.seen_all()
        for guest in self.facts.guests:
            raise Refused(f'{guest.name} runs on the volume; {_USED}')
        for name, image in sorted(self.facts.images.items()):
            if image.writer:
                raise Refused(f'a process has {name} open for writing')

    def sound(self) -> None:
        """Refuse where something else has to be put right first."""
        for other in self.found:
            if other.kind in _UNSOUND and other.kind != self.finding.kind:
                raise Refused(
                    f'first what is told of {other.file or "guests"} '
                    f'({other.kind}) has to be put right'
                )

    def startable(self, name: str) -> None:
        """Refuse where a guest would be started from an image, or above it."""
        for start in self.facts.starts:
            whole = walks.walk_from(self.facts, start.image)
            if name == start.image or name in whole.images:
                raise Refused(f'{start.guest} would be started from it')

    def plain(self) -> str:
        """Return the file it is about; refuse where that is encrypted."""
        name = self.finding.file
        if self.header(name).encrypted:
            raise Refused(
                'it is encrypted, and its passphrase is not known here'
            )
        return name

    def snapshots(self) -> frozenset[str]:
        """Return the ids that the records have; refuse where there are none.

        An overlay may outlive the snapshot that it is named after, so the
        files alone do not tell.
        """
        if self.known is None:
            raise Refused(
                'which snapshots there are is not known; give --records'
            )
        if self.known.snapshots is None:
            raise Refused(
                'the record of the volume does not say which snapshots there '
                'are; add "snapshots" to what --records has'
            )
        return self.known.snapshots

    def complete(self) -> walks.Walk:
        """Return the whole chain; refuse where it is not whole."""
        found = self.walk
        if not found.complete:
            raise Refused('the chain cannot be followed to its base')
        return found

    def shown_to_guests(self, images: tuple[str, ...]) -> None:
        """Refuse where a guest runs on another chain than this."""
        for guest in self.facts.guests:
            if guest.images != images:
                raise Refused(
                    f'{guest.name} runs on {" <- ".join(guest.images)}'
                )
