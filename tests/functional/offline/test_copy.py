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

"""A volume is made from a snapshot, or from another volume."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess

import ddt

from tests.fixtures import modelled
from tests.functional.offline import case
from volume_driver import exception

SIZES = (1, 2)


@ddt.ddt
class CopyTest(case.OfflineTestCase):
    @ddt.data(*itertools.product((0, 1, 2), SIZES, case.FORMATS))
    @ddt.unpack
    def test_volume_from_snapshot_has_its_data(
        self, number: int, size: int, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        snapshots = self.make_snapshots(volume, 3)
        copy = volume.copy_snapshot(snapshots[number], size)
        self.check(copy, volume)

    @ddt.data(*itertools.product((0, 2), SIZES, case.FORMATS))
    @ddt.unpack
    def test_clone_has_the_active_data(
        self, depth: int, size: int, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, depth)
        clone = volume.clone(size)
        self.check(clone, volume)

    @ddt.data(*case.FORMATS)
    def test_copies_are_sparse(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        (snapshot,) = self.make_snapshots(volume, 1)
        for copy in (volume.clone(2), volume.copy_snapshot(snapshot, 2)):
            path = volume.made.path(copy.record.name)
            self.assertLess(path.stat().st_blocks * 512, 4 * case.MIB)
            self.assertEqual(0o660, path.stat().st_mode & 0o777)

    @ddt.data(*case.FORMATS)
    def test_copies_live_on_their_own(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        (snapshot,) = self.make_snapshots(volume, 1)
        copy = volume.copy_snapshot(snapshot, 2)
        self.make_snapshots(copy, 2)
        volume.delete_snapshot(snapshot)
        volume.write(0, case.MIB, 0x99)
        copy.write(2 * case.GIB - case.MIB, case.MIB, 0x98)
        self.check(copy, volume)
        volume.made.driver.delete_volume(volume.record)
        self.check(copy)

    @ddt.data(*itertools.permutations(case.FORMATS))
    @ddt.unpack
    def test_copy_has_the_format_that_is_configured_now(
        self, before: str, now: str
    ) -> None:
        volume = self.make_volume(before)
        volume.made.driver = volume.made.make(volume_format=now)
        clone = volume.clone(1)
        clone.model.base_format = now
        self.check(clone, volume)

    @ddt.data(*case.FORMATS)
    def test_copy_of_a_smaller_snapshot_keeps_the_size_asked_for(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        (snapshot,) = self.make_snapshots(volume, 1)
        volume.extend(3)
        volume.write(3 * case.GIB - case.MIB, case.MIB, 0x66)
        copies = [
            volume.copy_snapshot(snapshot, 1),
            volume.copy_snapshot(snapshot, 3),
            volume.clone(3),
        ]
        self.check(volume, *copies)

    @ddt.data(*case.FORMATS)
    def test_copy_that_would_lose_data_is_refused(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        volume.extend(2)
        snapshot = volume.create_snapshot()
        directory = volume.made.directory
        with self.refused(exception.InvalidSize, directory):
            volume.clone(1)
        with self.refused(exception.InvalidSize, directory):
            volume.copy_snapshot(snapshot, 1)


@ddt.ddt
class SharedExtentsTest(case.OfflineTestCase):
    """On a filesystem that can share extents: nothing is copied."""

    def make_xfs(self) -> pathlib.Path:
        self.require_program('mkfs.xfs', 'xfsprogs')
        image = self.temp_dir() / 'xfs'
        image.touch()
        os.truncate(image, 512 * case.MIB)
        subprocess.run(
            ['mkfs.xfs', '-q', '-m', 'reflink=1', image], check=True
        )
        return self.mount('-o', 'loop', image)

    def free(self, directory: pathlib.Path) -> int:
        """Return the bytes that are free once all is written."""
        os.sync()
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize

    @ddt.data(*itertools.product((0, 2), case.FORMATS, case.FORMATS))
    @ddt.unpack
    def test_a_clone_takes_no_room(
        self, depth: int, before: str, now: str
    ) -> None:
        directory = self.make_xfs()
        volume = modelled.ModelledVolume.create(
            self.make_driver(before, directory=directory)
        )
        volume.write(0, 64 * case.MIB, 0x41)
        self.make_snapshots(volume, depth)
        volume.made.driver = volume.made.make(volume_format=now)
        free = self.free(directory)
        clone = volume.clone(1)
        clone.model.base_format = now
        self.assertGreater(8 * case.MIB, free - self.free(directory))
        self.check(clone, volume)
        clone.write(0, case.MIB, 0x42)
        self.check(clone, volume)
