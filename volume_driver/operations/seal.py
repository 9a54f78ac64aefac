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

"""Plain data into an encrypted volume."""

from __future__ import annotations

from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.hypervisors import base as hypervisor
from volume_driver.images import qemu_img
from volume_driver.images import reader
from volume_driver.operations import context as contexts
from volume_driver.operations import copies
from volume_driver.operations import recovery


def write_over(
    context: contexts.Context, target: hypervisor.Target, path: str
) -> None:
    """Let an encrypted volume without snapshots hold what a raw file holds.

    The file may be anywhere, and stays. What it holds is encrypted into a new
    file beside the volume, which becomes the base by a plan.

    :raises VolumeHasSnapshots: when the volume has any
    :raises VolumeInUse: when a guest runs on the volume
    :raises InvalidSize: when the file holds more than fits
    """
    sealed = names.export(target.name, 'sealed')
    there = context.path(sealed)
    with recovery.locked(context, target):
        state = copies.read_unused(context, target)
        base = state.chain.active
        if len(state.chain) > 1:
            raise exception.VolumeHasSnapshots(
                volume=target.name, snapshots=', '.join(state.info.snapshots)
            )
        given = reader.read_flat(path, 'raw')
        if given.size > base.size:
            raise exception.InvalidSize(
                volume=path, wanted=base.size, minimum=given.size
            )
        key = context.key(target).like(context.path(base.name))
        files.discard(there)
        try:
            qemu_img.convert(
                context.execute, path, there, ('raw', 'qcow2'), (None, key)
            )
            if given.size < base.size:
                qemu_img.resize(
                    context.execute, there, 'qcow2', base.size, key
                )
            made = reader.read_image(
                context.directory, target.name, sealed, 'qcow2'
            )
            copies.become_base(context, target, made, base)
        finally:
            files.discard(there)
