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

"""The public face: Cinder's methods, on Cinder's or on plain records."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import os
import typing

from volume_driver import children
from volume_driver import exception
from volume_driver import files
from volume_driver import info
from volume_driver import names
from volume_driver import operating
from volume_driver import opts
from volume_driver import records
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import luks
from volume_driver.images import qemu_img
from volume_driver.operations import context as contexts
from volume_driver.operations import copies
from volume_driver.operations import forecast
from volume_driver.operations import locking
from volume_driver.operations import meter as meters
from volume_driver.operations import metrics
from volume_driver.operations import plugins
from volume_driver.operations import recovery
from volume_driver.operations import snapshots
from volume_driver.operations import usage
from volume_driver.operations import volumes
from volume_driver.planning import plan

_GIB = 1 << 30

Record = typing.Any


class Qcow2Driver(operating.Operating):
    """Volumes as files, snapshots as qcow2 overlays.

    :param configuration: a group of oslo.config with our options registered
        (:func:`volume_driver.opts.register`), or Cinder's configuration
    :param execute: how to run child processes; None for
        :func:`volume_driver.children.execute`
    :param locks: a callable that makes a context manager from a volume's
        name; None for file locks beside the volumes
    :param directory: where the volumes are; None for option volume_files_dir
    :param passphrase: returns the passphrase of an encrypted volume
    :param meter: counts what is done; None for what the options say

    Every method raises errors derived from
    :class:`volume_driver.exception.VolumeDriverError` only.
    """

    VERSION = '0.1.0'

    def __init__(
        self,
        configuration: object = None,
        execute: qemu_img.Execute | None = None,
        locks: locking.Locks | None = None,
        directory: str | None = None,
        passphrase: contexts.Passphrases | None = None,
        meter: meters.Meter | None = None,
        **_kwargs: object,
    ) -> None:
        self.configuration = configuration
        self._settings = opts.Settings.read(configuration)
        if directory is not None:
            self._settings = dataclasses.replace(
                self._settings, volume_files_dir=directory
            )
        self._execute = execute or children.execute
        self._locks = locks
        self._passphrase = passphrase
        self._meter = meter

    @functools.cached_property
    def context(self) -> contexts.Context:
        """What the operations on this directory work with."""
        directory = self._settings.directory
        return contexts.Context(
            settings=self._settings,
            execute=self._execute,
            hypervisor=plugins.load_hypervisor(self._settings),
            locks=self._locks or locking.FileLocks(directory),
            passphrase=self._passphrase,
            meter=self._meter or metrics.make(self._settings),
        )

    @property
    def directory(self) -> str:
        """Where the volumes are."""
        return self._settings.directory

    # -- set-up --------------------------------------------------------------

    @operating.typed
    def do_setup(self, context: object) -> None:
        """Load the parts and finish what a crash left undone.

        Called once, before anything else. A volume that cannot be recovered
        now is logged, and refused by each operation on it.

        :raises PluginMissing: when the hypervisor plugin cannot be loaded
        """
        if os.path.isdir(self.context.directory):
            self.recover()

    @operating.typed
    def recover(self, volume: Record | None = None) -> dict[str, str]:
        """Finish what a crash left undone, of one volume or of all.

        :returns: what came of it in words, by the name of the volume; only
            volumes of which something was left
        :raises RecoveryFailed: when the one volume cannot be finished now
        """
        if volume is None:
            return recovery.recover_all(self.context)
        target = self.target(volume)
        with self.context.locks(target.name):
            finished = recovery.recover(self.context, target)
        words = f'{recovery.FINISHED}: {finished}'
        return {target.name: words} if finished else {}

    @operating.typed
    def check_for_setup_error(self) -> None:
        """Check what must be there for any operation to succeed.

        :raises DirectoryUnusable: when the directory is missing or read-only
        :raises ProgramMissing: when qemu-img is not installed
        """
        directory = self._settings.directory
        if not os.path.isdir(directory):
            raise exception.DirectoryUnusable(
                path=directory, reason='it is not a directory'
            )
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise exception.DirectoryUnusable(
                path=directory, reason='this user may not write to it'
            )
        qemu_img.check_installed(self._execute)

    # -- volumes -------------------------------------------------------------

    @operating.typed
    def create_volume(self, volume: Record) -> None:
        """Create an empty volume of ``volume.size`` GiB, sparse.

        :raises VolumeExists: when it is there already
        """
        self.create(volume)

    def create(
        self, volume: Record, cipher: luks.Cipher | None = None
    ) -> None:
        """Create an empty volume.

        :param cipher: of a volume that is encrypted, with its passphrase
        """
        size = volume.size * _GIB
        volumes.create(self.context, self.target(volume), size, cipher)

    @operating.typed
    def delete_volume(self, volume: Record) -> None:
        """Delete a volume; one that is gone already is no error.

        :raises VolumeHasSnapshots: when it has snapshots
        :raises VolumeInUse: when a guest runs on it
        """
        volumes.delete(
            self.context, self.target(volume), records.is_going(volume)
        )

    @operating.typed
    def extend_volume(self, volume: Record, new_size: int) -> None:
        """Grow a volume to new_size GiB; a running guest sees it grow.

        :raises InvalidSize: when that would shrink it
        """
        volumes.extend(self.context, self.target(volume), new_size * _GIB)

    @operating.typed
    def create_volume_from_snapshot(
        self, volume: Record, snapshot: Record
    ) -> None:
        """Create a volume with the data of a snapshot.

        :raises SnapshotNotFound: when there is no such snapshot
        :raises InvalidSize: when ``volume.size`` is too small for it
        """
        self.copy(volume, self.source(snapshot.volume, snapshot))

    @operating.typed
    def create_cloned_volume(self, volume: Record, src_vref: Record) -> None:
        """Create a volume with the data of another one, in use or not.

        :raises InvalidSize: when ``volume.size`` is too small for it
        """
        self.copy(volume, self.source(src_vref))

    def copy(
        self,
        volume: Record,
        source: copies.Source,
        cipher: luks.Cipher | None = None,
    ) -> None:
        """Create a volume with data that may be in another directory.

        :param cipher: of a volume that is encrypted, with its own passphrase
        """
        size = (volume.size or 0) * _GIB
        copies.copy(self.context, self.target(volume), source, size, cipher)

    def source(
        self, volume: Record, snapshot: Record | None = None
    ) -> copies.Source:
        """Return a volume, or one of its snapshots, as what is copied."""
        name = names.check_snapshot(str(snapshot.id)) if snapshot else None
        return copies.Source(self.context, self.target(volume), name)

    # -- snapshots -----------------------------------------------------------

    @operating.typed
    def create_snapshot(self, snapshot: Record) -> None:
        """Create a snapshot; one that is there already stays as it is.

        :raises VolumeNotFound: when its volume has no file
        :raises ChainTooDeep: when option max_chain_depth is reached
        """
        snapshots.create(
            self.context, self.target(snapshot.volume), str(snapshot.id)
        )

    @operating.typed
    def delete_snapshot(self, snapshot: Record) -> None:
        """Delete a snapshot; one that is gone already is no error."""
        self.delete_snapshots([snapshot])

    @operating.typed
    def delete_snapshots(
        self, deleted: collections.abc.Iterable[Record]
    ) -> None:
        """Delete snapshots of one or more volumes.

        Those of a volume that lie next to each other are merged in one pass,
        which copies nothing twice. An error leaves those that were deleted
        before deleted, and the others as they are.
        """
        for volume, ids in records.by_volume(deleted):
            target, going = self.target(volume), records.is_going(volume)
            snapshots.delete(self.context, target, ids, going)

    @operating.typed
    def plan_delete_snapshot(self, snapshot: Record) -> plan.Plan | None:
        """Return what :meth:`delete_snapshot` would do now; None: nothing."""
        return next(iter(self.plan_delete_snapshots([snapshot])), None)

    @operating.typed
    def plan_delete_snapshots(
        self, deleted: collections.abc.Iterable[Record]
    ) -> list[plan.Plan]:
        """Return what :meth:`delete_snapshots` would do now, pass by pass."""
        return [each.plan for each in self.forecast_deletion(deleted)]

    @operating.typed
    def forecast_deletion(
        self, deleted: collections.abc.Iterable[Record]
    ) -> list[forecast.Forecast]:
        """Return the same with the space and time that it takes."""
        return [
            found
            for volume, ids in records.by_volume(deleted)
            for found in forecast.delete(
                self.context, self.target(volume), ids
            )
        ]

    @operating.typed
    def revert_to_snapshot(
        self, context: object, volume: Record, snapshot: Record
    ) -> None:
        """Drop all that was written since the newest snapshot was taken.

        :raises NotNewestSnapshot: when there is a newer one
        :raises VolumeInUse: when a guest runs on the volume
        """
        snapshots.revert(self.context, self.target(volume), str(snapshot.id))

    # -- connections ---------------------------------------------------------

    @operating.typed
    def initialize_connection(
        self, volume: Record, connector: object, *_args: object
    ) -> dict[str, object]:
        """Return where a guest finds the volume: its active image.

        :raises VolumeNotFound: when it has no file
        """
        active = volumes.active(self.context, self.target(volume))
        return {
            'driver_volume_type': 'local',
            'data': {
                'device_path': self.context.path(active.name),
                'format': active.format,
                'name': active.name,
            },
        }

    def terminate_connection(
        self, volume: Record, connector: object, **_kwargs: object
    ) -> None:
        """Nothing to do: a file needs no connection."""

    def create_export(
        self, context: object, volume: Record, connector: object = None
    ) -> None:
        """Nothing to do: a file needs no export."""

    def ensure_export(self, context: object, volume: Record) -> None:
        """Nothing to do: a file needs no export."""

    def remove_export(self, context: object, volume: Record) -> None:
        """Nothing to do: a file needs no export."""

    # -- looking -------------------------------------------------------------

    @operating.typed
    def local_path(self, volume: Record) -> str:
        """Return the path of the active image."""
        target = self.target(volume)
        content = info.read(self._settings.directory, target.name)
        name = content.active if content else target.name
        return os.path.join(self._settings.directory, name)

    @operating.typed
    def get_volume_stats(self, refresh: bool = False) -> dict[str, object]:
        """Return capacity and capabilities, sizes in GiB.

        And in ``deepest_chain`` how many images the volume with the most has,
        in ``allocated_bytes`` what all images take.
        """
        directory = self._settings.directory
        found = os.statvfs(directory)
        return {
            'driver_version': self.VERSION,
            'vendor_name': 'Open Source',
            'storage_protocol': 'file',
            'total_capacity_gb': found.f_blocks * found.f_frsize / _GIB,
            'free_capacity_gb': files.available(directory) / _GIB,
            'reserved_percentage': 0,
            'QoS_support': False,
            **dataclasses.asdict(usage.of(directory)),
        }

    def target(self, volume: Record) -> hypervisor.Target:
        """Return what is known of a volume from its record.

        :raises InvalidName: when its name cannot be that of a file
        """
        return records.target(volume, self._settings.directory)
