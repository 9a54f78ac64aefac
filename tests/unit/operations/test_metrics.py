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

import sys
import typing
from unittest import mock

import ddt
import fixtures

from tests import base
from volume_driver import exception
from volume_driver import opts
from volume_driver.operations import meter as meters
from volume_driver.operations import metrics
from volume_driver.operations import prometheus


@ddt.ddt
class MakeTest(base.TestCase):
    def test_without_an_option_the_library_is_not_needed(self) -> None:
        self.forbid_library()
        self.assertIs(meters.Meter, type(metrics.make(opts.Settings())))

    def test_with_a_file(self) -> None:
        path = str(self.temp_dir() / 'x.prom')
        made = metrics.make(opts.Settings(metrics_file=path))
        self.assertIsInstance(made, prometheus.PrometheusMeter)

    @ddt.data('x.prom', '/tmp/x', '/tmp/x.prom.old')
    def test_file_that_no_collector_would_read(self, path: str) -> None:
        error = self.assertRaises(
            exception.ConfigurationInvalid,
            metrics.make,
            opts.Settings(metrics_file=path),
        )
        self.assertEqual('metrics_file', error.option)

    @ddt.data(
        ('metrics_file', '/tmp/x.prom'),
        ('metrics_port', 9999),
    )
    @ddt.unpack
    def test_missing_library(self, option: str, value: typing.Any) -> None:
        self.forbid_library()
        error = self.assertRaises(
            exception.LibraryMissing,
            metrics.make,
            opts.Settings(**{option: value}),
        )
        self.assertEqual(option, error.option)
        self.assertIn('pip install prometheus_client', str(error))

    def forbid_library(self) -> None:
        """Let the library, and ours that imports it, be not there yet."""
        self.useFixture(
            fixtures.MonkeyPatch(
                prometheus.__name__, fixtures.MonkeyPatch.delete
            )
        )
        patch = mock.patch.dict(sys.modules, prometheus_client=None)
        patch.start()
        self.addCleanup(patch.stop)
        del sys.modules[prometheus.__name__]
