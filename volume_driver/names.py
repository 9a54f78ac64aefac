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

"""The names of a volume's files, made and checked in one place.

::

    volume-u              the base image
    volume-u.<snap_id>    the overlay of a snapshot
    volume-u.info         which file belongs to which snapshot
    volume-u.record       what else must be remembered (the base's format)
    volume-u.journal      the plan of an operation under way
    volume-u.export-*     a flat raw copy, while somebody else works with it
    volume-u*.part        a file that is not complete yet

Neither a volume's name nor a snapshot's id may hold a dot or a slash: nothing
that an id says can leave the directory, and no two files can share a name.
"""

import re

from volume_driver import exception

_PLAIN = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')
# Both together, and what comes behind them, fit into the name of a file.
_LONGEST_VOLUME = 100
_LONGEST_SNAPSHOT = 128
_EXPECTED = 'letters, digits, "-" and "_" only, at most {} of them'
_RESERVED = frozenset({'active', 'info', 'record', 'journal', 'part'})
_VOLUME = 'volume-'

INFO = '.info'
RECORD = '.record'
JOURNAL = '.journal'
PART = '.part'

# Begins the id of a snapshot that lasts as long as one copy of its volume.
# Cinder's RemoteFS drivers know it, and take overlays of that name for theirs.
PASSING = 'tmp-snap-'
# Begins the end of the name of a flat copy; no snapshot's id begins so.
EXPORT = 'export-'


def _is_plain(text: str, longest: int) -> bool:
    return len(text) <= longest and bool(_PLAIN.fullmatch(text))


def check_volume(name: str) -> str:
    """Return the name of a volume, which is also its base's file name.

    :raises InvalidName: when it cannot be a file name.
    """
    if not _is_plain(name, _LONGEST_VOLUME):
        raise exception.InvalidName(
            kind='volume name',
            name=name,
            expected=_EXPECTED.format(_LONGEST_VOLUME),
        )
    return name


def is_volume(name: str) -> bool:
    """Tell whether a file name is one that our volumes have."""
    return name.startswith(_VOLUME) and _is_plain(
        name.removeprefix(_VOLUME), _LONGEST_VOLUME
    )


def check_snapshot(snapshot_id: str) -> str:
    """Return the id of a snapshot.

    :raises InvalidName: when it cannot be part of a file name, or is a word
        that names another file or the active image.
    """
    if not _is_snapshot(snapshot_id):
        expected = _EXPECTED.format(_LONGEST_SNAPSHOT)
        raise exception.InvalidName(
            kind='snapshot id',
            name=snapshot_id,
            expected=f'{expected}, none of {", ".join(sorted(_RESERVED))}, '
            f'and none that begins with "{EXPORT}"',
        )
    return snapshot_id


def _is_snapshot(text: str) -> bool:
    return (
        _is_plain(text, _LONGEST_SNAPSHOT)
        and text not in _RESERVED
        and not text.startswith(EXPORT)
    )


def check_new_snapshot(snapshot_id: str) -> str:
    """Return the id of a snapshot that somebody asks for.

    :raises InvalidName: when it cannot be one, or is of those that we take
        ourselves for the time of a copy
    """
    if snapshot_id.startswith(PASSING):
        raise exception.InvalidName(
            kind='snapshot id',
            name=snapshot_id,
            expected=f'one that does not begin with "{PASSING}"',
        )
    return check_snapshot(snapshot_id)


def passing_snapshot(volume: str) -> str:
    """Return the id of the snapshot that a copy to a new volume takes."""
    return PASSING + volume.removeprefix(_VOLUME)


def export(volume: str, what: str) -> str:
    """Return the name of a flat copy of a volume.

    :param what: what it shows: a snapshot's id, or ``volume``
    """
    return f'{volume}.{EXPORT}{check_snapshot(what)}'


def overlay(volume: str, snapshot_id: str) -> str:
    """Return the file name of the overlay of a snapshot."""
    return f'{volume}.{check_snapshot(snapshot_id)}'


def free_overlay(volume: str, snapshot_id: str, taken: frozenset[str]) -> str:
    """Return a name for a new overlay that no image of the chain has.

    After a pull an overlay outlives the snapshot that it is named after.

    :param taken: names of the chain's images
    """
    name = overlay(volume, snapshot_id)
    number = 2
    while name in taken:
        name = f'{overlay(volume, snapshot_id)}-{number}'
        number += 1
    return name


def is_export_of(volume: str, name: str) -> bool:
    """Tell whether a name can be that of a flat copy of the volume."""
    start = f'{volume}.{EXPORT}'
    return name.startswith(start) and _is_snapshot(name.removeprefix(start))


def is_image_of(volume: str, name: str) -> bool:
    """Tell whether a name can be an image of the volume."""
    if name == volume:
        return True
    head, dot, tail = name.partition('.')
    return head == volume and dot == '.' and _is_snapshot(tail)


def is_file_of(volume: str, name: str) -> bool:
    """Tell whether a name can be that of any lasting file of the volume."""
    return (
        is_image_of(volume, name)
        or name in (volume + INFO, volume + RECORD)
        or is_export_of(volume, name)
    )
