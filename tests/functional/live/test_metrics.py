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

"""Metrics of merges under guests: for how long these were suspended."""

from __future__ import annotations

import ddt
from prometheus_client import parser

from tests.functional.live import case


@ddt.ddt
class PauseTest(case.LiveTestCase):
    # The active commit suspends for its pivot, the others for the barrier.
    @ddt.data((1, 'commit'), (2, 'commit'), (2, 'pull'))
    @ddt.unpack
    def test_pauses_are_counted(self, position: int, direction: str) -> None:
        path = self.temp_dir() / 'volume_driver.prom'
        volume, snapshots = self.make_running(
            snapshots=3, options={'metrics_file': str(path)}
        )
        self.assertEqual(0, self.pauses(path.read_text(), 'count'))
        volume.delete_snapshot(snapshots[position], direction)
        text = path.read_text()
        self.assertEqual(1, self.pauses(text, 'count'))
        self.assertLess(0, self.pauses(text, 'sum'))
        self.assertTrue(volume.is_running())
        self.check(volume)

    def pauses(self, text: str, what: str) -> float:
        return sum(
            sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f'volume_driver_guest_pause_seconds_{what}'
        )
