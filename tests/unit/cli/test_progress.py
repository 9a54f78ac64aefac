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

"""The bar of a merge shows its end, however short the merge was."""

from __future__ import annotations

import io
from unittest import mock

from tests import base
from volume_driver.cli import progress
from volume_driver.operations import progress as watching


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ProgressTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.watch = mock.create_autospec(watching.Watch, instance=True)
        self.watch.look.return_value = (50, 200)
        self.stream = _Terminal()

    def follow(self, done: bool) -> str:
        ended = iter([False, False, True])
        progress.follow(
            self.watch, self.stream, lambda _: next(ended), lambda: done
        )
        return self.stream.getvalue()

    def test_succeeded(self) -> None:
        self.assertIn('100%', self.follow(done=True))

    def test_failed(self) -> None:
        shown = self.follow(done=False)
        self.assertIn('25%', shown)
        self.assertNotIn('100%', shown)

    def test_nothing_seen(self) -> None:
        self.watch.look.return_value = None
        self.assertNotIn('100%', self.follow(done=True))

    def test_over_at_once(self) -> None:
        progress.follow(self.watch, self.stream, lambda _: True)
        self.assertEqual('', self.stream.getvalue())

    def test_shown(self) -> None:
        with mock.patch.object(progress, 'follow', autospec=True) as follow:
            with progress.shown(self.watch, self.stream):
                pass
            self.assertTrue(follow.call_args.args[3]())

    def test_shown_of_a_failure(self) -> None:
        def fail() -> None:
            with progress.shown(self.watch, self.stream):
                raise ValueError

        with mock.patch.object(progress, 'follow', autospec=True) as follow:
            self.assertRaises(ValueError, fail)
            self.assertFalse(follow.call_args.args[3]())
