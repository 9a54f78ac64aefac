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


"""What a repair does: each kind of it, in words and as data.

What has to be proved from the content of images before one is carried out
stands in it, too, and is proved by who does that.
"""

from __future__ import annotations

import dataclasses

from volume_driver import info
from volume_driver.checking import findings

# What has to be proved of an image that is pointed at another one.
SAME_FILE, SAME_DATA, RECORDED = 'same file', 'same data', 'recorded'


@dataclasses.dataclass(frozen=True)
class Recover:
    """Finish what was cut off, by its journal."""

    def __str__(self) -> str:
        return 'finish the operation that was cut off'


@dataclasses.dataclass(frozen=True)
class DropCopies:
    """Delete the snapshots of copies that were cut off."""

    def __str__(self) -> str:
        return 'delete the snapshot of the copy that was cut off'


@dataclasses.dataclass(frozen=True)
class SetAside:
    """Move a file into quarantine.

    :param blank_over: name of the image that it must add nothing to, if any
    """

    name: str
    blank_over: str | None = None

    def __str__(self) -> str:
        return f'move {self.name} into quarantine'


@dataclasses.dataclass(frozen=True)
class WriteInfo:
    """Replace ``.info``; the old one is kept in quarantine.

    :param merged: an image that has to show the same as the one below it,
        and that one; nothing where there is nothing to be shown
    """

    content: info.Info
    merged: tuple[str, str] | None = None

    def __str__(self) -> str:
        listed = ', '.join(
            f'{snapshot}: {name}'
            for snapshot, name in sorted(self.content.snapshots.items())
        )
        return (
            f'write .info: active is {self.content.active}, snapshots are '
            + (listed or 'none')
        )


@dataclasses.dataclass(frozen=True)
class WriteRecord:
    """Replace the record; the old one is kept in quarantine."""

    base_format: str

    def __str__(self) -> str:
        return f'record that the base is {self.base_format}'


@dataclasses.dataclass(frozen=True)
class Point:
    """Write another backing name, or its format, into an overlay.

    :param proof: what has to be shown first: :data:`SAME_FILE`, that both
        names are one file's; :data:`SAME_DATA`, that the overlay shows the
        same on top of it, and that nobody wrote to what is below since;
        :data:`RECORDED`, nothing but the record
    """

    overlay: str
    backing: str
    backing_format: str
    proof: str

    def __str__(self) -> str:
        return (
            f'name {self.backing} ({self.backing_format}) in {self.overlay} '
            'as its backing image'
        )


@dataclasses.dataclass(frozen=True)
class FreeLeaks:
    """Free the clusters of an image that nothing refers to."""

    name: str

    def __str__(self) -> str:
        return f'free the leaked clusters of {self.name}'


@dataclasses.dataclass(frozen=True)
class Rebuild:
    """Mend a copy of an image; if it shows the same, it takes its place."""

    name: str

    def __str__(self) -> str:
        return (
            f'mend a copy of {self.name}, which takes its place if it is '
            'sound and shows the same; the old one goes into quarantine'
        )


@dataclasses.dataclass(frozen=True)
class StartFrom:
    """Let a guest start from the active image when it is next started.

    :param frozen: names of the images that nobody may have written to since
        they were covered, the lowest first, and what covers them at the end
    """

    guest: str
    active: str
    image_format: str
    frozen: tuple[str, ...]

    def __str__(self) -> str:
        return f'let {self.guest} start from {self.active}'


Action = (
    Recover
    | DropCopies
    | SetAside
    | WriteInfo
    | WriteRecord
    | Point
    | FreeLeaks
    | Rebuild
    | StartFrom
)


@dataclasses.dataclass(frozen=True)
class Remedy:
    """What is done about a finding, or why nothing is.

    :param actions: the first of them that can be proved right is done
    :param reason: why nothing is done, if that is known already
    """

    finding: findings.Finding
    actions: tuple[Action, ...]
    reason: str = ''
