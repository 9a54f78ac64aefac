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

"""Data goes out of a volume into a flat file, and back."""

from __future__ import annotations

import functools
import itertools
import json
import pathlib

import ddt

from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import kills
from tests.functional.offline import test_recovery
from volume_driver import driver as volume_drivers
from volume_driver import exception
from volume_driver.operations import copies

Driver = volume_drivers.Qcow2Driver


@ddt.ddt
class ReadOutTest(case.OfflineTestCase):
    @ddt.data(*itertools.product(case.FORMATS, case.FORMATS, (0, 3)))
    @ddt.unpack
    def test_every_view(
        self, volume_format: str, image_format: str, count: int
    ) -> None:
        volume = self.make_volume(volume_format)
        views: dict[str | None, model.View] = {None: volume.model.active}
        for snapshot in self.make_snapshots(volume, count):
            views[snapshot.id] = volume.model.snapshots[snapshot.id]
        for snapshot_id, view in views.items():
            path = self.temp_dir() / 'flat'
            source = volume.made.driver.source(volume.record)
            copies.read_out(
                copies.Source(source.context, source.target, snapshot_id),
                str(path),
                image_format,
            )
            self.check_flat(path, image_format, view)
        self.check(volume)

    def check_flat(
        self, path: pathlib.Path, image_format: str, view: model.View
    ) -> None:
        """Compare a file with a view; it must have nothing behind it."""
        found = json.loads(
            image_tools.qemu_img(
                'info', '--output=json', '-f', image_format, path
            )
        )
        self.assertNotIn('backing-filename', found)
        self.assertEqual(view.size, model.size_of(path, image_format))
        expected = self.temp_dir() / 'expected'
        view.save(expected)
        image_tools.qemu_img(
            *('compare', '-f', 'raw', '-F', image_format),
            *(expected, path),
        )


class WriteOverTestCase(test_recovery.KillTestCase):
    def given(self, size: int = case.GIB) -> model.View:
        """Return other data than a volume has, and zeros over some of it."""
        view = model.View(size)
        view.write(4 * case.KIB, 64 * case.KIB, 0x71)
        view.write(100 * case.MIB, 128 * case.KIB, 0x72)
        view.write(size - 32 * case.KIB, 8 * case.KIB, 0x73)
        return view

    def put(
        self,
        volume: modelled.ModelledVolume,
        view: model.View,
        image_format: str,
    ) -> pathlib.Path:
        """Put a file beside a volume that is to be its data."""
        path = volume.made.path(f'{volume.record.name}.export-image')
        raw = self.temp_dir() / 'raw'
        view.save(raw)
        image_tools.qemu_img(
            *('convert', '-f', 'raw', '-O', image_format, raw, path)
        )
        # Zeros that are written, not only left out.
        zeros = 64 * case.MIB
        image_tools.qemu_io_write(path, image_format, zeros, case.MIB, 0)
        return path

    def know(
        self,
        volume: modelled.ModelledVolume,
        view: model.View,
        image_format: str,
    ) -> None:
        """Note that a volume holds a view now."""
        volume.model.active = view.copy(volume.model.active.size)
        if not volume.snapshots:
            volume.model.base_format = image_format

    def write_over(
        self,
        driver: Driver,
        volume: modelled.ModelledVolume,
        image_format: str,
    ) -> None:
        name = f'{volume.record.name}.export-image'
        copies.write_over(
            driver.context,
            driver.target(volume.record),
            driver.context.path(name),
            image_format,
        )


KINDS = tuple(itertools.product(case.FORMATS, case.FORMATS, (0, 2)))


