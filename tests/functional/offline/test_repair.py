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

"""Repair: what is provable is mended byte by byte, all else is left."""

from __future__ import annotations

import json
import pathlib
import typing

import ddt
import fixtures

from tests.fixtures import broken
from tests.fixtures import image_tools
from tests.fixtures import modelled
from tests.functional.offline import test_check
from tests.functional.offline import test_cli
from volume_driver.checking import facts
from volume_driver.operations import quarantine
from volume_driver.operations import repair

MIB = test_check.MIB

#: What is mended, and which snapshot was being deleted, if one was.
MENDED: dict[str, int | None] = {
    'info_cut_off': None,
    'info_empty': None,
    'pulled_and_info_old': None,
    'committed_and_info_old': 0,
    'created_and_info_old': None,
    'created_first_and_no_info': None,
    'orphan': None,
    'absolute_name': None,
    'info_names_too_much': None,
    'info_names_too_little': None,
    'info_names_a_host_file': None,
    'info_is_a_fifo': None,
    'record_corrupt': None,
    'copy_cut_off': 0,
    'killed': 0,
    'marked_corrupt': None,
}
#: What is found by a deep check, and mended.
_DEEP = ('tables_corrupt', 'clusters_leaked')
#: What is mended only with what a service knows.
_BY_RECORDS = frozenset(
    {'info_cut_off', 'info_empty', 'created_first_and_no_info'}
    | {'info_names_too_much'}
    | {'info_names_too_little', 'info_names_a_host_file', 'info_is_a_fifo'}
)


_SYNC = 'volume_driver.operations.mend.files.sync'


class RepairTestCase(test_check.CheckTestCase):
    def mend(
        self, volume: modelled.ModelledVolume, **options: typing.Any
    ) -> repair.Report:
        """Repair all, with what a service knows of the volume."""
        known = facts.Known(1, frozenset(volume.snapshots))
        options.setdefault('known', {volume.record.name: known})
        # The test has just now made what is wrong.
        options.setdefault('settle', 0)
        report = volume.made.driver.repair(**options)
        for each in report.outcomes:
            self.assertRegex(each.text, r'^[A-Z/.].*[.]$')
        return report

    def assert_mended(
        self,
        volume: modelled.ModelledVolume,
        count: int,
        **options: typing.Any,
    ) -> None:
        """Check that a repair is announced, done, and leaves nothing."""
        before = test_check.everything(volume.made.directory)
        shown = self.mend(volume, **options)
        self.assertEqual(before, test_check.everything(volume.made.directory))
        self.assertIn(
            repair.PROPOSED, {each.outcome for each in shown.outcomes}
        )
        done = self.mend(volume, do=True, **options)
        self.assertEqual(
            [repair.DONE] * count,
            [each.outcome for each in done.outcomes],
            str(done),
        )
        self.assertIn(done.outcomes[0], _as_done(shown))
        self.assertEqual((), done.left)
        self.assertTrue(volume.made.driver.check(deep=True).clean)
        self.assert_logged(volume.made.directory, done)

    def assert_logged(
        self, directory: pathlib.Path, done: repair.Report
    ) -> None:
        """Check that each repair has its line in the log, and its note."""
        folder = directory / quarantine.FOLDER
        log = (folder / quarantine.LOG).read_text().splitlines()
        self.assertEqual(
            [
                (each.finding.kind, state)
                for each in done.outcomes
                for state in ('begun', 'done')
            ],
            [(line['kind'], line['state']) for line in map(json.loads, log)],
        )
        for note in folder.glob(f'*/*/{quarantine.NOTE}'):
            words = json.loads(note.read_text())
            moved = pathlib.Path(words['put_back'].split()[1])
            self.assertEqual(note.parent, moved.parent)
            self.assertTrue(moved.exists() or moved.is_symlink())

    def assert_goes_on(self, volume: modelled.ModelledVolume) -> None:
        """Check every byte, and that all operations work again."""
        self.assertEqual([], volume.differences())
        volume.create_snapshot()
        volume.write(8 * MIB, MIB, 0x77)
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
            self.assertEqual([], volume.differences())
        volume.made.driver.delete_volume(volume.record)


def _as_done(shown: repair.Report) -> list[repair.Outcome]:
    return [
        repair.Outcome(each.finding, repair.DONE, each.text)
        for each in shown.outcomes
    ]


