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

"""An operation is killed at every point, and the next call finishes it.

What is killed is a real process, by SIGKILL; the points are those before and
after each step, and before and after each child process.
"""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import functools
import itertools
import os
import signal
import subprocess
import typing

import ddt
from oslo_concurrency import processutils

from tests.fixtures import driver as drivers
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import children
from volume_driver import driver as volume_drivers
from volume_driver.operations import faults

Driver = volume_drivers.Qcow2Driver


@dataclasses.dataclass
class Operation:
    """One call of the driver.

    :ivar call: the driver's method and its arguments, to be made again
    :ivar expect: puts what it does into the model
    :ivar direction: option merge_direction
    """

    call: collections.abc.Callable[[Driver], object]
    expect: collections.abc.Callable[[], None]
    direction: str = 'auto'


def create(volume: modelled.ModelledVolume) -> Operation:
    record = drivers.snapshot(volume.record)
    return Operation(
        lambda driver: driver.create_snapshot(record),
        lambda: volume.know_snapshot(record),
    )


def delete(
    volume: modelled.ModelledVolume, position: int, direction: str
) -> Operation:
    record = list(volume.snapshots.values())[position]
    return Operation(
        lambda driver: driver.delete_snapshot(record),
        lambda: volume.forget_snapshot(record),
        direction,
    )


def revert(volume: modelled.ModelledVolume) -> Operation:
    record = list(volume.snapshots.values())[-1]
    return Operation(
        lambda driver: driver.revert_to_snapshot(None, volume.record, record),
        lambda: volume.know_revert(record),
    )


def extend(volume: modelled.ModelledVolume) -> Operation:
    return Operation(
        lambda driver: driver.extend_volume(volume.record, 2),
        lambda: volume.know_size(2),
    )


OPERATIONS: dict[
    str, collections.abc.Callable[[modelled.ModelledVolume], Operation]
] = {
    'create': create,
    'revert': revert,
    'extend': extend,
    **{
        f'{direction}_{name}': functools.partial(
            delete, position=position, direction=direction
        )
        for direction in ('commit', 'pull')
        for name, position in (('oldest', 0), ('middle', 1), ('newest', 2))
    },
}


class KillTestCase(case.OfflineTestCase):
    def again(
        self, template: modelled.ModelledVolume
    ) -> modelled.ModelledVolume:
        """Return a copy of a volume, all its files, on its own directory."""
        directory = self.temp_dir()
        subprocess.run(
            [
                *('cp', '-a', '--sparse=always'),
                *(f'{template.made.directory}/.', directory),
            ],
            check=True,
        )
        made = drivers.DriverFixture(directory, **template.made.options)
        self.useFixture(made)
        volume = modelled.ModelledVolume(
            made,
            copy.deepcopy(template.record),
            copy.deepcopy(template.model),
        )
        volume.snapshots = copy.deepcopy(template.snapshots)
        return volume

    def run_killed(
        self,
        volume: modelled.ModelledVolume,
        operation: Operation,
        point: int,
    ) -> bool:
        """Run an operation in a child that kills itself at a point.

        :param point: how many points it passes before
        :returns: False when there are not so many points
        """
        numbers = itertools.count()

        def reach() -> None:
            if next(numbers) == point:
                os.kill(os.getpid(), signal.SIGKILL)

        def execute(*command: str, **options: typing.Any) -> typing.Any:
            reach()
            found = processutils.execute(*command, **options)
            reach()
            return found

        def run() -> None:
            faults.hook = lambda moment, step: reach()
            made = volume.made.make(merge_direction=operation.direction)
            operation.call(
                Driver(configuration=made.configuration, execute=execute)
            )

        return not children.runs_to_its_end(run)


