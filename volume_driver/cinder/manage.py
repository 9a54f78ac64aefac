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

"""The methods that take files over into Cinder, and give them back."""

from __future__ import annotations

import typing

from cinder import context as cinder_context
from cinder import objects
from cinder.volume import volume_utils
from oslo_utils import units

from volume_driver.cinder import errors
from volume_driver.cinder import manageable
from volume_driver.cinder import records
from volume_driver.cinder import started
from volume_driver.operations import adopt
from volume_driver.operations import copies

Any = typing.Any


class ManageMixin(started.Started):
    """Manage, unmanage and list volumes and snapshots."""

    @errors.translated()
    def manage_existing(
        self, volume: Any, existing_ref: manageable.Reference
    ) -> dict[str, Any]:
        """Take a file over as a volume; it gets the volume's name.

        The base of a volume with snapshots keeps the name that their
        overlays know, and the volume goes by that one.
        """
        share, name = manageable.split(existing_ref, self.backend.mounted())
        core = self.backend.on(share)
        manageable.look(core, existing_ref, name)
        update: dict[str, Any] = {'provider_location': share}
        volume.provider_location = share
        if manageable.has_overlays(core, name):
            update['_name_id'] = volume_utils.extract_id_from_volume_name(name)
            volume._name_id = update['_name_id']
        else:
            image = adopt.take(core.context, core.target(volume), name)
            # Cinder asked for the size, and writes it down, but not yet.
            size = manageable.gib(image.size)
            if image.size < size * units.Gi:
                core.extend_volume(volume, size)
        records.keep(core, volume)
        return update

    @errors.translated()
    def manage_existing_get_size(
        self, volume: Any, existing_ref: manageable.Reference
    ) -> int:
        """Return the size of a file that may become a volume, in GiB."""
        share, name = manageable.split(existing_ref, self.backend.mounted())
        return manageable.look(self.backend.on(share), existing_ref, name)

    def unmanage(self, volume: Any) -> None:
        """Let a volume go; its files stay as they are."""

    @errors.translated()
    def get_manageable_volumes(
        self,
        cinder_volumes: Any,
        marker: Any,
        limit: Any,
        offset: Any,
        sort_keys: Any,
        sort_dirs: Any,
    ) -> Any:
        """List the files that are, or may become, volumes."""
        managed = {each.name: each.id for each in cinder_volumes}
        found: list[manageable.Entry] = []
        for share in self.backend.mounted():
            core = self.backend.on(share)
            found += manageable.volumes_of(core, share, managed)
        return volume_utils.paginate_entries_list(
            found, marker, limit, offset, sort_keys, sort_dirs
        )

    @errors.translated()
    def manage_existing_snapshot(
        self, snapshot: Any, existing_ref: manageable.Reference
    ) -> dict[str, Any]:
        """Take a snapshot over that the volume's files have already."""
        core = self.backend.of(snapshot.volume)
        source = manageable.snapshot_source(core, snapshot, existing_ref)
        adopt.rename_snapshot(
            core.context,
            source.target,
            str(source.snapshot),
            str(snapshot.id),
        )
        return {}

    @errors.translated()
    def manage_existing_snapshot_get_size(
        self, snapshot: Any, existing_ref: manageable.Reference
    ) -> int:
        """Return the size of such a snapshot in GiB."""
        core = self.backend.of(snapshot.volume)
        source = manageable.snapshot_source(core, snapshot, existing_ref)
        return manageable.gib(copies.frozen_image(source).size)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Let a snapshot go; its data stays as it is."""

    @errors.translated()
    def get_manageable_snapshots(
        self,
        cinder_snapshots: Any,
        marker: Any,
        limit: Any,
        offset: Any,
        sort_keys: Any,
        sort_dirs: Any,
    ) -> Any:
        """List the snapshots that the volumes' files have."""
        managed = frozenset(str(each.id) for each in cinder_snapshots)
        context = cinder_context.get_admin_context()
        found: list[manageable.Entry] = []
        for volume in objects.VolumeList.get_all_by_host(context, self.host):
            if volume.provider_location in self.backend.shares.all:
                core = self.backend.of(volume)
                found += manageable.snapshots_of(core, volume, managed)
        return volume_utils.paginate_entries_list(
            found, marker, limit, offset, sort_keys, sort_dirs
        )
