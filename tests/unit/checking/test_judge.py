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

"""What is told of images, chains and the files beside them."""

from __future__ import annotations

import dataclasses

import ddt

from tests import base
from tests.unit.checking import seen
from volume_driver import info
from volume_driver.checking import facts
from volume_driver.checking import findings
from volume_driver.checking import images
from volume_driver.checking import judge

A, B = 'volume-u.a', 'volume-u.b'


class CleanTest(base.TestCase):
    def test_nothing_is_wrong(self) -> None:
        for snapshots in ('', 'a', 'abc'):
            self.assertEqual([], seen.told(seen.volume(snapshots)))

    def test_raw_base(self) -> None:
        found = seen.having(
            seen.volume('a', record=None),
            seen.raw(),
            seen.qcow2(A, seen.VOLUME, backing_format='raw'),
        )
        self.assertEqual([], seen.told(found))

    def test_base_that_was_consumed_by_a_pull(self) -> None:
        found = seen.having(seen.volume('ab'), seen.qcow2(A))
        found = dataclasses.replace(
            seen.without(found, seen.VOLUME), info=info.Info(B, {'b': B})
        )
        self.assertEqual([], seen.told(found))

    def test_name_with_a_dot_and_a_slash(self) -> None:
        found = seen.having(
            seen.volume('a'), seen.qcow2(A, f'./{seen.VOLUME}')
        )
        self.assertEqual([], seen.told(found))

    def test_raw_image_with_a_forged_header_is_only_raw(self) -> None:
        forged = seen.qcow2(seen.VOLUME, '/etc/passwd')
        found = seen.having(
            seen.volume('a', record='raw'),
            forged,
            seen.qcow2(A, seen.VOLUME, backing_format='raw'),
        )
        self.assertEqual([], seen.told(found))


@ddt.ddt
class JudgeTest(base.TestCase):
    def test_missing_image_is_told_alone(self) -> None:
        """What lies below it is not taken for orphans."""
        found = seen.without(seen.volume('abc'), B)
        self.assertEqual([('missing-image', B)], seen.told(found))
        self.assertIn('volume-u.c names it', seen.text(found))
        self.assertIn('left beside are volume-u.a', seen.text(found))

    def test_active_image_is_missing(self) -> None:
        found = seen.without(seen.volume('ab'), B)
        self.assertEqual([('missing-image', B)], seen.told(found))

    def test_cycle_is_told_once(self) -> None:
        found = seen.having(seen.volume('ab'), seen.qcow2(seen.VOLUME, A))
        self.assertEqual([('cycle', seen.VOLUME)], seen.told(found))

    def test_image_that_names_itself(self) -> None:
        found = seen.having(seen.volume('a'), seen.qcow2(A, A))
        self.assertEqual([('cycle', A)], seen.told(found))

    def test_size_is_that_of_whole_sectors(self) -> None:
        found = seen.having(
            seen.volume('a', record='raw'),
            facts.Image(seen.VOLUME, seen.SIZE - 1),
            seen.qcow2(A, seen.VOLUME, backing_format='raw'),
        )
        self.assertEqual([], seen.told(found))

    def test_overlay_of_an_orphan_may_hold_the_newest_data(self) -> None:
        found = seen.having(
            seen.volume('a'),
            seen.qcow2(B, A),
            seen.qcow2('volume-u.c', B),
            seen.qcow2('volume-u.d', seen.VOLUME),
        )
        self.assertEqual(
            [
                ('orphan-overlay', B),
                ('orphan-overlay', 'volume-u.c'),
                ('orphan', 'volume-u.d'),
            ],
            seen.told(found),
        )

    def test_base_as_an_overlay(self) -> None:
        content = info.Info(A, {'a': A, 'b': seen.VOLUME})
        found = seen.volume('a', info=content)
        self.assertEqual([('info-mismatch', seen.VOLUME)], seen.told(found))

    def test_corrupt_info_says_what_could_be_active(self) -> None:
        found = seen.volume('ab', info=None, info_problem='It is cut off.')
        self.assertEqual([('info-corrupt', 'volume-u.info')], seen.told(found))
        self.assertIn(f'uppermost image is {B}', seen.text(found))

    def test_encryption_in_part(self) -> None:
        found = seen.having(
            seen.volume('ab'),
            seen.qcow2(seen.VOLUME, encrypted=True, luks_at=4096),
        )
        self.assertEqual([('encryption', B)], seen.told(found))

    def test_backing_format_is_missing(self) -> None:
        found = seen.having(
            seen.volume('ab'),
            seen.qcow2(A, seen.VOLUME, backing_format=None),
            seen.qcow2(B, A, backing_format=None),
        )
        self.assertEqual([('format', A)], seen.told(found))

    @ddt.data('host_device', 'file', 'raw', 'vmdk')
    def test_backing_format_is_another(self, named: str) -> None:
        found = seen.having(
            seen.volume('a'),
            seen.qcow2(A, seen.VOLUME, backing_format=named),
        )
        self.assertEqual([('format', A)], seen.told(found))

    @ddt.data('qcow2', 'raw')
    def test_header_and_no_record(self, configured: str) -> None:
        """As Cinder's NFS driver leaves it, or as a guest forged it."""
        found = seen.volume('', record=None, volume_format=configured)
        told = [] if configured == 'qcow2' else [('format', seen.VOLUME)]
        self.assertEqual(told, seen.told(found))

    @ddt.data((7, None), (8, 'deep'), (10, 'deep'), (11, 'too-deep'))
    @ddt.unpack
    def test_depth(self, depth: int, kind: str | None) -> None:
        letters = 'bcdefghijklmnop'[: depth - 1]
        found = seen.volume(letters, max_depth=10)
        self.assertEqual(
            [kind] if kind else [], [each for each, _ in seen.told(found)]
        )

    def test_one_image_is_never_deep(self) -> None:
        self.assertEqual([], seen.told(seen.volume('', max_depth=1)))

    def test_no_access(self) -> None:
        found = seen.volume(
            'a', unseen=(facts.Unseen('no-access', A, 'It is closed.'),)
        )
        self.assertEqual([('no-access', A)], seen.told(found))
        self.assertEqual(
            'It is closed. Check again as a user who may read it.',
            seen.text(found),
        )

    def test_checked(self) -> None:
        outcome = {A: 'leaks', B: 'corrupt', seen.VOLUME: ''}
        found = images.checked(seen.volume('ab'), outcome)
        self.assertEqual(
            [('leaks', A), ('corrupt', B)],
            [(each.kind, each.file) for each in found],
        )


