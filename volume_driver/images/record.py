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
"""

from __future__ import annotations

import json
import os

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
    """Remember the format of a volume's base image, durably."""
    content = {'base_format': base_format, 'version': _VERSION}
    text = json.dumps(content, indent=1, sort_keys=True) + '\n'
    files.replace(path_of(directory, volume), text.encode())


def base_format(directory: str, volume: str) -> str | None:
    """Return the recorded format of a volume's base; None without a record.

    :raises RecordCorrupt: when the record is not one of ours
    :raises FileOperationFailed: when it cannot be read
    """
    path = path_of(directory, volume)

    def corrupt(reason: str) -> exception.RecordCorrupt:
        return exception.RecordCorrupt(path=path, reason=foreign.shown(reason))

    text = files.read(path, _MAX_BYTES, corrupt)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise corrupt(f'it is not JSON ({error})') from error
    if not isinstance(found, dict) or found.get('version') != _VERSION:
        raise corrupt(f'it is not of version {_VERSION}')
    if found.get('base_format') not in trust.FORMATS:
        raise corrupt(f'its base_format is {found.get("base_format")!r}')
    return str(found['base_format'])
