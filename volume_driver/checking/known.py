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

"""Where a volume is not what the caller's records say of it."""

from __future__ import annotations

import collections.abc

from volume_driver import names
from volume_driver.checking import chains
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import walk as walks

Found = collections.abc.Iterator[findings.Finding]

_GIB = 1 << 30


def judge(facts: seen.Facts, known: seen.Known | None) -> Found:
    """Compare a volume with its record; None: there is no such record."""
    if known is None:
        if facts.images:
            yield findings.Finding(
                facts.volume,
                'unrecorded',
                facts.volume,
                'there are files of a volume that no record has',
                '',
                'Find out whether it was deleted, or is that of another '
                'service, before anything is moved away.',
            )
        return
    if facts.journal is not None:
        return
    yield from _size(facts, known)
    if known.snapshots is not None and not facts.info_problem:
        yield from _snapshots(facts, known.snapshots)


def _size(facts: seen.Facts, known: seen.Known) -> Found:
    active = walks.walk(facts).active
    if active is None or active not in facts.images or known.size is None:
        return
    size = chains.size_of(facts, active)
    if size is not None and size != known.size * _GIB:
        yield findings.Finding(
            facts.volume,
            'record-mismatch',
            active,
            f'it has {size} bytes',
            f'{known.size} GiB ({known.size * _GIB} bytes), as its record '
            'says',
            'Extend the volume, or correct the record.',
        )


def _snapshots(facts: seen.Facts, known: frozenset[str]) -> Found:
    there = {
        each
        for each in (facts.info.snapshots if facts.info else ())
        if not each.startswith(names.PASSING)
    }
    for found, ids, advice in (
        (
            'snapshots that its record does not have',
            there - known,
            'Find out whether a deletion of them was cut off, and let it be '
            'done again.',
        ),
        (
            'no snapshots as its record has',
            known - there,
            'Their data is not told apart any more: mark them as failed, and '
            'look for a .info of before.',
        ),
    ):
        if ids:
            yield findings.Finding(
                facts.volume,
                'record-mismatch',
                facts.volume + names.INFO,
                f'it has {found}: {", ".join(sorted(ids))}',
                'the same in both',
                advice,
            )


def absent(volume: str) -> findings.Finding:
    """Tell of a record without any file."""
    return findings.Finding(
        volume,
        'no-files',
        '',
        'a record has this volume, and it has no file here',
        '',
        'See whether it is in another directory, or was never created.',
    )
