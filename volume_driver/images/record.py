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

"""The ``.record`` file: what must be remembered beside ``.info``.

The format of a base image is never probed, since a tenant can write a qcow2
header into a raw volume (CVE-2013-2096). It is written here when a volume is
made; overlays are always qcow2 by their name.

So are the overlays that are those of no snapshot any more and yet have to
stay, since the active image keeps its name. ``.info`` has no line for them;
one that is not written down here may have lost its line there.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import os
import typing

from volume_driver import exception
from volume_driver import files
from volume_driver import foreign
from volume_driver import names
from volume_driver.images import trust

_VERSION = 1
_MAX_BYTES = 65536


def path_of(directory: str, volume: str) -> str:
    """Return the path of a volume's ``.record``."""
    return os.path.join(directory, volume + names.RECORD)


def write(directory: str, volume: str, base_format: str) -> None:
    """Remember the format of a volume's base image, durably.

    What a record that cannot be read said of overlays is lost with it.
    """
    overlays: frozenset[str] = frozenset()
    with contextlib.suppress(exception.RecordCorrupt):
        overlays = nameless(directory, volume)
    _write(directory, volume, base_format, overlays)


def base_format(directory: str, volume: str) -> str | None:
    """Return the recorded format of a volume's base; None without one.

    :raises RecordCorrupt: when the record is not one of ours
    :raises FileOperationFailed: when it cannot be read
    """
    found = _read(directory, volume).get('base_format')
    return None if found is None else str(found)


def add_nameless(directory: str, volume: str, overlay: str) -> None:
    """Remember, durably, that an overlay is soon that of no snapshot.

    Those that are gone are forgotten.

    :raises RecordCorrupt: when the record is not one of ours
    """
    found = _read(directory, volume)
    known = found.get('nameless', ())
    if overlay in known:
        return
    there = {
        name for name in known if files.exists(os.path.join(directory, name))
    }
    _write(directory, volume, found.get('base_format'), {*there, overlay})


def nameless(directory: str, volume: str) -> frozenset[str]:
    """Return the overlays that may be without a snapshot.

    :raises RecordCorrupt: when the record is not one of ours
    """
    return frozenset(_read(directory, volume).get('nameless', ()))


def _write(
    directory: str,
    volume: str,
    known_format: str | None,
    overlays: collections.abc.Set[str],
) -> None:
    content: dict[str, object] = {'version': _VERSION}
    if known_format is not None:
        content['base_format'] = known_format
    if overlays:
        content['nameless'] = sorted(overlays)
    text = json.dumps(content, indent=1, sort_keys=True) + '\n'
    files.replace(path_of(directory, volume), text.encode())


def _read(directory: str, volume: str) -> dict[str, typing.Any]:
    """Return what is recorded, checked; empty without a record."""
    path = path_of(directory, volume)

    def corrupt(reason: str) -> exception.RecordCorrupt:
        return exception.RecordCorrupt(path=path, reason=foreign.shown(reason))

    text = files.read(path, _MAX_BYTES, corrupt)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise corrupt(f'it is not JSON ({error})') from error
    if not isinstance(found, dict) or found.get('version') != _VERSION:
        raise corrupt(f'it is not of version {_VERSION}')
    overlays = found.get('nameless', [])
    if 'base_format' not in found and not overlays:
        raise corrupt('it says nothing')
    if found.get('base_format', 'raw') not in trust.FORMATS:
        raise corrupt(f'its base_format is {found.get("base_format")!r}')
    if not isinstance(overlays, list) or not all(
        isinstance(name, str) and names.is_image_of(volume, name)
        for name in overlays
    ):
        raise corrupt(f'its nameless overlays are {overlays!r}')
    return found
