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

"""A check names what is wrong with real directories, and changes nothing."""

from __future__ import annotations

import functools
import itertools
import json
import os
import pathlib
import pty
import subprocess
import threading
import time
import typing

import ddt

from tests.fixtures import broken
from tests.fixtures import driver as drivers
from tests.fixtures import encrypted
from tests.fixtures import model as models
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import children
from tests.functional.offline import kills
from tests.functional.offline import test_cli
from volume_driver import driver as volume_drivers
from volume_driver import exception
from volume_driver.checking import findings
from volume_driver.operations import locking

MIB = case.MIB
Driver = volume_drivers.Qcow2Driver


class CheckTestCase(case.OfflineTestCase):
    def look(
        self, driver: Driver, directory: pathlib.Path, **options: typing.Any
    ) -> findings.Report:
        """Check a directory, which stays as it is, in one line each."""
        before = everything(directory)
        report = driver.check(**options)
        self.assertEqual(before, everything(directory))
        for each in report.findings:
            self.assertTrue(each.text.isprintable(), each.text)
            self.assertRegex(each.text, r'[.]$')
        return report

    def check_found(
        self,
        volume: modelled.ModelledVolume,
        expected: broken.Expected,
        **options: typing.Any,
    ) -> None:
        """Check that just these findings are told of a volume."""
        made = volume.made
        for of in (None, volume.record):
            report = self.look(
                made.driver, made.directory, volume=of, **options
            )
            name = volume.record.name
            self.assertEqual((name,), report.volumes)
            found = [
                (each.kind, each.file.removeprefix(name))
                for each in report.findings
            ]
            self.assertEqual(sorted(expected), sorted(found))

    def make_two(
        self, volume_format: str = 'qcow2', snapshots: int = 2
    ) -> modelled.ModelledVolume:
        made = self.make_driver(volume_format)
        volume = modelled.ModelledVolume.create(made)
        volume.write(0, MIB, 0x11)
        for _ in range(snapshots):
            volume.create_snapshot()
            volume.write(0, 256 << 10, 0x12)
        return volume


def everything(directory: pathlib.Path) -> dict[str, typing.Any]:
    found = {
        path.name: (os.lstat(path).st_ino, os.lstat(path).st_mtime_ns)
        for path in directory.iterdir()
        if path.name != '.locks'
    }
    return {**found, **models.fingerprint(directory)}


@ddt.ddt
class BrokenTest(CheckTestCase):
    @ddt.data(*broken.WAYS)
    def test_way(self, name: str) -> None:
        volume = self.make_two()
        expected = broken.WAYS[name](broken.Broken(volume))
        self.check_found(volume, expected)

    @ddt.data(*broken.DEEP_WAYS)
    def test_deep_way(self, name: str) -> None:
        volume = self.make_two()
        expected = broken.DEEP_WAYS[name](broken.Broken(volume))
        self.check_found(volume, set())
        self.check_found(volume, expected, deep=True)

    @ddt.data(*broken.RAW_WAYS)
    def test_raw_way(self, name: str) -> None:
        snapshots, way = broken.RAW_WAYS[name]
        volume = self.make_two('raw', snapshots)
        self.check_found(volume, way(broken.Broken(volume)))

    @ddt.data(*broken.WAYS)
    def test_deep_check_opens_nothing_that_is_not_trusted(
        self, name: str
    ) -> None:
        volume = self.make_two()
        broken.WAYS[name](broken.Broken(volume))
        before = everything(volume.made.directory)
        report = volume.made.driver.check(deep=True)
        self.assertEqual(before, everything(volume.made.directory))
        self.assertTrue(report.broken)

    def test_nothing_is_left_but_leftovers(self) -> None:
        made = self.make_driver()
        for name in ('volume-u.part', 'volume-u.record'):
            made.path(name).write_bytes(b'{"base_format":"raw","version":1}')
        for name in ('volume-list.csv', 'notes.txt'):
            made.path(name).write_bytes(b'no volume')
        made.path('volume-backups').mkdir()
        report = self.look(made.driver, made.directory)
        self.assertEqual(
            [
                ('stray', 'volume-list.csv'),
                ('leftover', 'volume-u.part'),
                ('leftover', 'volume-u.record'),
            ],
            [(each.kind, each.file) for each in report.findings],
        )

    def test_depth(self) -> None:
        volume = self.make_two(snapshots=3)
        for limit, kind in ((3, 'too-deep'), (5, 'deep'), (6, None)):
            driver = volume.made.make(max_chain_depth=limit)
            report = self.look(driver, volume.made.directory)
            self.assertEqual(
                [kind] if kind else [],
                [each.kind for each in report.findings],
            )

    def test_worst_is_first(self) -> None:
        volume = self.make_two()
        one = broken.Broken(volume)
        expected = broken.orphan(one) | broken.overlay_smaller(one)
        expected |= broken.stray(one)
        self.check_found(volume, expected)
        report = volume.made.driver.check()
        self.assertEqual(
            ['size', 'orphan', 'stray'],
            [each.kind for each in report.findings],
        )

    def test_every_volume_is_told_of(self) -> None:
        volume = self.make_two()
        good = modelled.ModelledVolume.create(volume.made)
        broken.info_cut_off(broken.Broken(volume))
        report = self.look(volume.made.driver, volume.made.directory)
        names = [volume.record.name, good.record.name]
        self.assertEqual(sorted(names), list(report.volumes))
        self.assertEqual(
            [volume.record.name], [each.volume for each in report.findings]
        )
        self.assertTrue(
            volume.made.driver.check(good.record).clean, 'of the good one'
        )

    def test_volume_that_is_not_there(self) -> None:
        made = self.make_driver()
        with self.refused(exception.VolumeNotFound, made.directory):
            made.driver.check(drivers.volume())

    def test_another_user_may_not_read_it(self) -> None:
        volume = self.make_two()
        volume.made.directory.chmod(0o755)
        for path in volume.made.directory.iterdir():
            path.chmod(0o700)

        def check() -> object:
            report = volume.made.make().check()
            return sorted({each.kind for each in report.findings})

        found = children.run_as_nobody(check)
        self.assertIn('no-access', typing.cast(list[str], found))


