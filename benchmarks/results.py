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

"""Samples and rows, as plain values; nothing here does I/O."""

from __future__ import annotations

import collections.abc
import dataclasses
import re
import statistics

OURS = 'this driver'
UPSTREAM = 'Cinder RemoteFS'
BARE = 'bare'
RAW = 'raw copy'
CONTESTANTS = (OURS, UPSTREAM, BARE, RAW)

SECONDS = 'seconds'
CHILDREN = 'children'
WRITTEN = 'written'
GAP = 'gap'
QUIET = 'quiet_gap'
NOVA = 'nova_seconds'
RATE = 'rate'

Commands = tuple[tuple[str, ...], ...]

_DIRECTORY = re.compile(r'/(?:[^/\s,=:]+/)+')
_UUID = re.compile(r'\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{22}\b')


@dataclasses.dataclass(frozen=True)
class Sample:
    """One measurement.

    :ivar values: by measure: ``seconds``, ``gap`` (seconds), ``children``,
        ``written`` (bytes), ``rate`` (operations per second)
    :ivar commands: of the child processes
    """

    values: collections.abc.Mapping[str, float]
    commands: Commands = ()


@dataclasses.dataclass(frozen=True)
class Row:
    """All samples of one piece of work.

    :ivar group: what kind of work it is
    :ivar name: which work, unique in its group
    :ivar facts: numbers that the work is known by, such as its depth
    :ivar samples: by contestant
    """

    group: str
    name: str
    facts: collections.abc.Mapping[str, float]
    samples: collections.abc.Mapping[str, collections.abc.Sequence[Sample]]

    def median(self, contestant: str, measure: str) -> float | None:
        """Return the median of a measure; None if it was not measured."""
        found = [
            sample.values[measure]
            for sample in self.samples.get(contestant, ())
            if measure in sample.values
        ]
        return statistics.median(found) if found else None

    def ratio(self, measure: str, above: str, below: str) -> float | None:
        """Return how many times the one median is of the other."""
        first = self.median(above, measure)
        second = self.median(below, measure)
        if first is None or not second:
            return None
        return first / second

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for JSON."""
        return {
            'group': self.group,
            'name': self.name,
            'facts': dict(self.facts),
            'medians': {
                contestant: {
                    measure: self.median(contestant, measure)
                    for measure in _measures(samples)
                }
                for contestant, samples in self.samples.items()
            },
            'samples': {
                contestant: [dict(sample.values) for sample in samples]
                for contestant, samples in self.samples.items()
            },
            # They are the same in every round, so once is enough.
            'commands': {
                contestant: [plain(words) for words in samples[-1].commands]
                for contestant, samples in self.samples.items()
                if samples
            },
        }


def _measures(samples: collections.abc.Sequence[Sample]) -> list[str]:
    found = dict.fromkeys(key for sample in samples for key in sample.values)
    return list(found)


def plain(words: collections.abc.Iterable[str]) -> str:
    """Return a command without the directories of this machine."""
    text = _DIRECTORY.sub('', ' '.join(words))
    return _UUID.sub(r'\1', text)


def of_group(rows: collections.abc.Iterable[Row], group: str) -> list[Row]:
    """Return the rows of one kind of work."""
    return [row for row in rows if row.group == group]
