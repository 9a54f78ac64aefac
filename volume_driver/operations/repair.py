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


"""Puts right what a check finds, where that can be proved to lose nothing.

A volume is looked at, and repaired, under its lock, which is not waited for.
After each repair it is looked at anew: one often answers several findings,
and none rests on what was so before another.
"""

from __future__ import annotations

import dataclasses

from oslo_log import log

from volume_driver import exception
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import judge
from volume_driver.checking import remedies
from volume_driver.checking import repairs
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import check
from volume_driver.operations import context as contexts
from volume_driver.operations import locking
from volume_driver.operations import mend
from volume_driver.operations import quarantine

LOG = log.getLogger(__name__)

# What came of a finding.
PROPOSED, DONE, FAILED, REFUSED = 'proposed', 'done', 'failed', 'refused'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was done about a finding, or would be.

    :param outcome: :data:`PROPOSED`, :data:`DONE`, :data:`FAILED` or
        :data:`REFUSED`
    :param text: what it is, or why nothing is done
    """

    finding: findings.Finding
    outcome: str
    text: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What a repair came to.

    :param volumes: names of those that were looked at
    :param outcomes: what was done, in that order; then what is left
    """

    volumes: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def left(self) -> tuple[findings.Finding, ...]:
        """What is still wrong, or could not be looked at."""
        return tuple(
            each.finding for each in self.outcomes if each.outcome != DONE
        )


@dataclasses.dataclass
class _Repair:
    """The repair of one volume, under its lock.

    :ivar tried: what was begun already; nothing is begun twice
    """

    context: contexts.Context
    target: hypervisor.Target
    deep: bool
    records: check.Records | None
    tried: list[tuple[findings.Finding, repairs.Action]] = dataclasses.field(
        default_factory=list
    )

    def propose(self) -> list[Outcome]:
        """Return what would be done now."""
        return [self._chosen(each)[1] for each in self._remedies()]

    def carry_out(self) -> list[Outcome]:
        """Do it all, one after another; return what was done and is left."""
        done: list[Outcome] = []
        failed: dict[findings.Finding, Outcome] = {}
        while True:
            chosen = [self._chosen(each) for each in self._remedies()]
            action, outcome = next(
                (each for each in chosen if each[0] is not None), (None, None)
            )
            if action is None or outcome is None:
                return done + [
                    failed.get(each.finding, each) for _, each in chosen
                ]
            self.tried.append((outcome.finding, action))
            made = self._do(outcome.finding, action)
            if made.outcome == DONE:
                done.append(made)
            else:
                failed[outcome.finding] = made

    def _remedies(self) -> list[repairs.Remedy]:
        facts, found = check.see(self.context, self.target, self.records)
        if self.deep:
            found += check.look_deep(self.context, self.target, facts)
        known = self.records.get(facts.volume) if self.records else None
        return remedies.propose(facts, findings.ordered(found), known)

    def _chosen(
        self, remedy: repairs.Remedy
    ) -> tuple[repairs.Action | None, Outcome]:
        """Return the first action that can be proved right."""
        finding, reason = remedy.finding, remedy.reason
        for action in remedy.actions:
            if (finding, action) in self.tried:
                reason = 'it was done, and did not help'
                continue
            reason = self._mender(finding, action).doubt(action)
            if not reason:
                return action, Outcome(finding, PROPOSED, _sentence(action))
        text = f'{_sentence(reason)} {finding.advice}'.strip()
        return None, Outcome(finding, REFUSED, text)

    def _do(
        self, finding: findings.Finding, action: repairs.Action
    ) -> Outcome:
        words = {**_words(finding), 'done': str(action)}
        try:
            self._mender(finding, action).do(action)
        except exception.VolumeDriverError as error:
            LOG.error('%s', error)
            return Outcome(finding, FAILED, str(error))
        quarantine.log(self.context.directory, self.target.name, words)
        LOG.info(
            'Repaired %(volume)s: %(action)s',
            {'volume': self.target.name, 'action': action},
        )
        return Outcome(finding, DONE, _sentence(action))

    def _mender(
        self, finding: findings.Finding, action: repairs.Action
    ) -> mend.Mender:
        words = {**_words(finding), 'done': str(action)}
        return mend.Mender(self.context, self.target, words)


def repair(
    context: contexts.Context,
    target: hypervisor.Target | None,
    do: bool = False,
    deep: bool = False,
    hosts: tuple[str, ...] = (),
    records: check.Records | None = None,
) -> Report:
    """Repair a volume, or all of the directory.

    :param target: the volume, None for all
    :param do: carry it out; else only say what would be done
    :param deep: let qemu-img check images that nobody has open
    :param hosts: where the guests of all volumes may be
    :param records: what the caller knows of all his volumes, by name
    :raises VolumeNotFound: when the volume has no file at all
    """
    found = check.targets(context, target, hosts)
    outcomes: list[Outcome] = []
    for each in found:
        one = _Repair(context, each, deep, records)
        try:
            with context.locks(each.name, blocking=False):
                outcomes += one.carry_out() if do else one.propose()
        except locking.Locked:
            outcomes.append(_busy(each.name))
    return Report(tuple(each.name for each in found), tuple(outcomes))


def _busy(volume: str) -> Outcome:
    reason = 'an operation on the volume is under way'
    finding = judge.unseen(volume, seen.Unseen('busy', '', reason))
    return Outcome(finding, REFUSED, finding.text)


def _words(finding: findings.Finding) -> dict[str, str]:
    return {
        'volume': finding.volume,
        'kind': finding.kind,
        'about': finding.file,
        'found': finding.found,
        'expected': finding.expected,
    }


def _sentence(words: object) -> str:
    text = findings.printable(str(words)).rstrip('.')
    return f'{text[:1].upper()}{text[1:]}.'
