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

"""Volumes that get the content of an image anew."""

from __future__ import annotations

from cinderclient import exceptions
import ddt

from tests.cinder import image_case
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute

_MIB = image_case.MIB


@ddt.ddt
class ReimageTest(image_case.ImagesTestCase):
    def reimage(
        self, volume: checked.CheckedVolume, image: str, view: models.View
    ) -> None:
        """Let a volume hold an image."""
        volume.volume.reimage(image)
        self.tenant.wait_status(volume.volume, 'available')
        volume.model.active = view.copy(volume.model.active.size)

    @ddt.data(('qcow2', 'raw'), ('qcow2', 'qcow2'), ('raw', 'qcow2'))
    @ddt.unpack
    def test_of_a_volume(self, backend: str, disk_format: str) -> None:
        volume = self.create_on(backend)
        volume.write(0, 64 * _MIB, 0x11)
        view = self.content()
        self.reimage(volume, self.create_image(view, disk_format), view)
        self.assert_as_modelled(volume)
        volume.take_snapshots(1)
        volume.extend(2)
        self.assert_as_modelled(volume)

    @ddt.data('qcow2', 'raw')
    def test_of_a_volume_with_snapshots(self, backend: str) -> None:
        volume = self.create_on(backend)
        volume.write(0, 64 * _MIB, 0x11)
        older, newer = volume.take_snapshots(2)
        view = self.content()
        self.reimage(volume, self.create_image(view), view)
        self.assert_as_modelled(volume)
        volume.revert(newer)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(newer)
        self.reimage(volume, self.create_image(view, 'raw'), view)
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        self.assertTrue(server.guest.read_is(3 * _MIB, 4096, 0x42))

    @ddt.data('qcow2', 'raw')
    def test_refused_it_changes_nothing(self, backend: str) -> None:
        volume = self.create_on(backend)
        volume.write(0, 4 * _MIB, 0x11)
        volume.take_snapshots(1)
        lied = self.images.upload(
            self.image_file(self.content(), 'qcow2'), 'raw'
        )
        volume.volume.reimage(lied)
        self.tenant.wait_status(volume.volume, 'error')
        self.assert_as_modelled(volume)
        self.admin.api.volumes.reset_state(volume.volume, 'available')
        view = self.content()
        self.reimage(volume, self.create_image(view), view)
        self.assert_as_modelled(volume)

    def test_not_under_a_server(self) -> None:
        volume = self.create_on('qcow2')
        volume.write(0, 4 * _MIB, 0x11)
        volume.boot(self.useFixture(compute.ComputeHost()))
        image = self.create_image(self.content())
        self.assertRaises(exceptions.BadRequest, volume.volume.reimage, image)
        self.assert_as_modelled(volume)
