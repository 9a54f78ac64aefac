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

"""Data out of a volume that a guest runs on, and how far a merge has come."""

from __future__ import annotations

import itertools
import pathlib

import ddt

from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from tests.fixtures import processes
from tests.functional.live import case
from tests.functional.live import jobs
from volume_driver import exception
from volume_driver.operations import copies
from volume_driver.operations import progress

GIB = case.GIB
KIB = case.KIB
MIB = case.MIB

_TIMEOUT = 60.0


@ddt.ddt
class ReadOutTest(case.LiveTestCase):
    @ddt.data(*itertools.product(case.FORMATS, case.FORMATS, (0, 2)))
    @ddt.unpack
    def test_it_has_what_the_guest_wrote(
        self, volume_format: str, image_format: str, count: int
    ) -> None:
        volume, snapshots = self.make_running(volume_format, count)
        path = self.temp_dir() / 'flat'
        before = self.in_use(volume)
        copies.read_out(self.source(volume), str(path), image_format)
        self.check_flat(path, image_format, volume.model.active)
        self.assertTrue(volume.is_running())
        self.assertEqual(before, self.in_use(volume))
        volume.write(0, 64 * KIB, 0x91)
        self.check(volume)
        for snapshot in snapshots:
            self.read_snapshot(volume, snapshot.id)
        self.check_next_start(volume)

    def read_snapshot(self, volume: case.GuestVolume, name: str) -> None:
        source = self.source(volume)
        path = self.temp_dir() / 'flat'
        copies.read_out(
            copies.Source(source.context, source.target, name),
            str(path),
            'raw',
        )
        self.check_flat(path, 'raw', volume.model.snapshots[name])

    def in_use(self, volume: case.GuestVolume) -> tuple[str, ...]:
        """Return the images that the guest has open."""
        driver = volume.made.driver
        target = driver.target(volume.record)
        live = driver.context.hypervisor.find(target).live
        assert live is not None
        return live.chain()

    def source(self, volume: case.GuestVolume) -> copies.Source:
        return volume.made.driver.source(volume.record)

    def check_flat(
        self, path: pathlib.Path, image_format: str, view: model.View
    ) -> None:
        """Compare a file with a view."""
        self.assertEqual(view.size, model.size_of(path, image_format))
        expected = self.temp_dir() / 'expected'
        view.save(expected)
        image_tools.qemu_img(
            *('compare', '-f', 'raw', '-F', image_format),
            *(expected, path),
        )


@ddt.ddt
class WriteOverTest(case.LiveTestCase):
    def put(self, volume: case.GuestVolume) -> model.View:
        """Put a raw file beside a volume that is to be its data."""
        view = model.View(GIB)
        view.write(8 * MIB, MIB, 0x61)
        view.save(volume.made.path(f'{volume.record.name}.export-image'))
        return view

    def write_over(self, volume: case.GuestVolume) -> None:
        context = volume.made.driver.context
        copies.write_over(
            context,
            volume.made.driver.target(volume.record),
            context.path(f'{volume.record.name}.export-image'),
            'raw',
        )

    @ddt.data(0, 1)
    def test_refused_while_the_guest_runs(self, count: int) -> None:
        volume, _ = self.make_running('qcow2', count)
        volume.guest.flush()
        self.put(volume)
        with (
            self.definition_kept(volume.guest),
            self.refused(exception.VolumeInUse, volume.made.directory),
        ):
            self.write_over(volume)
        volume.made.path(f'{volume.record.name}.export-image').unlink()
        self.check(volume)

    @ddt.data(*itertools.product(case.FORMATS, (0, 1)))
    @ddt.unpack
    def test_guest_that_is_off_starts_from_it(
        self, volume_format: str, count: int
    ) -> None:
        volume, _ = self.make_running(volume_format, count)
        volume.guest.destroy()
        view = self.put(volume)
        self.write_over(volume)
        volume.model.active = view
        if not count:
            volume.model.base_format = 'raw'
            self.assertEqual('raw', volume.next_start()[1])
        self.check(volume)
        self.check_next_start(volume)


@ddt.ddt
class WatchTest(case.LiveTestCase):
    def watch(self, volume: modelled.ModelledVolume) -> list[int]:
        """Delete the one snapshot; return what was seen meanwhile."""
        driver = volume.made.driver
        (snapshot,) = volume.snapshots.values()
        watch = progress.Watch(driver.context, driver.target(volume.record))
        self.assertIsNone(watch.percent())
        seen: list[int] = []

        def look() -> bool:
            percent = watch.percent()
            if percent is not None:
                seen.append(percent)
            return call.done()

        with jobs.in_background(
            lambda: volume.delete_snapshot(snapshot, 'commit')
        ) as call:
            processes.wait_until(look, 'the deletion ends', _TIMEOUT)
        call.result()
        self.assertIsNone(watch.percent())
        return seen

    def check_moved(self, seen: list[int]) -> None:
        self.assertEqual(sorted(seen), seen)
        self.assertLessEqual(seen[-1], 99)
        between = {each for each in seen if 0 < each < 99}
        self.assertGreater(len(between), 1, seen)

    @ddt.data(*case.FORMATS)
    def test_live_commit(self, volume_format: str) -> None:
        volume, _ = self.make_running(
            volume_format, 1, options={'merge_bandwidth': 8}
        )
        # A job with a limit may copy 16 MiB at a time.
        volume.write(256 * MIB, 64 * MIB, 0x71)
        self.check_moved(self.watch(volume))
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_offline_commit(self, volume_format: str) -> None:
        volume = modelled.ModelledVolume.create(
            self.make_driver(volume_format, merge_bandwidth=8)
        )
        self.take_snapshots(volume, 1)
        # A job with a limit copies 16 MiB at a time.
        volume.write(256 * MIB, 64 * MIB, 0x71)
        self.check_moved(self.watch(volume))
        self.check(volume)