@ddt.ddt
class KilledOperationTest(KillTestCase):
    @ddt.data(*itertools.product(OPERATIONS, case.FORMATS))
    @ddt.unpack
    def test_same_call_again_finishes_it(
        self, name: str, volume_format: str
    ) -> None:
        template = self.make_volume(volume_format)
        self.make_snapshots(template, 3)
        for point in itertools.count():
            volume = self.again(template)
            operation = OPERATIONS[name](volume)
            killed = self.run_killed(volume, operation, point)
            operation.call(volume.made.merging(operation.direction))
            operation.expect()
            self.check_at(point, volume)
            if not killed:
                break
        # The journal's two moments, and before and after one child.
        self.assertGreaterEqual(point, 4)

    @ddt.data(*itertools.product(OPERATIONS, case.FORMATS))
    @ddt.unpack
    def test_another_call_finishes_it_first(
        self, name: str, volume_format: str
    ) -> None:
        template = self.make_volume(volume_format)
        self.make_snapshots(template, 3)
        for point in itertools.count():
            volume = self.again(template)
            operation = OPERATIONS[name](volume)
            killed = self.run_killed(volume, operation, point)
            if not killed:
                break
            # Also when the options are others by now.
            other = 'commit' if operation.direction == 'pull' else 'pull'
            record = drivers.snapshot(volume.record)
            volume.made.merging(other).create_snapshot(record)
            operation.expect()
            volume.know_snapshot(record)
            self.check_at(point, volume)
        self.assertGreaterEqual(point, 4)

    @ddt.data(*itertools.product(('commit', 'pull', 'revert'), case.FORMATS))
    @ddt.unpack
    def test_recovery_that_is_killed_itself_is_finished(
        self, name: str, volume_format: str
    ) -> None:
        name = name if name == 'revert' else f'{name}_middle'
        template = self.make_volume(volume_format)
        self.make_snapshots(template, 3)
        for first in itertools.count():
            volume = self.again(template)
            operation = OPERATIONS[name](volume)
            if not self.run_killed(volume, operation, first):
                break
            for second in range(0, 12, 3):
                if not self.run_killed(volume, operation, second):
                    break
            operation.call(volume.made.merging(operation.direction))
            operation.expect()
            self.check_at(first, volume)
        self.assertGreaterEqual(first, 4)

    def check_at(self, point: int, volume: modelled.ModelledVolume) -> None:
        """Compare a volume with its model, and say where it was killed."""
        found = volume.differences()
        self.assertEqual([], found, f'killed at point {point}')


@ddt.ddt
class KilledVolumeTest(KillTestCase):
    @ddt.data(*case.FORMATS)
    def test_volume_that_was_deleted_in_part_goes(
        self, volume_format: str
    ) -> None:
        template = self.make_volume(volume_format)
        snapshots = self.make_snapshots(template, 2)
        template.record.status = 'deleting'
        for snapshot in snapshots:
            template.made.driver.delete_snapshot(snapshot)
        for point in itertools.count():
            volume = self.again(template)
            operation = self.deletion(volume)
            killed = self.run_killed(volume, operation, point)
            operation.call(volume.made.driver)
            self.assertEqual({}, model.fingerprint(volume.made.directory))
            if not killed:
                break
        # Five files: before and after each.
        self.assertGreaterEqual(point, 10)

    @ddt.data(*case.FORMATS)
    def test_list_and_describe_bear_a_journal(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, 3)
        operation = OPERATIONS['commit_middle'](volume)
        self.assertTrue(self.run_killed(volume, operation, 1))
        before = model.fingerprint(volume.made.directory)
        found = volume.made.driver.describe(volume.record)
        self.assertIn('delete snapshot', found.unfinished or '')
        volume.made.driver.list_volumes()
        self.assertEqual(before, model.fingerprint(volume.made.directory))

    @ddt.data(*case.FORMATS)
    def test_copy_that_was_cut_off_can_be_made_again(
        self, volume_format: str
    ) -> None:
        for point in range(2):
            volume = self.make_volume(volume_format)
            self.make_snapshots(volume, 1)
            record = drivers.volume(size=2)
            operation = self.cloning(record, volume)
            self.assertTrue(self.run_killed(volume, operation, point))
            operation.call(volume.made.driver)
            view = volume.model.active.copy(2 * case.GIB)
            clone = modelled.ModelledVolume(
                volume.made, record, model.Model(volume_format, view)
            )
            self.check(clone, volume)

    def deletion(self, volume: modelled.ModelledVolume) -> Operation:
        """Return the deletion of a volume."""
        return Operation(
            lambda driver: driver.delete_volume(volume.record),
            lambda: None,
        )

    def cloning(
        self, record: drivers.Volume, volume: modelled.ModelledVolume
    ) -> Operation:
        """Return the creation of a clone."""
        return Operation(
            lambda driver: driver.create_cloned_volume(record, volume.record),
            lambda: None,
        )
