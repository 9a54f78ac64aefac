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

"""What is wrong with single images: headers, formats, names of others."""

from __future__ import annotations

import collections.abc

from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import walk as walks
from volume_driver.images import header
from volume_driver.images import trust

Found = collections.abc.Iterator[findings.Finding]

_POINT = (
    'Nothing may use the volume before the name is right: if the file is '
    'meant, write its plain name with "qemu-img rebase -u -f qcow2 -F FORMAT '
    '-b NAME"; if it is none of this volume, find out who wrote it there.'
)


def judge(facts: seen.Facts) -> Found:
    """Find what is wrong with each image, whether the chain has it or not."""
    for name, image in sorted(facts.images.items()):
        if name == facts.volume and walks.base_format(facts) == 'raw':
            yield from _raw(facts, image)
        else:
            yield from _qcow2(facts, image)


def _raw(facts: seen.Facts, image: seen.Image) -> Found:
    if image.problem is not None and not image.magic:
        yield _unreadable(facts, image)
    if facts.record is not None or not image.magic:
        return
    if walks.above_base(facts):
        yield findings.Finding(
            facts.volume,
            'forged-header',
            image.name,
            'a raw image that begins with a qcow2 header, and no record of '
            'its format: only the overlay above says that it is raw',
            'a record',
            'Let "base_format": "raw" be recorded in '
            f'{facts.volume}.record before its snapshots are deleted.',
        )
        return
    yield findings.Finding(
        facts.volume,
        'format',
        image.name,
        'it begins with a qcow2 header, there is no record of its format, '
        'and option volume_format is raw',
        'a record that says which it is',
        'A guest may have written the header. Find out which format the '
        f'volume was made with and say so in {facts.volume}.record; do not '
        'let any tool probe it.',
    )


def _qcow2(facts: seen.Facts, image: seen.Image) -> Found:
    if image.header is None:
        if image.problem is not None:
            yield _unreadable(facts, image)
        else:
            yield _no_qcow2(facts, image)
        return
    yield from _header(facts, image.name, image.header)
    if image.header.backing is not None:
        yield from _backing(
            facts, image.name, image.header, image.header.backing
        )


def _no_qcow2(facts: seen.Facts, image: seen.Image) -> findings.Finding:
    says = 'its name says that it is an overlay'
    if image.name == facts.volume:
        says = 'an overlay says that it is qcow2'
        if facts.record is not None:
            says = 'its record says that it is qcow2'
    return findings.Finding(
        facts.volume,
        'format',
        image.name,
        'it does not begin with a qcow2 header',
        f'one, as {says}',
        'Find out what put other data there, and restore the image from a '
        'backup, or correct what names the wrong format.',
    )


def _unreadable(facts: seen.Facts, image: seen.Image) -> findings.Finding:
    return findings.Finding(
        facts.volume,
        'unreadable',
        image.name,
        (image.problem or 'it cannot be read').rstrip('.'),
        'an image that can be read',
        'Look at what it is, and restore it from a backup.',
    )


def _header(facts: seen.Facts, name: str, found: header.Header) -> Found:
    if found.data_file:
        yield findings.Finding(
            facts.volume,
            'foreign-backing',
            name,
            'its data is in another file, which its header names',
            'an image with its data in itself',
            'Let nothing open it: the file that it names may be one of this '
            'host. Restore the image.',
        )
    if found.corrupt:
        yield findings.Finding(
            facts.volume,
            'corrupt',
            name,
            'QEMU marked it as corrupt',
            'an image without that mark',
            'Copy the file away, then look at it with "qemu-img check".',
        )
    if found.encrypted and not found.luks_at:
        yield findings.Finding(
            facts.volume,
            'encryption',
            name,
            'it is encrypted otherwise than with LUKS',
            'LUKS, or none',
            'Find out which driver made it; this one does not open it.',
        )


def _backing(
    facts: seen.Facts, name: str, found: header.Header, backing: str
) -> Found:
    meant = walks.plain(facts.volume, backing)
    if meant is None or trust.plain(backing) != meant:
        yield findings.Finding(
            facts.volume,
            'foreign-backing',
            name,
            f'its backing image is {backing!r}',
            f'the plain name of an image of {facts.volume}',
            _POINT,
        )
    if meant is None:
        return
    named = found.backing_format
    if named is None and meant != facts.volume:
        return  # an overlay, which is qcow2 by its name
    expected = walks.format_of(facts, meant)
    if named != expected:
        says = repr(named) if named else 'no format'
        yield findings.Finding(
            facts.volume,
            'format',
            name,
            f'it names {says} as the format of its backing image {meant}',
            expected,
            'Find out which is right. If it is the expected one, write it '
            f'there with "qemu-img rebase -u -f qcow2 -F {expected} -b '
            f'{meant}"; else correct the record.',
        )


def checked(
    facts: seen.Facts, outcome: collections.abc.Mapping[str, str]
) -> Found:
    """Find what ``qemu-img check`` said.

    :param outcome: ``corrupt``, ``leaks`` or nothing, by name of the image
    """
    for name, what in sorted(outcome.items()):
        if what == 'corrupt':
            yield findings.Finding(
                facts.volume,
                'corrupt',
                name,
                'qemu-img check finds its metadata corrupt',
                'metadata without errors',
                'Start no guest on it. Copy the file away first, then see '
                '"qemu-img check", or restore it from a backup.',
            )
        elif what == 'leaks':
            yield findings.Finding(
                facts.volume,
                'leaks',
                name,
                'it has clusters that nothing refers to',
                '',
                'That takes space and harms nothing; while nobody has it '
                'open, "qemu-img check -r leaks" gives the space back.',
            )
