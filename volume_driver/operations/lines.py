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

"""What lines of the log say of the operation that they are about.

A line carries the volume (``resource``, which format strings of oslo.log can
show, and ``volume``), the snapshots and the request. Formats that are made for
machines, such as JSON, have them all by these names.
"""

from __future__ import annotations

import functools

from oslo_context import context
from oslo_log import log

from volume_driver.planning import plan


def about(
    logger: log.BaseLoggerAdapter,
    volume: str,
    content: plan.Plan | None = None,
) -> log.KeywordArgumentAdapter:
    """Return a logger for lines about a volume.

    :param content: of the operation; None where it is not known
    """
    extra: dict[str, object] = {
        'resource': {'name': volume},
        'volume': volume,
    }
    if content is not None:
        extra['snapshot'] = content.snapshots
    if context.get_current() is None:
        extra['request_id'] = _request_id()
    return log.KeywordArgumentAdapter(logger.logger, extra)


@functools.cache
def _request_id() -> str:
    """Return the id of what nobody requested: all that this process does.

    A command is one process; so is a service that recovers at its start.
    """
    return context.generate_request_id()