@ddt.ddt
class CleanTest(CheckTestCase):
    def check_clean(self, made: drivers.DriverFixture) -> None:
        for deep in (False, True):
            report = self.look(made.driver, made.directory, deep=deep)
            self.assertEqual((), report.findings)
            self.assertTrue(report.clean)

    @ddt.data(*case.FORMATS)
    def test_volume_without_snapshots(self, volume_format: str) -> None:
        self.check_clean(self.make_two(volume_format, 0).made)

    @ddt.data(*itertools.product(case.FORMATS, ('commit', 'pull'), range(3)))
    @ddt.unpack
    def test_after_deletions(
        self, volume_format: str, direction: str, position: int
    ) -> None:
        volume = self.make_two(volume_format, 3)
        self.check_clean(volume.made)
        for number in (position, 0, 0):
            snapshots = list(volume.snapshots.values())
            volume.delete_snapshot(snapshots[number], direction)
            self.check_clean(volume.made)
        volume.create_snapshot()
        self.check_clean(volume.made)

    @ddt.data(*case.FORMATS)
    def test_after_other_operations(self, volume_format: str) -> None:
        volume = self.make_two(volume_format)
        newest = list(volume.snapshots.values())[-1]
        volume.extend(2)
        volume.revert(newest)
        volume.clone(3)
        volume.copy_snapshot(newest, 1)
        self.check_clean(volume.made)

    @ddt.data('qcow2', 'raw')
    def test_what_cinder_made_has_no_record(self, volume_format: str) -> None:
        volume = self.make_two(volume_format)
        volume.made.path(f'{volume.record.name}.record').unlink()
        self.check_clean(volume.made)

    def test_encrypted(self) -> None:
        made = self.make_driver(passphrase=encrypted.Keys())
        volume = encrypted.EncryptedVolume.create(made)
        snapshot = volume.create_snapshot()
        self.check_clean(made)
        keyless = made.make()
        keyless._passphrase = None
        self.assertTrue(keyless.check().clean)
        report = keyless.check(deep=True)
        self.assertFalse(report.broken)
        self.assertEqual(
            {'unchecked'}, {each.kind for each in report.findings}
        )
        volume.delete_snapshot(snapshot)
        self.check_clean(made)

    def test_directory_is_empty(self) -> None:
        made = self.make_driver()
        self.check_clean(made)
        self.assertEqual([], list(made.directory.iterdir()))