@ddt.ddt
class BrokenTest(RepairTestCase):
    @ddt.data(*sorted(MENDED))
    def test_mended(self, name: str) -> None:
        volume = self.make_two()
        broken.WAYS[name](broken.Broken(volume))
        deleted = MENDED[name]
        if deleted is not None:
            volume.forget_snapshot([*volume.snapshots.values()][deleted])
        # What a commit left behind is set aside, too.
        count = 2 if name == 'committed_and_info_old' else 1
        self.assert_mended(volume, count)
        self.assert_goes_on(volume)

    @ddt.data(*sorted(broken.WAYS.keys() - MENDED.keys()))
    def test_refused(self, name: str) -> None:
        volume = self.make_two()
        expected = broken.WAYS[name](broken.Broken(volume))
        if name == 'leftovers':
            expected.discard(('leftover', '.x.part'))
            self.mend(volume, do=True)
        self.assert_refused(volume, expected)

    @ddt.data(*sorted(_BY_RECORDS))
    def test_refused_without_records(self, name: str) -> None:
        volume = self.make_two()
        expected = broken.WAYS[name](broken.Broken(volume))
        self.assert_refused(volume, expected, known=None)
        (*_, volume.snapshots) = ({},)
        self.assert_refused(volume, None)

    def assert_refused(
        self,
        volume: modelled.ModelledVolume,
        expected: broken.Expected | None,
        **options: typing.Any,
    ) -> None:
        """Check that nothing is done, and that all is told still."""
        before = test_check.everything(volume.made.directory)
        for do in (False, True):
            report = self.mend(volume, do=do, **options)
            self.assertEqual(
                {repair.REFUSED},
                {each.outcome for each in report.outcomes},
                str(report),
            )
            if expected is not None:
                name = volume.record.name
                self.assertLessEqual(
                    expected,
                    {
                        (each.kind, each.file.removeprefix(name))
                        for each in report.left
                    },
                )
        self.assertEqual(before, test_check.everything(volume.made.directory))

    @ddt.data(*_DEEP)
    def test_deep(self, name: str) -> None:
        volume = self.make_two()
        broken.DEEP_WAYS[name](broken.Broken(volume))
        self.assert_mended(volume, 1, deep=True)
        self.assert_goes_on(volume)

    def test_nobody_opens_an_image_that_is_mended(self) -> None:
        volume = self.make_two()
        way = broken.Broken(volume)
        broken.tables_corrupt(way)
        path = way.path(way.chain[1])
        refused = []

        def sync(name: str) -> None:
            if not name.endswith(f'{path.name}.part'):
                return  # it has taken the image's place
            refused.append(
                self.assertRaises(
                    image_tools.ToolError,
                    image_tools.qemu_img,
                    *('resize', '-q', '-f', 'qcow2', path, '2G'),
                )
            )

        self.useFixture(fixtures.MonkeyPatch(_SYNC, sync))
        self.mend(volume, do=True, deep=True)
        self.assertIn('lock', str(refused[0]))

    def test_what_was_written_meanwhile_stays(self) -> None:
        volume = self.make_two()
        way = broken.Broken(volume)
        broken.tables_corrupt(way)
        path = way.path(way.chain[1])
        self.useFixture(fixtures.MonkeyPatch(_SYNC, lambda part: path.touch()))
        report = self.mend(volume, do=True, deep=True)
        (outcome,) = report.outcomes
        self.assertEqual(repair.FAILED, outcome.outcome)
        self.assertIn('wrote to it meanwhile', outcome.text)

    def test_info_gone_after_a_pull(self) -> None:
        volume = self.make_two()
        volume.delete_snapshot(next(iter(volume.snapshots.values())), 'pull')
        self.assertFalse(volume.made.path(volume.record.name).exists())
        volume.made.path(f'{volume.record.name}.info').unlink()
        self.assert_mended(volume, 1)
        self.assert_goes_on(volume)

    def test_forged_header(self) -> None:
        volume = self.make_two('raw')
        way = broken.Broken(volume)
        broken.raw_and_forged(way)
        self.assert_mended(volume, 1)
        self.assertEqual(
            'raw',
            json.loads(way.file('.record').read_text())['base_format'],
        )

    def test_forged_header_alone_is_refused(self) -> None:
        volume = self.make_two('raw', 0)
        broken.raw_and_forged_alone(broken.Broken(volume))
        self.assert_refused(volume, {('format', '')})


class CommandTest(test_cli.CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', test_cli.ID, '--size', '1')
        self.output('snapshot', 'create', test_cli.ID, 'a')
        self.output('snapshot', 'create', test_cli.ID, 'b')

    def rows(self, code: int, *argv: str) -> list[tuple[str, str]]:
        """Return kind and outcome of each line."""
        done = self.run_program('repair', '--settle', '0', *argv, '-f', 'json')
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        found = json.loads(done.stdout)
        return [(row['kind'], row['outcome']) for row in found]

    def test_nothing_is_wrong(self) -> None:
        self.assertEqual('', self.output('repair', '--yes'))
        self.assertEqual([], self.rows(0, test_cli.ID, '--deep'))

    def test_info_is_written_anew(self) -> None:
        path = self.directory / f'{test_cli.NAME}.info'
        before = path.read_bytes()
        path.write_bytes(b'')
        self.assertEqual([('info-corrupt', 'refused')], self.rows(1, '--yes'))
        records = self.directory.parent / 'records'
        records.write_text(f'id,size,snapshots\n{test_cli.ID},1,a b\n')
        with_records = f'--records={records}'
        self.assertEqual(
            [('info-corrupt', 'proposed')], self.rows(1, with_records)
        )
        self.assertEqual(b'', path.read_bytes())
        self.assertEqual(
            [('info-corrupt', 'done')], self.rows(0, with_records, '--yes')
        )
        self.assertEqual(before, path.read_bytes())
        (note,) = self.directory.glob('.quarantine/*/*/note.json')
        self.assertEqual('info-corrupt', json.loads(note.read_text())['kind'])

    def test_cannot_be_used_so(self) -> None:
        for argv in (('nope',), ('--all', test_cli.ID)):
            done = self.run_program('repair', *argv)
            self.assertEqual((2, ''), (done.returncode, done.stdout))
            self.assertNotIn('Traceback', done.stderr)
