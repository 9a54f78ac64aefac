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

"""Which processes of this host have an image open.

It is for looking at only. Processes of other hosts that mount the directory
are not seen, nor those that this user may not look into; locks and libvirt
decide what may be done.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os

import psutil


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process that has an image open.

    :param program: its name, as the kernel has it
    :param image: the file name of the image
    :param writes: it has it open for writing
    """

    pid: int
    program: str
    image: str
    writes: bool


def find(
    directory: str, images: collections.abc.Iterable[str]
) -> list[Holder]:
    """Return who has images open, by process and image.

    :param images: names of files of the directory
    """
    paths = {
        os.path.realpath(os.path.join(directory, name)): name
        for name in images
    }
    found = set()
    for process in psutil.process_iter(['pid', 'name', 'open_files']):
        # None where this user may not look into it.
        for each in process.info['open_files'] or ():
            if each.path in paths:
                found.add(
                    Holder(
                        pid=process.info['pid'],
                        program=process.info['name'],
                        image=paths[each.path],
                        writes=each.mode != 'r',
                    )
                )
    # One may have it open twice; that it writes says all.
    writers = {(each.pid, each.image) for each in found if each.writes}
    return sorted(
        (
            each
            for each in found
            if each.writes or (each.pid, each.image) not in writers
        ),
        key=lambda each: (each.pid, each.image),
    )