@ddt.ddt
class AtWorkTest(CheckTestCase):
    def test_volume_that_is_worked_on(self) -> None:
        volume = self.make_two()
        expected = broken.orphan(broken.Broken(volume))
        locks = locking.FileLocks(str(volume.made.directory))
        with locks(volume.record.name):
            self.check_found(volume, {('busy', '')})
        self.check_found(volume, expected)

    def test_somebody_else_writes(self) -> None:
        volume = self.make_two()
        active = volume.made.active(volume.record)
        process = subprocess.Popen(
            ['qemu-io', '-f', 'qcow2', active],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        self.addCleanup(process.communicate)
        self.assertEqual(b'qemu-io> ', process.stdout.read(9))
        end = active.name.removeprefix(volume.record.name)
        self.check_found(volume, {('open-elsewhere', end)})
        report = volume.made.driver.check(deep=True)
        unchecked = [
            each.file for each in report.findings if each.kind == 'unchecked'
        ]
        self.assertEqual([active.name], unchecked)

    def test_while_snapshots_come_and_go(self) -> None:
        """What is seen of an operation under way is never told as broken."""
        volume = self.make_two()
        ends = threading.Event()
        problems: list[BaseException] = []

        def work() -> None:
            try:
                while not ends.is_set():
                    taken = volume.take_snapshots(2)
                    volume.delete_snapshots(taken)
            except BaseException as error:
                problems.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            driver = volume.made.make()
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                found = driver.check().findings
                # The test itself writes to the active image.
                self.assertLessEqual(
                    {each.kind for each in found}, {'busy', 'open-elsewhere'}
                )
        finally:
            ends.set()
            worker.join()
        self.assertEqual([], problems)

    @ddt.data('commit', 'pull')
    def test_killed_at_every_point(self, direction: str) -> None:
        """Recovery puts right all that is told, and it is told as that."""
        made = self.make_driver(merge_direction=direction)
        for point in itertools.count(0, 5):
            volume = modelled.ModelledVolume.create(made)
            taken, _ = volume.take_snapshots(2)
            delete = functools.partial(Driver.delete_snapshot, snapshot=taken)
            ended = kills.runs_to_its_end(made, delete, point)
            kinds = {each.kind for each in made.driver.check().findings}
            self.assertLessEqual(kinds, {'unfinished', 'leftover', 'busy'})
            made.driver.recover()
            found = made.driver.check().findings
            # The next operation writes it anew.
            self.assertLessEqual(
                {each.file.rpartition('.')[2] for each in found}, {'part'}
            )
            made.driver.delete_snapshots(volume.snapshots.values())
            made.driver.delete_volume(volume.record)
            if ended:
                break
        self.assertGreater(point, 10)


class CommandTest(test_cli.CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output('volume', 'create', test_cli.ID, '--size', '1')
        self.output('snapshot', 'create', test_cli.ID, 'a')

    def test_nothing_is_wrong(self) -> None:
        for argv in ((), ('--all',), (test_cli.ID,), ('--deep',)):
            self.assertEqual('', self.output('check', *argv))
        self.assertEqual([], self.data('check'))
        self.assertEqual('', self.output('check', '-f', 'value'))

    def test_on_a_terminal(self) -> None:
        ours, its = pty.openpty()
        with os.fdopen(ours, 'rb', buffering=0) as stream:
            done = subprocess.run(
                self.command('check'),
                stdin=subprocess.DEVNULL,
                stdout=its,
                check=False,
                timeout=120,
            )
            os.close(its)
            text = stream.read(4096)
        self.assertEqual(0, done.returncode)
        self.assertEqual(b'Nothing is wrong (volumes looked at: 1).\r\n', text)

    def test_something_is(self) -> None:
        (self.directory / f'{test_cli.NAME}.a').unlink()
        done = self.run_program('check', '-f', 'json')
        self.assertEqual((1, ''), (done.returncode, done.stderr))
        (row,) = json.loads(done.stdout)
        self.assertIn('no such file', row.pop('text'))
        self.assertEqual(
            {
                'volume': test_cli.NAME,
                'severity': 'error',
                'kind': 'missing-image',
                'file': f'{test_cli.NAME}.a',
            },
            row,
        )
        for form in ('csv', 'value', 'yaml', 'table'):
            done = self.run_program('check', test_cli.ID, '-f', form)
            self.assertEqual(1, done.returncode)
            self.assertIn('missing-image', done.stdout)

    def test_records(self) -> None:
        records = self.directory.parent / 'records'
        for text in (
            f'ID,Size,snapshots\n{test_cli.ID},1,a\n',
            json.dumps([{'ID': test_cli.ID, 'Size': 1, 'Name': 'x'}]),
            json.dumps([{'id': test_cli.NAME, 'snapshots': ['a']}]),
        ):
            records.write_text(text)
            self.assertEqual('', self.output('check', f'--records={records}'))
        records.write_text('id,size,snapshots\nother,1,\n')
        self.check_told(records, {'no-files', 'unrecorded'})
        records.write_text(f'id,size,snapshots\n{test_cli.ID},2,b c\n')
        self.check_told(records, {'record-mismatch'})
        for text in ('[1]', 'size\n1\n', '[' * 100_000, 'id,size\na,x\n'):
            records.write_text(text)
            done = self.run_program('check', f'--records={records}')
            self.assertEqual((2, ''), (done.returncode, done.stdout))
            self.assertIn('cannot be read as records', done.stderr)

    def check_told(self, records: pathlib.Path, kinds: set[str]) -> None:
        done = self.run_program('check', '-f', 'json', f'--records={records}')
        self.assertEqual((1, ''), (done.returncode, done.stderr))
        self.assertEqual(
            kinds, {row['kind'] for row in json.loads(done.stdout)}
        )

    def test_cannot_look(self) -> None:
        for argv in (('nope',), ('--all', test_cli.ID)):
            done = self.run_program('check', *argv)
            self.assertEqual((2, ''), (done.returncode, done.stdout))
            self.assertNotIn('Traceback', done.stderr)
        text = self.config_file.read_text()
        self.config_file.write_text(
            text.replace('hypervisor = none', 'hypervisor = libvirt')
            + 'libvirt_uri = qemu+unix:///system?socket=/nonexistent\n'
        )
        done = self.run_program('check', '-f', 'json')
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertEqual(
            [('unknown', 'no-answer')],
            [
                (row['severity'], row['kind'])
                for row in json.loads(done.stdout)
            ],
        )
