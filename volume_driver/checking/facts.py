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

"""What was seen of a volume, as values: what the findings are told from."""

from __future__ import annotations

import collections.abc
import dataclasses

from volume_driver import info
from volume_driver.images import header


@dataclasses.dataclass(frozen=True)
class Image:
    """One file that has the name of an image.

    :param length: of the file, in bytes
    :param magic: it begins as a qcow2 image does
    :param header: what its qcow2 header says, None where that is not readable
    :param problem: why it, or its header, could not be read
    :param writer: some process may write to it
    """

    name: str
    length: int = 0
    magic: bool = False
    header: header.Header | None = None
    problem: str | None = None
    writer: bool = False


@dataclasses.dataclass(frozen=True)
class Guest:
    """The disk of a running guest.

    :param images: what it has open, the base first
    :param size: of the disk as the guest sees it, in bytes
    :param job: the block job that runs on it, in words
    """

    name: str
    images: tuple[str, ...]
    size: int
    job: str | None = None


@dataclasses.dataclass(frozen=True)
class Start:
    """What a guest starts from when it is next started.

    :param image: its file name
    :param running: the guest runs now, so this is for later
    """

    guest: str
    image: str
    running: bool = False


@dataclasses.dataclass(frozen=True)
class Journal:
    """An operation that was begun and not ended.

    :param names: all files that its plan names
    """

    operation: str
    written_by: str
    written_at: str
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f'{self.operation}, begun by {self.written_by} at ' + (
            self.written_at
        )


@dataclasses.dataclass(frozen=True)
class Unseen:
    """What could not be looked at.

    :param kind: of the finding that tells it
    :param file: name of the file, or nothing
    :param reason: in words, a sentence or more
    """

    kind: str
    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Known:
    """What a record of the caller says of a volume.

    :param size: in GiB; None where it does not say it
    :param snapshots: ids of its snapshots, likewise
    """

    size: int | None = None
    snapshots: frozenset[str] | None = None


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that was seen of one volume at about one moment.

    :param names: of all files in the directory that begin with its name
    :param images: those of them that have the name of an image, by name
    :param info: None where there is none, or none that can be read
    :param record: the recorded format of the base
    :param nameless: overlays that may be without a snapshot
    :param info_problem: why ``.info`` cannot be trusted, likewise the others
    :param guests: running ones
    :param looked_at: where guests were looked for; None when nobody could be
        asked
    :param quiet: seconds since any of its files was changed, but those that
        guests write to
    """

    volume: str
    names: frozenset[str]
    images: collections.abc.Mapping[str, Image]
    info: info.Info | None = None
    info_problem: str | None = None
    record: str | None = None
    nameless: frozenset[str] = frozenset()
    record_problem: str | None = None
    journal: Journal | None = None
    journal_problem: str | None = None
    guests: tuple[Guest, ...] = ()
    starts: tuple[Start, ...] = ()
    looked_at: str | None = 'nowhere'
    unseen: tuple[Unseen, ...] = ()
    volume_format: str = 'qcow2'
    max_depth: int = 100
    quiet: float = float('inf')
