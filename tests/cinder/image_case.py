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

"""What the tests of images are made from: Cinder with a Glance."""

from __future__ import annotations

import json
import pathlib
import uuid

from tests.cinder import case
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import glance
from tests.fixtures.cloud import services

MIB = 1 << 20
SIZE = 24 * MIB
"""Of an image, unless a test needs another one: no whole GiB."""

_FORMATS = {'qcow2': 'qcow2', 'raw': 'raw', 'cached': 'qcow2'}


class ImagesTestCase(case.CinderTestCase):
    """A test with images, and backends for both formats and with the cache."""

    backends = (
        configuration.qcow2('qcow2'),
        configuration.qcow2('raw', volume_format='raw'),
        configuration.qcow2('cached', image_volume_cache_enabled=True),
    )

    def setUp(self) -> None:
        super().setUp()
        self.images = self.glance.images(self.tenant.project)

    def shared_cinder(self) -> services.CinderServices:
        self.glance = glance.shared()
        self.glance.show_log_of(self)
        return services.shared(*self.backends, options=self.cinder_options())

    def cinder_options(self) -> dict[str, dict[str, object]]:
        """Return the options that this Cinder has of its own."""
        return {
            'DEFAULT': {
                'glance_api_servers': self.glance.url,
                'enable_force_upload': True,
            }
        }

    # Images.

    def content(self, size: int = SIZE) -> models.View:
        """Return what is in an image: data, zeros, and data at the end."""
        view = models.View(size)
        view.write(0, MIB, 0x41)
        view.write(3 * MIB, 20 * 4096, 0x42)
        view.write(size - 4096, 4096, 0x43)
        return view

    def image_file(
        self, view: models.View, disk_format: str, *options: str
    ) -> pathlib.Path:
        """Write an image file.

        :param options: of ``qemu-img convert``.
        """
        directory = self.temp_dir()
        raw, path = directory / 'content', directory / disk_format
        view.save(raw)
        if disk_format == 'raw':
            return raw
        image_tools.qemu_img(
            *('convert', '-f', 'raw', '-O', disk_format, *options),
            *(raw, path),
        )
        return path

    def create_image(
        self, view: models.View, disk_format: str = 'qcow2', *options: str
    ) -> str:
        """Make an image in Glance; return its id."""
        path = self.image_file(view, disk_format, *options)
        return self.images.upload(path, disk_format)

    def assert_image(
        self, image_id: str, disk_format: str, view: models.View
    ) -> None:
        """Compare an image of Glance's bit for bit, and what it is."""
        found = self.images.api.images.get(image_id)
        self.assertEqual('active', found.status)
        self.assertEqual(disk_format, found.disk_format)
        directory = self.temp_dir()
        image, expected = directory / 'image', directory / 'expected'
        self.images.download(image_id, image)
        info = json.loads(
            image_tools.qemu_img(
                *('info', '--output=json', '-f', disk_format, image)
            )
        )
        self.assertEqual(disk_format, info['format'])
        self.assertNotIn('backing-filename', info)
        self.assertEqual(view.size, info['virtual-size'])
        view.save(expected)
        image_tools.qemu_img(
            *('compare', '-f', 'raw', '-F', disk_format, expected, image)
        )

    # Volumes.

    def create_on(self, backend: str, size: int = 1) -> checked.CheckedVolume:
        """Create an empty volume on a backend."""
        volume = self.tenant.create_volume(size, volume_type=backend)
        return self._checked(backend, volume)

    def create_from(
        self, image_id: str, view: models.View, backend: str, size: int = 1
    ) -> checked.CheckedVolume:
        """Create a volume from an image.

        :param view: what is in the image.
        """
        volume = self.tenant.create_volume(
            size, volume_type=backend, imageRef=image_id
        )
        return self._checked(backend, volume, view)

    def _checked(
        self,
        backend: str,
        volume: clients.Resource,
        view: models.View | None = None,
    ) -> checked.CheckedVolume:
        return checked.CheckedVolume(
            self.tenant,
            self.cinder.share(backend),
            volume,
            view,
            _FORMATS[backend],
        )

    def upload(
        self,
        volume: checked.CheckedVolume,
        disk_format: str,
        force: bool = False,
        container_format: str = 'bare',
    ) -> str:
        """Upload a volume; return the image's id when that is complete."""
        before = volume.refresh().status
        _, answer = volume.volume.upload_to_image(
            *(force, uuid.uuid4().hex, container_format, disk_format)
        )
        self.tenant.wait_status(volume.volume, before)
        return str(answer['os-volume_upload_image']['image_id'])

    def refused(self, image_id: str, backend: str, size: int = 1) -> str:
        """Let a volume not be made of an image; return what the user reads.

        Of the volume, once it is deleted, and of the image nothing is left.
        """
        volume = self.tenant.create_volume(
            size, volume_type=backend, imageRef=image_id, wait=False
        )
        self.tenant.wait_status(volume, 'error')
        self.assert_clean(backend, volume.id)
        messages = ' '.join(self.tenant.messages(volume))
        self.tenant.delete_volume(volume)
        left = self.cinder.share(backend).glob(f'*{volume.id}*')
        self.assertEqual([], list(left))
        return messages

    def assert_clean(self, backend: str, volume_id: str) -> None:
        """Look for what a transfer of an image should not leave behind."""
        share = self.cinder.share(backend)
        names = {path.name for path in share.glob(f'*{volume_id}*')}
        name = f'volume-{volume_id}'
        strange = {
            each
            for each in names
            if '.image' in each or each.endswith(('.part', '.journal'))
        }
        self.assertEqual(set(), strange, name)
        conversion = self.cinder.directory / 'conversion'
        self.assertEqual([], list(conversion.iterdir()))

    def assert_as_modelled(self, *volumes: checked.CheckedVolume) -> None:
        """Compare all that volumes are, their records as well."""
        super().assert_as_modelled(*volumes)
        for volume in volumes:
            self._assert_recorded(volume)
            self.assert_clean(
                volume.share.parent.name, volume.name.partition('-')[2]
            )

    def _assert_recorded(self, volume: checked.CheckedVolume) -> None:
        files, record = volume.files(), self.record(volume)
        name = files.chain[-1]
        self.assertEqual(f'127.0.0.1:{volume.share}', record.location)
        formats = {'format': files.format(name)}
        if 'base_format' in record.admin_metadata or len(files.chain) > 1:
            formats['base_format'] = files.format(files.chain[0])
        self.assertEqual(formats, record.admin_metadata)
        for info in record.connections:
            self.assertEqual(
                (name, files.format(name)), (info['name'], info['format'])
            )
