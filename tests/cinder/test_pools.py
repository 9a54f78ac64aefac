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


"""What the scheduler knows of the shares, and what it makes of it."""

from __future__ import annotations

import math
import os
import pathlib
import typing

import ddt

from tests import base
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import deployment
from tests.fixtures.cloud import services

_GIB = 1 << 30
_RATIO = 2.0
_RESERVED = 3
_TIMEOUT = 60.0


def pools(cinder: deployment.Deployment) -> set[str]:
    """Return the addresses of the shares that the scheduler knows."""
    # With details Cinder's API fails in a process with the scheduler: it
    # changes what the one made, if the protocol is NFS, and may not.
    found = cinder.admin.api.pools.list(detailed=False)
    return {each.name.partition('#')[2] for each in found}


class PoolsTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cinder = services.shared(
            configuration.qcow2_shares(
                'local',
                'one',
                'two',
                max_over_subscription_ratio=_RATIO,
                reserved_percentage=_RESERVED,
            )
        )
        self.cinder.show_logs_of(self)
        self.tenant = self.cinder.tenant()
        self.one, self.two = (
            self.cinder.share(export=each) for each in ('one', 'two')
        )

    def pool(self, share: pathlib.Path) -> dict[str, typing.Any]:
        """Return what the scheduler knows of a share."""
        (found,) = [
            each
            for each in self.cinder.admin.api.pools.list(detailed=True)
            if each.name.partition('#')[2] == configuration.address_of(share)
        ]
        known: dict[str, typing.Any] = vars(found)
        return known

    def test_there_is_one_for_each_share(self) -> None:
        expected = {
            configuration.address_of(share) for share in (self.one, self.two)
        }
        self.assertEqual(expected, pools(self.cinder))

    def test_what_is_known_of_one(self) -> None:
        found = self.pool(self.one)
        said = {
            'max_over_subscription_ratio': _RATIO,
            'reserved_percentage': _RESERVED,
            'thin_provisioning_support': True,
            'thick_provisioning_support': False,
            'multiattach': False,
            'online_extend_support': True,
            'volume_backend_name': 'qcow2',
            'backend_state': 'up',
        }
        self.assertEqual(said, {key: found[key] for key in said})
        room = os.statvfs(self.one)
        total = room.f_blocks * room.f_frsize / _GIB
        self.assertAlmostEqual(total, found['total_capacity_gb'], delta=0.01)
        self.assertLess(0, found['free_capacity_gb'])
        self.assertLess(found['free_capacity_gb'], total)

    def test_what_volumes_may_grow_to_is_counted(self) -> None:
        before = self.wait_known()

        volume = self.tenant.create_volume(7)

        self.wait_provisioned(before + 7)
        self.tenant.extend(volume, 9)
        self.wait_provisioned(before + 9)
        self.tenant.delete_volume(volume)
        self.wait_provisioned(before)

    def provisioned(self) -> int:
        """Return how large all volumes are, in GiB."""
        return sum(
            int(self.pool(share)['provisioned_capacity_gb'])
            for share in (self.one, self.two)
        )

    def wait_provisioned(self, size: int) -> None:
        """Wait until the scheduler is told of volumes of this size."""
        processes.wait_until(
            lambda: self.provisioned() == size,
            f'{size} GiB are provisioned',
            _TIMEOUT,
        )

    def wait_known(self) -> int:
        """Wait until the scheduler knows of all volumes; return their size.

        It may know of some still that the test before has deleted.
        """
        found = self.cinder.admin.api.volumes.list(
            search_opts={'all_tenants': 1}
        )
        size = sum(int(each.size) for each in found)
        self.wait_provisioned(size)
        return size

    def wait_told(self, share: pathlib.Path, size: int, free: float) -> None:
        """Wait until the scheduler is told anew of volumes of this size.

        :param free: GiB that are free in the share at least; less are where
            the scheduler itself took off what a volume may grow to
        """

        def told() -> bool:
            pool = self.pool(share)
            return (
                int(pool['provisioned_capacity_gb']) == size
                and pool['free_capacity_gb'] > free
            )

        processes.wait_until(
            told, f'{size} GiB are provisioned in {share}', _TIMEOUT
        )

    def test_no_more_than_the_ratio_allows(self) -> None:
        address = configuration.address_of(self.one)
        name = f'one-{self.tenant.project}'
        self.cinder.admin.create_type(name, {'pool_name': f's== {address}'})
        self.wait_known()
        pool = self.pool(self.one)
        total = pool['total_capacity_gb']
        # As Cinder counts: what is reserved are whole GiB.
        most = (total - math.floor(total * _RESERVED / 100)) * _RATIO
        used = int(pool['provisioned_capacity_gb'])
        size = max(1, int(most / 3))
        while used + size <= most:
            self.tenant.create_volume(size, volume_type=name)
            used += size
            # What was found out before it was there may be told after it.
            self.wait_told(self.one, used, pool['free_capacity_gb'] - size / 2)

        refused = self.tenant.create_volume(size, volume_type=name, wait=False)

        error = self.assertRaises(
            clients.UnexpectedStatus,
            self.tenant.wait_status,
            refused,
            'available',
        )
        self.assertIn('its status is error', str(error))
        self.assertIn(
            'Could not find any available weighted backend', str(error)
        )
        self.assertEqual([], list(self.one.glob(f'volume-{refused.id}*')))
        for volume in self.tenant.api.volumes.list():
            self.tenant.delete_volume(volume)


@ddt.ddt
class MissingShareTest(base.TestCase):
    @ddt.data('nfs', 'local')
    def test_the_rest_works(self, kind: str) -> None:
        there, missing = self.temp_dir(), self.temp_dir() / 'missing'
        listed = self.temp_dir() / 'shares'
        addresses = [
            configuration.address_of(each) for each in (missing, there)
        ]
        listed.write_text('# comment\n\n' + '\n'.join(addresses) + '\n')
        cinder = self.useFixture(
            services.CinderServices(
                [configuration.qcow2_shares(kind, shares_config=str(listed))]
            )
        )
        cinder.show_logs_of(self)
        self.assertEqual({addresses[1]}, pools(cinder))
        tenant = cinder.tenant()
        volume = checked.CheckedVolume(tenant, there, tenant.create_volume(1))
        volume.write(0, 1 << 20, 0x11)
        volume.take_snapshots(1)
        self.assertEqual([], volume.differences())

        missing.mkdir()

        processes.wait_until(
            lambda: set(addresses) == pools(cinder),
            'the share is a pool',
            _TIMEOUT,
        )
        tenant.delete_volume(volume.volume, cascade=True)
        self.assertEqual([], list(there.glob('volume-*')))