@ddt.ddt
class WriteOverTest(WriteOverTestCase):
    @ddt.data(
        *(
            (*kind, size)
            for kind in KINDS
            for size in (case.GIB, 300 * case.MIB)
        )
    )
    @ddt.unpack
    def test_volume_has_it_and_snapshots_have_what_they_had(
        self, volume_format: str, image_format: str, count: int, size: int
    ) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, count)
        view = self.given(size)
        self.put(volume, view, image_format)
        self.write_over(volume.made.driver, volume, image_format)
        self.know(volume, view, image_format)
        self.check(volume)
        self.check_images(volume)
        # It goes on as any other.
        self.make_snapshots(volume, 2)
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
            self.check(volume)

    @ddt.data(*KINDS)
    @ddt.unpack
    def test_same_call_again_finishes_it(
        self, volume_format: str, image_format: str, count: int
    ) -> None:
        template = self.make_volume(volume_format)
        self.make_snapshots(template, count)
        view = self.given(300 * case.MIB)
        self.put(template, view, image_format)
        call = functools.partial(self.call, image_format=image_format)
        for point in itertools.count():
            volume = self.again(template)
            ended = kills.runs_to_its_end(
                volume.made, functools.partial(call, volume=volume), point
            )
            if volume.made.path(f'{volume.record.name}.export-image').exists():
                call(volume.made.driver, volume=volume)
            self.know(volume, view, image_format)
            volume.create_snapshot()
            found = volume.differences()
            self.assertEqual([], found, f'killed at point {point}')
            if ended:
                break
        self.assertGreaterEqual(point, 12)

    @ddt.data(*KINDS)
    @ddt.unpack
    def test_without_the_file_it_is_whole_all_the_same(
        self, volume_format: str, image_format: str, count: int
    ) -> None:
        """Whoever comes next drops the file before anything else."""
        template = self.make_volume(volume_format)
        self.make_snapshots(template, count)
        view = self.given()
        self.put(template, view, image_format)
        call = functools.partial(self.call, image_format=image_format)
        outcomes = set()
        for point in itertools.count():
            volume = self.again(template)
            ended = kills.runs_to_its_end(
                volume.made, functools.partial(call, volume=volume), point
            )
            name = volume.record.name
            for pattern in ('export-*', '*.part'):
                for path in volume.made.directory.glob(f'{name}.{pattern}'):
                    path.unlink()
            volume.made.driver.recover(volume.record)
            before = self.differences(volume)
            if before:
                self.know(volume, view, image_format)
            after = volume.differences()
            self.assertEqual([], after, f'killed at {point}; old: {before}')
            outcomes.add(bool(before))
            if ended:
                break
        self.assertEqual({True, False}, outcomes)

    def differences(self, volume: modelled.ModelledVolume) -> list[str]:
        """Compare a volume that may have another format by now."""
        try:
            return volume.differences()
        except image_tools.ToolError as error:
            return [str(error)]

    def call(
        self,
        driver: Driver,
        volume: modelled.ModelledVolume,
        image_format: str,
    ) -> None:
        self.write_over(driver, volume, image_format)

    @ddt.data(*itertools.product(case.FORMATS, (0, 2)))
    @ddt.unpack
    def test_larger_file_is_refused(
        self, volume_format: str, count: int
    ) -> None:
        volume = self.make_volume(volume_format)
        self.make_snapshots(volume, count)
        self.put(volume, self.given(2 * case.GIB), 'raw')
        with self.refused(exception.InvalidSize, volume.made.directory):
            self.write_over(volume.made.driver, volume, 'raw')

    @ddt.data(*case.FORMATS)
    def test_deletion_takes_what_was_cut_off_with_it(
        self, volume_format: str
    ) -> None:
        template = self.make_volume(volume_format)
        self.make_snapshots(template, 1)
        self.put(template, self.given(), 'raw')
        call = functools.partial(self.call, image_format='raw')
        for point in range(6):
            volume = self.again(template)
            ended = kills.runs_to_its_end(
                volume.made, functools.partial(call, volume=volume), point
            )
            self.assertFalse(ended)
            for snapshot in list(volume.snapshots.values()):
                volume.delete_snapshot(snapshot)
            volume.made.driver.delete_volume(volume.record)
            self.assertEqual({}, model.fingerprint(volume.made.directory))
