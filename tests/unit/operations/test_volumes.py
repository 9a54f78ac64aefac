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

import ddt
from oslo_concurrency import processutils

from tests.unit import fakes
from tests.unit.operations import case
from volume_driver import exception
from volume_driver import info
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import header
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.operations import volumes


class VolumesTestCase(case.OperationsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()

    def configure(self, **settings: object) -> None:
        self.context = fakes.context(
            self.directory, self.hypervisor, **settings
        )

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}

    def header(self, name: str) -> header.Header:
        return header.read(str(self.directory / name))


@ddt.ddt
class CreateTest(VolumesTestCase):
    def create(self, size: int = 2 << 20) -> None:
        volumes.create(self.context, self.target, size)

    @ddt.data('qcow2', 'raw')
    def test_files(self, image_format: str) -> None:
        self.configure(volume_format=image_format)
        self.create()
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())
        self.assertEqual(
            image_format, record.base_format(str(self.directory), 'volume-u')
        )
        mode = (self.directory / 'volume-u').stat().st_mode & 0o7777
        self.assertEqual(0o660, mode)

    def test_name_that_is_taken(self) -> None:
        for name in ('volume-u', 'volume-u.info'):
            path = self.directory / name
            path.write_text('mine')
            self.assertRaises(exception.NameCollision, self.create)
            self.assertEqual('mine', path.read_text())
            path.unlink()

    def test_failure_leaves_nothing(self) -> None:
        self.assertRaises(exception.CommandFailed, self.create, -1)
        self.assertEqual(set(), self.names())

    def test_what_was_cut_off_is_written_anew(self) -> None:
        (self.directory / 'volume-u.part').write_text('torn')
        self.create()
        self.assertEqual({'volume-u', 'volume-u.record'}, self.names())


class ExtendTest(VolumesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.images = fakes.make_volume(self.directory, 'a')

    def extend(self, size: int) -> None:
        volumes.extend(self.context, self.target, size)

    def test_offline(self) -> None:
        self.extend(4 << 20)
        self.assertEqual(4 << 20, self.header('volume-u.a').size)
        self.assertEqual(fakes.SIZE, self.header('volume-u').size)

    def test_live(self) -> None:
        disk = fakes.Disk(*self.images)
        self.hypervisor.found = hypervisors.Found(disk)
        self.extend(4 << 20)
        self.assertEqual([('resize', 4 << 20)], disk.calls)

    def test_smaller(self) -> None:
        self.assertRaises(exception.InvalidSize, self.extend, 1)


class DeleteTest(VolumesTestCase):
    def delete(self, cascade: bool = False) -> None:
        volumes.delete(self.context, self.target, cascade)

    def test_all_files_go(self) -> None:
        fakes.make_volume(self.directory)
        self.delete()
        self.assertEqual(set(), self.names())

    def test_volume_with_snapshots_stays(self) -> None:
        fakes.make_volume(self.directory, 'ab')
        before = self.names()
        error = self.assertRaises(exception.VolumeHasSnapshots, self.delete)
        self.assertEqual('a, b', error.snapshots)
        self.assertEqual(before, self.names())

    def test_overlays_that_a_cascade_left_go_too(self) -> None:
        fakes.make_volume(self.directory, 'ab')
        info.write(str(self.directory), 'volume-u', info.Info('volume-u.b'))
        self.delete(cascade=True)
        self.assertEqual(set(), self.names())

    def test_gone_already(self) -> None:
        (self.directory / 'volume-u.record').touch()
        self.delete()
        self.assertEqual(set(), self.names())
        self.assertIn('gone already', self.log.output)

    def test_exports_go_too(self) -> None:
        fakes.make_volume(self.directory)
        for name in ('volume-u.export-volume', 'volume-u.export-a.part'):
            (self.directory / name).touch()
        (self.directory / 'volume-u2.export-a').touch()
        self.delete()
        self.assertEqual({'volume-u2.export-a'}, self.names())

    def test_exports_of_a_volume_that_is_gone_go(self) -> None:
        (self.directory / 'volume-u.export-volume').touch()
        self.delete()
        self.assertEqual(set(), self.names())

    def test_volume_that_a_guest_has_stays(self) -> None:
        images = fakes.make_volume(self.directory)
        self.hypervisor.found = hypervisors.Found(fakes.Disk(*images))
        self.assertRaises(exception.VolumeInUse, self.delete)
        self.assertIn('volume-u', self.names())

    def test_image_that_somebody_else_needs_stays(self) -> None:
        fakes.make_volume(self.directory)
        qemu_img.create_overlay(
            processutils.execute,
            str(self.directory / 'volume-u.x'),
            'volume-u',
            'qcow2',
            fakes.SIZE,
        )
        self.assertRaises(exception.StillReferenced, self.delete)
        self.assertIn('volume-u', self.names())


class LookTest(VolumesTestCase):
    def test_volumes_are_listed_once_and_sorted(self) -> None:
        for name in (
            *('volume-b', 'volume-b.info', 'volume-b.x', 'volume-b.record'),
            *('volume-a', 'volume-c.info', 'volume-d.record', 'lost+found'),
            *('volume-e.part', '.locks'),
        ):
            (self.directory / name).touch()
        self.assertEqual(
            ['volume-a', 'volume-b', 'volume-c'],
            volumes.listed(self.context),
        )

    def test_no_journal(self) -> None:
        self.assertIsNone(volumes.journal_of(self.context, 'volume-u'))
