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


"""Volumes made from other volumes, and from snapshots."""

from __future__ import annotations

import pathlib
import typing

from cinderclient import exceptions
import ddt

from tests import base
from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import services

_MIB = 1 << 20


class CopiesTestCase(case.CinderTestCase):
    """Tests that want to know whether a volume's files were touched."""

    def fingerprint(self, volume: checked.CheckedVolume) -> object:
        """Return what the files of a volume are, byte for byte."""
        return models.fingerprint(volume.share, f'{volume.name}*')

    def assert_flat(
        self, volume: checked.CheckedVolume, image_format: str
    ) -> None:
        """Check that a volume is one file, of a format that is recorded."""
        self.assertEqual([volume.name], volume.files().chain)
        self.assertEqual(
            {'format': image_format}, self.record(volume).admin_metadata
        )
        self.assertEqual(self.address(), self.record(volume).location)


@ddt.ddt
class FromSnapshotTest(CopiesTestCase):
    def test_of_each_snapshot_of_a_chain(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = volume.take_snapshots(3)
        before = self.fingerprint(volume)

        copies = [volume.copy_snapshot(each) for each in snapshots]

        self.assertEqual(before, self.fingerprint(volume))
        self.assert_as_modelled(volume, *copies)
        for copy in copies:
            self.assert_flat(copy, 'qcow2')

    @ddt.data(0, 1)
    def test_in_a_larger_size(self, number: int) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = volume.take_snapshots(2)

        copy = volume.copy_snapshot(snapshots[number], 3)
        copy.write(3 * checked.GIB - _MIB, _MIB, 0x12)

        self.assertEqual(3 * checked.GIB, copy.model.active.size)
        self.assert_as_modelled(volume, copy)

    def test_of_one_that_is_smaller_than_its_volume(self) -> None:
        volume = self.create_volume()
        snapshot = volume.take_snapshots(1)[0]
        volume.extend(2)
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x12)

        copy = volume.copy_snapshot(snapshot)

        self.assertEqual(1, copy.volume.size)
        self.assert_as_modelled(volume, copy)

    def test_not_in_a_smaller_size(self) -> None:
        volume = self.create_volume(2)
        snapshot = volume.create_snapshot()
        self.assertRaises(
            exceptions.BadRequest,
            self.tenant.create_from_snapshot,
            snapshot,
            1,
        )

    def test_the_copy_lives_by_itself(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        older, newer = volume.take_snapshots(2)
        copy = volume.copy_snapshot(older)

        own = copy.take_snapshots(1)[0]
        volume.delete_snapshot(older)
        volume.write(_MIB, _MIB, 0x12)
        self.assert_as_modelled(volume, copy)
        volume.delete_snapshot(newer)
        self.tenant.delete_volume(volume.volume)

        copy.delete_snapshot(own)
        copy.extend(2)
        self.assert_as_modelled(copy)


@ddt.ddt
class CloneTest(CopiesTestCase):
    @ddt.data(0, 2)
    def test_with_snapshots(self, count: int) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        volume.take_snapshots(count)
        before = self.fingerprint(volume)

        clone = volume.clone()

        self.assertEqual(before, self.fingerprint(volume))
        self.assert_as_modelled(volume, clone)
        self.assert_flat(clone, 'qcow2')

    def test_in_a_larger_size(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        volume.take_snapshots(1)

        clone = volume.clone(2)
        clone.write(2 * checked.GIB - _MIB, _MIB, 0x12)

        self.assertEqual(2 * checked.GIB, clone.model.active.size)
        self.assert_as_modelled(volume, clone)

    def test_of_a_clone_whose_origin_is_gone(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        clone = volume.clone()
        self.tenant.delete_volume(volume.volume)
        clone.take_snapshots(1)

        again = clone.clone()

        self.assert_as_modelled(clone, again)

    def test_is_as_sparse_as_its_origin(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x11)
        clone = volume.clone()
        path, _ = clone.active()
        self.assertLess(path.stat().st_blocks * 512, 3 * _MIB)


class FormatsTest(CopiesTestCase):
    """A base is of the format that it was made with, a copy of today's."""

    def test_a_raw_origin_makes_qcow2_copies(self) -> None:
        volume = self.manage_raw()
        snapshot = volume.take_snapshots(1)[0]

        copy, clone = volume.copy_snapshot(snapshot), volume.clone(2)

        for made in (copy, clone):
            made.model.base_format = 'qcow2'
            self.assert_flat(made, 'qcow2')
        self.assert_as_modelled(volume, copy, clone)

    def test_a_header_in_a_raw_origin_is_nothing_but_data(self) -> None:
        volume = self.manage_raw()
        path, _ = volume.active()
        small = self.temp_dir() / 'small'
        image_tools.qemu_img('create', '-q', '-f', 'qcow2', small, '1M')
        forged = small.read_bytes()[:65536]
        with path.open('r+b') as stream:
            stream.write(forged)
        snapshot = self.tenant.create_snapshot(volume.volume)

        clone = self.tenant.clone(volume.volume)
        copy = self.tenant.create_from_snapshot(snapshot)

        for made in (clone, copy):
            flat = self.temp_dir() / 'flat'
            image_tools.qemu_img(
                *('convert', '-f', 'qcow2', '-O', 'raw'),
                *(self.cinder.share() / f'volume-{made.id}', flat),
            )
            with flat.open('rb') as stream:
                self.assertEqual(forged, stream.read(len(forged)))
            self.assertEqual(checked.GIB, flat.stat().st_size)

    def manage_raw(self) -> checked.CheckedVolume:
        """Let a raw file become a volume of a backend that makes qcow2."""
        view = models.View(checked.GIB)
        view.write(_MIB, _MIB, 0x31)
        view.save(self.cinder.share() / f'raw-of-{self.tenant.project}')
        volume = self.manage(f'raw-of-{self.tenant.project}')
        return checked.CheckedVolume(
            self.tenant, self.cinder.share(), volume, view, 'raw'
        )


class RawTest(CopiesTestCase):
    backends = (configuration.qcow2(volume_format='raw'),)

    def test_copies_are_raw(self) -> None:
        volume = self.create_volume(base_format='raw')
        volume.write(0, 4 * _MIB, 0x11)
        older, newer = volume.take_snapshots(2)

        copies = [
            volume.copy_snapshot(older),
            volume.copy_snapshot(newer, 2),
            volume.clone(),
        ]

        self.assert_as_modelled(volume, *copies)
        for copy in copies:
            self.assert_flat(copy, 'raw')
            path, _ = copy.active()
            self.assertLess(path.stat().st_blocks * 512, 8 * _MIB)


@ddt.ddt
class ToAnotherShareTest(base.TestCase):
    """A copy goes where it is scheduled to."""

    def set_up(self, kind: str) -> None:
        """Start a Cinder with two shares, a type for each, and a volume."""
        self.cinder = self.useFixture(
            services.CinderServices(
                [configuration.qcow2_shares(kind, 'one', 'two')],
                {'DEFAULT': {'snapshot_same_host': False}},
            )
        )
        self.cinder.show_logs_of(self)
        for export in ('one', 'two'):
            address = configuration.address_of(self.share(export))
            self.cinder.admin.create_type(
                export,
                {
                    'volume_backend_name': 'qcow2',
                    'pool_name': f's== {address}',
                },
            )
        self.tenant = self.cinder.tenant()
        self.volume = checked.CheckedVolume(
            self.tenant,
            self.share('one'),
            self.tenant.create_volume(1, volume_type='one'),
        )
        self.volume.write(0, 4 * _MIB, 0x11)

    def share(self, export: str) -> pathlib.Path:
        """Return the directory of a share."""
        return self.cinder.share(export=export)

    @ddt.data('nfs', 'local')
    def test_of_a_snapshot_or_volume(self, kind: str) -> None:
        self.set_up(kind)
        snapshot = self.volume.take_snapshots(1)[0]

        copy = self.on_two(
            self.volume.model.snapshots[snapshot.id], snapshot_id=snapshot.id
        )
        clone = self.on_two(
            self.volume.model.active,
            source_volid=self.volume.volume.id,
            group_id=self.group(),
        )

        for made in (self.volume, copy, clone):
            self.assertEqual([], made.differences())
        # What remains does not need the other share.
        self.tenant.delete_volume(self.volume.volume, cascade=True)
        self.assertEqual([], list(self.share('one').glob('volume-*')))
        for made in (copy, clone):
            made.take_snapshots(1)
            self.assertEqual([], made.differences())

    def on_two(
        self, view: models.View, **source: typing.Any
    ) -> checked.CheckedVolume:
        """Make a volume of 2 GiB on the other share."""
        made = self.tenant.create_volume(2, volume_type='two', **source)
        found = self.cinder.admin.api.volumes.get(made.id)
        self.assertEqual(
            configuration.address_of(self.share('two')),
            getattr(found, 'os-vol-host-attr:host').partition('#')[2],
        )
        return checked.CheckedVolume(
            self.tenant, self.share('two'), made, view
        )

    def group(self) -> str:
        """Make a group: a clone in one may be on any of a backend's pools."""
        group_type = self.cinder.admin.api.group_types.create('any')
        group = self.tenant.api.groups.create(group_type.id, 'one,two')
        self.tenant.wait_status(group, 'available')
        return str(group.id)
