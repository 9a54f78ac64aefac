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

"""All that is wrong with a volume, from what was seen of it."""

from __future__ import annotations

import collections.abc

from volume_driver import names
from volume_driver.checking import chains
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import guests
from volume_driver.checking import images
from volume_driver.checking import walk as walks

Found = collections.abc.Iterator[findings.Finding]

# What an operation that was cut off may have left behind on the files of its
# plan; recovery puts it right, and nobody else is to.
_PASSING = frozenset(
    {'frozen-guest', 'frozen-start', 'missing-image', 'guest-mismatch'}
    | {'info-mismatch', 'orphan-overlay', 'orphan', 'leftover', 'size'}
)
_RECOVER = 'Let "volume-driver recover" finish it, then check again.'


def judge(facts: seen.Facts) -> Found:
    """Find all that is wrong with a volume."""
    if _is_none_of_ours(facts):
        yield from _strays(facts, facts.names)
        return
    yield from _unseen(facts)
    yield from _own_files(facts)
    open_names = facts.journal.names if facts.journal else frozenset()
    for found in _of_images(facts):
        passing = found.kind in _PASSING or _is_path(facts, found, open_names)
        if not (passing and found.file in open_names):
            yield found


def _is_path(
    facts: seen.Facts,
    found: findings.Finding,
    open_names: collections.abc.Container[str],
) -> bool:
    """Tell whether a backing name is that of an image of a plan, as a path.

    A pull that is limited writes it so, until it is done.
    """
    if found.kind != 'foreign-backing':
        return False
    header = facts.images[found.file].header
    below = walks.below(facts, found.file)
    return header is not None and not header.data_file and below in open_names


def _of_images(facts: seen.Facts) -> Found:
    yield from _leftovers(facts)
    if not facts.images and facts.info is None and not facts.info_problem:
        return
    walk = walks.walk(facts)
    yield from guests.judge(facts, walk)
    yield from images.judge(facts)
    yield from chains.judge(facts, walk)


def _is_none_of_ours(facts: seen.Facts) -> bool:
    """Tell whether nothing but the begin of some names is ours."""
    ours = {names.INFO, names.RECORD, names.JOURNAL, names.PART, ''}
    return not any(
        name.removeprefix(facts.volume) in ours for name in facts.names
    ) and not any(image.magic for image in facts.images.values())


def _own_files(facts: seen.Facts) -> Found:
    info_problem = facts.info_problem
    if info_problem is None and walks.is_headless(facts):
        info_problem = 'there is no .info, and the images are one chain'
    if info_problem is not None:
        tops = ', '.join(walks.tops(facts)) or 'none'
        yield findings.Finding(
            facts.volume,
            'info-corrupt',
            facts.volume + names.INFO,
            info_problem.rstrip('.'),
            'which image is active, and the overlay of each snapshot',
            f'By the headers the uppermost image is {tops}. "volume-driver '
            'repair --records FILE" writes it anew if that can be proved; '
            'else restore it from a backup.',
        )
    if facts.record_problem is not None:
        yield findings.Finding(
            facts.volume,
            'record-corrupt',
            facts.volume + names.RECORD,
            facts.record_problem.rstrip('.'),
            'the format of the base image',
            'Restore it, or write it anew with the format that the volume '
            'was made with; do not let any tool probe it.',
        )
    if facts.journal_problem is not None:
        yield findings.Finding(
            facts.volume,
            'journal-corrupt',
            facts.volume + names.JOURNAL,
            facts.journal_problem.rstrip('.'),
            'the plan of an operation that was cut off',
            'Every operation on the volume is refused while it is there. '
            'Compare the chain with .info before it is moved away.',
        )
    if facts.journal is not None:
        yield findings.Finding(
            facts.volume,
            'unfinished',
            facts.volume + names.JOURNAL,
            f'{facts.journal}, was cut off',
            '',
            _RECOVER,
        )


def _leftovers(facts: seen.Facts) -> Found:
    known = {facts.volume + end for end in (names.INFO, names.JOURNAL)}
    if facts.images:
        known.add(facts.volume + names.RECORD)
    strays = set()
    for name in sorted(facts.names - facts.images.keys() - known):
        if name.endswith(names.PART):
            what = 'a file that was never completed'
        elif names.is_export_of(facts.volume, name):
            what = 'a flat copy, of a backup or a migration'
        elif name == facts.volume + names.RECORD:
            what = 'a record, and no image'
        else:
            strays.add(name)
            continue
        yield findings.Finding(
            facts.volume,
            'leftover',
            name,
            what,
            '',
            'If nothing works with it just now, remove it; a deletion of the '
            'volume does so, too.',
        )
    yield from _strays(facts, strays)


def _strays(facts: seen.Facts, strays: collections.abc.Iterable[str]) -> Found:
    for name in strays:
        yield findings.Finding(
            facts.volume,
            'stray',
            name,
            'a file that begins with the name of a volume and is none of it',
            '',
            'Nothing reads it. Move it out of the directory.',
        )


def _unseen(facts: seen.Facts) -> Found:
    for each in facts.unseen:
        yield unseen(facts.volume, each)


def unseen(volume: str, what: seen.Unseen) -> findings.Finding:
    """Tell of something that could not be looked at."""
    advice = {
        'busy': 'Check again when it is done.',
        'no-answer': 'What guests do with it is not known; bring that host '
        'back, or name it with --host, and check again.',
        'no-access': 'Check again as a user who may read it.',
        'unchecked': 'Check again with --deep when that is over.',
    }[what.kind]
    reason = what.reason.rstrip('.')
    return findings.Finding(volume, what.kind, what.file, reason, '', advice)
