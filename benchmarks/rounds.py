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

"""Who is measured when.

All contestants of a row take turns, and another one begins in each round: what
the machine does besides, and what one leaves to the next, meets all of them.
"""

from __future__ import annotations

import collections.abc
import dataclasses

from benchmarks import errors
from benchmarks import results

Measure = collections.abc.Callable[[], results.Sample]


@dataclasses.dataclass(frozen=True)
class Case:
    """A piece of work, by whoever can do it.

    :ivar contestants: each prepares, measures once and tidies up
    :ivar rounds: how often each is measured
    :ivar warm_up: one more round comes first, and is not kept
    """

    group: str
    name: str
    contestants: collections.abc.Mapping[str, Measure]
    rounds: int
    facts: collections.abc.Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )
    warm_up: bool = True

    def play(self) -> results.Row:
        """Measure all of them, in turns.

        :raises WorkFailed: when one could not do the work
        """
        if self.warm_up:
            for name in self.contestants:
                self._measure(name)
        samples: dict[str, list[results.Sample]] = {
            name: [] for name in self.contestants
        }
        for number in range(self.rounds):
            for name in turns(list(self.contestants), number):
                samples[name].append(self._measure(name))
        return results.Row(self.group, self.name, self.facts, samples)

    def _measure(self, contestant: str) -> results.Sample:
        try:
            return self.contestants[contestant]()
        except errors.BenchmarkError:
            raise
        except Exception as error:
            raise errors.WorkFailed(
                f'{self.group}, {self.name}: {contestant} failed: '
                f'{type(error).__name__}: {error}'
            ) from error


def turns(names: list[str], number: int) -> list[str]:
    """Return who is measured in which order in a round."""
    first = number % len(names) if names else 0
    return names[first:] + names[:first]
