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

"""The readers, and what has to be true of what each makes of any bytes."""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import pathlib
import typing

from tests import data as recorded
from tests.fuzz import bounds
from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver import journal
from volume_driver import names
from volume_driver.hypervisors.libvirt import domain_xml
from volume_driver.images import clusters
from volume_driver.images import header
from volume_driver.images import luks
from volume_driver.images import reader
from volume_driver.planning import plan

VOLUME = 'volume-u'
# In an input it stands for the path of a file that nobody may read.
OUTSIDE = b'@outside@'
_FOREIGN = 'nobody may read this'
_RECORDED = pathlib.Path(recorded.__file__).parent
_CORPUS = pathlib.Path(__file__).parent / 'corpus'
_LONGEST_MESSAGE = 4096
# As much as is read of most images.
_FIRST_CLUSTER = 65536

T = typing.TypeVar('T')


def need(condition: bool, what: str) -> None:
    if not condition:
        raise bounds.Finding(what)


class Place:
    """The directory with the one file that is read.

    :param root: an empty directory
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.directory = root / 'volumes'
        self.directory.mkdir()
        self._outside = root / 'outside'
        self._outside.write_text(_FOREIGN)
        self._image = self.directory / VOLUME
        # Opening a file costs more than all that is read from it.
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._image, flags, 0o600)
        self._bounds = bounds.Bounds(str(self.directory))

    def close(self) -> None:
        os.close(self._fd)
        self._bounds.close()

    def fill(self, data: bytes) -> bytes:
        """Return an input with the real path of the file outside."""
        return data.replace(OUTSIDE, bytes(self._outside))

    def put(self, data: bytes) -> str:
        """Write an image; return its path."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)
        return str(self._image)

    def read(
        self, read: collections.abc.Callable[..., T], *args: object
    ) -> T | None:
        """Read within the bounds; return None where that is refused.

        :raises Finding: when an error cannot be shown, or anything holds
            what is outside
        """
        found: T | None = None
        said = ''
        with self._bounds.hold():
            try:
                found = read(*args)
            except exception.VolumeDriverError as error:
                said = str(error)
        need(said.isprintable(), f'its error cannot be shown: {said!r}')
        need(len(said) <= _LONGEST_MESSAGE, 'its error is too long')
        need(_FOREIGN not in f'{said} {found!r}', 'it shows a foreign file')
        return found


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader that is fuzzed.

    :param check: reads an input, and says what is wrong with the outcome
    :param seeds: directories with real files
    :param words: what libFuzzer puts into inputs, besides what it finds
    """

    name: str
    check: collections.abc.Callable[[bytes, Place], None]
    seeds: tuple[pathlib.Path, ...]
    words: tuple[bytes, ...] = ()


def _check_header(data: bytes, place: Place) -> None:
    found = place.read(header.parse, data[:_FIRST_CLUSTER], VOLUME)
    place.read(luks.parse, data, VOLUME)
    if found is None and not data.startswith(b'LUKS'):
        return
    if found is not None:
        _check_fields(found, data)
    path = place.put(data)
    if found is None or found.encrypted:
        image = place.read(reader.read_container, path)
        need(image is None or image.backing is None, 'it has a backing image')
        place.read(luks.cipher_of, path)
        return
    _check_image(
        place.read(reader.read_image, place.directory, VOLUME, VOLUME, 'qcow2')
    )
    _check_clusters(place.read(clusters.read, path), found)


def _check_fields(found: header.Header, data: bytes) -> None:
    need(found.version in (2, 3), 'its version')
    need(found.cluster_size.bit_length() in range(10, 23), 'its cluster size')
    for text in (found.backing, found.backing_format):
        need((text or '').encode() in data, 'its names are made up')
        need('\0' not in (text or ''), 'its names have an end within')


def _check_image(image: chain.Image | None) -> None:
    if image is None or image.backing is None:
        return
    need(names.is_image_of(VOLUME, image.backing), 'its backing image')
    need(image.backing_format in (None, 'raw', 'qcow2'), 'its format')


def _check_clusters(
    read: clusters.Clusters | None, found: header.Header | None
) -> None:
    if read is None:
        return
    assert found is not None
    for number, table in read.tables.items():
        need(number < found.l1_size, 'a table that is not there')
        need(not table.data & table.zero, 'a cluster of data and of zeros')
        need(
            (table.data | table.zero).bit_length() <= found.cluster_size * 8,
            'clusters that are not there',
        )


def _check_info(data: bytes, place: Place) -> None:
    found = place.read(info.parse, data, VOLUME, '')
    if found is None:
        return
    for name in (found.active, *found.snapshots.values()):
        need(names.is_image_of(VOLUME, name), f'it names {name!r}')
    for snapshot_id in found.snapshots:
        names.check_snapshot(snapshot_id)
    again = info.parse(found.dumps(), VOLUME, '')
    need(found == again, 'written anew it says something else')


def _check_journal(data: bytes, place: Place) -> None:
    found = place.read(journal.parse, data, VOLUME, '')
    if found is None:
        return
    need(found.plan.volume == VOLUME, 'it is for another volume')
    need(found.target.name == VOLUME, 'its target is another volume')
    count = len(found.plan.steps)
    need(len(found.done) == len(found.held) == count, 'its marks')
    for step in found.plan.steps:
        _check_step(step)
    need(isinstance(str(found.plan), str), 'it cannot be shown')
    need(isinstance(found.plan.kind + found.plan.snapshots, str), 'its kind')
    need(found.plan == plan.Plan.from_dict(found.plan.as_dict()), 'its plan')


def _check_step(step: plan.Step) -> None:
    for name in plan.names_in(step):
        need(names.is_file_of(VOLUME, name), f'it names {name!r}')
    for field, value in vars(step).items():
        if field == 'size':
            need(isinstance(value, int), 'a size that is no number')
        elif field == 'content':
            content = info.Info(value['active'], {**value})
            need(all(map(names.is_image_of, *_pairs(content))), 'its .info')
        elif field.endswith('format'):
            need(value in ('raw', 'qcow2', None), f'a format {value!r}')


def _pairs(content: info.Info) -> tuple[list[str], list[str]]:
    found = list(content.snapshots.values())
    return [VOLUME] * len(found), found


def _check_domain_xml(data: bytes, place: Place) -> None:
    # libvirt's binding gives text.
    text = place.fill(data).decode(errors='surrogateescape')
    disks = place.read(domain_xml.disks, text)
    place.read(domain_xml.targets, text)
    for disk in disks or ():
        need(len(disk.names) == len(disk.sources) > 0, 'a disk without images')
        need(not any('/' in name for name in disk.names), 'a name with a path')
        path = f'/volumes/{VOLUME}'
        below = (f'{VOLUME}.a', f'{VOLUME}.b')
        changed = place.read(
            domain_xml.with_source, text, disk.target, path, 'qcow2', below
        )
        assert changed is not None
        found = [each.sources[0].path for each in domain_xml.disks(changed)]
        need(path in found, 'the new image is not in the definition')


_OF_STEPS = tuple(
    f'"{kind.__name__}"'.encode() for kind in typing.get_args(plan.Step)
)

READERS = {
    each.name: each
    for each in (
        Reader(
            'header',
            _check_header,
            (_CORPUS / 'header', _RECORDED / 'headers'),
            (
                *(b'QFI\xfb', b'\xe2\x79\x2a\xca', b'\x23\x85\x28\x75'),
                *(b'\x05\x37\xbe\x77', b'LUKS\xba\xbe', b'qcow2', b'raw'),
                *(b'volume-u.a', b'json:{', b'/etc/passwd'),
            ),
        ),
        Reader(
            'info',
            _check_info,
            (_CORPUS / 'info',),
            (
                *(b'"active"', b'"volume-u"', b'"volume-u.a"', b'"a"'),
                *(b'null', b'[', b'{', b'\\ud800', b'NaN', b'1e999'),
                *(b'../', b'"info"', b'\xff\xfe', b'\xef\xbb\xbf'),
            ),
        ),
        Reader(
            'journal',
            _check_journal,
            (_CORPUS / 'journal',),
            (
                *(*_OF_STEPS, b'"step"', b'"steps"', b'"plan"', b'"content"'),
                *(b'"done"', b'"held"', b'"notes"', b'"target"', b'"size"'),
                *(b'"name"', b'"directory"', b'"hosts"', b'"volume"'),
                *(b'null', b'true', b'[]', b'{}', b'\\ud800', b'"/etc"'),
            ),
        ),
        Reader(
            'domain_xml',
            _check_domain_xml,
            (_CORPUS / 'domain_xml', _RECORDED / 'domxml'),
            (
                *(
                    b'<disk>',
                    b'<source file="',
                    b'<backingStore>',
                    b'<mirror>',
                ),
                *(b'<!DOCTYPE d [', b'<!ENTITY e ', b'SYSTEM', b'&e;', b']>'),
                *(b'<encryption>', b'<serial>', b'<?xml ', b'encoding="'),
                *(b'xmlns:x="', b'<xi:include ', b'<![CDATA[', b'&#0;'),
                OUTSIDE,
            ),
        ),
    )
}
