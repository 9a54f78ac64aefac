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

"""What is told of guests: the worst of all that can be wrong."""

from __future__ import annotations

import dataclasses
import typing

from tests import base
from tests.unit.checking import seen
from volume_driver.checking import facts
from volume_driver.checking import findings
from volume_driver.checking import judge

A, B = 'volume-u.a', 'volume-u.b'
CHAIN = (seen.VOLUME, A, B)


def guest(*images: str, **fields: typing.Any) -> facts.Guest:
    return facts.Guest(
        'demo on host', images, fields.pop('size', seen.SIZE), **fields
    )


def start(image: str, running: bool = False) -> facts.Start:
    return facts.Start('demo on host', image, running)


class GuestsTest(base.TestCase):
    def check(
        self, expected: list[tuple[str, str]], **changed: typing.Any
    ) -> None:
        self.assertEqual(expected, seen.told(seen.volume('ab', **changed)))

    def test_guest_on_the_chain(self) -> None:
        self.check([], guests=(guest(*CHAIN),), starts=(start(B, True),))
        self.check([], starts=(start(B),))

    def test_guest_on_a_frozen_image(self) -> None:
        for images in (CHAIN[:1], CHAIN[:2]):
            running = guest(*images)
            self.check(
                [('frozen-guest', images[-1])],
                guests=(running,),
                starts=(start(images[-1], True),),
            )

    def test_it_is_said_loudly(self) -> None:
        found = seen.volume('ab', guests=(guest(seen.VOLUME),))
        (each,) = judge.judge(found)
        self.assertEqual(findings.CRITICAL, each.severity)
        self.assertIn('demo on host RUNS ON A FROZEN IMAGE', each.text)

    def test_guest_that_would_start_from_one(self) -> None:
        self.check([('frozen-start', A)], starts=(start(A),))

    def test_guest_that_would_when_started_again(self) -> None:
        self.check(
            [('frozen-start', A)],
            guests=(guest(*CHAIN),),
            starts=(start(A, True),),
        )

    def test_frozen_without_a_info_that_can_be_read(self) -> None:
        self.check(
            [('frozen-guest', A), ('info-corrupt', 'volume-u.info')],
            info=None,
            info_problem='cut off',
            guests=(guest(*CHAIN[:2]),),
        )
        self.check(
            [('info-corrupt', 'volume-u.info')],
            info=None,
            info_problem='cut off',
            guests=(guest(*CHAIN),),
            starts=(start(B, True),),
        )

    def test_frozen_below_what_is_missing(self) -> None:
        found = seen.without(
            seen.volume('abc', guests=(guest(seen.VOLUME),)), B
        )
        self.assertEqual(
            [('frozen-guest', seen.VOLUME), ('missing-image', B)],
            seen.told(found),
        )

    def test_guest_ahead_of_info(self) -> None:
        """A snapshot was taken, and .info not written."""
        found = seen.having(
            seen.volume('ab', guests=(guest(*CHAIN, 'volume-u.c'),)),
            seen.qcow2('volume-u.c', B),
        )
        self.assertEqual(
            [
                ('guest-mismatch', 'volume-u.c'),
                ('orphan-overlay', 'volume-u.c'),
            ],
            seen.told(found),
        )

    def test_guest_with_another_chain(self) -> None:
        self.check([('guest-mismatch', B)], guests=(guest(seen.VOLUME, B),))

    def test_guest_starts_from_what_is_gone(self) -> None:
        self.check(
            [('guest-mismatch', 'volume-u.x')], starts=(start('volume-u.x'),)
        )

    def test_guest_sees_another_size(self) -> None:
        self.check([('size', B)], guests=(guest(*CHAIN, size=512),))

    def test_job_that_is_not_ours(self) -> None:
        self.check(
            [('foreign-job', B)], guests=(guest(*CHAIN, job='block copy'),)
        )

    def test_more_than_one_guest(self) -> None:
        two = (guest(*CHAIN), guest(*CHAIN))
        self.check([('many-guests', '')], guests=two)
        self.assertEqual(
            [],
            seen.told(
                seen.volume(
                    '', guests=(guest(seen.VOLUME), guest(seen.VOLUME))
                )
            ),
        )

    def test_worst_is_not_hidden_by_a_second_guest(self) -> None:
        self.check(
            [('frozen-start', A), ('many-guests', '')],
            guests=(guest(*CHAIN),),
            starts=(start(B, True), start(A)),
        )


class WriterTest(base.TestCase):
    def writing(self, name: str, **changed: typing.Any) -> facts.Facts:
        found = seen.volume('ab', **changed)
        image = dataclasses.replace(found.images[name], writer=True)
        return seen.having(found, image)

    def test_nobody_knows_who(self) -> None:
        self.assertEqual([('open-elsewhere', B)], seen.told(self.writing(B)))

    def test_guest_does(self) -> None:
        guests = (guest(*CHAIN),)
        self.assertEqual([], seen.told(self.writing(B, guests=guests)))
        self.assertEqual(
            [('open-elsewhere', A)],
            seen.told(self.writing(A, guests=guests)),
        )

    def test_merge_does(self) -> None:
        guests = (guest(*CHAIN, job='commit'),)
        self.assertEqual(
            [('foreign-job', B)], seen.told(self.writing(A, guests=guests))
        )

    def test_nobody_could_be_asked(self) -> None:
        found = self.writing(B, looked_at=None)
        self.assertEqual([], seen.told(found))
