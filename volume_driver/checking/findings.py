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

"""Findings: their kinds, how bad each is, and what a reader is told."""

from __future__ import annotations

import collections.abc
import dataclasses

CRITICAL, ERROR, WARNING, UNKNOWN = 'critical', 'error', 'warning', 'unknown'
SEVERITIES = (CRITICAL, ERROR, WARNING, UNKNOWN)

# Worst first; what could not be looked at comes last.
KINDS: dict[str, str] = {
    'frozen-guest': CRITICAL,
    'frozen-start': CRITICAL,
    'no-files': ERROR,
    'missing-image': ERROR,
    'foreign-backing': ERROR,
    'cycle': ERROR,
    'info-corrupt': ERROR,
    'record-corrupt': ERROR,
    'journal-corrupt': ERROR,
    'guest-mismatch': ERROR,
    'open-elsewhere': ERROR,
    'many-guests': ERROR,
    'unreadable': ERROR,
    'corrupt': ERROR,
    'format': ERROR,
    'encryption': ERROR,
    'size': ERROR,
    'info-mismatch': ERROR,
    'record-mismatch': ERROR,
    'orphan-overlay': ERROR,
    'unfinished': ERROR,
    'too-deep': ERROR,
    'foreign-job': WARNING,
    'forged-header': WARNING,
    'unrecorded': WARNING,
    'orphan': WARNING,
    'leftover': WARNING,
    'stray': WARNING,
    'leaks': WARNING,
    'deep': WARNING,
    'no-answer': UNKNOWN,
    'no-access': UNKNOWN,
    'unchecked': UNKNOWN,
    'busy': UNKNOWN,
}
_ORDER = {kind: number for number, kind in enumerate(KINDS)}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, or could not be looked at.

    :param kind: one of :data:`KINDS`
    :param file: name of the file that it is about, or nothing
    :param found: what was found, in words
    :param expected: what was expected, in words; nothing where that is plain
    :param advice: what to do next, a sentence or more
    """

    volume: str
    kind: str
    file: str
    found: str
    expected: str
    advice: str

    @property
    def severity(self) -> str:
        """How bad it is: one of :data:`SEVERITIES`."""
        return KINDS[self.kind]

    @property
    def text(self) -> str:
        """All of it on one line, fit for a terminal."""
        expected = f'; expected: {self.expected}' if self.expected else ''
        return printable(f'{self.found}{expected}. {self.advice}')


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check came to.

    :param volumes: names of those that were looked at
    :param findings: worst first
    """

    volumes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Nothing was found, and all could be looked at."""
        return not self.findings

    @property
    def broken(self) -> bool:
        """Something was found."""
        return any(each.severity != UNKNOWN for each in self.findings)


def ordered(
    found: collections.abc.Iterable[Finding],
) -> tuple[Finding, ...]:
    """Return findings once each, the worst first."""
    return tuple(
        sorted(
            set(found),
            key=lambda each: (
                SEVERITIES.index(each.severity),
                each.volume,
                _ORDER[each.kind],
                each.file,
                each.found,
            ),
        )
    )


def printable(text: str) -> str:
    """Return a text with nothing in it that a terminal acts upon.

    Names in it may be a tenant's.
    """
    return ''.join(
        letter
        if letter.isprintable()
        else letter.encode('unicode_escape', 'surrogatepass').decode()
        for letter in text
    )