class HeadlessTest(base.TestCase):
    """After a pull the base has the name of an overlay, and .info is gone."""

    def chain(self) -> facts.Facts:
        found = seen.without(seen.volume(info=None), seen.VOLUME)
        return seen.having(found, seen.qcow2(A))

    def test_a_whole_chain_lacks_its_info(self) -> None:
        self.assertEqual(
            [('info-corrupt', 'volume-u.info')], seen.told(self.chain())
        )

    def test_less_than_a_chain_lacks_an_image(self) -> None:
        found = seen.without(seen.volume(info=None), seen.VOLUME)
        kinds = {kind for kind, _ in seen.told(found)}
        self.assertEqual({'missing-image'}, kinds)


class UnfinishedTest(base.TestCase):
    journal = facts.Journal(
        'delete snapshot a', 'here, pid 1', 'noon', frozenset({A})
    )

    def test_what_it_explains_is_not_told(self) -> None:
        found = seen.having(
            seen.volume('b', journal=self.journal),
            seen.qcow2(A, seen.VOLUME),
        )
        self.assertEqual(
            [('unfinished', 'volume-u.journal')], seen.told(found)
        )
        self.assertIn(
            'delete snapshot a, begun by here, pid 1', seen.text(found)
        )

    def test_path_of_an_image_of_the_plan_is_not_told(self) -> None:
        found = seen.having(
            seen.volume(),
            seen.qcow2('volume-u.b', '/v/volume-u'),
        )
        names = frozenset({'volume-u', 'volume-u.a', 'volume-u.b'})
        journal = facts.Journal('delete', 'here', 'noon', names)
        self.assertEqual(
            [('unfinished', 'volume-u.journal')],
            seen.told(dataclasses.replace(found, journal=journal)),
        )

    def test_all_else_is(self) -> None:
        found = seen.having(
            seen.volume('b', journal=self.journal),
            seen.qcow2('volume-u.x', seen.VOLUME),
            seen.qcow2(A, '/etc/passwd'),
        )
        self.assertEqual(
            [
                ('foreign-backing', A),
                ('unfinished', 'volume-u.journal'),
                ('orphan', 'volume-u.x'),
            ],
            seen.told(found),
        )


class AnyBytesTest(base.TestCase):
    def test_unseen_kinds_have_words(self) -> None:
        for kind, severity in findings.KINDS.items():
            if severity == findings.UNKNOWN:
                found = judge.unseen('v', facts.Unseen(kind, '', 'Why.'))
                self.assertRegex(found.text, r'^Why\. .*\.$')
