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

"""Domain XML: what it says of disks, and the XML that changes them. Pure.

Members of a chain are named to libvirt as ``vda[index]`` with the index that
the live XML shows, never by file name.
"""

from __future__ import annotations

import dataclasses
import os

from lxml import etree

from volume_driver import exception
from volume_driver import foreign


@dataclasses.dataclass(frozen=True)
class Source:
    """One image of a disk's chain.

    :param path: as the host of the guest sees it
    :param index: libvirt's name of it, None in an inactive definition
    """

    path: str
    index: str | None

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


@dataclasses.dataclass(frozen=True)
class Mirror:
    """What an active commit or a copy writes to.

    :param job: libvirt's word for it, such as ``active-commit``
    :param ready: as libvirt says: ``yes``, ``pivot``, ``abort`` or empty
    """

    path: str
    job: str
    ready: str


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk of a domain.

    :param target: device name, such as ``vda``
    :param format: of the active image
    :param sources: the chain, the active image first
    :param encryption: the element that says how the active image is
        encrypted and names libvirt's secret; None for a plain one
    """

    target: str
    serial: str | None
    format: str
    sources: tuple[Source, ...]
    mirror: Mirror | None = None
    encryption: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Bare file names of the chain, the base first."""
        return tuple(source.name for source in reversed(self.sources))

    def device(self, name: str) -> str:
        """Return libvirt's name for an image of the chain, ``vda[3]``."""
        for source in self.sources:
            if source.name == name:
                return f'{self.target}[{source.index}]'
        raise KeyError(name)


def parse(xml: str) -> etree._Element:
    """Parse domain XML, with entities and network off.

    :raises DomainXmlInvalid: when it is none, or declares anything, as
        libvirt never does: in attributes entities are resolved all the same
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        root = etree.fromstring(xml.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _invalid(str(error)) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise _invalid('it has a document type')
    return root


def _invalid(reason: str) -> exception.DomainXmlInvalid:
    return exception.DomainXmlInvalid(reason=foreign.shown(reason))


def disks(xml: str) -> tuple[Disk, ...]:
    """Return the disks of a domain that have a file as their source."""
    found = []
    for element in parse(xml).iterfind('./devices/disk'):
        disk = _disk(element)
        if disk is not None:
            found.append(disk)
    return tuple(found)


def targets(xml: str) -> tuple[str, ...]:
    """Return the device names of all disks, of whatever kind."""
    return tuple(
        element.get('dev', '')
        for element in parse(xml).iterfind('./devices/disk/target')
    )


def _disk(element: etree._Element) -> Disk | None:
    target = element.find('target')
    source = element.find('source')
    if target is None or source is None:
        return None
    if target.get('dev') is None or source.get('file') is None:
        return None
    driver = element.find('driver')
    return Disk(
        target=target.get('dev', ''),
        serial=element.findtext('serial'),
        format=driver.get('type', '') if driver is not None else '',
        sources=_sources(element, source),
        mirror=_mirror(element.find('mirror')),
        encryption=_encryption(element),
    )


def _encryption(element: etree._Element) -> str | None:
    """Return how a disk's active image is encrypted.

    libvirt shows it where whoever defined the disk had put it.
    """
    for place in ('source/encryption', 'encryption'):
        found = element.find(place)
        if found is not None:
            found.tail = None
            return etree.tostring(found, encoding='unicode')
    return None


def _sources(
    element: etree._Element, source: etree._Element
) -> tuple[Source, ...]:
    found = [Source(source.get('file', ''), source.get('index'))]
    store = element.find('backingStore')
    while store is not None:
        below = store.find('source')
        if below is None or below.get('file') is None:
            break
        found.append(Source(below.get('file', ''), store.get('index')))
        store = store.find('backingStore')
    return tuple(found)


def _mirror(element: etree._Element | None) -> Mirror | None:
    if element is None:
        return None
    source = element.find('source')
    path = source.get('file', '') if source is not None else ''
    return Mirror(path, element.get('job', ''), element.get('ready', ''))


def snapshot(
    target: str,
    others: tuple[str, ...],
    overlay: str,
    encryption: str | None = None,
) -> str:
    """Return the XML of a snapshot of one disk onto an overlay.

    :param others: all other disks, which take no part
    :param overlay: path of the overlay, which is there already
    :param encryption: the element that says how it is encrypted, if it is
    """
    root = etree.Element('domainsnapshot')
    parts = etree.SubElement(root, 'disks')
    disk = etree.SubElement(
        parts, 'disk', name=target, snapshot='external', type='file'
    )
    etree.SubElement(disk, 'driver', type='qcow2')
    source = etree.SubElement(disk, 'source', file=overlay)
    if encryption is not None:
        source.append(parse(encryption))
    for other in others:
        etree.SubElement(parts, 'disk', name=other, snapshot='no')
    return etree.tostring(root, encoding='unicode')


def with_source(
    xml: str,
    target: str,
    path: str,
    image_format: str,
    below: tuple[str, ...] = (),
) -> str:
    """Return a definition in which a disk starts from another image.

    :param below: names of the images below that one, its own first, if they
        are encrypted as it is; libvirt cannot know that by itself
    """
    root = parse(xml)
    for element in root.iterfind('./devices/disk'):
        device = element.find('target')
        if device is None or device.get('dev') != target:
            continue
        source = element.find('source')
        driver = element.find('driver')
        if source is not None:
            source.set('file', path)
        if driver is not None:
            driver.set('type', image_format)
        store = element.find('backingStore')
        if store is not None:
            element.remove(store)
        encryption = _encryption(element)
        if source is not None and below and encryption is not None:
            directory = os.path.dirname(path)
            paths = [os.path.join(directory, name) for name in below]
            source.addnext(_stores(paths, encryption))
    return etree.tostring(root, encoding='unicode')


def _stores(paths: list[str], encryption: str) -> etree._Element:
    """Return the element that names encrypted images, each below the other."""
    top = store = etree.Element('backingStore')
    for path in paths:
        store.set('type', 'file')
        etree.SubElement(store, 'format', type='qcow2')
        source = etree.SubElement(store, 'source', file=path)
        source.append(parse(encryption))
        store = etree.SubElement(store, 'backingStore')
    return top
