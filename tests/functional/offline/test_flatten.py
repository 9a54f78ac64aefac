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

"""Chains are shortened, and what is to stay stays byte by byte."""

from __future__ import annotations

import json

import ddt

from tests.fixtures import broken
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import test_check
from tests.functional.offline import test_cli
from volume_driver import exception


@ddt.ddt
class FlattenTest(test_check.CheckTestCase):
    @ddt.data(*case.FORMATS)
    def test_all(self, volume_format: str) -> None:
        volume = self.make_two(volume_format, 3)
        volume.made.driver.flatten(volume.record)
        for snapshot in list(volume.snapshots.values()):
            volume.forget_snapshot(snapshot)
        self.assertEqual(1, len(volume.files().chain))
        self.assertEqual([], volume.differences())
        volume.made.driver.flatten(volume.record)
        self.assertEqual([], volume.differences())

    @ddt.data(0, 1, 2)
    def test_what_is_of_no_snapshot(self, position: int) -> None:
        volume, lost = self.make_nameless(position)
        known = set(volume.snapshots) - {lost}
        (merged,) = volume.made.driver.flatten_around(volume.record, known)
        self.assertTrue(merged.endswith(lost))
        volume.forget_snapshot(volume.snapshots[lost])
        self.assertEqual(3, len(volume.files().chain))
        self.assertEqual([], volume.differences())
        self.assertTrue(volume.made.driver.check().clean)
        self.assertEqual(
            [], volume.made.driver.flatten_around(volume.record, known)
        )

    def test_not_what_may_be_of_a_snapshot(self) -> None:
        volume, _ = self.make_nameless(1)
        before = test_check.everything(volume.made.directory)
        self.assertRaises(
            exception.ChainMismatch,
            volume.made.driver.flatten_around,
            volume.record,
            set(volume.snapshots),
        )
        self.assertEqual(before, test_check.everything(volume.made.directory))

    def make_nameless(
        self, position: int
    ) -> tuple[modelled.ModelledVolume, str]:
        """Return a volume with an overlay without a line, and its id."""
        volume = self.make_two(snapshots=3)
        way = broken.Broken(volume)
        content = way.info()
        lost = way.ids[position]
        del content[lost]
        way.write_info(content)
        return volume, lost


class CommandTest(test_cli.CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', test_cli.ID, '--size', '1')
        for snapshot in 'ab':
            self.output('snapshot', 'create', test_cli.ID, snapshot)
        self.records = self.directory.parent / 'records'
        self.records.write_text(f'id,snapshots\n{test_cli.ID},b\n')

    def test_shown_and_done(self) -> None:
        before = self.files()
        text = self.output('flatten', test_cli.ID)
        self.assertIn('delete snapshots a, b of ', text)
        self.assertTrue(text.endswith(f'after: {test_cli.NAME}\n'), text)
        self.assertEqual(before, self.files())
        self.assertEqual('', self.output('flatten', test_cli.ID, '--yes'))
        self.assertEqual([], self.data('snapshot', 'list', test_cli.ID))

    def test_keep_snapshots(self) -> None:
        info = self.directory / f'{test_cli.NAME}.info'
        content = json.loads(info.read_text())
        del content['a']
        info.write_text(json.dumps(content))
        keep = ('flatten', test_cli.ID, '--keep-snapshots', '--yes')
        done = self.run_program(*keep)
        self.assertEqual(2, done.returncode)
        self.assertIn('needs --records', done.stderr)
        self.assertEqual(
            f'{test_cli.NAME}.a was merged\n',
            self.output(*keep, f'--records={self.records}'),
        )
        (left,) = self.data('snapshot', 'list', test_cli.ID)
        self.assertEqual('b', left['snapshot'])
