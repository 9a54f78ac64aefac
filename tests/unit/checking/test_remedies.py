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

"""What is proposed for a finding, and what is refused with which reason."""

from __future__ import annotations

import dataclasses

import ddt

from tests import base
from tests.unit.checking import seen
from volume_driver import info
from volume_driver.checking import facts
from volume_driver.checking import findings
from volume_driver.checking import judge
from volume_driver.checking import known as records
from volume_driver.checking import remedies
from volume_driver.checking import repairs

V, A, B = seen.VOLUME, 'volume-u.a', 'volume-u.b'
INFO = info.Info(B, {'a': A, 'b': B})
BOTH = facts.Known(snapshots=frozenset('ab'))


class RemediesTestCase(base.TestCase):
    def proposed(
        self, found: facts.Facts, known: facts.Known | None = None
    ) -> list[repairs.Remedy]:
        told = list(judge.judge(found))
        if known is not None:
            told += records.judge(found, known)
        return remedies.propose(found, findings.ordered(told), known)

    def first(
        self, found: facts.Facts, known: facts.Known | None
    ) -> repairs.Remedy:
        """Return that of the worst finding in the files themselves."""
        return next(
            each
            for each in self.proposed(found, known)
            if each.finding.kind != 'record-mismatch'
        )

    def check_done(
        self,
        found: facts.Facts,
        *actions: repairs.Action,
        known: facts.Known | None = None,
    ) -> None:
        """Check what is done about the worst finding."""
        remedy = self.first(found, known)
        self.assertEqual(actions, remedy.actions, str(remedy))
        for action in actions:
            self.assertTrue(str(action))

    def check_refused(
        self,
        found: facts.Facts,
        reason: str,
        known: facts.Known | None = None,
    ) -> None:
        """Check that nothing is done about the worst finding, and why."""
        remedy = self.first(found, known)
        self.assertEqual((), remedy.actions)
        self.assertIn(reason, remedy.reason)


def orphaned(**changed: object) -> facts.Facts:
    """Return a volume with an image that is in no chain."""
    found = seen.having(seen.volume('a'), seen.qcow2('volume-u.x', V))
    return dataclasses.replace(found, **changed)  # type: ignore[arg-type]


def topped(**changed: object) -> facts.Facts:
    """Return a volume with an overlay on top of the active image."""
    found = seen.having(seen.volume('a'), seen.qcow2(B, A))
    return dataclasses.replace(found, **changed)  # type: ignore[arg-type]


class FilesTest(RemediesTestCase):
    def test_cut_off(self) -> None:
        journal = facts.Journal('delete', 'here', 'noon')
        self.check_done(seen.volume(journal=journal), repairs.Recover())

    def test_nothing_else_while_a_journal_is_open(self) -> None:
        journal = facts.Journal('delete', 'here', 'noon')
        _, other = self.proposed(orphaned(journal=journal))
        self.assertEqual((), other.actions)
        self.assertIn('journal', other.reason)

    def test_leftover(self) -> None:
        volume = seen.volume()
        part = dataclasses.replace(
            volume, names=volume.names | {'volume-u.x.part'}
        )
        self.check_done(part, repairs.SetAside('volume-u.x.part'))
        export = dataclasses.replace(
            volume, names=volume.names | {'volume-u.export-volume'}
        )
        self.check_refused(export, 'a backup or a migration')

    def test_copy(self) -> None:
        content = info.Info(A, {'tmp-snap-x': A})
        self.check_done(seen.volume('a', info=content), repairs.DropCopies())

    def test_orphan(self) -> None:
        self.check_done(orphaned(), repairs.SetAside('volume-u.x'))

    def test_orphan_that_may_be_needed(self) -> None:
        guest = facts.Guest('domain g', (V, A), seen.SIZE)
        self.check_refused(orphaned(guests=(guest,)), 'domain g runs')
        self.check_refused(orphaned(looked_at=None), 'is not known')
        unseen = (facts.Unseen('no-access', A, 'denied'),)
        self.check_refused(orphaned(unseen=unseen), 'by this user')
        self.check_refused(
            orphaned(),
            'the records have a snapshot x',
            facts.Known(snapshots=frozenset('ax')),
        )
        writer = seen.having(orphaned(), seen.qcow2(A, V, writer=True))
        _, remedy = self.proposed(writer)
        self.assertIn('open for writing', remedy.reason)

    def test_orphan_overlay(self) -> None:
        self.check_done(topped(), repairs.SetAside(B, blank_over=A))
        higher = seen.having(topped(), seen.qcow2('volume-u.c', B))
        lower, upper = self.proposed(higher)
        self.assertIn('lies on top', lower.reason)
        self.assertEqual(
            (repairs.SetAside('volume-u.c', blank_over=A),), upper.actions
        )

    def test_orphan_that_a_guest_starts_from(self) -> None:
        start = facts.Start('domain g', 'volume-u.x')
        for finding in self.proposed(orphaned(starts=(start,))):
            self.assertEqual((), finding.actions)
        start = facts.Start('domain g', B)
        for finding in self.proposed(topped(starts=(start,))):
            self.assertEqual((), finding.actions)

    def test_orphan_below_another(self) -> None:
        found = seen.having(orphaned(), seen.qcow2('volume-u.y', 'volume-u.x'))
        lower, upper = self.proposed(found)
        self.assertIn('lies on top', lower.reason)
        self.assertEqual((repairs.SetAside('volume-u.y'),), upper.actions)

    def test_what_was_changed_just_now(self) -> None:
        found = orphaned(quiet=9.0)
        told = findings.ordered(judge.judge(found))
        (remedy,) = remedies.propose(found, told, settle=10)
        self.assertIn('9 s ago', remedy.reason)
        (remedy,) = remedies.propose(found, told, settle=9)
        self.assertTrue(remedy.actions)

    def test_nothing_to_be_done(self) -> None:
        self.check_refused(seen.without(seen.volume(), A), 'nothing here')


