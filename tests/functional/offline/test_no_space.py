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

"""The filesystem is full: nothing is lost, and later the call succeeds."""

from __future__ import annotations

import itertools
import os
import pathlib

import ddt
import fixtures

from tests.fixtures import driver as drivers
from tests.fixtures import modelled
from tests.functional.offline import case
from volume_driver import exception
from volume_driver.operations import faults
from volume_driver.planning import plan

MERGES = list(itertools.product(('commit', 'pull'), case.FORMATS))


@ddt.ddt
class NoSpaceTest(case.OfflineTestCase):
    """On a filesystem of 6 MiB, which really is full."""

    def make_small(self, volume_format: str) -> modelled.ModelledVolume:
        """Make a volume on a small filesystem."""
        directory = self.mount(
            *('-t', 'tmpfs', '-o', 'size=6M,mode=755', 'tmpfs')
        )
        made = self.make_driver(volume_format, directory=directory)
        volume = modelled.ModelledVolume.create(made)
        volume.write(case.GIB - 64 * case.KIB, 64 * case.KIB, 0x31)
        return volume

    def fill(self, volume: modelled.ModelledVolume, left: int) -> pathlib.Path:
        """Fill the filesystem, up to a few bytes; return the file."""
        status = os.statvfs(volume.made.directory)
        free = status.f_bavail * status.f_frsize
        filler = volume.made.path('filler')
        filler.write_bytes(b'x' * (free - left))
        return filler

    def make_mergeable(
        self, volume_format: str
    ) -> tuple[modelled.ModelledVolume, drivers.Snapshot]:
        """Make a volume with 1 MiB for a pull and 1 MiB for a commit."""
        volume = self.make_small(volume_format)
        volume.write(0, case.MIB, 0x32)
        snapshot = volume.create_snapshot()
        volume.write(8 * case.MIB, case.MIB, 0x33)
        return volume, snapshot

    @ddt.data(*itertools.product((0, 32 * case.KIB), case.FORMATS))
    @ddt.unpack
    def test_snapshot_without_room_for_journal_or_overlay(
        self, left: int, volume_format: str
    ) -> None:
        volume = self.make_small(volume_format)
        filler = self.fill(volume, left)
        with self.refused(exception.NoSpace, volume.made.directory):
            volume.create_snapshot()
        filler.unlink()
        self.check(volume)
        volume.create_snapshot()
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_new_volume_without_room(self, volume_format: str) -> None:
        volume = self.make_small(volume_format)
        self.fill(volume, 0)
        with self.refused(exception.NoSpace, volume.made.directory):
            volume.made.driver.create_volume(drivers.volume())

    @ddt.data(*case.FORMATS)
    def test_copy_without_room(self, volume_format: str) -> None:
        volume = self.make_small(volume_format)
        filler = self.fill(volume, 32 * case.KIB)
        with self.refused(exception.NoSpace, volume.made.directory):
            volume.clone(1)
        filler.unlink()
        self.check(volume, volume.clone(1))

    @ddt.data(*case.FORMATS)
    def test_revert_without_room(self, volume_format: str) -> None:
        volume, snapshot = self.make_mergeable(volume_format)
        filler = self.fill(volume, 32 * case.KIB)
        with self.refused(exception.NoSpace, volume.made.directory):
            volume.revert(snapshot)
        filler.unlink()
        volume.revert(snapshot)
        self.check(volume)

    @ddt.data(*MERGES)
    @ddt.unpack
    def test_merge_that_has_no_room_is_not_begun(
        self, direction: str, volume_format: str
    ) -> None:
        volume, snapshot = self.make_mergeable(volume_format)
        filler = self.fill(volume, 128 * case.KIB)
        with self.refused(exception.MergeNeedsSpace, volume.made.directory):
            volume.delete_snapshot(snapshot, direction)
        filler.unlink()
        volume.delete_snapshot(snapshot, direction)
        self.check(volume)

    @ddt.data(*MERGES)
    @ddt.unpack
    def test_merge_that_runs_out_of_room_is_finished_later(
        self, direction: str, volume_format: str
    ) -> None:
        volume, snapshot = self.make_mergeable(volume_format)
        self.fill_before_merge(volume)
        self.assertRaises(
            exception.NoSpace, volume.delete_snapshot, snapshot, direction
        )
        # All that the volume holds can be read, merged or not.
        files = volume.files()
        active = files.compare(files.chain[-1], volume.model.active)
        self.assertIsNone(active)
        # As long as it is full every call says so.
        self.assertRaises(
            exception.VolumeDriverError, volume.delete_snapshot, snapshot
        )
        volume.made.path('filler').unlink()
        volume.delete_snapshot(snapshot, direction)
        self.check(volume)
        self.check_images(volume)

    def fill_before_merge(self, volume: modelled.ModelledVolume) -> None:
        """Let somebody else fill the filesystem when the merge begins."""

        def hook(moment: str, step: plan.Step | None) -> None:
            if isinstance(step, plan.Commit | plan.Pull):
                self.fill(volume, 256 * case.KIB)
                faults.hook = None

        self.useFixture(fixtures.MonkeyPatch(f'{faults.__name__}.hook', hook))
