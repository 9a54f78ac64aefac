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


"""Files that become volumes, and volumes that become files again."""

from __future__ import annotations

import json
import pathlib
import typing
import uuid

from cinderclient import exceptions
import ddt

from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients

_MIB = 1 << 20
# The one comes after the other, or not.
_REFUSED = ('error_managing', 'error')


class ManageTestCase(case.CinderTestCase):
    """Tests of an administrator, with files of their own names."""

    def setUp(self) -> None:
        super().setUp()
        self.share = self.cinder.share()
        self.prefix = f'file-{uuid.uuid4().hex[:8]}'
        self.addCleanup(self.remove_files)

    def remove_files(self) -> None:
        """Remove what this test has put on the share, and is a file still."""
        for path in self.share.glob(f'{self.prefix}*'):
            path.unlink()

    def path(self, suffix: str = '') -> pathlib.Path:
        """Return the path for a file of this test."""
        return self.share / f'{self.prefix}{suffix}'

    def create_file(self, image_format: str, size: int) -> models.View:
        """Make an image with some data at both ends."""
        view = models.View(size)
        view.write(0, 4 * _MIB, 0x11)
        view.write(size - 4096, 4096, 0x12)
        flat = self.temp_dir() / 'flat'
        view.save(flat)
        image_tools.qemu_img(
            'convert', '-f', 'raw', '-O', image_format, flat, self.path()
        )
        return view

    def manageable(self) -> dict[str, dict[str, typing.Any]]:
        """List the files by the names that they are listed under."""
        found = self.admin.api.volumes.list_manageable(
            self.pool(), detailed=True
        )
        head = f'{self.address()}/'
        listed = {}
        for each in found:
            name = each.reference['source-name']
            self.assertTrue(name.startswith(head), name)
            listed[name.removeprefix(head)] = each.to_dict()
        return listed

    def manageable_snapshots(
        self, volume: checked.CheckedVolume
    ) -> dict[str, dict[str, typing.Any]]:
        """List the snapshots that a volume's files have, by their ids."""
        found = self.admin.api.volume_snapshots.list_manageable(
            self.pool(), detailed=True
        )
        return {
            each.reference['source-name']: each.to_dict()
            for each in found
            if each.source_reference['source-name'].startswith(volume.name)
        }

    def managed(
        self, name: str, view: models.View | None, base_format: str
    ) -> checked.CheckedVolume:
        """Manage a file; return it as a volume."""
        made = self.manage(name)
        return checked.CheckedVolume(
            self.tenant, self.share, made, view, base_format
        )

    def unmanage(self, resource: clients.Resource) -> None:
        """Let Cinder forget a volume, or a snapshot."""
        type(resource.manager)(self.admin.api).unmanage(resource.id)
        self.tenant.wait_gone(resource)

    def manage_snapshot(
        self, volume: checked.CheckedVolume, snapshot_id: str
    ) -> clients.Resource:
        """Manage a snapshot; in the model it gets its new id."""
        made = self.operator().api.volume_snapshots.manage(
            volume.volume.id, {'source-name': snapshot_id}
        )
        snapshot = self.tenant.wait_status(
            self.tenant.api.volume_snapshots.get(made.id), 'available'
        )
        view = volume.model.snapshots.pop(snapshot_id)
        volume.model.snapshots[snapshot.id] = view
        volume.snapshots[snapshot.id] = snapshot
        return snapshot


@ddt.ddt
class ManageTest(ManageTestCase):
    @ddt.data('raw', 'qcow2')
    def test_a_file(self, image_format: str) -> None:
        view = self.create_file(image_format, checked.GIB)
        listed = self.manageable()[self.prefix]
        self.assertTrue(listed['safe_to_manage'], listed)
        self.assertEqual(1, listed['size'])

        volume = self.managed(self.prefix, view, image_format)

        self.assertEqual(1, volume.volume.size)
        self.assert_as_modelled(volume)
        record = self.record(volume)
        self.assertEqual(image_format, record.admin_metadata['format'])
        self.assertEqual(self.address(), record.location)
        self.assertFalse(self.path().exists())
        listed = self.manageable()[volume.name]
        self.assertEqual('already managed', listed['reason_not_safe'])
        self.assertEqual(volume.volume.id, listed['cinder_id'])
        volume.delete_snapshot(volume.take_snapshots(2)[0])
        volume.extend(2)
        self.assert_as_modelled(volume)
        self.tenant.delete_volume(volume.volume, cascade=True)
        self.assertEqual([], list(self.share.glob(f'{volume.name}*')))

    @ddt.data('raw', 'qcow2')
    def test_a_size_between_is_rounded_up(self, image_format: str) -> None:
        view = self.create_file(image_format, checked.GIB + 4 * _MIB)
        self.assertEqual(2, self.manageable()[self.prefix]['size'])

        volume = self.managed(self.prefix, view, image_format)

        self.assertEqual(2, volume.volume.size)
        self.assert_as_modelled(volume)
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x13)
        self.assert_as_modelled(volume)


