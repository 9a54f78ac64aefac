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

"""What an attack is."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib

# What kinds there are, in the words and the order of the table.
FORGED = 'a header that a guest writes'
BACKING = 'a backing file that is not its own'
DATA_FILE = 'a data file'
FORMAT = 'another format, or two at once'
BOMB = 'more than one can read'
CRYPT = 'a bad LUKS header'
SIZE = 'another size'
CHAIN = 'a chain without an end'
NODE = 'no regular file'
KINDS = (
    *(FORGED, BACKING, DATA_FILE, FORMAT, BOMB, CRYPT, SIZE, CHAIN, NODE),
)


@dataclasses.dataclass(frozen=True)
class Scene:
    """Where an attack takes place.

    :ivar volume: name of the volume that is attacked
    :ivar overlay: name of its one overlay
    :ivar secret: a file of the host, outside the directory
    :ivar other: name of another tenant's volume, in the directory
    :ivar port: of this host, where something listens
    """

    volume: str
    overlay: str
    secret: pathlib.Path
    other: str
    port: int


Write = collections.abc.Callable[[pathlib.Path, Scene], None]


@dataclasses.dataclass(frozen=True)
class Attack:
    """A file that somebody made.

    :ivar kind: one of :data:`KINDS`
    :ivar write: writes it, as a new file
    :ivar claims: the format that whoever uploads it says it has
    :ivar guest: a guest can write it into a raw volume: it is some bytes
    """

    name: str
    kind: str
    write: Write
    claims: str = 'qcow2'
    guest: bool = True

    def __str__(self) -> str:
        return self.name
