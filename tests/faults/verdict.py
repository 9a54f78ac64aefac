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

"""What came of a case: is everything there, and does it go on?

*lost*: an image cannot be read, or a view is not what it was, byte for byte.
*stuck*: the data is there, but the operation does not end when it is called
again, or something stands about that nobody will ever tidy up.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import re
import subprocess

from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model as models
from volume_driver import exception

OK = 'ok'
LOST = 'lost'
STUCK = 'stuck'
# The fault did not happen: the matrix is out of step with the code.
INVALID = 'invalid'


@dataclasses.dataclass
class Verdict:
    """The outcome of one case.

    :ivar lost: what is lost, in words
    :ivar stuck: what does not go on, in words
    :ivar invalid: why the case says nothing
    :ivar leaks: clusters that ``qemu-img check`` says are leaked
    """

    lost: list[str] = dataclasses.field(default_factory=list)
    stuck: list[str] = dataclasses.field(default_factory=list)
    invalid: str = ''
    leaks: int = 0
    seconds: float = 0.0
    log: str = ''

    @property
    def state(self) -> str:
        if self.invalid:
            return INVALID
        if self.lost:
            return LOST
        return STUCK if self.stuck else OK

    @property
    def reason(self) -> str:
        found = [self.invalid, *self.lost, *self.stuck]
        return '; '.join(text for text in found if text)


def look(
    verdict: Verdict,
    directory: pathlib.Path,
    name: str,
    alternatives: collections.abc.Sequence[models.Model],
    settled: bool,
) -> None:
    """Compare a volume that nobody has open with what it has to be.

    :param alternatives: what it may be: one of these
    :param settled: the operation has ended, so also its traces are looked at
    """
    try:
        files = models.Files(directory, name, alternatives[0].base_format)
    except (image_tools.ToolError, ValueError, OSError) as error:
        verdict.lost.append(f'{name} cannot be read: {error}')
        return
    found = [_losses(files, model) for model in alternatives]
    found.sort(key=len)
    verdict.lost += found[0]
    for image in files.chain:
        if files.format(image) == 'qcow2':
            _check(verdict, directory / image)
    if settled:
        verdict.stuck += files.problems()
        extra = set(files.snapshots) - set(alternatives[0].snapshots)
        if extra:
            verdict.stuck.append(f'.info still has {sorted(extra)}')


def _losses(files: models.Files, model: models.Model) -> list[str]:
    found = []
    images = {'the active view': (files.chain[-1], model.active)}
    for snapshot_id, view in model.snapshots.items():
        overlay = files.snapshots.get(snapshot_id)
        if overlay not in files.chain[1:]:
            found.append(f'snapshot {snapshot_id} has no image: {overlay}')
            continue
        image = files.below(overlay)
        images[f'snapshot {snapshot_id}'] = (image, view)
    for what, (image, view) in images.items():
        problem = files.compare(image, view)
        if problem:
            found.append(f'{what}: {problem}')
    return found


def _check(verdict: Verdict, path: pathlib.Path) -> None:
    result = subprocess.run(
        ['qemu-img', 'check', '-f', 'qcow2', path],
        capture_output=True,
        text=True,
    )
    # 3: leaked clusters, which cost space and nothing else.
    if result.returncode not in (0, 3):
        verdict.lost.append(f'check of {path.name}: {result.stdout.strip()}')
    leaked = re.search(r'(\d+) leaked clusters', result.stdout)
    verdict.leaks += int(leaked.group(1)) if leaked else 0


# Of the last merge that was long enough to be measured.
_SPEED = '.merge_speed'


def look_around(
    verdict: Verdict, directory: pathlib.Path, names: set[str]
) -> None:
    """Look for files that belong to no volume.

    :param names: of the volumes that there are
    """
    for path in sorted(directory.iterdir()):
        ours = path.name.partition('.')[0] in names
        if not path.is_dir() and not ours and path.name != _SPEED:
            verdict.stuck.append(f'{path.name} stands about')


def describe(
    verdict: Verdict,
    made: drivers.DriverFixture,
    record: drivers.Volume,
) -> None:
    """Let the driver say what the volume is."""
    try:
        found = made.driver.describe(record)
    except exception.VolumeDriverError as error:
        verdict.stuck.append(f'describe: {error}')
        return
    if found.unfinished:
        verdict.stuck.append(f'unfinished: {found.unfinished}')
