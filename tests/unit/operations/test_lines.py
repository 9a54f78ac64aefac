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

import io
import json
import logging

from oslo_config import cfg
from oslo_context import context
from oslo_context import fixture
from oslo_log import formatters
from oslo_log import log

from tests import base
from tests.unit import fakes
from volume_driver.operations import lines
from volume_driver.planning import plan

LOG = log.getLogger(__name__)

CONTENT = plan.Plan('delete snapshots a, b', fakes.VOLUME, ())


class LinesTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixture.ClearRequestContext())

    def formatted(
        self, formatter: logging.Formatter, content: plan.Plan | None = CONTENT
    ) -> str:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger = logging.getLogger(__name__)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        lines.about(LOG, fakes.VOLUME, content).warning('it %s', 'is done')
        return stream.getvalue()

    def in_json(
        self, content: plan.Plan | None = CONTENT
    ) -> dict[str, object]:
        found = json.loads(self.formatted(formatters.JSONFormatter(), content))
        self.assertEqual('it is done', found['message'])
        return {**found['context'], **found['extra']}

    def test_text_shows_the_volume(self) -> None:
        conf = cfg.ConfigOpts()
        log.register_options(conf)
        conf([], default_config_files=[])
        for option in ('context', 'default'):
            conf.set_override(
                f'logging_{option}_format_string',
                '%(request_id)s %(resource)s%(message)s',
            )
        context.RequestContext(request_id='req-1')
        formatter = formatters.ContextFormatter(config=conf)
        self.assertEqual(
            'req-1 [volume-u] it is done\n', self.formatted(formatter)
        )

    def test_json_has_them_all(self) -> None:
        context.RequestContext(request_id='req-1')
        found = self.in_json()
        self.assertEqual('volume-u', found['volume'])
        self.assertEqual('a, b', found['snapshot'])
        self.assertEqual('req-1', found['request_id'])

    def test_without_a_request_the_process_is_one(self) -> None:
        first, second = self.in_json(), self.in_json()
        self.assertRegex(str(first['request_id']), '^req-')
        self.assertEqual(first['request_id'], second['request_id'])

    def test_operation_that_is_not_known(self) -> None:
        found = self.in_json(None)
        self.assertEqual('volume-u', found['volume'])
        self.assertNotIn('snapshot', found)
