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

"""What Cinder's records say of a volume's files, kept as its NFS driver does.

``admin_metadata`` has the format of the active image (``format``), and that
of the base while there are, or were, snapshots (``base_format``). An
attachment has the name and the format of the active image, from which Nova
starts a server again (launchpad bug 1860913).
"""

from __future__ import annotations

import collections.abc
import typing

from oslo_log import log
from oslo_utils import units

from volume_driver import chain
from volume_driver import driver as core_driver
from volume_driver import journal as journals
from volume_driver.operations import adopt
from volume_driver.operations import context as contexts

LOG = log.getLogger(__name__)


def images(core: core_driver.Qcow2Driver, volume: typing.Any) -> chain.Chain:
    """Return the chain of a volume as its files are now."""
    found, _ = contexts.read_files(core.context, core.target(volume).name)
    return found


def keep(core: core_driver.Qcow2Driver, volume: typing.Any) -> None:
    """Bring a volume's records in step with its files."""
    found = images(core, volume)
    _keep_formats(volume, found)
    # Of what is not finished an attachment may name the outcome already.
    directory, name = core.context.directory, core.target(volume).name
    if journals.find(directory, name) is None:
        active = found.active
        name_in(volume.volume_attachment or (), active.name, active.format)


def _keep_formats(volume: typing.Any, found: chain.Chain) -> None:
    with volume.obj_as_admin():
        metadata = volume.admin_metadata
        wanted = {'format': found.active.format}
        if len(found) > 1 or 'base_format' in metadata:
            wanted['base_format'] = found.base.format
        if any(metadata.get(key) != wanted[key] for key in wanted):
            metadata.update(wanted)
            volume.save()


def name_in(
    attachments: collections.abc.Iterable[typing.Any],
    name: str,
    image_format: str,
) -> None:
    """Let attachments name an image, from which Nova starts a server."""
    wanted = {'name': name, 'format': image_format}
    for attachment in attachments:
        info = attachment.connection_info
        if not info or 'name' not in info:
            continue
        if any(info.get(key) != wanted[key] for key in wanted):
            # A new value, for the object to know that it has changed.
            attachment.connection_info = {**info, **wanted}
            attachment.save()


def adopt_volume(core: core_driver.Qcow2Driver, volume: typing.Any) -> None:
    """Learn the format of a base that Cinder's own driver made.

    Its records are the only ones that know it; ours remember it from then on.

    :raises ImageNotTrusted: when neither they nor the file tell
    """
    with volume.obj_as_admin():
        metadata = dict(volume.admin_metadata or {})
    known = metadata.get('base_format') or metadata.get('format')
    adopt.remember_format(
        core.context,
        core.target(volume),
        known if known in ('raw', 'qcow2') else None,
        (volume.size or 0) * units.Gi,
    )
