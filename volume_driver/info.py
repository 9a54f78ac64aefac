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

"""The ``.info`` file: which image belongs to which snapshot.

The format is that of Cinder's RemoteFS drivers (JSON, indent 1, sorted keys,
bare file names), so that either can go on with what the other left::

    {"active": "volume-u.b", "a": "volume-u.a", "b": "volume-u.b"}

No file means that no snapshot was ever taken. Every key but ``active`` is a
snapshot's id for Cinder, so nothing else may ever stand in it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import os

from volume_driver import exception
from volume_driver import files
from volume_driver import foreign
from volume_driver import names

_ACTIVE = 'active'
_MAX_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Info:
    """What ``.info`` says.

    :param active: file name of the active image
    :param snapshots: file name of the overlay by snapshot id
    """

    active: str
    snapshots: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )

    def with_snapshot(self, snapshot_id: str, overlay: str) -> Info:
        """Return it with a new snapshot whose overlay is the active image."""
        return Info(overlay, {**self.snapshots, snapshot_id: overlay})

    def without_snapshot(self, snapshot_id: str) -> Info:
        """Return it without a snapshot, all else the same."""
        rest = {k: v for k, v in self.snapshots.items() if k != snapshot_id}
        return Info(self.active, rest)

    def with_renamed(self, old: str, new: str) -> Info:
        """Return it with every mention of an image replaced by another."""
        return Info(
            new if self.active == old else self.active,
            {k: new if v == old else v for k, v in self.snapshots.items()},
        )

    def snapshot_of(self, overlay: str) -> str | None:
        """Return the id of the snapshot that an overlay belongs to."""
        for snapshot_id, name in self.snapshots.items():
            if name == overlay:
                return snapshot_id
        return None

    def as_dict(self) -> dict[str, str]:
        return {_ACTIVE: self.active, **self.snapshots}

    def dumps(self) -> bytes:
        """Return the file's content, as Cinder writes it."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True).encode()


def path_of(directory: str, volume: str) -> str:
    """Return the path of a volume's ``.info``."""
    return os.path.join(directory, volume + names.INFO)


def parse(text: bytes, volume: str, path: str) -> Info:
    """Read the content of a ``.info`` file.

    :raises InfoCorrupt: when it is not JSON, or holds anything but names of
        images of this volume, or one image for two snapshots
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, f'it is not JSON ({error})') from error
    return check(found, volume, path)


def check(found: object, volume: str, path: str) -> Info:
    """Return what was read as JSON, if it is what a ``.info`` file holds.

    :raises InfoCorrupt: see :func:`parse`
    """
    if not isinstance(found, dict) or _ACTIVE not in found:
        raise _corrupt(path, 'it is not a JSON object with a key "active"')
    for key, name in found.items():
        if not isinstance(name, str) or not names.is_image_of(volume, name):
            raise _corrupt(
                path, f'{name!r} (of {key!r}) cannot be an image of {volume}'
            )
    snapshots = {key: found[key] for key in found if key != _ACTIVE}
    for key in snapshots:
        try:
            names.check_snapshot(key)
        except exception.InvalidName as error:
            raise _corrupt(path, str(error)) from error
    if len(set(snapshots.values())) != len(snapshots):
        raise _corrupt(path, 'two snapshots have the same overlay')
    return Info(found[_ACTIVE], snapshots)


def read(directory: str, volume: str) -> Info | None:
    """Read a volume's ``.info``; None when there is none.

    :raises InfoCorrupt: see :func:`parse`
    :raises FileOperationFailed: when it cannot be read
    """
    path = path_of(directory, volume)
    corrupt = functools.partial(_corrupt, path)
    text = files.read(path, _MAX_BYTES, corrupt)
    return None if text is None else parse(text, volume, path)


def write(directory: str, volume: str, content: Info) -> None:
    """Replace a volume's ``.info`` durably and as one step."""
    active = os.path.join(directory, content.active)
    files.replace(path_of(directory, volume), content.dumps(), like=active)


def _corrupt(path: str, reason: str) -> exception.InfoCorrupt:
    return exception.InfoCorrupt(path=path, reason=foreign.shown(reason))
