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

"""Images from volumes."""

from __future__ import annotations

from cinderclient import exceptions
import ddt
from glanceclient import exc as glance_errors

from tests.cinder import image_case
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute

_MIB = image_case.MIB
_FORMATS = ('raw', 'qcow2')


@ddt.ddt
class UploadsTest(image_case.ImagesTestCase):
    @ddt.data(
        ('qcow2', 'qcow2'),
        ('qcow2', 'vmdk'),
        ('raw', 'qcow2'),
        ('raw', 'vmdk'),
    )
    @ddt.unpack
    def test_of_a_volume(self, backend: str, disk_format: str) -> None:
        volume = self.create_on(backend)
        volume.write(0, 4 * _MIB, 0x11)
        volume.write(checked.GIB - 4096, 4096, 0x12)
        image = self.upload(volume, disk_format)
        self.assert_image(image, disk_format, volume.model.active)
        self.assert_as_modelled(volume)

    @ddt.data(('qcow2', 'raw'), ('raw', 'qcow2'))
    @ddt.unpack
    def test_of_a_volume_with_snapshots(
        self, backend: str, disk_format: str
    ) -> None:
        volume = self.create_on(backend)
        volume.write(0, 4 * _MIB, 0x11)
        volume.take_snapshots(2)
        image = self.upload(volume, disk_format)
        self.assert_image(image, disk_format, volume.model.active)
        self.assert_as_modelled(volume)

    @ddt.data(('qcow2', 'qcow2'), ('raw', 'vmdk'))
    @ddt.unpack
    def test_of_a_volume_that_a_server_runs_on(
        self, backend: str, disk_format: str
    ) -> None:
        volume = self.create_on(backend)
        volume.write(0, 4 * _MIB, 0x11)
        snapshot = volume.take_snapshots(1)[0]
        server = volume.boot(self.useFixture(compute.ComputeHost()))
        volume.write(_MIB, _MIB, 0x12)
        self.assertRaises(
            exceptions.BadRequest, self.upload, volume, disk_format
        )
        server.guest.flush()
        before = volume.files().chain

        image = self.upload(volume, disk_format, force=True)

        self.assert_image(image, disk_format, volume.model.active)
        # The snapshot that lasted as long as the upload is gone.
        self.assertEqual(before, volume.files().chain)
        self.assert_as_modelled(volume)
        volume.write(2 * _MIB, _MIB, 0x13)
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)

    def test_there_and_back(self) -> None:
        view = self.content()
        volume = self.create_from(self.create_image(view), view, 'qcow2')
        volume.take_snapshots(1)
        volume.extend(2)
        image = self.upload(volume, 'qcow2')
        copy = self.create_from(image, volume.model.active, 'raw', 2)
        self.assert_image(image, 'qcow2', volume.model.active)
        self.assert_as_modelled(volume, copy)


class ConversionDisabledTest(image_case.ImagesTestCase):
    """Cinder with ``image_conversion_disable``."""

    def cinder_options(self) -> dict[str, dict[str, object]]:
        options = super().cinder_options()
        options['DEFAULT']['image_conversion_disable'] = True
        return options

    def test_a_volume_is_uploaded_in_its_own_format_only(self) -> None:
        volume = self.create_on('qcow2')
        volume.write(0, 4 * _MIB, 0x11)
        volume.take_snapshots(1)
        refused = self.upload(volume, 'raw')
        self.assertRaises(
            glance_errors.HTTPNotFound, self.images.api.images.get, refused
        )
        self.assertIn(
            'Failed to upload volume to image',
            ' '.join(self.tenant.messages(volume.volume)),
        )
        allowed = self.upload(volume, 'qcow2')
        self.assert_image(allowed, 'qcow2', volume.model.active)
        self.assert_as_modelled(volume)

    def test_a_volume_is_made_from_its_own_format_only(self) -> None:
        view = self.content()
        raw, qcow2 = (self.create_image(view, each) for each in _FORMATS)
        self.assert_as_modelled(
            self.create_from(raw, view, 'raw'),
            self.create_from(qcow2, view, 'qcow2'),
        )
        for image, backend in ((qcow2, 'raw'), (raw, 'qcow2')):
            self.assertIn(
                'must be the same as the volume format',
                self.refused(image, backend),
            )
