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

"""What a service that was killed left in Cinder's records.

At its start Cinder clears what was being created, and goes on with volumes
that were being deleted. Nothing clears the rest: a snapshot would be
``deleting`` for ever, and the API refuses to delete it again. By now either
recovery has finished the work on the files, or nothing had begun, or the next
call on the volume finishes it; so a state in which the tenant can repeat the
call is right. For a deletion that is ``error``: nobody may use the snapshot
any more, and the API lets a tenant delete it, unlike ``error_deleting``. An
extension may have been finished by recovery; then the record is told the size.
"""

from __future__ import annotations

import typing

from cinder import exception as cinder_exception
from cinder import objects
from cinder import quota
from cinder.objects import fields
from oslo_log import log
from oslo_utils import units

from volume_driver import exception
from volume_driver.cinder import backend
from volume_driver.cinder import records

LOG = log.getLogger(__name__)


def settle(context: typing.Any, host: str, shares: backend.Backend) -> None:
    """Let what nobody works on any more be asked for again.

    :param context: an administrator's
    :param host: host@backend
    :param shares: where the volumes' files are
    """
    deleting = objects.SnapshotList.get_by_host(
        context, host, {'status': fields.SnapshotStatus.DELETING}
    )
    for snapshot in deleting:
        # One of a volume that is going itself is deleted with it.
        if snapshot.volume.status != 'deleting':
            _set(snapshot, fields.SnapshotStatus.ERROR)
    restoring = objects.SnapshotList.get_by_host(
        context, host, {'status': fields.SnapshotStatus.RESTORING}
    )
    # Nova was being told of one, which was complete by then.
    updating = objects.SnapshotList.get_by_host(
        context, host, {'status': fields.SnapshotStatus.UPDATING}
    )
    for snapshot in (*restoring, *updating):
        _set(snapshot, fields.SnapshotStatus.AVAILABLE)
    for status in ('extending', 'reverting'):
        for volume in objects.VolumeList.get_all_by_host(
            context, host, {'status': status}
        ):
            if status == 'extending':
                _record_size(context, shares, volume)
            in_use = bool(volume.volume_attachment)
            _set(volume, 'in-use' if in_use else 'available')


def _record_size(
    context: typing.Any, shares: backend.Backend, volume: typing.Any
) -> None:
    """Let the record say how large the files of a volume have become.

    One that is larger than its record says is refused to every server.
    """
    try:
        found = records.images(shares.of(volume), volume).active.size
    except exception.VolumeDriverError as error:
        # Each call on the volume says so; the others do not wait for it.
        LOG.error('%s', error)
        return
    grown = found // units.Gi - volume.size
    if grown > 0:
        _take_quota(context, volume, grown)
        volume.size += grown


def _take_quota(context: typing.Any, volume: typing.Any, grown: int) -> None:
    wanted = {'gigabytes': grown}
    project = volume.project_id
    quotas = quota.QUOTAS
    quotas.add_volume_type_opts(context, wanted, volume.volume_type_id)
    try:
        reserved = quotas.reserve(context, project_id=project, **wanted)
    except cinder_exception.OverQuota as error:
        # What the call itself had reserved still counts, until it expires.
        LOG.warning('%s is not counted: %s', volume.name, error)
    else:
        quotas.commit(context, reserved, project_id=project)


def _set(resource: typing.Any, status: str) -> None:
    LOG.warning(
        '%(kind)s %(id)s was left %(old)s; it is %(new)s now, and the call '
        'can be repeated',
        {
            'kind': resource.obj_name(),
            'id': resource.id,
            'old': resource.status,
            'new': status,
        },
    )
    resource.status = status
    resource.save()
