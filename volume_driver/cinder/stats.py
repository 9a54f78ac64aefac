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

"""What the scheduler knows of the backend: one pool for each share.

Volumes of a driver that had other pools stay in those.
"""

from __future__ import annotations

import collections.abc
import os
import typing

from cinder import context as cinder_context
from cinder import objects
from cinder.db import api as db
from cinder.volume import volume_utils
from oslo_utils import units

from volume_driver import native
from volume_driver.operations import usage

Stats = dict[str, typing.Any]

_TRAITS: Stats = {
    'QoS_support': False,
    'thin_provisioning_support': True,
    'thick_provisioning_support': False,
    'online_extend_support': True,
    'consistent_group_snapshot_enabled': False,
    'backend_state': 'up',
}


# What Cinder's scheduler and clients call a filesystem of each kind.
_PROTOCOLS = {'nfs': 'NFS'}


def backend(name: str, version: str, vendor: str, kind: str) -> Stats:
    """Return what is known of a backend as a whole."""
    return {
        'volume_backend_name': name,
        'driver_version': version,
        'vendor_name': vendor,
        'storage_protocol': _PROTOCOLS.get(kind, 'file'),
        'sparse_copy_volume': True,
    }


def older_pools(
    context: typing.Any, host: str, shares: collections.abc.Container[str]
) -> list[str]:
    """Return the pools of a backend's volumes that are no shares.

    Cinder's NFS driver has one for all shares, named like the backend.

    :param context: an administrator's
    :param host: host@backend
    :param shares: the addresses of all shares
    """
    volumes = objects.VolumeList.get_all_by_host(context, host)
    found = {
        volume_utils.extract_host(each.host, level='pool') for each in volumes
    }
    return sorted(each for each in found if each and each not in shares)


def pools(
    host: str,
    directories: dict[str, str],
    older: collections.abc.Iterable[str],
    common: Stats,
) -> list[Stats]:
    """Return what is known of each pool; sizes in GiB, or as they are named.

    An older pool has the room of all shares. It is there as long as a volume
    is in it, which could be neither extended nor retyped otherwise.

    :param host: host@backend
    :param directories: where the shares are, by their addresses
    :param older: see :func:`older_pools`
    :param common: what the options say of every pool
    """
    context = cinder_context.get_admin_context()

    def volumes_in(pool: str) -> tuple[int, int]:
        count, size = db.volume_data_get_for_host(context, f'{host}#{pool}')
        # MariaDB gives a decimal.Decimal.
        return int(count), int(size)

    rooms = [_room(directory) for directory in directories.values()]
    own = [volumes_in(name)[1] for name in directories]
    filled = {name: volumes_in(name) for name in older}
    shared = sum(size for _, size in filled.values())
    total = sum(each.total for each in rooms)
    everything = _Room(
        total,
        sum(each.free for each in rooms),
        max((each.deepest for each in rooms), default=0),
        sum(each.allocated for each in rooms),
    )
    # Which share each volume of an older pool is on is not asked every time:
    # they are counted as if they were spread evenly.
    found = [
        _pool(name, room, size + shared * room.total / total)
        for name, room, size in zip(directories, rooms, own, strict=True)
    ]
    found += [
        _pool(name, everything, sum(own) + shared)
        for name, (count, _) in filled.items()
        if count
    ]
    return [{**_TRAITS, **common, **each} for each in found]


class _Room(typing.NamedTuple):
    total: float
    free: float
    deepest: int
    allocated: int


def _room(directory: str) -> _Room:
    found = native.call(os.statvfs, directory)
    gib = found.f_frsize / units.Gi
    used = usage.of(directory)
    return _Room(
        found.f_blocks * gib,
        found.f_bavail * gib,
        used.deepest_chain,
        used.allocated_bytes,
    )


def _pool(name: str, room: _Room, provisioned: float) -> Stats:
    return {
        'pool_name': name,
        'total_capacity_gb': round(room.total, 2),
        'free_capacity_gb': round(room.free, 2),
        'provisioned_capacity_gb': int(provisioned),
        'deepest_chain': room.deepest,
        'allocated_bytes': room.allocated,
    }