class RefusedTest(ManageTestCase):
    def assert_refused(self, name: str) -> None:
        """Check that a reference is refused, and nothing changes."""
        before = self.fingerprint()
        made = self.operator().api.volumes.manage(
            self.pool(), {'source-name': name}
        )
        volume = self.tenant.api.volumes.get(made.id)
        volume = self.tenant.wait_status(volume, *_REFUSED)
        self.assertEqual(before, self.fingerprint())
        # What is none of its own does not go with it.
        self.tenant.delete_volume(volume)
        self.assertEqual(before, self.fingerprint())
        self.assertEqual([], list(self.share.glob(f'volume-{volume.id}*')))

    def fingerprint(self) -> object:
        """Return what there is of the test's own; others use the share."""
        return models.fingerprint(self.share, f'{self.prefix}*')

    def assert_unsafe(self, reason: str, path: pathlib.Path) -> None:
        """Check that a file is listed, but not as one to be managed."""
        listed = self.manageable()[path.name]
        self.assertFalse(listed['safe_to_manage'])
        self.assertIn(reason, listed['reason_not_safe'])
        self.assert_refused(f'{self.address()}/{path.name}')

    def test_what_is_missing(self) -> None:
        self.assert_refused(f'{self.address()}/{self.prefix}')

    def test_what_names_no_file(self) -> None:
        self.assert_refused(f'{self.address()}/')

    def test_a_link(self) -> None:
        view = models.View(checked.GIB)
        target = self.temp_dir() / 'target'
        view.save(target)
        self.path().symlink_to(target)
        self.assertNotIn(self.prefix, self.manageable())
        self.assert_refused(f'{self.address()}/{self.prefix}')
        self.assertTrue(target.exists())

    def test_a_file_that_is_on_no_share(self) -> None:
        target = self.temp_dir() / 'target'
        models.View(checked.GIB).save(target)
        self.assert_refused(str(target))
        self.assert_refused(f'{self.address()}/../{target.name}')
        self.assert_refused(f'127.0.0.1:{target}')

    def test_an_image_with_a_backing_file(self) -> None:
        self.create_file('raw', checked.GIB)
        overlay = self.path('.overlay')
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-F', 'raw'),
            *('-b', self.path().name, overlay),
        )
        self.assert_unsafe('backing', overlay)

    def test_an_image_with_a_data_file(self) -> None:
        image, data = self.path('.image'), self.path('.data')
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-o', f'data_file={data}'),
            *(image, '1G'),
        )
        self.assert_unsafe('data', image)

    def test_an_image_of_another_format(self) -> None:
        self.create_file('vmdk', checked.GIB)
        self.assert_unsafe('vmdk', self.path())

    def test_a_volume_that_is_managed(self) -> None:
        volume = self.create_volume()
        volume.write(0, _MIB, 0x11)
        self.assert_refused(f'{self.address()}/{volume.name}')
        volume.take_snapshots(1)
        self.assert_refused(f'{self.address()}/{volume.name}')
        self.assert_as_modelled(volume)


class UnmanageTest(ManageTestCase):
    def test_and_manage_again(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        before = (self.share / volume.name).read_bytes()

        self.unmanage(volume.volume)

        self.assertEqual(before, (self.share / volume.name).read_bytes())
        listed = self.manageable()[volume.name]
        self.assertTrue(listed['safe_to_manage'], listed)
        again = self.managed(volume.name, volume.model.active, 'qcow2')
        self.assertNotEqual(volume.volume.id, again.volume.id)
        self.assert_as_modelled(again)
        self.assertEqual([], list(self.share.glob(f'{volume.name}*')))

    def test_a_snapshot_and_manage_it_again(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        older, newer = volume.take_snapshots(2)

        self.unmanage(older)

        self.assert_as_modelled(volume)
        listed = self.manageable_snapshots(volume)
        self.assertTrue(listed[older.id]['safe_to_manage'])
        self.assertEqual(1, listed[older.id]['size'])
        self.assertFalse(listed[newer.id]['safe_to_manage'])
        self.assertEqual(newer.id, listed[newer.id]['cinder_id'])

        del volume.snapshots[older.id]
        again = self.manage_snapshot(volume, older.id)
        self.assertNotEqual(older.id, again.id)
        self.assert_as_modelled(volume)
        copy = volume.copy_snapshot(again)
        self.assert_as_modelled(volume, copy)
        for snapshot in (again, newer):
            volume.delete_snapshot(snapshot)
            self.assert_as_modelled(volume)
        self.assertEqual({}, self.manageable_snapshots(volume))

    def test_a_volume_with_snapshots(self) -> None:
        volume = self.create_volume()
        volume.write(0, 4 * _MIB, 0x11)
        snapshots = volume.take_snapshots(2)
        self.assertRaises(exceptions.BadRequest, self.unmanage, volume.volume)
        for snapshot in snapshots:
            self.unmanage(snapshot)
        self.unmanage(volume.volume)
        name = volume.name
        listed = self.manageable()
        self.assertTrue(listed[name]['safe_to_manage'], listed[name])
        # Its overlays are no volumes.
        self.assertEqual(
            [name], [each for each in listed if each.startswith(name)]
        )

        again = Renamed(name, self.tenant, self.share, self.manage(name))

        again.model = volume.model
        self.assert_as_modelled(again)
        taken = [self.manage_snapshot(again, each.id) for each in snapshots]
        self.assert_as_modelled(again)
        listed = self.manageable()[name]
        self.assertEqual(again.volume.id, listed['cinder_id'])
        self.assertFalse(listed['safe_to_manage'])
        again.delete_snapshot(taken[0])
        again.take_snapshots(1)
        again.extend(2)
        self.assert_as_modelled(again)
        info = json.loads((self.share / f'{name}.info').read_text())
        self.assertEqual({'active', *again.snapshots}, set(info))
        self.tenant.delete_volume(again.volume, cascade=True)
        self.assertEqual([], list(self.share.glob(f'{name}*')))


class Renamed(checked.CheckedVolume):
    """A volume whose files keep the name that they had."""

    def __init__(self, name: str, *arguments: typing.Any) -> None:
        self._name = name
        super().__init__(*arguments)

    @property
    def name(self) -> str:
        """The name of the volume's files."""
        return self._name