@ddt.ddt
class InfoTest(RemediesTestCase):
    def lost(self) -> facts.Facts:
        return seen.volume(info=None, info_problem='it is cut off')

    def test_written_anew(self) -> None:
        gone = seen.volume(info=None)
        for found in (self.lost(), gone):
            self.check_done(found, repairs.WriteInfo(INFO), known=BOTH)

    def test_written_anew_after_a_pull(self) -> None:
        found = seen.without(seen.volume(info=None), V)
        found = seen.having(found, seen.qcow2(A))
        known = facts.Known(snapshots=frozenset('b'))
        self.check_done(
            found, repairs.WriteInfo(info.Info(B, {'b': B})), known=known
        )

    def test_not_without_records(self) -> None:
        self.check_refused(self.lost(), 'give --records')
        self.check_refused(self.lost(), 'add "snapshots"', facts.Known(1))

    @ddt.data('a', 'abc', '')
    def test_not_with_other_snapshots(self, ids: str) -> None:
        known = facts.Known(snapshots=frozenset(ids))
        self.check_refused(self.lost(), 'not named like', known)

    def test_not_with_two_tops(self) -> None:
        found = seen.having(self.lost(), seen.qcow2('volume-u.c', A))
        self.check_refused(found, '2 uppermost', BOTH)

    def test_not_where_a_guest_runs_on_another_chain(self) -> None:
        guest = facts.Guest('domain g', (V, A), seen.SIZE)
        found = dataclasses.replace(self.lost(), guests=(guest,))
        told = findings.Finding(V, 'info-corrupt', '', '', '', '')
        (remedy,) = remedies.propose(found, [told], BOTH)
        self.assertIn('domain g runs on', remedy.reason)

    def test_after_the_guest(self) -> None:
        guest = facts.Guest('domain g', (V, A, B), seen.SIZE)
        found = topped(guests=(guest,))
        self.check_done(found, repairs.WriteInfo(INFO), known=BOTH)
        self.check_refused(found, 'give --records')
        self.check_refused(
            found,
            'the records have no snapshot b',
            facts.Known(snapshots=frozenset('a')),
        )

    def test_line_too_many(self) -> None:
        content = info.Info(B, {**INFO.snapshots, 'c': 'volume-u.c'})
        found = seen.volume(info=content)
        self.check_done(found, repairs.WriteInfo(INFO), known=BOTH)
        self.check_refused(found, 'give --records')

    def test_line_of_another_snapshot_is_too_many(self) -> None:
        """After a pull of b the truth is that a has the overlay of b."""
        found = seen.without(seen.having(seen.volume(), seen.qcow2(B, V)), A)
        for ids in ('a', 'ab'):
            known = facts.Known(snapshots=frozenset(ids))
            self.check_refused(found, 'other snapshots than the rest', known)

    def test_line_too_few(self) -> None:
        found = seen.volume(info=info.Info(B, {'b': B}))
        self.check_done(found, repairs.WriteInfo(INFO), known=BOTH)
        self.check_refused(found, 'give --records')
        self.check_refused(
            found, 'no snapshot a', facts.Known(snapshots=frozenset('b'))
        )

    def test_merged(self) -> None:
        found = seen.having(seen.volume(), seen.qcow2(B, V))
        self.check_done(
            found,
            repairs.Point(B, A, 'qcow2', repairs.SAME_DATA),
            repairs.WriteInfo(info.Info(B, {'b': B}), (A, V)),
        )


