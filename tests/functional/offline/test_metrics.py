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

"""Metrics of real operations, as Prometheus's own parser reads them."""

from __future__ import annotations

import http.client
import os
import pathlib
import signal
import subprocess
import sys
import typing

from prometheus_client import parser

from tests.fixtures import driver as drivers
from tests.fixtures import greened
from tests.fixtures import modelled
from tests.fixtures import ports
from tests.functional.offline import case
from tests.functional.offline import children
from volume_driver import exception
from volume_driver.operations import faults
from volume_driver.planning import plan

PROGRAM = pathlib.Path(sys.executable).with_name('volume-driver')


def read(text: str) -> dict[str, float]:
    """Return figures by name and labels, those of all programs together.

    A label with the value ``none`` and the name ``volume_driver`` are left
    out, so it reads like ``operations_total done create snapshot``.
    """
    found: dict[str, float] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            words = [sample.name.removeprefix('volume_driver_')]
            words += [
                sample.labels[label]
                for label in ('le', 'outcome', 'operation', 'way')
                if sample.labels.get(label, 'none') != 'none'
            ]
            key = ' '.join(words)
            found[key] = found.get(key, 0) + sample.value
    return found


def scrape(port: int) -> str:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    try:
        connection.request('GET', '/metrics')
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read().decode()
    finally:
        connection.close()


class MetricsTestCase(case.OfflineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.temp_dir() / 'volume_driver.prom'

    def make(self, **options: typing.Any) -> modelled.ModelledVolume:
        return self.make_volume(metrics_file=str(self.path), **options)

    def found(self) -> dict[str, float]:
        return read(self.path.read_text())


class FileTest(MetricsTestCase):
    def test_operations_of_more_than_one_driver(self) -> None:
        volume = self.make()
        snapshots = self.make_snapshots(volume, 3)
        volume.delete_snapshot(snapshots[1], 'commit')
        volume.delete_snapshot(snapshots[0], 'pull')
        volume.extend(2)
        found = self.found()
        for expected, key in (
            (3, 'operations_total done create snapshot'),
            (1, 'operations_total done delete snapshot commit'),
            (1, 'operations_total done delete snapshot pull'),
            (1, 'operations_total done extend volume'),
            (3, 'operation_seconds_count create snapshot'),
            (5, 'chain_depth_count'),
            (2 + 3 + 4 + 3 + 2, 'chain_depth_sum'),
        ):
            self.assertEqual(expected, found[key], key)
        self.assertLess(0, found['merged_bytes_total commit'])
        self.assertLess(0, found['merged_bytes_total pull'])
        self.assertLess(0, found['operation_seconds_sum create snapshot'])
        self.check(volume)

    def test_commands_add_to_it(self) -> None:
        volume = self.make()
        config_file = self.temp_dir() / 'volume_driver.conf'
        config_file.write_text(
            '[volume_driver]\n'
            f'volume_files_dir = {volume.made.directory}\n'
            'hypervisor = none\n'
            f'metrics_file = {self.path}\n'
        )
        create = 'snapshot', 'create', volume.record.id
        for name in ('a', 'b'):
            subprocess.run(
                [PROGRAM, '--config-file', config_file, *create, name],
                check=True,
            )
        volume.create_snapshot()
        text = self.path.read_text()
        self.assertIn('program="volume-driver"', text)
        self.assertEqual(
            3, read(text)['operations_total done create snapshot']
        )

    def test_what_is_taken_back(self) -> None:
        volume = self.make()
        self.patch(faults, 'hook', self.fail_at(plan.Switch))
        self.assertRaises(exception.VolumeDriverError, volume.create_snapshot)
        found = self.found()
        self.assertEqual(1, found['operations_total undone create snapshot'])

    def fail_at(self, kind: type[plan.Step]) -> typing.Any:
        def hook(moment: str, step: plan.Step | None) -> None:
            if moment == 'before' and isinstance(step, kind):
                raise exception.LiveOperationFailed(
                    operation='it', guest='a guest', reason='the test says so'
                )

        return hook

    def test_recovery(self) -> None:
        volume = self.make()
        record = drivers.snapshot(volume.record)
        self.patch(faults, 'hook', self.kill_at(plan.Record))
        self.assertFalse(
            children.runs_to_its_end(
                lambda: volume.made.driver.create_snapshot(record)
            )
        )
        self.patch(faults, 'hook', None)
        volume.made.make().do_setup(None)
        found = self.found()
        self.assertEqual(1, found['recoveries_total done create snapshot'])
        self.assertNotIn('operations_total done create snapshot', found)
        self.assertEqual(2, found['chain_depth_sum'])

    def kill_at(self, kind: type[plan.Step]) -> typing.Any:
        def hook(moment: str, step: plan.Step | None) -> None:
            if moment == 'before' and isinstance(step, kind):
                os.kill(os.getpid(), signal.SIGKILL)

        return hook

    def test_file_that_cannot_be_written_fails_nothing(self) -> None:
        self.path.parent.rmdir()
        volume = self.make()
        self.make_snapshots(volume, 1)
        self.check(volume)
        self.assertIn('option metrics_file', self.log.output)

    def test_without_the_option_there_is_no_file(self) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 1)
        self.assertEqual([], list(self.path.parent.iterdir()))


def _work(directory: str, port: int) -> list[str]:
    """Take a snapshot in a process of greenlets, and read what it counts."""
    made = drivers.DriverFixture(directory, metrics_port=port)
    with made, greened.Ticks() as ticks:
        volume = drivers.volume()
        made.driver.create_volume(volume)
        made.driver.create_snapshot(drivers.snapshot(volume))
        texts = [scrape(port) for _ in range(3)]
    assert ticks.largest_gap < 2.0, ticks.largest_gap
    return texts


class PortTest(case.OfflineTestCase):
    def test_port_is_scraped(self) -> None:
        port = ports.free()
        volume = self.make_volume(metrics_port=port)
        self.make_snapshots(volume, 2)
        found = read(scrape(port))
        self.assertEqual(2, found['operations_total done create snapshot'])
        volume.create_snapshot()
        found = read(scrape(port))
        self.assertEqual(3, found['operations_total done create snapshot'])

    def test_port_that_is_taken_fails_nothing(self) -> None:
        port = ports.free()
        volume = self.make_volume(metrics_port=port)
        volume.made.make().do_setup(None)
        self.assertIn(f'port {port} (options', self.log.output)
        self.make_snapshots(volume, 1)

    def test_process_of_greenlets_goes_on(self) -> None:
        texts = greened.call(_work, str(self.temp_dir()), ports.free())
        for text in texts:
            self.assertEqual(
                1, read(text)['operations_total done create snapshot']
            )


class StatsTest(case.OfflineTestCase):
    def test_depth_and_allocated_bytes(self) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 4)
        found = volume.made.driver.get_volume_stats()
        self.assertEqual(5, found['deepest_chain'])
        files = volume.files()
        self.assertEqual(
            sum(
                (files.directory / name).stat().st_blocks * 512
                for name in files.chain
            ),
            found['allocated_bytes'],
        )
