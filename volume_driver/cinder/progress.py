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

"""Lets a snapshot's ``progress`` move while it is being deleted."""

from __future__ import annotations

import collections.abc
import contextlib
import typing

from cinder import context as cinder_context
from cinder.db import api as db
from oslo_log import log

from volume_driver.operations import progress

LOG = log.getLogger(__name__)

# Seconds between two looks; what is done by then is not looked at.
_INTERVAL = 1.0


@contextlib.contextmanager
def shown(
    snapshot: typing.Any, watch: progress.Watch
) -> collections.abc.Iterator[None]:
    """Write a merge's percentage into the record while it runs."""
    snapshot_id = str(snapshot.id)
    with progress.beside(lambda ended: _show(snapshot_id, watch, ended)):
        yield


def _show(
    snapshot_id: str, watch: progress.Watch, ended: progress.Ended
) -> None:
    context = cinder_context.get_admin_context()
    last = None
    while not ended(_INTERVAL):
        percent = watch.percent()
        if percent is None or percent == last:
            continue
        last = percent
        try:
            db.snapshot_update(
                context, snapshot_id, {'progress': f'{percent}%'}
            )
        except Exception as error:
            # Nothing that the merge depends on; the next look writes again.
            LOG.debug('Progress of %s is not shown: %s', snapshot_id, error)
