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

"""What the demo shows, chapter by chapter."""

from __future__ import annotations

import logging
import pathlib
import shutil
import tempfile

import fixtures
import libvirt
from stevedore import exception as stevedore_exception

from examples import report
from examples import stage as stages
from tests.fixtures import guest
from tests.fixtures import guest_image
from tests.fixtures import hypervisor
from tests.fixtures import image_tools
from volume_driver import exception

ERRORS = (
    OSError,
    fixtures.MultipleExceptions,
    exception.VolumeDriverError,
    guest.GuestError,
    guest_image.GuestImageError,
    hypervisor.HypervisorError,
    image_tools.ToolError,
    libvirt.libvirtError,
    stevedore_exception.NoMatches,
)
"""What can stop the demo; see :func:`reason`."""


def reason(error: BaseException) -> str:
    """Return, in words, why the demo cannot go on."""
    if isinstance(error, fixtures.MultipleExceptions):
        # Of a fixture that could not be set up; the first is the cause.
        error = error.args[0][1]
    return f'{type(error).__name__}: {error}'


def run(
    image_format: str, directory: pathlib.Path, seconds_between: float
) -> int:
    """Run the demo in a new directory below ``directory``.

    :param image_format: of the base image, 'qcow2' or 'raw'
    :param seconds_between: how long to wait after every operation
    :returns: 1 when a block was lost, else 0
    """
    # What the driver logs below this the report tells too.
    logging.basicConfig(level=logging.ERROR, format='%(message)s')
    printed = report.Report()
    place = pathlib.Path(tempfile.mkdtemp(prefix='demo-', dir=directory))
    keep = False
    try:
        stage = stages.Stage(place, image_format, seconds_between, printed)
        _play(stage, printed, image_format)
    except (stages.BlocksLost, exception.VolumeDriverError) as error:
        keep = True
        printed.say(f'The images are kept in {place}.')
        if not isinstance(error, stages.BlocksLost):
            raise
    finally:
        if not keep:
            shutil.rmtree(place)
    printed.end()
    return 1 if printed.lost else 0


def _play(
    stage: stages.Stage, printed: report.Report, image_format: str
) -> None:
    printed.introduce()
    printed.chapter(f'A new volume, its base image is {image_format}')
    stage.create_volume()
    stage.write(0, 8, 0x11)
    with stage.guest():
        stage.attach()
        printed.chapter('Live: a guest writes, and waits for no one')
        _live(stage)
        printed.chapter('Live, again: here a pull copies less')
        _live_pull(stage)
        printed.chapter('Offline: the same while no guest runs')
        _offline(stage)
        printed.chapter('Back to a snapshot, and on')
        _back_and_on(stage)
    stage.delete_volume()


def _live(stage: stages.Stage) -> None:
    stage.start_guest()
    for snapshot in ('snap-1', 'snap-2', 'snap-3'):
        stage.create_snapshot(snapshot)
        stage.let_guest_write()
    stage.show()
    stage.delete_snapshot('snap-2', 'the middle one')
    stage.delete_snapshot('snap-1', 'the oldest')
    stage.delete_snapshot('snap-3', 'the newest')


def _live_pull(stage: stages.Stage) -> None:
    stage.create_snapshot('snap-4')
    stage.create_snapshot('snap-5')
    stage.let_guest_write()
    stage.delete_snapshot('snap-5', 'the newest')
    stage.delete_snapshot('snap-4', 'the only one')


def _offline(stage: stages.Stage) -> None:
    stage.stop_guest()
    stage.create_snapshot('snap-6')
    stage.write(6, 4, 0x66)
    stage.create_snapshot('snap-7')
    stage.write(7, 12, 0x77)
    stage.create_snapshot('snap-8')
    stage.write(8, 6, 0x88)
    stage.delete_snapshot('snap-7', 'the middle one')
    stage.delete_snapshot('snap-6', 'the oldest')
    stage.delete_snapshot('snap-8', 'the newest')


def _back_and_on(stage: stages.Stage) -> None:
    stage.create_snapshot('snap-9')
    stage.spoil()
    stage.revert('snap-9')
    stage.start_guest()
    stage.delete_snapshot('snap-9', 'the only one')
    stage.let_guest_write()
    stage.stop_guest(kill=True)
