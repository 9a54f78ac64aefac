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

from __future__ import annotations

import contextlib
import os
import sys

import ddt

from tests import base
from tests.unit import fakes
from volume_driver import journal as journals
from volume_driver import opts
from volume_driver.operations import meter as meters
from volume_driver.operations import prometheus
from volume_driver.planning import plan

DELETE = plan.Plan(
    'delete snapshots a, b',
    fakes.VOLUME,
    (plan.Record({'active': 'volume-u.c', 'c': 'volume-u.c'}),),
    'pull',
    'it is cheaper',
    cost=4096,
)
EXTEND = plan.Plan('extend volume', fakes.VOLUME, ())


class Stopped(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class MeterTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()
        self.patch(sys, 'argv', ['/usr/bin/cinder-volume', '--debug'])
        self.meter = prometheus.PrometheusMeter()

    def begin(self, content: plan.Plan) -> journals.Journal:
        target = fakes.target(self.directory)
        return journals.begin(str(self.directory), content, target, {})

    def value(self, name: str, **labels: str) -> float | None:
        return self.meter.registry.get_sample_value(
            f'volume_driver_{name}', {'program': 'cinder-volume', **labels}
        )

    def go_wrong(self, meant: contextlib.AbstractContextManager[None]) -> None:
        with contextlib.suppress(ValueError), meant:
            raise ValueError('the test says so')


@ddt.ddt
class OperationTest(MeterTestCase):
    def test_what_is_done_is_counted(self) -> None:
        journal = self.begin(DELETE)
        with self.meter.operation(journal):
            journal.drop()
        labels = {'operation': 'delete snapshot', 'way': 'pull'}
        self.assertEqual(
            1, self.value('operations_total', outcome='done', **labels)
        )
        self.assertEqual(1, self.value('operation_seconds_count', **labels))
        self.assertEqual(4096, self.value('merged_bytes_total', way='pull'))
        self.assertEqual(2, self.value('chain_depth_sum'))
        self.assertEqual(1, self.value('chain_depth_bucket', le='2.0'))
        self.assertEqual(0, self.value('chain_depth_bucket', le='1.0'))

    def test_no_label_holds_an_id(self) -> None:
        with self.meter.operation(self.begin(DELETE)):
            pass
        found = {
            value
            for family in self.meter.registry.collect()
            for sample in family.samples
            for key, value in sample.labels.items()
            if key != 'le'
        }
        self.assertEqual(
            {'cinder-volume', 'delete snapshot', 'pull', 'done'}, found
        )

    @ddt.data((True, 'undone'), (False, 'unfinished'))
    @ddt.unpack
    def test_what_fails_is_not_done(self, dropped: bool, outcome: str) -> None:
        journal = self.begin(DELETE)
        if dropped:
            journal.drop()
        self.go_wrong(self.meter.operation(journal))
        labels = {'operation': 'delete snapshot', 'way': 'pull'}
        self.assertEqual(
            1, self.value('operations_total', outcome=outcome, **labels)
        )
        self.assertIsNone(self.value('operation_seconds_count', **labels))
        self.assertIsNone(self.value('merged_bytes_total', way='pull'))
        self.assertEqual(0, self.value('chain_depth_count'))

    def test_what_is_stopped_is_not_done(self) -> None:
        meant = self.meter.operation(self.begin(EXTEND))
        with contextlib.suppress(Stopped), meant:
            raise Stopped
        self.assertEqual(
            1,
            self.value(
                'operations_total',
                operation='extend volume',
                way='none',
                outcome='unfinished',
            ),
        )

    def test_error_goes_on(self) -> None:
        def run() -> None:
            with self.meter.operation(self.begin(EXTEND)):
                raise fakes.refusal()

        self.assertRaises(type(fakes.refusal()), run)

    def test_pauses(self) -> None:
        journal = self.begin(DELETE)
        with self.meter.operation(journal):
            journal.pauses += [0.25, 0.5]
        self.assertEqual(2, self.value('guest_pause_seconds_count'))
        self.assertEqual(0.75, self.value('guest_pause_seconds_sum'))


class RecoveryTest(MeterTestCase):
    LABELS = {'operation': 'delete snapshot'}

    def test_what_is_finished(self) -> None:
        journal = self.begin(DELETE)
        with self.meter.recovery(journal):
            journal.drop()
        self.assertEqual(
            1, self.value('recoveries_total', outcome='done', **self.LABELS)
        )
        self.assertEqual(4096, self.value('merged_bytes_total', way='pull'))
        self.assertIsNone(
            self.value(
                'operations_total', outcome='done', way='pull', **self.LABELS
            )
        )

    def test_what_is_not(self) -> None:
        self.go_wrong(self.meter.recovery(self.begin(DELETE)))
        self.assertEqual(
            1,
            self.value(
                'recoveries_total', outcome='unfinished', **self.LABELS
            ),
        )
        self.assertIsNone(self.value('merged_bytes_total', way='pull'))


class NothingTest(MeterTestCase):
    def test_meter_that_counts_nothing(self) -> None:
        journal = self.begin(DELETE)
        nothing = meters.Meter()
        for meant in (nothing.operation(journal), nothing.recovery(journal)):
            with meant:
                pass
        self.assertEqual(['volume-u.journal'], os.listdir(self.directory))


class MakeTest(base.TestCase):
    def test_port_that_cannot_be_had_is_a_warning(self) -> None:
        # An address of nobody, RFC 5737.
        prometheus.make(
            opts.Settings(metrics_port=9999, metrics_address='192.0.2.1')
        )
        self.assertIn('192.0.2.1, port 9999', self.log.output)
