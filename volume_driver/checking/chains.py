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

"""What is wrong with a chain: its images, ``.info``, files beside it."""

from __future__ import annotations

import collections.abc
import itertools

from volume_driver import chain
from volume_driver import info
from volume_driver import names
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import walk as walks

Found = collections.abc.Iterator[findings.Finding]

_MERGED = (
    'Do not write to the volume. If a deletion of a snapshot was cut off, the '
    'file may have been merged into the image below it before it went; then '
    'that is what has to be named instead. Else restore it from a backup.'
)


def judge(facts: seen.Facts, walk: walks.Walk) -> Found:
    """Find what is wrong with the chain as a whole."""
    yield from _cycles(facts)
    if walk.missing is not None:
        yield _missing(facts, walk, walk.missing)
    yield from _sizes(facts, walk)
    yield from _encryption(facts, walk)
    yield from _depth(facts, walk)
    yield from _snapshots(facts, walk)
    if walk.complete:
        yield from _orphans(facts, walk)


def _cycles(facts: seen.Facts) -> Found:
    for ring in walks.cycles(facts):
        yield findings.Finding(
            facts.volume,
            'cycle',
            ring[0],
            'its backing names lead back to itself: '
            + ' -> '.join((*ring, ring[0])),
            'a base image without a backing image',
            'Let nothing open it. Find out which of the names is wrong, and '
            'write the right one with "qemu-img rebase -u".',
        )


def _missing(
    facts: seen.Facts, walk: walks.Walk, missing: str
) -> findings.Finding:
    if walk.images:
        referrer = f'{walk.images[0]} names it as its backing image'
    elif facts.info is not None:
        referrer = '.info names it as the active image'
    else:
        referrer = 'there is no .info, so it would be the active image'
    left = [name for name in walks.tops(facts) if name not in walk.images]
    there = ', '.join(left)
    return findings.Finding(
        facts.volume,
        'missing-image',
        missing,
        f'there is no such file, and {referrer}'
        + (f'; left beside are {there}' if left else ''),
        'an image',
        _MERGED,
    )


def _sizes(facts: seen.Facts, walk: walks.Walk) -> Found:
    for below, name in itertools.pairwise(walk.images):
        lower, upper = size_of(facts, below), size_of(facts, name)
        if lower is not None and upper is not None and upper < lower:
            yield findings.Finding(
                facts.volume,
                'size',
                name,
                f'it has {upper} bytes, and {below} below it has {lower}',
                'an overlay as large as what it covers, or larger',
                'What is behind its end cannot be seen through it. Find out '
                'which size is right; "qemu-img resize" grows the overlay.',
            )


def size_of(facts: seen.Facts, name: str) -> int | None:
    """Return the virtual size of an image in bytes, whole sectors of it."""
    image = facts.images[name]
    size = image.length
    if walks.format_of(facts, name) == 'qcow2':
        if image.header is None:
            return None
        size = image.header.size
    return -(-size // 512) * 512


def _encryption(facts: seen.Facts, walk: walks.Walk) -> Found:
    secret: list[str] = []
    plain: list[str] = []
    for name in walk.images:
        found = facts.images[name].header
        if walks.format_of(facts, name) == 'raw':
            found = None
        (secret if found and found.encrypted else plain).append(name)
    if secret and plain:
        yield findings.Finding(
            facts.volume,
            'encryption',
            plain[-1],
            f'it is not encrypted, and {secret[-1]} of the same chain is',
            'all images of a volume encrypted, or none',
            'Find out which driver made the odd one; until then what is '
            'written to a plain image is in the clear.',
        )


def _depth(facts: seen.Facts, walk: walks.Walk) -> Found:
    depth, limit = len(walk.images), facts.max_depth
    if depth > limit:
        yield findings.Finding(
            facts.volume,
            'too-deep',
            walk.images[-1],
            f'a chain of {depth} images',
            f'{limit} at most (option max_chain_depth)',
            'Delete snapshots; each image makes reading slower.',
        )
    elif chain.is_deep(depth, limit):
        yield findings.Finding(
            facts.volume,
            'deep',
            walk.images[-1],
            f'a chain of {depth} images',
            f'less than three quarters of {limit} (option max_chain_depth)',
            f'Delete snapshots: at {limit} images there will be no more.',
        )


def _snapshots(facts: seen.Facts, walk: walks.Walk) -> Found:
    if facts.info is None or not (walk.complete or walk.missing):
        return
    # Without its lowest image, all that is left of a chain are overlays.
    overlays = walk.images[1:] if walk.complete else walk.images
    for snapshot, name in sorted(facts.info.snapshots.items()):
        if name == walk.missing or name in overlays:
            continue
        if name in facts.images and not walk.complete:
            continue  # it may be below what is missing
        where = 'is the base of the chain'
        if name not in walk.images:
            where = 'is not in the chain'
        if name not in facts.images:
            where = 'is not there'
        yield findings.Finding(
            facts.volume,
            'info-mismatch',
            name,
            f'.info has it as the overlay of snapshot {snapshot}, and it '
            + where,
            f'an overlay in the chain {" <- ".join(walk.images)}',
            'Find out whether the snapshot was deleted: then its line in '
            '.info is what a deletion left that was cut off. Keep the file '
            'until that is known.',
        )
    yield from _overlays(facts, facts.info, overlays)


def _overlays(
    facts: seen.Facts, content: info.Info, overlays: tuple[str, ...]
) -> Found:
    for name in overlays:
        snapshot_id = content.snapshot_of(name)
        if snapshot_id is None and name in facts.nameless:
            continue
        if snapshot_id is None:
            yield findings.Finding(
                facts.volume,
                'info-mismatch',
                name,
                'an overlay in the chain that is that of no snapshot in .info',
                'a snapshot in .info for each overlay',
                'Compare with the snapshots that the service knows, and give '
                'it its line in .info again.',
            )
        elif snapshot_id.startswith(names.PASSING):
            yield findings.Finding(
                facts.volume,
                'leftover',
                name,
                f'snapshot {snapshot_id} of a copy that was cut off',
                '',
                'The next operation on the volume deletes it.',
            )


def _orphans(facts: seen.Facts, walk: walks.Walk) -> Found:
    listed = set(facts.info.snapshots.values()) if facts.info else set()
    for name in sorted(facts.images.keys() - {*walk.images} - listed):
        if _covers(facts, name, walk.active):
            yield findings.Finding(
                facts.volume,
                'orphan-overlay',
                name,
                f'an overlay on top of {walk.active}, which is active',
                f'no overlay above that, or {name} in .info',
                'It may hold the newest data: ask which image the guest '
                'has open, and do not start it from the active one before '
                'that is known. If it is empty, move it away.',
            )
        elif facts.images[name].problem is None:
            yield findings.Finding(
                facts.volume,
                'orphan',
                name,
                'an image that belongs to no chain',
                'only images of the chain ' + ' <- '.join(walk.images),
                'If no guest has it open, move it away, and keep it until '
                'the volume and its snapshots were seen to be complete.',
            )


def _covers(facts: seen.Facts, name: str, active: str | None) -> bool:
    """Tell whether an image is, however far, on top of the active one."""
    seen_names: set[str] = set()
    below = walks.below(facts, name)
    while below is not None and below not in seen_names:
        if below == active:
            return True
        seen_names.add(below)
        below = walks.below(facts, below)
    return False
