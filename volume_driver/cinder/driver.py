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

"""What Cinder loads, as ``volume_driver.cinder.driver.Qcow2Driver``.

Each method finds the share that a volume is on, lets the driver of that share
do the work, and keeps Cinder's records in step with the files.
"""

from __future__ import annotations

import contextlib
import typing

from cinder import exception as cinder_exception
from cinder import interface
from cinder.volume import driver as cinder_driver
from cinder.volume import volume_utils
from cinder.volume.drivers import nfs
from cinder.volume.drivers import remotefs
from oslo_log import log

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver.cinder import backend
from volume_driver.cinder import backup
from volume_driver.cinder import connections
from volume_driver.cinder import errors
from volume_driver.cinder import exports
from volume_driver.cinder import images
from volume_driver.cinder import keys
from volume_driver.cinder import manage
from volume_driver.cinder import migrate
from volume_driver.cinder import nova
from volume_driver.cinder import opts
from volume_driver.cinder import progress
from volume_driver.cinder import records
from volume_driver.cinder import restart
from volume_driver.cinder import stats
from volume_driver.cinder import throttle
from volume_driver.operations import progress as core_progress

LOG = log.getLogger(__name__)

Update = dict[str, typing.Any] | None
Any = typing.Any


@interface.volumedriver
class Qcow2Driver(
    backup.BackupMixin,
    manage.ManageMixin,
    migrate.MigrateMixin,
    cinder_driver.VolumeDriver,
):
    """Volumes as files on shares, snapshots as external qcow2 overlays.

    Version history:

    .. code-block:: none

        1.0.0 - Everything that Cinder's NFS driver does, and pools.
    """

    VERSION = '1.0.0'
    CI_WIKI_NAME = 'Qcow2_Volume_Driver_CI'
    VENDOR = 'Open Source'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for group in (nfs.nfs_opts, remotefs.nas_opts, opts.driver_opts()):
            self.configuration.append_config_values(group)

    @staticmethod
    def get_driver_options() -> list[Any]:
        """Return the options that this driver reads of its section."""
        return [*opts.driver_opts(), *nfs.nfs_opts, *remotefs.nas_opts]

    # -- set-up --------------------------------------------------------------

    def set_throttle(self) -> None:
        """Have Cinder's throttle, and limits for images that others made."""
        super().set_throttle()
        throttle.install()

    @errors.translated()
    def do_setup(self, context: Any) -> None:
        """Mount the shares and finish what a crash left undone."""
        self._backend = backend.Backend(self.configuration, self._execute)
        self.backend.start()
        self._older_pools = stats.older_pools(
            context, self.host or '', self.backend.shares.all
        )
        if self.host and not self.cluster_name:
            restart.settle(context, self.host, self.backend)

    @errors.translated()
    def check_for_setup_error(self) -> None:
        """Check that volumes can be made on every share that is mounted."""
        for address in self.backend.mounted():
            self.backend.on(address).check_for_setup_error()

    @errors.translated()
    def _update_volume_stats(self) -> None:
        conf = self.configuration
        common = {
            'reserved_percentage': conf.reserved_percentage,
            'max_over_subscription_ratio': (
                volume_utils.get_max_over_subscription_ratio(
                    conf.max_over_subscription_ratio, supports_auto=True
                )
            ),
            'filter_function': self.get_filter_function(),
            'goodness_function': self.get_goodness_function(),
            # libvirt shares a raw image only between guests.
            'multiattach': conf.volume_format == 'raw',
        }
        self._stats = stats.backend(
            name=conf.safe_get('volume_backend_name') or type(self).__name__,
            version=self.get_version(),
            vendor=self.VENDOR,
            kind=self.backend.shares.kind,
        )
        self._stats['pools'] = stats.pools(
            self.host or '',
            {
                each: self.backend.shares.directory(each)
                for each in self.backend.mounted()
            },
            self._older_pools,
            common,
        )

    def get_pool(self, volume: Any) -> str | None:
        """Return the pool of a volume whose host does not say it."""
        address = volume.provider_location
        return address if address in self.backend.shares.all else None

    # -- volumes -------------------------------------------------------------

    @errors.translated()
    def create_volume(self, volume: Any) -> Update:
        """Create an empty volume on the share that was scheduled."""
        address = self.backend.choose(volume)
        cipher = self.backend.keys.cipher(volume)
        self.backend.on(address).create(volume, cipher)
        return self._placed(volume, address)

    @errors.translated()
    def create_volume_from_snapshot(
        self, volume: Any, snapshot: Any
    ) -> Update:
        """Create a volume with the data of a snapshot, as large as asked."""
        origin = self.backend.of(snapshot.volume)
        address = self.backend.choose(volume)
        source = origin.source(snapshot.volume, snapshot)
        keys.check(origin, snapshot.volume)
        cipher = self.backend.keys.cipher(volume)
        self.backend.on(address).copy(volume, source, cipher)
        return self._placed(volume, address)

    @errors.translated()
    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Update:
        """Create a volume with the data of another one, attached or not."""
        origin = self.backend.of(src_vref)
        address = self.backend.choose(volume)
        source = origin.source(src_vref)
        keys.check(origin, src_vref)
        cipher = self.backend.keys.cipher(volume)
        self.backend.on(address).copy(volume, source, cipher)
        records.keep(origin, src_vref)
        return self._placed(volume, address)

    def _placed(self, volume: Any, address: str) -> Update:
        volume.provider_location = address
        records.keep(self.backend.on(address), volume)
        return {'provider_location': address}

    @errors.translated(cinder_exception.VolumeIsBusy)
    def delete_volume(self, volume: Any) -> None:
        """Delete a volume; one without files is gone already."""
        # Not adopted: what a broken file is does not matter any more.
        for address in self.backend.candidates(volume):
            self.backend.on(address).delete_volume(volume)

    @errors.translated()
    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Grow a volume to new_size GiB; a running guest sees it grow."""
        self.backend.of(volume).extend_volume(volume, new_size)

    # -- snapshots -----------------------------------------------------------

    @errors.translated()
    def create_snapshot(self, snapshot: Any) -> None:
        """Create a snapshot, live if a guest runs on the volume."""
        core = self._with_one_guest(snapshot)
        keys.check(core, snapshot.volume)
        try:
            core.create_snapshot(snapshot)
        except exception.VolumeDriverError:
            # The attachments may name an overlay that there is none of.
            with contextlib.suppress(exception.VolumeDriverError):
                records.keep(core, snapshot.volume)
            raise
        records.keep(core, snapshot.volume)
        nova.created(core, snapshot)

    @errors.translated(cinder_exception.SnapshotIsBusy)
    def delete_snapshot(self, snapshot: Any) -> None:
        """Delete a snapshot, live if a guest runs on the volume."""
        volume = snapshot.volume
        if not volume.provider_location:
            return
        if volume.status == 'deleting':
            # All its files go with it: nothing is merged, nothing kept.
            address = self.backend.address(volume)
            self.backend.on(address).delete_snapshot(snapshot)
            return
        core = self._with_one_guest(snapshot)
        nova.before_deletion(core, snapshot)
        watch = core_progress.Watch(core.context, core.target(volume))
        with progress.shown(snapshot, watch):
            core.delete_snapshot(snapshot)
        if core_progress.has_files(core.context, core.target(volume)):
            records.keep(core, volume)

    def _with_one_guest(self, snapshot: Any) -> core_driver.Qcow2Driver:
        """Return the driver of a volume that at most one guest writes to.

        :raises AmbiguousGuest: when it is attached more than once
        """
        volume = snapshot.volume
        attached = [
            each.instance_uuid or each.attached_host or each.id
            for each in volume.volume_attachment or ()
        ]
        if len(attached) > 1:
            raise exception.AmbiguousGuest(
                volume=volume.name, guests=', '.join(attached)
            )
        return self.backend.of(volume)

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """A revert drops an overlay; there is nothing to be kept for it."""
        return False

    @errors.translated()
    def revert_to_snapshot(
        self, context: Any, volume: Any, snapshot: Any
    ) -> None:
        """Drop all that was written since the newest snapshot was taken."""
        core = self.backend.of(volume)
        core.revert_to_snapshot(context, volume, snapshot)
        records.keep(core, volume)

    # -- connections ---------------------------------------------------------

    @errors.translated()
    def initialize_connection(
        self, volume: Any, connector: Any, initiator_data: Any = None
    ) -> dict[str, Any]:
        """Return where a guest, or a copying service, finds the volume."""
        core = self.backend.of(volume)
        where = connections.Place(self.backend.shares, volume)
        what = exports.purpose(volume, connector)
        if what is not None:
            return where.of_bytes(exports.connect(core, volume, what))
        core.initialize_connection(volume, connector)
        records.keep(core, volume)
        found = records.images(core, volume)
        path = core.context.path(found.active.name)
        connections.check_size(volume, found.active, path)
        connections.check_shared(volume, found.active)
        return where.of_guest(found.active)

    @errors.translated()
    def terminate_connection(
        self, volume: Any, connector: Any, **kwargs: Any
    ) -> None:
        """End a connection; what was restored becomes the volume's data."""
        what = exports.purpose(volume, connector)
        if what is not None:
            core = self.backend.of(volume)
            exports.disconnect(core, volume, what)
            records.keep(core, volume)

    @errors.translated()
    def ensure_export(self, context: Any, volume: Any) -> None:
        """Mount the share of a volume in use, and keep its records right."""
        core = self.backend.of(volume)
        records.keep(core, volume)

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Nothing to do: a file needs no export."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing to do: a file needs no export."""

    @errors.translated()
    def local_path(self, volume: Any) -> str:
        """Return the path of the active image on this host."""
        return self.backend.of(volume).local_path(volume)

    # -- images --------------------------------------------------------------

    @errors.translated()
    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        """Let a volume hold an image, checked and converted."""
        self._fetch(images.fetch, context, volume, (image_service, image_id))

    @errors.translated()
    def copy_image_to_encrypted_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        """Let an encrypted volume hold an image that is not encrypted."""
        image = (image_service, image_id)
        self._fetch(images.fetch_encrypted, context, volume, image)

    def _fetch(
        self, fetch: Any, context: Any, volume: Any, image: Any
    ) -> None:
        core = self.backend.of(volume)
        blocksize = self.configuration.volume_dd_blocksize
        fetch(core, context, volume, image, blocksize)
        records.keep(core, volume)

    @errors.translated()
    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Any
    ) -> None:
        """Make an image of what a volume shows, attached or not."""
        core = self.backend.of(volume)
        images.upload(core, context, volume, image_service, image_meta)
        records.keep(core, volume)

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: Any,
        image_service: Any,
    ) -> tuple[Update, bool]:
        """Leave it to Cinder, whose image cache clones volumes of ours."""
        return None, False

    @errors.translated()
    def update_provider_info(
        self, volumes: Any, snapshots: Any
    ) -> tuple[Any, Any]:
        """Nothing to do: a share's address is all that there is to know."""
        return None, None
