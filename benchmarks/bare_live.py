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

"""The bare limit of live work: libvirt's calls, and no more.

Nothing is looked at, journalled or brought to the disk, and nothing survives a
crash. That a job is ready is asked without a pause worth speaking of.
"""

from __future__ import annotations

import collections.abc
import pathlib
import time

import libvirt

from benchmarks import bare
from benchmarks import nova

_POLL = 0.002


def create(
    domain: libvirt.virDomain, path: pathlib.Path, backing: str, size: int
) -> None:
    """Create an overlay, and switch the guest to it."""
    bare.create_overlay(path, backing, size)
    domain.snapshotCreateXML(
        nova.snapshot_xml(nova.DISK, str(path)),
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT,
    )


def commit_active(domain: libvirt.virDomain, overlay: pathlib.Path) -> None:
    """Merge the active image into the one below, and remove it."""
    domain.blockCommit(
        nova.DISK, None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
    )
    _wait(lambda: _is_ready(domain))
    domain.blockJobAbort(nova.DISK, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    overlay.unlink()


def commit(
    domain: libvirt.virDomain, overlay: pathlib.Path, base: pathlib.Path
) -> None:
    """Merge an image below the active one into its backing image."""
    domain.blockCommit(
        nova.DISK,
        str(base),
        str(overlay),
        0,
        libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE,
    )
    _wait(lambda: not domain.blockJobInfo(nova.DISK, 0))
    overlay.unlink()


def _is_ready(domain: libvirt.virDomain) -> bool:
    mirror = nova.disk(domain.XMLDesc(0)).find('./mirror')
    return mirror is not None and mirror.get('ready') == 'yes'


def _wait(done: collections.abc.Callable[[], bool]) -> None:
    while not done():
        time.sleep(_POLL)
