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
from tooz import coordination

from volume_driver import exception
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import judge
from volume_driver.checking import known
from volume_driver.checking import remedies
from volume_driver.checking import repairs
from volume_driver.checking import walk as walks
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import check
from volume_driver.operations import context as contexts
from volume_driver.operations import locking
from volume_driver.operations import mend
from volume_driver.operations import quarantine

LOG = log.getLogger(__name__)

# Seconds for which nobody may have changed a volume.
SETTLE = 600.0
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
    """The repair of one volume.

    :ivar checked: what a deep look found, see :func:`.check.look_deep`
    :ivar quiet: for how long its files had not been changed at the first look
    :ivar tried: what was begun already; nothing is begun twice
    """

    context: contexts.Context
    target: hypervisor.Target
    deep: bool
    records: check.Records | None
    settle: float
    checked: dict[check.Mark, str | None] = dataclasses.field(
        default_factory=dict
    )
    quiet: float | None = None
    tried: list[tuple[findings.Finding, repairs.Action]] = dataclasses.field(
        default_factory=list
    )

    def run(self, do: bool) -> list[Outcome]:
        """Repair the volume, or tell how.

        What takes long is done before the lock is taken.
        """
        if self.deep:
            self._look()
        with self.context.locks(self.target.name, blocking=False):
            return self._carry_out() if do else self._propose()

    def _propose(self) -> list[Outcome]:
        facts, remedies_found = self._remedies()
        return [self._chosen(facts, each)[1] for each in remedies_found]

    def _carry_out(self) -> list[Outcome]:
        """Do it all, one after another; return what was done and is left."""
        done: list[Outcome] = []
        failed: dict[findings.Finding, Outcome] = {}
        while True:
            facts, found = self._remedies()
            chosen = [self._chosen(facts, each) for each in found]
            action, outcome = next(
                (each for each in chosen if each[0] is not None), (None, None)
            )
            if action is None or outcome is None:
                return done + [
                    failed.get(each.finding, each) for _, each in chosen
                ]
            self.tried.append((outcome.finding, action))
            made = self._do(facts, outcome.finding, action)
            if made.outcome == DONE:
                done.append(made)
            else:
                failed[outcome.finding] = made

    def _look(self) -> tuple[seen.Facts, list[findings.Finding]]:
        facts, found = check.see(self.context, self.target, self.records)
        if self.deep:
            found += check.look_deep(
                self.context, self.target, facts, self.checked
            )
        if self.quiet is None:
            self.quiet = facts.quiet
        # What was changed since was changed here.
        return dataclasses.replace(facts, quiet=self.quiet), found

    def _remedies(self) -> tuple[seen.Facts, list[repairs.Remedy]]:
        facts, found = self._look()
        record = self.records.get(facts.volume) if self.records else None
        return facts, remedies.propose(
            facts, findings.ordered(found), record, self.settle
        )

    def _chosen(
        self, facts: seen.Facts, remedy: repairs.Remedy
    ) -> tuple[repairs.Action | None, Outcome]:
        """Return the first action that can be proved right."""
        finding, reason = remedy.finding, remedy.reason
        for action in remedy.actions:
            if (finding, action) in self.tried:
                reason = 'it was done, and did not help'
                continue
            reason = self._mender(facts, finding, action).doubt(action)
            if not reason:
                return action, Outcome(finding, PROPOSED, _sentence(action))
        text = f'{_sentence(reason)} {finding.advice}'.strip()
        return None, Outcome(finding, REFUSED, text)

    def _do(
        self,
        facts: seen.Facts,
        finding: findings.Finding,
        action: repairs.Action,
    ) -> Outcome:
        """Carry out an action; its line in the log is there before."""
        try:
            self._log(finding, action, 'begun')
            self._mender(facts, finding, action).do(action)
            self._log(finding, action, DONE)
        except exception.VolumeDriverError as error:
            LOG.error('%s', error)
            return Outcome(finding, FAILED, str(error))
        LOG.info(
            'Repaired %(volume)s: %(action)s',
            {'volume': self.target.name, 'action': action},
        )
        return Outcome(finding, DONE, _sentence(action))

    def _log(
        self, finding: findings.Finding, action: repairs.Action, state: str
    ) -> None:
        words = {'state': state, **_words(finding), 'action': str(action)}
        quarantine.log(self.context.directory, self.target.name, words)

    def _mender(
        self,
        facts: seen.Facts,
        finding: findings.Finding,
        action: repairs.Action,
    ) -> mend.Mender:
        words = {**_words(finding), 'action': str(action)}
        base_format = walks.base_format(facts)
        return mend.Mender(self.context, self.target, words, base_format)


def repair(
    context: contexts.Context,
    target: hypervisor.Target | None,
    do: bool = False,
    deep: bool = False,
    hosts: tuple[str, ...] = (),
    records: check.Records | None = None,
    settle: float = SETTLE,
) -> Report:
    """Repair a volume, or all of the directory.

    :param target: the volume, None for all
    :param do: carry it out; else only say what would be done
    :param deep: let qemu-img check images that nobody has open
    :param hosts: where the guests of all volumes may be
    :param records: what the caller knows of all his volumes, by name
    :param settle: seconds for which nobody may have changed a volume's files;
        another driver that is at work on it takes none of our locks
    :raises VolumeNotFound: when the volume has no file at all
    """
    found = check.targets(context, target, hosts)
    volumes = tuple(each.name for each in found)
    outcomes: list[Outcome] = []
    for each in found:
        try:
            one = _Repair(context, each, deep, records, settle)
            outcomes += one.run(do)
        except locking.Locked:
            reason = 'an operation on the volume is under way'
            outcomes.append(_unseen(each.name, 'busy', reason))
        except (
            exception.VolumeDriverError,
            coordination.ToozError,
            OSError,
        ) as error:
            outcomes.append(_unseen(each.name, 'no-access', str(error)))
    if target is None and records is not None:
        outcomes += [
            Outcome(absent, REFUSED, absent.text)
            for absent in map(known.absent, records.keys() - set(volumes))
        ]
    return Report(volumes, tuple(outcomes))


def _unseen(volume: str, kind: str, reason: str) -> Outcome:
    finding = judge.unseen(volume, seen.Unseen(kind, '', reason))
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
