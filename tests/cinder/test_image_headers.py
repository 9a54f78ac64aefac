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

"""A guest that writes a qcow2 header onto its raw volume."""

from __future__ import annotations

import ddt

from tests.cinder import image_case
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute

_MIB = image_case.MIB


@ddt.ddt
class GuestHeaderTest(image_case.ImagesTestCase):
    """What it writes stays data, whoever looks at the volume.

    The header names a file of the host, or no other file: the latter is what
    a check of untrusted images lets pass.
    """

    def headed(self, hostile: bool) -> checked.CheckedVolume:
        """Create a raw volume that begins with a qcow2 image."""
        directory = self.temp_dir()
        secret, inner = directory / 'secret', directory / 'inner'
        secret.write_bytes(b'secret! ' * (_MIB // 8))
        backing = ('-b', str(secret), '-F', 'raw') if hostile else ()
        image_tools.qemu_img(
            *('create', '-f', 'qcow2', *backing, inner, str(_MIB))
        )
        header = inner.read_bytes()
        volume = self.create_on('raw')
        volume.write(8 * _MIB, _MIB, 0x46)
        path, _ = volume.active()
        with path.open('r+b') as stream:
            stream.write(header)
        view = volume.model.active
        volume.model.active = models.HeadedView(view.size, view.blocks, header)
        return volume

    @ddt.data(True, False)
    def test_of_a_volume_in_use(self, hostile: bool) -> None:
        volume = self.headed(hostile)
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertEqual('raw', server.attached[0].info['format'])
        self.assertTrue(server.guest.read_is(8 * _MIB, _MIB, 0x46))
        snapshot = volume.create_snapshot()
        volume.write(9 * _MIB, _MIB, 0x47)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)

    def test_of_a_volume_that_is_copied(self) -> None:
        volume = self.headed(True)
        snapshot = volume.create_snapshot()
        volume.write(9 * _MIB, _MIB, 0x47)
        copies = [volume.clone(2), volume.copy_snapshot(snapshot)]
        volume.extend(2)
        self.assert_as_modelled(volume, *copies)

    @ddt.data(
        ('qcow2', True), ('qcow2', False), ('vmdk', True), ('vmdk', False)
    )
    @ddt.unpack
    def test_of_a_volume_that_is_uploaded(
        self, disk_format: str, hostile: bool
    ) -> None:
        volume = self.headed(hostile)
        view = volume.model.active
        image = self.upload(volume, disk_format)
        self.assert_image(image, disk_format, view)
        self.assert_as_modelled(volume, self.create_from(image, view, 'raw'))

    def test_of_a_raw_image(self) -> None:
        """Such an image Cinder takes for no volume."""
        volume = self.headed(False)
        path = self.temp_dir() / 'image'
        view = volume.model.active.copy(4 * _MIB)
        view.blocks.clear()
        view.save(path)
        image = self.images.upload(path, 'raw')
        for backend in ('raw', 'qcow2'):
            self.refused(image, backend)
