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

"""The attack corpus, played against everything that can be called.

``python -m tests.attacks.matrix`` plays the same, and more of it, against
Cinder's own code as well.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing

from cinder.volume import throttling
import ddt

from tests import base
from tests.attacks import attack as attacks
from tests.attacks import canary as canaries
from tests.attacks import corpus
from tests.attacks import numbers
from tests.attacks import ours
from tests.attacks import play
from tests.attacks import qcow2
from tests.attacks import stage as stages
from tests.fixtures import image_tools
from tests.fixtures import processes
from volume_driver import children
from volume_driver import exception
from volume_driver.cinder import throttle
from volume_driver.images import limits
from volume_driver.images import qemu_check


class AttackTestCase(base.TestCase):
    """With our driver, and a secret that nobody is to touch."""

    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.canary = self.useFixture(canaries.Canary())
        self.driver = self.useFixture(ours.Ours(self.temp_dir()))
        self.player = play.Player(
            self.canary,
            self.driver.directory,
            self.temp_dir(),
            self.temp_dir(),
            ours.TYPED,
            ours.UNCHANGED,
        )


@ddt.ddt
class CorpusTest(AttackTestCase):
    @ddt.data(*attacks.KINDS)
    def test_nothing_escapes(self, kind: str) -> None:
        entries = self.driver.entries()
        chosen = [
            case
            for case in play.sample(corpus.CORPUS, entries)
            if case.attack.kind == kind
        ]
        verdicts = {case: self.player.play(case) for case in chosen}
        bad = [
            f'{case}: {verdict.state}: {verdict.text}'
            for case, verdict in verdicts.items()
            if not verdict.good
        ]
        self.assertEqual([], bad)
        self.assertGreater(len(chosen), 0)

    def test_there_are_many_and_no_two_are_the_same(self) -> None:
        names = [each.name for each in corpus.CORPUS]
        self.assertEqual(len(names), len({*names}))
        self.assertGreaterEqual(len(names), 60)
        self.assertEqual(
            {*attacks.KINDS}, {each.kind for each in corpus.CORPUS}
        )


class FetchTest(AttackTestCase):
    """An image of Glance's that takes what it can get, in Cinder's hands."""

    def test_time_on_the_cpu(self) -> None:
        image = qcow2.Image(**numbers.shared(1 << 15)).made()
        attack = attacks.Attack(
            'a GiB of one small cluster',
            attacks.BOMB,
            lambda path, scene: typing.cast(None, path.write_bytes(image)),
        )
        (entry,) = [
            each
            for each in self.driver.entries()
            if each.name == 'copy image in'
        ]
        stage = stages.Stage(
            self.driver.directory, self.canary, attack, stages.BYTES
        )
        stage.set_up(entry.shape)
        before = stage.path(stages.VOLUME).read_bytes()
        self.patch(limits, '_CPU', (1, 0))
        error = self.assertRaises(
            exception.LimitReached, entry.call, stage, self.temp_dir()
        )
        self.assertIn('its time on the CPU', str(error))
        # It was Cinder's own function that ran it.
        self.assertIn('image_download', str(error))
        self.assertEqual(before, stage.path(stages.VOLUME).read_bytes())

    def test_another_throttle_comes_first(self) -> None:
        self.addCleanup(throttling.Throttle.set_default, None)
        throttling.Throttle.set_default(throttling.Throttle(['nice']))
        throttle.install()
        with throttle.limited(1 << 30):
            limited = self.prefix()
        self.assertEqual(['nice', *limits.prefix(1 << 30)], limited)
        self.assertEqual(['nice'], self.prefix())

    def prefix(self) -> list[str]:
        """Return what Cinder puts before a conversion."""
        with throttling.Throttle.get_default().subcommand('a', 'b') as found:
            return list(found['prefix'])


class LimitsTest(base.TestCase):
    """Images that take what they can get of whoever reads them."""

    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.path = self.temp_dir() / 'image'

    def limited(self, limit: str) -> None:
        """Let the image be checked, and wait for the limit."""
        error = self.assertRaises(
            exception.LimitReached,
            *(qemu_check.check, children.execute, str(self.path)),
        )
        self.assertIn(limit, str(error))

    def test_memory(self) -> None:
        # A check counts each of its 3 * 2^29 clusters, in two bytes.
        self.path.write_bytes(qcow2.Image(bits=9).made())
        os.truncate(self.path, 3 << 38)
        self.limited('2 GiB of memory')

    def test_time_on_the_cpu(self) -> None:
        # One table of 32 MiB that says 2^22 times what 2^18 others would.
        self.patch(limits, '_CPU', (2, 0))
        self.path.write_bytes(numbers.repeated())
        self.limited('its time on the CPU')

    def test_time(self) -> None:
        self.patch(limits, '_TIME', (1, 0))
        self.path.write_bytes(numbers.repeated())
        self.limited('its time')

    def test_the_child_goes_with_what_waits_for_it(self) -> None:
        self.path.write_bytes(numbers.repeated())
        limited = (*limits.prefix(0), 'qemu-img', 'check', '-f', 'qcow2')
        waiting = subprocess.Popen(
            [*limited, self.path], stdout=subprocess.DEVNULL
        )
        self.addCleanup(waiting.wait)
        processes.wait_until(
            lambda: self.path_of_child(waiting.pid).endswith('/qemu-img'),
            *('it checks', 20.0),
        )
        (child,) = self.children(waiting.pid)
        waiting.kill()
        processes.wait_until(
            lambda: not processes.runs(child), 'it is ended', 20.0
        )

    def children(self, pid: int) -> list[int]:
        text = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
        return [int(each) for each in text.split()]

    def path_of_child(self, pid: int) -> str:
        found = self.children(pid)
        return os.readlink(f'/proc/{found[0]}/exe') if found else ''

    def test_what_is_sound_has_room(self) -> None:
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata'),
            *(self.path, '64G'),
        )
        found = qemu_check.check(children.execute, str(self.path))
        self.assertEqual('', found)


class JudgeTest(AttackTestCase):
    """What would be an escape is seen as one."""

    def setUp(self) -> None:
        super().setUp()
        self.attack = corpus.CORPUS[0]

    def judge(self, call: play.Call) -> str:
        entry = play.Entry('it', call, frozenset({stages.BASE}))
        case = play.Case(self.attack, stages.BASE, entry)
        return self.player.play(case).state

    def test_a_secret_that_is_opened(self) -> None:
        def call(stage: stages.Stage, out: pathlib.Path) -> play.Check:
            with self.canary.secret.open('rb'):
                raise exception.VolumeDriverError(reason='it')

        self.assertEqual(play.ESCAPED, self.judge(call))

    def test_a_secret_that_is_copied(self) -> None:
        # It is known before, and opened no more.
        words = self.canary.content

        def call(stage: stages.Stage, out: pathlib.Path) -> play.Check:
            stage.path('copy').write_bytes(words)
            return lambda before: ''

        self.assertEqual(play.ESCAPED, self.judge(call))
