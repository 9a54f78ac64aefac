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

"""Volumes that Cinder makes from the one that it keeps of an image."""

from __future__ import annotations

from tests.cinder import image_case
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute

_MIB = image_case.MIB
_BACKEND = 'cached'


class ImageCacheTest(image_case.ImagesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.view = self.content()
        self.image = self.create_image(self.view)

    def create(self, size: int = 1) -> checked.CheckedVolume:
        """Create a volume from the image."""
        return self.create_from(self.image, self.view, _BACKEND, size)

    def kept(self) -> clients.Resource:
        """Return the volume that Cinder keeps of the image."""
        volumes = self.admin.api.volumes.list(
            search_opts={'all_tenants': True}
        )
        name = f'image-{self.image}'
        (found,) = (each for each in volumes if each.name == name)
        return found

    def test_the_second_volume_is_a_copy_of_the_first_ones(self) -> None:
        first = self.create()
        # It is looked at before it is converted, by the same download.
        self.assertEqual(1, self.glance.downloads(self.image))
        kept = self.kept()
        first.write(0, _MIB, 0x11)
        second = self.create()
        self.assertEqual(1, self.glance.downloads(self.image))
        self.assertEqual(1, kept.size)
        cached = checked.CheckedVolume(
            self.tenant, second.share, kept, self.view
        )
        self.assert_as_modelled(first, second, cached)

    def test_a_larger_volume(self) -> None:
        first = self.create(2)
        # What is kept is as small as the image can be.
        self.assertEqual(1, self.kept().size)
        second = self.create(3)
        self.assertEqual(1, self.glance.downloads(self.image))
        for volume in (first, second):
            volume.write(volume.volume.size * checked.GIB - _MIB, _MIB, 0x12)
        self.assert_as_modelled(first, second)
        second.take_snapshots(1)
        second.extend(4)
        self.assert_as_modelled(second)

    def test_volumes_need_nothing_of_what_is_kept(self) -> None:
        volumes = [self.create(), self.create()]
        kept = self.kept()
        self.admin.delete_volume(kept)
        self.assert_as_modelled(*volumes)
        server = volumes[1].boot(self.useFixture(compute.ComputeHost()))
        self.assertTrue(server.guest.read_is(0, _MIB, 0x41))
        # It is kept anew, from another download.
        third = self.create()
        self.assertEqual(2, self.glance.downloads(self.image))
        self.assertNotEqual(kept.id, self.kept().id)
        self.assert_as_modelled(third)
