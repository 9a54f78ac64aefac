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

"""Files that become volumes, and volumes that get another name or place."""

from __future__ import annotations

import functools
import itertools
import pathlib
import struct

import ddt

from tests import data
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import kills
from tests.functional.offline import test_recovery
from volume_driver import driver as volume_drivers
from volume_driver import exception
from volume_driver.operations import adopt

Driver = volume_drivers.Qcow2Driver


@ddt.ddt
class RememberTest(case.OfflineTestCase):
    """Volumes that another driver made have no record."""

    def make_foreign(
        self, base_format: str, count: int
    ) -> modelled.ModelledVolume:
        # What is configured is the other format.
        volume = self.make_volume(base_format)
        self.make_snapshots(volume, count)
        volume.made.path(f'{volume.record.name}.record').unlink()
        other = 'raw' if base_format == 'qcow2' else 'qcow2'
        volume.made.driver = volume.made.make(volume_format=other)
        return volume

    def remember(
        self, volume: modelled.ModelledVolume, said: str | None
    ) -> None:
        driver = volume.made.driver
        adopt.remember_format(
            driver.context, driver.target(volume.record), said, case.GIB
        )

    @ddt.data(*itertools.product(case.FORMATS, (0, 2)))
    @ddt.unpack
    def test_what_its_maker_says(self, base_format: str, count: int) -> None:
        volume = self.make_foreign(base_format, count)
        self.remember(volume, base_format)
        self.check(volume)
        self.make_snapshots(volume, 1)
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
        self.check(volume)

    @ddt.data(*itertools.product(case.FORMATS, (None, 'raw', 'qcow2')))
    @ddt.unpack
    def test_overlay_knows_better_than_its_maker(
        self, base_format: str, said: str | None
    ) -> None:
        volume = self.make_foreign(base_format, 1)
        self.remember(volume, said)
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot, 'commit')
        self.check(volume)
        self.make_snapshots(volume, 1)
        self.check(volume)

    @ddt.data(None, 'qcow2')
    def test_forged_header_is_refused(self, said: str | None) -> None:
        volume = self.make_foreign('raw', 0)
        path = volume.made.path(volume.record.name)
        with path.open('r+b') as stream:
            stream.write(data.header('v3'))
        with self.refused(exception.ImageNotTrusted, volume.made.directory):
            self.remember(volume, said)

    def test_forged_header_is_data_where_its_maker_says_raw(self) -> None:
        volume = self.make_foreign('raw', 0)
        path = volume.made.path(volume.record.name)
        with path.open('r+b') as stream:
            stream.write(data.header('v3-overlay-by-path'))
        before = image_tools.digest(path, 'raw')
        self.remember(volume, 'raw')
        volume.create_snapshot()
        self.assertEqual(before, image_tools.digest(path, 'raw'))
        self.assertEqual(
            'raw',
            volume.made.driver.describe(volume.record).layers[0].image.format,
        )


@ddt.ddt
class TakeTest(case.OfflineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.made = self.make_driver()
        self.record = drivers.volume()
        self.view = model.View(case.GIB)
        self.view.write(case.MIB, case.MIB, 0x51)

    def take(self, name: str, driver: Driver | None = None) -> None:
        driver = driver or self.made.driver
        adopt.take(driver.context, driver.target(self.record), name)

    def put(self, name: str, image_format: str) -> pathlib.Path:
        path = self.made.path(name)
        raw = self.temp_dir() / 'raw'
        self.view.save(raw)
        image_tools.qemu_img(
            *('convert', '-f', 'raw', '-O', image_format, raw, path)
        )
        return path

    def check_taken(self, image_format: str) -> None:
        volume = modelled.ModelledVolume(
            self.made, self.record, model.Model(image_format, self.view)
        )
        self.check(volume)
        volume.take_snapshots(1)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_file_becomes_a_volume(self, image_format: str) -> None:
        self.put('disk.img', image_format)
        self.take('disk.img')
        self.assertFalse(self.made.path('disk.img').exists())
        self.check_taken(image_format)

    @ddt.data(*case.FORMATS)
    def test_killed_and_taken_again(self, image_format: str) -> None:
        for point in itertools.count():
            self.record = drivers.volume()
            path = self.put(f'disk-{point}', image_format)
            ended = kills.runs_to_its_end(
                self.made, functools.partial(self.take, path.name), point
            )
            if path.exists():
                self.take(path.name)
            else:
                self.assertRaises(exception.VolumeExists, self.take, path.name)
            self.check_taken(image_format)
            if ended:
                break
        self.assertGreaterEqual(point, 6)

    def test_descriptor_of_a_vmdk_is_refused(self) -> None:
        self.made.path('disk').write_text(
            '# Disk DescriptorFile\nversion=1\nCID=fffffffe\n'
            'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
            'RW 2048 FLAT "/etc/passwd" 0\n'
        )
        self.check_refused()

    @ddt.data('vmdk', 'vdi', 'vpc', 'qed')
    def test_image_of_another_format_is_refused(self, kind: str) -> None:
        path = self.made.path('disk')
        image_tools.qemu_img('create', '-q', '-f', kind, path, '1M')
        self.check_refused()

    def test_backing_image_is_refused(self) -> None:
        path = self.made.path('disk')
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', '/etc/passwd'),
            *('-F', 'raw', path, '1M'),
        )
        self.check_refused()

    def test_data_file_is_refused(self) -> None:
        path, outside = self.made.path('disk'), self.temp_dir() / 'outside'
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2'),
            *('-o', f'data_file={outside},data_file_raw=on', path, '1M'),
        )
        self.check_refused()

    def test_link_is_refused(self) -> None:
        outside = self.temp_dir() / 'outside'
        outside.write_bytes(b'mine')
        self.made.path('disk').symlink_to(outside)
        self.check_refused()
        self.assertTrue(self.made.path('disk').is_symlink())
        self.assertEqual(b'mine', outside.read_bytes())

    def test_corrupt_tables_are_refused(self) -> None:
        path = self.put('disk', 'qcow2')
        with path.open('r+b') as stream:
            # The first L2 table is where the header is.
            stream.seek(40)
            (l1,) = struct.unpack('>Q', stream.read(8))
            stream.seek(l1)
            stream.write(struct.pack('>Q', 1 << 63))
        self.check_refused(exception.ImageInvalid)

    def check_refused(
        self, error: type[exception.Refused] = exception.ImageNotTrusted
    ) -> None:
        with self.refused(error, self.made.directory):
            self.take('disk')


