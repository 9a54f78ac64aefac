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

"""What the tests of tenants are made from."""

from __future__ import annotations

from tests import base
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import deployment
from tests.fixtures.cloud import records
from tests.fixtures.cloud import services


class CinderTestCase(base.TestCase):
    """A test with a project of its own in Cinder that all of them share.

    :cvar backends: what is enabled; classes with equal ones share a Cinder
    """

    backends: tuple[configuration.Backend, ...] = (configuration.qcow2(),)

    def setUp(self) -> None:
        super().setUp()
        self.cinder = self.shared_cinder()
        self.cinder.show_logs_of(self)
        self.tenant = self.cinder.tenant()
        self.admin = self.cinder.admin

    def shared_cinder(self) -> services.CinderServices:
        """Return the Cinder of all tests of this class."""
        return services.shared(*self.backends)

    def create_volume(
        self, size: int = 1, base_format: str = 'qcow2'
    ) -> checked.CheckedVolume:
        """Create a volume of some GiB, with a model."""
        volume = self.tenant.create_volume(size)
        return checked.CheckedVolume(
            self.tenant,
            self.cinder.share(),
            volume,
            base_format=base_format,
        )

    def address(self) -> str:
        """Return the address of the only share."""
        return configuration.address_of(self.cinder.share())

    def manage(self, name: str) -> clients.Resource:
        """Let a file on the only share become a volume of the project."""
        made = self.operator().api.volumes.manage(
            self.pool(), {'source-name': f'{self.address()}/{name}'}
        )
        volume = self.tenant.api.volumes.get(made.id)
        return self.tenant.wait_status(volume, 'available')

    def operator(self) -> clients.Client:
        """Return an administrator who is in the test's own project."""
        roles = ['admin', 'member', 'reader']
        return clients.Client(self.cinder.url, self.tenant.project, roles)

    def pool(self) -> str:
        """Return the only pool, as the scheduler names it."""
        (backend,) = self.backends
        return f'{deployment.HOST}@{backend.name}#{self.address()}'

    def record(self, volume: checked.CheckedVolume) -> records.Record:
        """Return what stands in Cinder's database of a volume."""
        database = self.cinder.directory / 'cinder.sqlite'
        return records.of_volume(database, volume.volume.id)

    def assert_as_modelled(self, *volumes: checked.CheckedVolume) -> None:
        """Compare all that volumes are, bit for bit."""
        for volume in volumes:
            self.assertEqual([], volume.differences(), volume.volume.id)
