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

"""Somebody uses a volume between an operation's cut-off and the next call."""

from __future__ import annotations

import collections.abc
import contextlib

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.functional.offline import case
from volume_driver import exception
from volume_driver.operations import faults
from volume_driver.planning import plan

MIB = 1 << 20


class Cut(BaseException):
    """Ends an operation like a crash: nothing is taken back."""


@contextlib.contextmanager
def cut(moment: str, kind: type | None) -> collections.abc.Iterator[None]:
    """Cut an operation off before or after a step, or at its journal."""

    def hook(now: str, step: plan.Step | None) -> None:
        if now == moment and type(step) is (kind or type(None)):
            raise Cut

    faults.hook = hook
    try:
        yield
    except Cut:
        pass
    else:
        raise AssertionError('it was not cut off')
    finally:
        faults.hook = None


@ddt.ddt
class UsedMeanwhileTest(case.OfflineTestCase):
    def make_used(self, volume_format: str) -> drivers.Volume:
        self.volume_format = volume_format
        self.made = self.useFixture(
            drivers.DriverFixture(
                volume_format=volume_format, merge_direction='commit'
            )
        )
        volume = drivers.volume(size=1)
        self.made.driver.create_volume(volume)
        return volume

    def write(self, name: str, image_format: str, pattern: int) -> None:
        path = self.made.directory / name
        image_tools.qemu_io_write(path, image_format, 0, MIB, pattern)

    def seen(self, volume: drivers.Volume) -> int:
        """Return the first byte of what a guest would see."""
        path = self.made.active(volume)
        image_format = 'qcow2' if '.' in path.name else self.volume_format
        return image_tools.content(path, image_format)[0]

    @ddt.data('qcow2', 'raw')
    def test_top_of_a_commit_that_was_written_to_is_committed_again(
        self, volume_format: str
    ) -> None:
        volume = self.make_used(volume_format)
        snapshot = drivers.snapshot(volume)
        self.made.driver.create_snapshot(snapshot)
        top = self.made.active(volume).name
        self.write(top, 'qcow2', 1)
        with cut('before', plan.StartFrom):
            self.made.driver.delete_snapshot(snapshot)
        self.write(top, 'qcow2', 2)
        self.made.driver.delete_snapshot(snapshot)
        self.assertEqual(2, self.seen(volume))

    @ddt.data('qcow2', 'raw')
    def test_both_were_written_to(self, volume_format: str) -> None:
        volume = self.make_used(volume_format)
        snapshot = drivers.snapshot(volume)
        self.made.driver.create_snapshot(snapshot)
        top = self.made.active(volume).name
        self.write(top, 'qcow2', 1)
        with cut('before', plan.Remove):
            self.made.driver.delete_snapshot(snapshot)
        self.write(top, 'qcow2', 2)
        self.write(volume.name, volume_format, 3)
        error = self.assertRaises(
            exception.RecoveryFailed,
            self.made.driver.delete_snapshot,
            snapshot,
        )
        self.assertIn('a guest was started from each', str(error))
        self.assertTrue((self.made.directory / top).exists())

    @ddt.data(('after', None), ('after', plan.Empty))
    @ddt.unpack
    def test_overlay_of_a_revert_that_was_written_to_stays(
        self, moment: str, kind: type | None
    ) -> None:
        volume = self.make_used('qcow2')
        snapshot = drivers.snapshot(volume)
        self.made.driver.create_snapshot(snapshot)
        top = self.made.active(volume).name
        self.write(top, 'qcow2', 1)
        with cut(moment, kind):
            self.made.driver.revert_to_snapshot(None, volume, snapshot)
        self.write(top, 'qcow2', 2)
        self.made.driver.recover(volume)
        self.assertEqual(2, self.seen(volume))

    def test_new_volume_is_not_deleted_with_the_old_one(self) -> None:
        volume = self.make_used('qcow2')
        with cut('before', None):
            self.made.driver.delete_volume(volume)
        self.made.driver.create_volume(volume)
        self.write(volume.name, 'qcow2', 4)
        self.made.make(volume_format='qcow2').do_setup(None)
        self.assertEqual(4, self.seen(volume))

    def test_id_can_be_taken_again_after_a_pull(self) -> None:
        volume = self.make_used('qcow2')
        snapshot = drivers.snapshot(volume)
        driver = self.made.make(merge_direction='pull')
        for pattern in (5, 6, 7):
            driver.create_snapshot(snapshot)
            self.write(self.made.active(volume).name, 'qcow2', pattern)
            driver.delete_snapshot(snapshot)
            self.assertEqual(pattern, self.seen(volume))