class HeaderTest(RemediesTestCase):
    def test_name_of_this_directory_or_another(self) -> None:
        found = seen.having(seen.volume(), seen.qcow2(A, f'/a/{V}'))
        self.check_done(found, repairs.Point(A, V, 'qcow2', repairs.SAME_FILE))
        found = seen.having(seen.volume(), seen.qcow2(A, '/etc/passwd'))
        self.check_refused(found, 'leads out')

    def test_no_format(self) -> None:
        found = seen.having(
            seen.volume(), seen.qcow2(A, V, backing_format=None)
        )
        self.check_done(found, repairs.Point(A, V, 'qcow2', repairs.RECORDED))

    def test_two_formats(self) -> None:
        self.check_refused(seen.volume(record='raw'), 'cannot be told')

    def test_record(self) -> None:
        def lost(*images: facts.Image, snapshots: str = 'a') -> facts.Facts:
            found = seen.volume(
                snapshots, record=None, record_problem='no JSON'
            )
            return seen.having(found, *images)

        self.check_done(lost(), repairs.WriteRecord('qcow2'))
        raw = facts.Image(V, 1 << 30)
        self.check_done(
            lost(raw, snapshots=''),
            repairs.WriteRecord('raw'),
            known=facts.Known(1),
        )
        for known in (None, facts.Known(2)):
            self.check_refused(lost(raw, snapshots=''), 'exactly', known)
        self.check_refused(lost(snapshots=''), 'may have written')
        above = seen.qcow2(A, V, backing_format='raw')
        self.check_done(lost(seen.raw(), above), repairs.WriteRecord('raw'))

    def test_forged(self) -> None:
        above = seen.qcow2(A, V, backing_format='raw')
        found = seen.having(
            seen.volume('a', record=None), seen.raw(magic=True), above
        )
        self.check_done(found, repairs.WriteRecord('raw'))

    def test_corrupt(self) -> None:
        found = seen.having(seen.volume(), seen.qcow2(A, V, corrupt=True))
        self.check_done(found, repairs.Rebuild(A))
        secret = [
            seen.qcow2(name, below, encrypted=True, luks_at=1, corrupt=True)
            for name, below in ((V, None), (A, V), (B, A))
        ]
        self.check_refused(seen.having(seen.volume(), *secret), 'encrypted')

    def test_leaks(self) -> None:
        told = findings.Finding(V, 'leaks', A, '', '', '')
        (remedy,) = remedies.propose(seen.volume(), [told])
        self.assertEqual((repairs.FreeLeaks(A),), remedy.actions)


class GuestsTest(RemediesTestCase):
    def test_frozen_start(self) -> None:
        found = seen.volume(starts=(facts.Start('domain g', A),))
        self.check_done(
            found, repairs.StartFrom('domain g', B, 'qcow2', (A, B))
        )

    def test_frozen_start_with_more_that_is_wrong(self) -> None:
        starts = (facts.Start('domain g', A), facts.Start('domain h', B))
        self.check_refused(seen.volume(starts=starts), 'many-guests')

    def test_frozen_guest(self) -> None:
        guest = facts.Guest('domain g', (V, A), seen.SIZE)
        self.check_refused(seen.volume(guests=(guest,)), 'nothing here')

    def test_definition_of_something_else(self) -> None:
        start = facts.Start('domain g', 'volume-u.x')
        self.check_refused(orphaned(starts=(start,)), 'newest data')
