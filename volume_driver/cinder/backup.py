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

"""The methods by which the backup service gets at bytes."""

from __future__ import annotations

import typing

from cinder import objects
from oslo_log import log

from volume_driver import exception
from volume_driver.cinder import connections
from volume_driver.cinder import errors
from volume_driver.cinder import exports
from volume_driver.cinder import records
from volume_driver.cinder import started

LOG = log.getLogger(__name__)

Any = typing.Any


class BackupMixin(started.Started):
    """What a backup is made of, and connections to snapshots."""

    @errors.translated()
    def initialize_connection_snapshot(
        self, snapshot: Any, connector: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Return where a copying service finds a snapshot's bytes."""
        core = self.backend.of(snapshot.volume)
        where = connections.Place(self.backend.shares, snapshot.volume)
        return where.of_bytes(exports.connect_snapshot(core, snapshot))

    @errors.translated()
    def terminate_connection_snapshot(
        self, snapshot: Any, connector: Any, **kwargs: Any
    ) -> None:
        """End the connection of a snapshot."""
        core = self.backend.of(snapshot.volume)
        exports.disconnect_snapshot(core, snapshot)

    def get_backup_device(self, context: Any, backup: Any) -> Any:
        """Return what a backup is made of, with its bytes made ready.

        That may take long, and whoever connects later waits for a minute at
        most. No temporary volume is needed: a volume that a guest runs on is
        read through a snapshot that lasts until its bytes are copied.
        """
        if backup.snapshot_id:
            snapshot = objects.Snapshot.get_by_id(context, backup.snapshot_id)
            self._make_ready(snapshot.volume, snapshot)
            return snapshot, True
        volume = objects.Volume.get_by_id(context, backup.volume_id)
        self._make_ready(volume)
        return volume, False

    def _make_ready(self, volume: Any, snapshot: Any = None) -> None:
        """Make bytes ready for a backup, if that can be.

        Nobody would be told of an error, and the backup be waited for for
        ever; the connection that follows fails with the same one.
        """
        try:
            core = self.backend.of(volume)
            if snapshot is not None:
                exports.prepare_snapshot(core, snapshot)
            else:
                exports.prepare(core, volume)
            records.keep(core, volume)
        except exception.VolumeDriverError as error:
            LOG.error('%s', error)

    def create_export_snapshot(
        self, context: Any, snapshot: Any, connector: Any
    ) -> None:
        """Nothing to do: a file needs no export."""

    def remove_export_snapshot(self, context: Any, snapshot: Any) -> None:
        """Nothing to do: a file needs no export."""
