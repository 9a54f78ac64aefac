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

"""What Nova does when Cinder asks it for a snapshot, or for its deletion.

Nova itself is not run. This is written from its description: the calls of
libvirt that its driver makes for a file-backed volume, their flags, how it
tells that a job has ended, and that it looks every half second. What is around
it is Cinder's own code, with its own waiting (a look at the database every
second) for Nova to report.

======================  =====================================================
asked for               done
======================  =====================================================
create                  ``snapshotCreateXML`` with ``DISK_ONLY``,
                        ``NO_METADATA`` and ``REUSE_EXT``; before it, the same
                        with ``QUIESCE`` if the server has a guest agent,
                        which ours have not
delete, newest          ``blockRebase`` to what is below the image that goes,
                        with ``RELATIVE``; without a base and a flag if
                        nothing is
delete, any other       ``blockCommit`` with ``RELATIVE``
======================  =====================================================
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import threading
import time
import typing
from unittest import mock
from xml.etree import ElementTree

import fixtures
import libvirt

from benchmarks import errors
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import guest as guests

DISK = 'vda'
_POLL = 0.5
_REMOTEFS = 'cinder.volume.drivers.remotefs'


@dataclasses.dataclass
class Attachment(drivers.Attachment):
    """An attachment as Cinder's driver needs it, too."""

    connection_info: dict[str, str] = dataclasses.field(default_factory=dict)

    def save(self) -> None:
        """Nothing: this record is its own database."""


@dataclasses.dataclass
class Snapshot(cinder_remotefs.Snapshot):
    """A snapshot of a volume that a server has."""

    status: str = 'creating'
    progress: str = '0%'
    obj_context: object = None
    _context: object = None

    @property
    def volume_id(self) -> str:
        return self.volume.id

    def __getitem__(self, name: str) -> typing.Any:
        return getattr(self, name)


class Nova(fixtures.Fixture):
    """Nova, and the database, as Cinder's driver sees them.

    Nova works while Cinder waits, as its service would; here in a thread.

    :param driver: Cinder's, which gets it
    :ivar seconds: how long Nova's part took, the last time
    """

    def __init__(
        self, driver: typing.Any, guest: guests.Guest, snapshot: Snapshot
    ) -> None:
        self._driver = driver
        self._guest = guest
        self._snapshot = snapshot
        self._error: Exception | None = None
        self.seconds = 0.0

    def _setUp(self) -> None:
        database = mock.Mock()
        database.snapshot_get = self._get_snapshot
        module = cinder_remotefs.import_cinder(_REMOTEFS)
        self.useFixture(fixtures.MockPatchObject(module, 'db', database))
        self.useFixture(
            fixtures.MockPatchObject(self._driver, '_nova', new=self)
        )

    # -- what Cinder calls ---------------------------------------------------

    def create_volume_snapshot(
        self, _context: object, _volume_id: str, asked: dict[str, str]
    ) -> None:
        """Be asked to switch the guest; returns before it is done."""
        self._begin(lambda: self._switch(asked['new_file']))

    def delete_volume_snapshot(
        self, _context: object, _snapshot_id: str, asked: dict[str, str | None]
    ) -> None:
        """Be asked to merge two images; returns before it is done."""
        self._begin(
            lambda: self._merge(
                asked['file_to_merge'], asked['merge_target_file']
            )
        )

    def _get_snapshot(self, _context: object, _snapshot_id: str) -> Snapshot:
        if self._error is not None:
            raise errors.WorkFailed(f'what Nova does failed: {self._error}')
        return self._snapshot

    # -- what Nova does ------------------------------------------------------

    def _begin(self, work: collections.abc.Callable[[], None]) -> None:
        self._snapshot.progress = '0%'
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: collections.abc.Callable[[], None]) -> None:
        began = time.perf_counter()
        try:
            work()
            self.seconds = time.perf_counter() - began
            self._snapshot.progress = '90%'
        except Exception as error:
            self._error = error

    def _switch(self, name: str) -> None:
        domain = self._guest.domain
        current = source(domain.XMLDesc(0))
        new = os.path.join(os.path.dirname(current), name)
        domain.snapshotCreateXML(
            snapshot_xml(current, new),
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT,
        )

    def _merge(self, merged: str | None, target: str | None) -> None:
        domain = self._guest.domain
        if target is None:
            relative = libvirt.VIR_DOMAIN_BLOCK_REBASE_RELATIVE
            flags = 0 if merged is None else relative
            domain.blockRebase(DISK, merged, 0, flags=flags)
        else:
            flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE
            domain.blockCommit(DISK, target, merged, 0, flags=flags)
        while not _is_complete(domain):
            time.sleep(_POLL)


def _is_complete(domain: libvirt.virDomain) -> bool:
    """Tell whether a job has ended, as Nova does: there is none any more."""
    found = domain.blockJobInfo(DISK, flags=0)
    if not found:
        return True
    if found['cur'] == found['end']:
        mirror = disk(domain.XMLDesc(0)).find('./mirror')
        return mirror is not None and mirror.get('ready') == 'yes'
    return False


def snapshot_xml(disk_name: str, path: str) -> str:
    """Return what libvirt is told of an overlay that is there already."""
    root = ElementTree.Element('domainsnapshot')
    element = ElementTree.SubElement(
        ElementTree.SubElement(root, 'disks'),
        'disk',
        name=disk_name,
        snapshot='external',
        type='file',
    )
    ElementTree.SubElement(element, 'source', file=path)
    ElementTree.SubElement(element, 'driver', type='qcow2')
    return ElementTree.tostring(root, encoding='unicode')


def disk(xml: str) -> ElementTree.Element:
    """Return the first disk in the XML of a domain."""
    # The XML is libvirt's own.
    root = ElementTree.fromstring(xml)  # noqa: S314
    found = root.find(f"./devices/disk/target[@dev='{DISK}']/..")
    assert found is not None
    return found


def source(xml: str) -> str:
    """Return the active image of the first disk."""
    found = disk(xml).find('./source')
    assert found is not None
    return str(found.get('file'))