@ddt.ddt
class RenameSnapshotTest(test_recovery.KillTestCase):
    @ddt.data(*case.FORMATS)
    def test_killed_at_every_point(self, volume_format: str) -> None:
        template = self.make_volume(volume_format)
        self.make_snapshots(template, 2)
        for point in itertools.count():
            volume = self.again(template)
            old = next(iter(volume.snapshots.values()))
            new = drivers.snapshot(volume.record)

            def rename(driver: Driver) -> None:
                adopt.rename_snapshot(
                    driver.context,
                    driver.target(volume.record),  # noqa: B023
                    old.id,  # noqa: B023
                    new.id,  # noqa: B023
                )

            ended = kills.runs_to_its_end(volume.made, rename, point)
            rename(volume.made.driver)
            view = volume.model.snapshots.pop(old.id)
            del volume.snapshots[old.id]
            volume.model.snapshots[new.id] = view
            volume.snapshots[new.id] = new
            found = volume.differences()
            self.assertEqual([], found, f'killed at point {point}')
            if ended:
                break
        self.assertGreaterEqual(point, 6)
        for snapshot in list(volume.snapshots.values()):
            volume.delete_snapshot(snapshot)
            self.check(volume)


@ddt.ddt
class MoveTest(test_recovery.KillTestCase):
    @ddt.data(*itertools.product(case.FORMATS, (True, False)))
    @ddt.unpack
    def test_whole_in_one_place_at_any_time(
        self, volume_format: str, had_snapshots: bool
    ) -> None:
        template = self.make_volume(volume_format)
        if had_snapshots:
            (snapshot,) = self.make_snapshots(template, 1)
            # Its .info stays, and says nothing.
            template.delete_snapshot(snapshot, 'commit')
        for point in itertools.count():
            volume = self.again(template)
            there = self.make_driver(volume_format)
            ended = kills.runs_to_its_end(
                volume.made,
                functools.partial(self.move, volume=volume, there=there),
                point,
            )
            self.check_once(volume, there, point)
            moved = self.move(volume.made.driver, volume, there)
            self.assertTrue(moved)
            self.assertEqual({}, model.fingerprint(volume.made.directory))
            volume.made = there
            self.check_at(point, volume)
            if ended:
                break
        self.assertGreaterEqual(point, 10)
        self.make_snapshots(volume, 2)
        self.check(volume)

    @ddt.data(*case.FORMATS)
    def test_to_another_name(self, volume_format: str) -> None:
        volume = self.make_volume(volume_format)
        record = drivers.volume()
        driver = volume.made.driver
        moved = adopt.move(
            driver.context,
            driver.target(volume.record),
            driver.context,
            record.name,
        )
        self.assertTrue(moved)
        volume.record = record
        self.check(volume)

    def move(
        self,
        driver: Driver,
        volume: modelled.ModelledVolume,
        there: drivers.DriverFixture,
    ) -> bool:
        return adopt.move(
            driver.context,
            driver.target(volume.record),
            there.driver.context,
            volume.record.name,
        )

    def check_once(
        self,
        volume: modelled.ModelledVolume,
        there: drivers.DriverFixture,
        point: int,
    ) -> None:
        """Check that a volume is whole in just one place."""
        name = volume.record.name
        found = [
            made for made in (volume.made, there) if made.path(name).exists()
        ]
        self.assertEqual(1, len(found), f'killed at point {point}')
        problem = volume.model.differences(found[0].directory, name)
        self.assertEqual([], problem, f'killed at point {point}')

    def check_at(self, point: int, volume: modelled.ModelledVolume) -> None:
        found = volume.differences()
        self.assertEqual([], found, f'killed at point {point}')
