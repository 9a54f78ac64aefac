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

"""Volumes from images."""

from __future__ import annotations

import pathlib

from cinderclient import exceptions
import ddt

from tests.cinder import image_case
from tests.fixtures import image_tools
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute

_MIB = image_case.MIB
_ZLIB = ('-c', '-o', 'compression_type=zlib')
_ZSTD = ('-c', '-o', 'compression_type=zstd')
_UNSEEN = 'ovf'
"""A container that Glance does not look into: only Cinder does."""


@ddt.ddt
class FormatsTest(image_case.ImagesTestCase):
    @ddt.data(
        ('qcow2', 'raw'),
        ('qcow2', 'qcow2'),
        ('qcow2', 'qcow2', *_ZLIB),
        ('qcow2', 'qcow2', *_ZSTD),
        ('qcow2', 'vmdk'),
        ('raw', 'raw'),
        ('raw', 'qcow2'),
        ('raw', 'qcow2', *_ZSTD),
    )
    @ddt.unpack
    def test_a_volume_holds_the_image_and_zeros(
        self, backend: str, disk_format: str, *options: str
    ) -> None:
        view = self.content()
        image = self.create_image(view, disk_format, *options)
        volume = self.create_from(image, view, backend)
        self.assert_as_modelled(volume)
        self.assertEqual('true', volume.volume.bootable)
        self.assertEqual(
            image, volume.volume.volume_image_metadata['image_id']
        )

    def test_cinder_converts_it_within_limits(self) -> None:
        before = self.cinder.log_sizes()
        view = self.content()
        image = self.create_image(view, 'vmdk')
        self.create_from(image, view, 'qcow2')
        limited = 'prlimit --as=2147483648 --cpu=720:725 --core=0'
        self.assertTrue(
            self.cinder.has_said(f'{limited} -- qemu-img convert', before)
        )

    @ddt.data('qcow2', 'raw')
    def test_an_image_of_just_the_volumes_size(self, backend: str) -> None:
        view = self.content(checked.GIB)
        image = self.create_image(view)
        self.assert_as_modelled(self.create_from(image, view, backend))

    @ddt.data('qcow2', 'raw')
    def test_it_lives_like_any_other_volume(self, backend: str) -> None:
        view = self.content()
        volume = self.create_from(self.create_image(view), view, backend)
        older, newer = volume.take_snapshots(2)
        volume.extend(2)
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x44)
        self.assert_as_modelled(volume)

        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertTrue(server.guest.read_is(3 * _MIB, 4096, 0x42))
        volume.write(5 * _MIB, _MIB, 0x45)
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)
        volume.delete_server()
        volume.delete_snapshot(newer)
        self.assert_as_modelled(volume)

    @ddt.data('qcow2', 'raw')
    def test_it_is_extended_before_anything_else(self, backend: str) -> None:
        view = self.content()
        volume = self.create_from(
            self.create_image(view, 'raw'), view, backend
        )
        volume.extend(2)
        volume.write(2 * checked.GIB - _MIB, _MIB, 0x44)
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertTrue(server.guest.read_is(0, _MIB, 0x41))
        end = 2 * checked.GIB - _MIB
        self.assertTrue(server.guest.read_is(end, _MIB, 0x44))
        self.assert_as_modelled(volume)


@ddt.ddt
class RefusedTest(image_case.ImagesTestCase):
    @ddt.data('qcow2', 'raw')
    def test_too_large(self, backend: str) -> None:
        path = self.image_file(self.content(checked.GIB + 4096), 'qcow2')
        known = self.images.upload(path, 'qcow2')
        error = self.assertRaises(
            exceptions.BadRequest,
            *(self.tenant.create_volume, 1),
            volume_type=backend,
            imageRef=known,
        )
        self.assertIn(
            "2GB and doesn't fit in a volume of size 1GB", str(error)
        )
        unknown = self.images.upload(path, 'qcow2', _UNSEEN)
        self._check_refused(unknown, backend)

    def test_not_what_is_good(self) -> None:
        view = self.content()
        path = self.image_file(view, 'qcow2')
        image = self.images.upload(path, 'qcow2', _UNSEEN)
        self.assert_as_modelled(self.create_from(image, view, 'qcow2'))

    @ddt.data('qcow2', 'raw')
    def test_a_backing_file(self, backend: str) -> None:
        path = self.temp_dir() / 'image'
        self._create(path, '-b', self._secret(), '-F', 'raw')
        self._check_hostile(path, 'qcow2', backend)

    @ddt.data('qcow2', 'raw')
    def test_a_data_file(self, backend: str) -> None:
        path = self.temp_dir() / 'image'
        self._create(path, '-o', f'data_file={self._secret()}')
        self._check_hostile(path, 'qcow2', backend)

    @ddt.data('qcow2', 'raw')
    def test_a_vmdk_with_a_path(self, backend: str) -> None:
        path = self.temp_dir() / 'image'
        secret = self._secret()
        path.write_text(
            '# Disk DescriptorFile\nversion=1\nCID=fffffffe\n'
            'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
            f'RW {secret.stat().st_size // 512} FLAT "{secret}" 0\n'
        )
        # QEMU itself would follow it.
        qemu = image_tools.content(path, 'vmdk')
        self.assertEqual(secret.read_bytes(), qemu)
        self._check_hostile(path, 'vmdk', backend)

    @ddt.data('qcow2', 'raw')
    def test_a_qcow2_image_that_is_said_to_be_raw(self, backend: str) -> None:
        path = self.image_file(self.content(), 'qcow2')
        self._check_hostile(path, 'raw', backend)

    def _create(
        self, path: pathlib.Path, *options: str | pathlib.Path
    ) -> None:
        image_tools.qemu_img(
            *('create', '-f', 'qcow2', *options, path, str(_MIB))
        )

    def _secret(self) -> pathlib.Path:
        """Return a file of this host that is no tenant's."""
        path = self.temp_dir() / 'secret'
        path.write_bytes(b'secret! ' * (_MIB // 8))
        return path

    def _check_hostile(
        self, path: pathlib.Path, disk_format: str, backend: str
    ) -> None:
        image = self.images.upload(path, disk_format, _UNSEEN)
        self._check_refused(image, backend)

    def _check_refused(self, image: str, backend: str) -> None:
        # Cinder writes nothing for the user, or only that nobody wants it.
        self.refused(image, backend)
        # It was looked into, maybe again at every attempt to schedule it.
        self.assertGreater(self.glance.downloads(image), 0)
