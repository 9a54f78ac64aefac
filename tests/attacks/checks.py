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

"""Says what is wrong with what an entry made."""

from __future__ import annotations

import json
import os
import pathlib

from tests.attacks import content
from tests.attacks import play
from tests.attacks import qcow2
from tests.attacks import stage as stages
from tests.fixtures import image_tools
from tests.fixtures import model
from volume_driver import files
from volume_driver.images import record


def overlay(
    stage: stages.Stage,
    before: stages.Stage,
    path: pathlib.Path,
    below: play.Image,
) -> str:
    """Look at a new overlay, of which nothing else is opened."""
    found = json.loads(
        image_tools.qemu_img('info', '--output=json', '-f', 'qcow2', path)
    )
    # QEMU counts in sectors.
    size = -(-model.size_of(*below) // 512) * 512
    seen = (found['backing-filename'], found['backing-filename-format'])
    if seen != (below[0].name, below[1]):
        return f'the overlay is one of {seen}'
    if found['virtual-size'] not in (size, stages.GIB):
        return f'the overlay has {found["virtual-size"]} bytes'
    return is_as_before(stage, before, below[0].name)


def is_as_before(
    stage: stages.Stage, before: stages.Stage, name: str = ''
) -> str:
    """Say what is different about all files, or about one."""
    now, then = (content.prints(each.directory) for each in (stage, before))
    is_same = now.get(name) == then.get(name) if name else now == then
    return '' if is_same else 'it was changed'


def by_magic(path: pathlib.Path) -> str:
    with path.open('rb') as stream:
        return 'qcow2' if stream.read(4) == qcow2.MAGIC else 'raw'


def recorded(stage: stages.Stage, before: stages.Stage) -> str:
    """Say what is wrong with the format that was written down."""
    found = record.base_format(str(stage.directory), stages.VOLUME)
    path = stage.path(stages.VOLUME)
    right: set[str | None] = {None}
    if stage.place in (stages.GUEST, stages.ACTIVE):
        # A guest's header never counts, and an overlay that says so does.
        right.add('raw')
    if stage.place != stages.GUEST and files.is_file(str(path)):
        right.add(by_magic(path))
    return '' if found in right else f'it is recorded as {found}'


def begins_as(given: play.Image, volume: play.Image) -> str:
    """Compare what an image shows with the beginning of a volume."""
    flat = [path.with_name(f'{path.name}.flat') for path, _ in (given, volume)]
    for (path, named), out in zip((given, volume), flat, strict=True):
        image_tools.qemu_img('convert', '-f', named, '-O', 'raw', path, out)
    os.truncate(flat[0], stages.GIB)
    found = content.same((flat[0], 'raw'), (flat[1], 'raw'))
    for out in flat:
        out.unlink()
    return found
