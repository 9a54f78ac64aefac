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

"""Directories of another driver are taken over, and nothing else changes."""

from __future__ import annotations

import itertools
import json

import ddt

from tests.fixtures import broken
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import test_check
from tests.functional.offline import test_cli
from volume_driver import driver as volume_drivers
from volume_driver.checking import facts
from volume_driver.operations import take_over


@ddt.ddt
class TakeOverTest(test_check.CheckTestCase):
    def make_foreign(
        self, volume_format: str, snapshots: int
    ) -> tuple[modelled.ModelledVolume, volume_drivers.Qcow2Driver]:
        """Return a volume without a record, and a driver."""
        volume = self.make_two(volume_format, snapshots)
        volume.made.path(f'{volume.record.name}.record').unlink()
        return volume, volume.made.driver

    def outcomes(
        self, driver: volume_drivers.Qcow2Driver, do: bool = False
    ) -> list[str]:
        return [each.outcome for each in driver.take_over(do=do)]

    @ddt.data(*itertools.product(case.FORMATS, (0, 2)))
    @ddt.unpack
    def test_all_that_is_written_is_a_record(
        self, volume_format: str, snapshots: int
    ) -> None:
        volume, driver = self.make_foreign(volume_format, snapshots)
        before = test_check.everything(volume.made.directory)
        self.assertEqual([take_over.PROPOSED], self.outcomes(driver))
        self.assertEqual(before, test_check.everything(volume.made.directory))
        self.assertEqual([take_over.DONE], self.outcomes(driver, do=True))
        after = test_check.everything(volume.made.directory)
        record = volume.made.path(f'{volume.record.name}.record')
        self.assertEqual({record.name}, after.keys() - before.keys())
        self.assertEqual(
            volume_format, json.loads(record.read_text())['base_format']
        )
        self.assertEqual([take_over.OURS], self.outcomes(driver))
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
        self.assertEqual([], volume.differences())

    def test_what_is_broken_is_left(self) -> None:
        volume, driver = self.make_foreign('qcow2', 2)
        broken.commit_then_unlink(broken.Broken(volume))
        (found,) = driver.take_over(do=True)
        self.assertEqual(take_over.REFUSED, found.outcome)
        self.assertIn('missing-image', found.text)
        self.assertFalse(
            volume.made.path(f'{volume.record.name}.record').exists()
        )

    def test_header_that_a_guest_may_have_written(self) -> None:
        volume, _ = self.make_foreign('raw', 0)
        volume.made.path(volume.record.name).open('r+b').write(broken.MAGIC)
        driver = volume.made.make(volume_format='qcow2')
        known = {volume.record.name: facts.Known(1)}
        for records in (None, known):
            (found,) = driver.take_over(do=True, known=records)
            self.assertEqual(take_over.REFUSED, found.outcome)

    def test_somebody_is_at_work(self) -> None:
        volume, driver = self.make_foreign('raw', 0)
        with driver.context.locks(volume.record.name):
            other = volume.made.make()
            self.assertEqual([take_over.REFUSED], self.outcomes(other, True))


class CommandTest(test_cli.CliTestCase):
    def test_exit_codes(self) -> None:
        self.output('volume', 'create', test_cli.ID, '--size', '1')
        record = self.directory / f'{test_cli.NAME}.record'
        self.assertIn('ours', self.output('adopt'))
        before = record.read_bytes()
        record.unlink()
        done = self.run_program('adopt', '-f', 'json')
        self.assertEqual((1, ''), (done.returncode, done.stderr))
        (row,) = json.loads(done.stdout)
        self.assertEqual('proposed', row['outcome'])
        self.assertIn('done', self.output('adopt', test_cli.ID, '--yes'))
        self.assertEqual(before, record.read_bytes())
