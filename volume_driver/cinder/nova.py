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

"""Plugin ``nova``: guests that Nova started, and starts again.

Nova keeps a copy of where a server's disk is, and starts a server that was
stopped from that copy, without asking Cinder. Only its own call for a snapshot
brings the copy up to date (``volume_snapshot_create`` in Nova 34's libvirt
driver). A guest started by a name that is not that of the active image any
more writes to a frozen one. So:

============= ==============================================================
new snapshot  the active image gets another name: Nova is asked to switch
deletion      the active image keeps its name (see ``keeps_names``), and Nova
              need not know; libvirt is asked directly
copy          the passing snapshot is taken, and goes, without Nova: the name
              is the same before and after
============= ==============================================================

Nova looks at a snapshot that it took twice a second, and asks Cinder for the
connection anew once the snapshot is not being created any more; if by then
there is no such snapshot, it never asks (``_volume_snapshot_create`` there).
So it gets the time to notice, see :func:`created` and :func:`before_deletion`.

A guest without Nova's mark in its domain is handled as by plugin ``libvirt``.
"""

from __future__ import annotations

import collections.abc
import contextlib
import time
import typing

from cinder import context as cinder_context
from cinder import objects
from cinder.compute import nova as compute
from cinder.db import api as db
from cinder.objects import fields
from keystoneauth1 import exceptions as ks_exceptions
from oslo_log import log
from oslo_utils import timeutils
import tenacity

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import names
from volume_driver.cinder import records
from volume_driver.hypervisors import base
from volume_driver.hypervisors.libvirt import definition
from volume_driver.hypervisors.libvirt import disk
from volume_driver.hypervisors.libvirt import metadata
from volume_driver.hypervisors.libvirt import plugin

LOG = log.getLogger(__name__)

# Seconds that Nova may take to switch a guest, as Cinder's RemoteFS waits.
_TIMEOUT = 600.0
# And where it does not say whether it failed.
_LATE = 60.0
# Seconds that it may take to say so afterwards.
_LAST_WORD = 10.0
# What Nova sets the snapshot's progress to once it has done its part.
_DONE = '90%'
# Seconds in which it looks three times, and asks.
_NOTICED = 2.0
# Answers of Nova's API after which it does nothing.
_REFUSED = range(400, 500)


class NovaHypervisor(plugin.LibvirtHypervisor):
    """Plugin ``nova``: asks Nova where it has to know, else libvirt."""

    keeps_names = True

    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        # When snapshots of a server's were complete, by their ids.
        self.completed: dict[str, float] = {}

    def make_disk(
        self,
        target: base.Target,
        domain: typing.Any,
        device: str,
        host: str,
        is_ours: definition.IsOurs,
    ) -> disk.LibvirtDisk:
        if not metadata.is_of_nova(domain):
            return super().make_disk(target, domain, device, host, is_ours)
        return NovaDisk(
            domain,
            device,
            host,
            self.settings,
            is_ours,
            volume_id=target.volume_id,
        )


