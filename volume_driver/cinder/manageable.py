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

"""Files that Cinder does not know yet, and those that it lets go.

A volume is named ``host:/path/file`` and a snapshot by its id, as they are
listed. What was unmanaged stays as it is, and can be managed again.
"""

from __future__ import annotations

import os
import typing

from cinder import exception as cinder_exception
from cinder.volume import volume_utils
from oslo_log import log
from oslo_utils import units

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import info
from volume_driver import names
from volume_driver.operations import adopt
from volume_driver.operations import context as contexts
from volume_driver.operations import copies

LOG = log.getLogger(__name__)

Reference = dict[str, typing.Any]
Entry = dict[str, typing.Any]

_KEY = 'source-name'


def invalid(reference: Reference, reason: str) -> Exception:
    """Make Cinder's error for a reference that names nothing of use."""
    return typing.cast(
        Exception,
        cinder_exception.ManageExistingInvalidReference(
            existing_ref=reference, reason=reason
        ),
    )


def name_in(reference: Reference) -> str:
    """Return what a reference names.

    :raises ManageExistingInvalidReference: when it names nothing
    """
    found = reference.get(_KEY)
    if not isinstance(found, str) or not found:
        raise invalid(reference, f'It must contain "{_KEY}".')
    return found


def split(reference: Reference, shares: typing.Iterable[str]) -> list[str]:
    """Return the share and the file name that a reference names.

    :raises ManageExistingInvalidReference: when it is on none of the shares
    """
    found = name_in(reference)
    for share in shares:
        head = share.rstrip('/') + '/'
        if found.startswith(head) and '/' not in found.removeprefix(head):
            return [share, found.removeprefix(head)]
    raise invalid(reference, 'It is not on any share of this backend.')


def look(
    core: core_driver.Qcow2Driver, reference: Reference, name: str
) -> int:
    """Return the size of a file that may become a volume, in GiB.

    :raises ManageExistingInvalidReference: when it may not
    :raises ManageExistingAlreadyManaged: when Cinder has it already
    """
    known = volume_utils.extract_id_from_volume_name(name)
    if known and volume_utils.check_already_managed_volume(known):
        raise cinder_exception.ManageExistingAlreadyManaged(volume_ref=known)
    try:
        return gib(_size(core, name))
    except exception.VolumeDriverError as error:
        raise invalid(reference, str(error)) from error


def gib(size: int) -> int:
    """Return bytes as GiB, rounded up."""
    return -(-size // units.Gi)


def _size(core: core_driver.Qcow2Driver, name: str) -> int:
    if has_overlays(core, name):
        images, _ = contexts.read_files(core.context, name)
        return images.active.size
    return adopt.look(core.context, name).size


def has_overlays(core: core_driver.Qcow2Driver, name: str) -> bool:
    """Tell whether a file is the base of a volume with its own ``.info``."""
    if not names.is_volume(name):
        return False
    content = info.read(core.context.directory, name)
    return content is not None and content.active != name


def volumes_of(
    core: core_driver.Qcow2Driver,
    share: str,
    managed: dict[str, str],
) -> list[Entry]:
    """List the files of a share that are, or may become, volumes.

    :param managed: Cinder's ids by the names of its volumes
    """
    found = []
    with os.scandir(core.context.directory) as entries:
        candidates = sorted(
            entry.name
            for entry in entries
            if entry.is_file(follow_symlinks=False)
            and not _belongs_to_a_volume(entry.name)
        )
    for name in candidates:
        entry: Entry = {
            'reference': {_KEY: f'{share.rstrip("/")}/{name}'},
            'size': None,
            'safe_to_manage': False,
            'reason_not_safe': None,
            'cinder_id': managed.get(name),
            'extra_info': None,
        }
        try:
            entry['size'] = gib(_size(core, name))
            entry['safe_to_manage'] = entry['cinder_id'] is None
            if entry['cinder_id']:
                entry['reason_not_safe'] = 'already managed'
        except exception.VolumeDriverError as error:
            entry['reason_not_safe'] = str(error)
        found.append(entry)
    return found


def _belongs_to_a_volume(name: str) -> bool:
    head, dot, _ = name.partition('.')
    return name.startswith('.') or bool(dot and names.is_volume(head))


def snapshots_of(
    core: core_driver.Qcow2Driver,
    volume: typing.Any,
    managed: frozenset[str],
) -> list[Entry]:
    """List the snapshots that the files of a volume have.

    :param managed: ids of Cinder's snapshots
    """
    name = core.target(volume).name
    try:
        images, content = contexts.read_files(core.context, name)
    except exception.VolumeDriverError as error:
        LOG.warning('%s', error)
        return []
    found = []
    for snapshot_id, overlay in sorted(content.snapshots.items()):
        if snapshot_id.startswith(names.PASSING):
            continue
        known = snapshot_id in managed
        found.append(
            {
                'reference': {_KEY: snapshot_id},
                'size': gib(images.frozen(overlay).size),
                'safe_to_manage': not known,
                'reason_not_safe': 'already managed' if known else None,
                'cinder_id': snapshot_id if known else None,
                'extra_info': None,
                'source_reference': {_KEY: name},
            }
        )
    return found


def snapshot_source(
    core: core_driver.Qcow2Driver,
    snapshot: typing.Any,
    reference: Reference,
) -> copies.Source:
    """Return the snapshot that a reference names, by its id or its file.

    :raises ManageExistingInvalidReference: when there is none
    """
    wanted = name_in(reference)
    target = core.target(snapshot.volume)
    _, content = contexts.read_files(core.context, target.name)
    for snapshot_id, overlay in content.snapshots.items():
        if wanted in (snapshot_id, overlay):
            return copies.Source(core.context, target, snapshot_id)
    raise invalid(reference, f'{target.name} has no such snapshot.')
