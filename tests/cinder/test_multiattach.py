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

"""A volume that more than one server has."""

from __future__ import annotations

import uuid

from cinderclient import exceptions

from tests.cinder import attached
from tests.cinder import case
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import configuration

_MIB = 1 << 20


class MultiattachTest(attached.AttachedTestCase):
    """On raw images: libvirt shares no others."""

    backends = (configuration.qcow2(volume_format='raw'),)
    base_format = 'raw'

    def setUp(self) -> None:
        super().setUp()
        self.type = f'shared-{self.tenant.project}'
        self.admin.create_type(
            self.type,
            {'volume_backend_name': 'qcow2', 'multiattach': '<is> True'},
        )

    def create_volume(
        self, size: int = 1, base_format: str = 'raw'
    ) -> checked.CheckedVolume:
        """Create a volume that may be attached twice."""
        made = self.tenant.create_volume(size, volume_type=self.type)
        self.assertTrue(made.multiattach)
        share = self.cinder.share()
        return checked.CheckedVolume(
            self.tenant, share, made, base_format=base_format
        )

    def test_no_snapshots_while_two_servers_have_it(self) -> None:
        volume, server = self.boot()
        second = self.host.boot(self.tenant, volume.refresh())
        self.assertTrue(second.guest.read_is(0, 8 * _MIB, 0x11))
        self.assertEqual(2, len(self.record(volume).connections))

        refused = self.tenant.create_snapshot(volume.volume, wait=False)
        self.tenant.wait_status(refused, 'error')
        (message,) = self.tenant.messages(refused)
        self.assertIn('create snapshot', message)
        log = (self.cinder.directory / 'log' / 'cinder.log').read_text()
        self.assertRegex(
            log,
            f'{volume.name} is used by more than one guest disk, running or '
            f'defined: ({server.uuid}|{second.uuid}), ',
        )
        self.assertEqual('in-use', volume.refresh().status)
        self.assertEqual([volume.name], volume.files().chain)
        self.assert_as_modelled(volume)

        second.delete()
        volume.write(_MIB, _MIB, 0x12)
        # The disk is shared still, for whoever may come.
        again = self.tenant.create_snapshot(volume.volume, wait=False)
        self.tenant.wait_status(again, 'error')
        self.assertEqual([volume.name], volume.files().chain)
        self.assert_as_modelled(volume)

        volume.delete_server()
        snapshot = volume.create_snapshot()
        self.tenant.delete_snapshot(refused)
        self.tenant.delete_snapshot(again)
        self.assert_as_modelled(volume)
        # An overlay is no raw image, and gets no second server.
        attachments = self.tenant.through_service().api.attachments
        connector = self.host.connector('/dev/vda')

        def reserve() -> str:
            return str(
                attachments.create(
                    volume.volume.id, connector=None, instance_id=uuid.uuid4()
                )['id']
            )

        one = reserve()
        attachments.update(one, connector)
        attachments.complete(one)
        self.tenant.wait_status(volume.volume, 'in-use')
        other = reserve()
        error = self.assertRaises(
            exceptions.ClientException, attachments.update, other, connector
        )
        self.assertIn('more than one guest', str(error))
        for each in (other, one):
            attachments.delete(each)
        self.tenant.wait_status(volume.volume, 'available')
        volume.delete_snapshot(snapshot)


class Qcow2Test(case.CinderTestCase):
    def test_no_backend_offers_it(self) -> None:
        name = f'shared-{self.tenant.project}'
        self.admin.create_type(name, {'multiattach': '<is> True'})
        volume = self.tenant.create_volume(1, volume_type=name, wait=False)
        self.tenant.wait_status(volume, 'error')