class NovaDisk(disk.LibvirtDisk):
    """A disk of a server that runs."""

    def __init__(
        self, *args: typing.Any, volume_id: str, **kwargs: typing.Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._request = Request(self.guest, volume_id)

    def as_defined(self) -> definition.LibvirtDefinedDisk:
        return NovaDefinedDisk(
            self.guest, self.domain, self.device, self._is_ours, self._request
        )

    def switch_to(self, overlay: str) -> None:
        if is_passing(overlay):
            self._switch_to(overlay, self.settings.quiesce)
            return
        before = self.chain()
        try:
            self._request.switch(
                overlay,
                lambda: self.outcome(before, (*before, overlay), 'snapshot'),
            )
        finally:
            self.unsure = self._request.unsure


class NovaDefinedDisk(definition.LibvirtDefinedDisk):
    """A disk of a server that is shut off."""

    def __init__(
        self,
        guest: str,
        domain: typing.Any,
        device: str,
        is_ours: definition.IsOurs,
        request: Request,
    ) -> None:
        super().__init__(guest, domain, device, is_ours)
        self._request = request

    def switch_to(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        if not is_passing(active):
            self._request.switch(active, lambda: self.defined() == active)
        self.start_from(active, image_format, below)

    def switch_back(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        if self._request.unsure or self.defined() != active:
            # Nova may know the new name already.
            raise self._request.failed('it may have been switched already')
        super().switch_back(active, image_format, below)


def created(core: core_driver.Qcow2Driver, snapshot: typing.Any) -> None:
    """Let Nova see where a server that is shut off starts from now.

    A tenant may start the server as soon as the snapshot is there. So the
    snapshot has another state for as long as Nova takes to notice.

    :param snapshot: it is complete, and the attachments name its overlay
    """
    hypervisor = core.context.hypervisor
    if not isinstance(hypervisor, NovaHypervisor):
        return
    now = time.monotonic()
    for known, when in list(hypervisor.completed.items()):
        if now - when > _TIMEOUT:
            del hypervisor.completed[known]
    hypervisor.completed[snapshot.id] = now
    found = hypervisor.find(core.target(snapshot.volume))
    if any(isinstance(disk, NovaDefinedDisk) for disk in found.defined):
        snapshot.status = fields.SnapshotStatus.UPDATING
        snapshot.save()
        time.sleep(_NOTICED)


def before_deletion(
    core: core_driver.Qcow2Driver, snapshot: typing.Any
) -> None:
    """Leave a snapshot there until Nova has noticed that it was taken.

    One that this process did not take may have been taken by another one of
    the cluster, or before a restart, a moment ago.

    :param snapshot: its state says already that it is being deleted
    """
    hypervisor = core.context.hypervisor
    if not isinstance(hypervisor, NovaHypervisor):
        return
    if not snapshot.volume.volume_attachment:
        return
    completed = hypervisor.completed.get(snapshot.id)
    if completed is not None:
        time.sleep(max(0.0, completed + _NOTICED - time.monotonic()))
    elif not timeutils.is_older_than(snapshot.created_at, _TIMEOUT):
        time.sleep(_NOTICED)


def is_passing(overlay: str) -> bool:
    """Tell whether an overlay lasts as long as a copy only."""
    return overlay.partition('.')[2].startswith(names.PASSING)


class Request:
    """Asks Nova to switch a server to an overlay.

    :param guest: which one it is, in words
    :param volume_id: id of the volume's record
    :ivar unsure: Nova was asked, and may still do it
    """

    def __init__(self, guest: str, volume_id: str) -> None:
        self.unsure = False
        self._guest = guest
        self._volume_id = volume_id
        self._context = cinder_context.get_admin_context()

    def switch(
        self, overlay: str, is_done: collections.abc.Callable[[], bool]
    ) -> None:
        """Let Nova switch; return when it has.

        :param is_done: tells so, from what libvirt says: anybody may set the
            state of a snapshot that is being created
        :raises LiveOperationFailed: when Nova refuses
        :raises GuestUnknown: when it is not known whether it will do it
        """
        snapshot_id = self._snapshot_of(overlay)
        expected = self._status(snapshot_id) == fields.SnapshotStatus.CREATING
        self._announce(overlay)
        self.unsure = True
        self._ask(snapshot_id, overlay)
        self._until(
            lambda: is_done() or (expected and self._has_failed(snapshot_id)),
            _TIMEOUT if expected else _LATE,
        )
        self.unsure = False
        if not is_done():
            raise self.failed('Nova could not switch it; its log says why')
        if not expected:
            # Nova does not tell anything of such a snapshot.
            return
        try:
            # Else it would find the snapshot in a state that it does not
            # expect; but nothing depends on it.
            self._until(lambda: self._has_said(snapshot_id), _LAST_WORD)
        except exception.GuestUnknown as error:
            LOG.warning('%s', error)

    def _announce(self, overlay: str) -> None:
        """Let the attachments name the overlay, which Nova may ask for.

        It may do so any time from the switch on. A server that is started
        from the overlay before the switch has its data, too.
        """
        with self._database():
            attachments = objects.VolumeAttachmentList.get_all_by_volume_id(
                self._context, self._volume_id
            )
            records.name_in(attachments, overlay, 'qcow2')

    def _ask(self, snapshot_id: str, overlay: str) -> None:
        content = {
            'snapshot_id': snapshot_id,
            'type': 'qcow2',
            'new_file': overlay,
        }
        try:
            compute.API().create_volume_snapshot(
                self._context, self._volume_id, content
            )
        except Exception as error:
            # Of Nova's client, keystoneauth or requests.
            never = isinstance(error, ks_exceptions.ConnectFailure)
            if never or getattr(error, 'code', None) in _REFUSED:
                self.unsure = False
                raise self.failed(
                    f'Nova was asked and says: {error}'
                ) from error
            # It may have passed the request on.
            LOG.warning('%s: Nova was asked and says: %s', self._guest, error)

    def _snapshot_of(self, overlay: str) -> str:
        """Return the id of the snapshot whose overlay this is.

        The end of its name is the id, or begins with it.
        """
        end = overlay.partition('.')[2]
        with self._database():
            known = db.snapshot_get_all_for_volume(
                self._context, self._volume_id
            )
        for found in known:
            if end == found.id or end.startswith(f'{found.id}-'):
                return str(found.id)
        raise self.failed(
            f'Cinder has no snapshot of {self._volume_id} whose overlay is '
            f'{overlay}, and Nova takes no other ones'
        )

    def _has_failed(self, snapshot_id: str) -> bool:
        return bool(self._status(snapshot_id) == fields.SnapshotStatus.ERROR)

    def _status(self, snapshot_id: str) -> str:
        with self._database():
            return str(db.snapshot_get(self._context, snapshot_id).status)

    def _has_said(self, snapshot_id: str) -> bool:
        with self._database():
            found = db.snapshot_get(self._context, snapshot_id)
        return bool(found.progress == _DONE)

    @contextlib.contextmanager
    def _database(self) -> collections.abc.Iterator[None]:
        """Make the errors of Cinder's database ours.

        :raises LiveOperationFailed: instead
        """
        try:
            yield
        except Exception as error:
            raise self.failed(f'Cinder cannot be asked: {error}') from error

    def _until(
        self, is_true: collections.abc.Callable[[], bool], limit: float
    ) -> None:
        wait = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: not found),
            stop=tenacity.stop_after_delay(limit),
            wait=tenacity.wait_exponential(0.02, max=0.5),
            sleep=time.sleep,
        )
        try:
            wait(is_true)
        except tenacity.RetryError as error:
            raise exception.GuestUnknown(
                operation='waiting for Nova to switch it',
                guest=self._guest,
                reason=f'nothing was heard for {limit:.0f} s',
            ) from error

    def failed(self, reason: str) -> exception.LiveOperationFailed:
        """Make the error for a guest that was not switched."""
        return exception.LiveOperationFailed(
            operation='snapshot', guest=self._guest, reason=reason
        )
