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


"""Groups of volumes, and what an attachment is told."""

from __future__ import annotations

import uuid

from tests.cinder import case
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute

_MIB = 1 << 20


class GroupsTest(case.CinderTestCase):
    """Generic groups: Cinder does to each volume what is done to all."""

    def setUp(self) -> None:
        super().setUp()
        made = self.admin.api.group_types.create(f'any-{self.tenant.project}')
        self.group_type = made.id

    def create_group(self) -> clients.Resource:
        """Create an empty group."""
        group = self.tenant.api.groups.create(self.group_type, 'qcow2')
        return self.tenant.wait_status(group, 'available')

    def create_in(self, group: clients.Resource) -> checked.CheckedVolume:
        """Create a volume in a group, with some data of its own."""
        made = self.tenant.create_volume(
            1, volume_type='qcow2', group_id=group.id
        )
        volume = checked.CheckedVolume(self.tenant, self.cinder.share(), made)
        volume.write(0, _MIB, int(made.id[:2], 16) | 1)
        return volume

    def snapshot(
        self, group: clients.Resource, *volumes: checked.CheckedVolume
    ) -> clients.Resource:
        """Take a snapshot of a group with these volumes."""
        made = self.tenant.api.group_snapshots.create(group.id)
        taken = self.tenant.wait_status(made, 'available')
        by_volume = {
            each.volume_id: each
            for each in self.tenant.api.volume_snapshots.list()
            if each.group_snapshot_id == taken.id
        }
        self.assertEqual({each.volume.id for each in volumes}, set(by_volume))
        for volume in volumes:
            snapshot = by_volume[volume.volume.id]
            volume.snapshots[snapshot.id] = snapshot
            volume.model.snapshots[snapshot.id] = volume.model.active.copy()
        return taken

    def copies(
        self, group: clients.Resource, *origins: checked.CheckedVolume
    ) -> list[checked.CheckedVolume]:
        """Return the volumes of a group that was made of a snapshot."""
        views = {
            key: view
            for volume in origins
            for key, view in volume.model.snapshots.items()
        }
        members = [
            each
            for each in self.tenant.api.volumes.list()
            if each.group_id == group.id
        ]
        self.assertEqual(set(views), {each.snapshot_id for each in members})
        return [
            checked.CheckedVolume(
                self.tenant,
                self.cinder.share(),
                each,
                views[each.snapshot_id],
            )
            for each in members
        ]

    def test_from_the_first_volume_to_the_last(self) -> None:
        group = self.create_group()
        one, two = self.create_in(group), self.create_in(group)
        outside = self.create_volume()

        taken = self.snapshot(group, one, two)
        for volume in (one, two):
            volume.write(0, 2 * _MIB, 0x22)
        self.assert_as_modelled(one, two, outside)

        made = self.tenant.api.groups.create_from_src(taken.id, None)
        other = self.tenant.wait_status(
            self.tenant.api.groups.get(made['id']), 'available'
        )
        copies = self.copies(other, one, two)
        self.assert_as_modelled(one, two, *copies)

        self.tenant.api.group_snapshots.delete(taken)
        self.tenant.wait_gone(taken)
        for volume in (one, two):
            volume.snapshots.clear()
            volume.model.snapshots.clear()
        self.assert_as_modelled(one, two, *copies)

        for each, members in ((group, [one, two]), (other, copies)):
            self.tenant.api.groups.delete(each, delete_volumes=True)
            self.tenant.wait_gone(each)
            for volume in members:
                left = list(self.cinder.share().glob(f'{volume.name}*'))
                self.assertEqual([], left)
        self.assert_as_modelled(outside)

    def test_a_group_of_a_group(self) -> None:
        group = self.create_group()
        one = self.create_in(group)
        before = one.model.active.copy()

        made = self.tenant.api.groups.create_from_src(None, group.id)
        other = self.tenant.wait_status(
            self.tenant.api.groups.get(made['id']), 'available'
        )

        one.write(0, 2 * _MIB, 0x22)
        (copied,) = [
            each
            for each in self.tenant.api.volumes.list()
            if each.group_id == other.id
        ]
        copy = checked.CheckedVolume(
            self.tenant, self.cinder.share(), copied, before
        )
        self.assert_as_modelled(one, copy)


class AttachmentTest(case.CinderTestCase):
    """What a compute host is told beside the place of the volume."""

    def setUp(self) -> None:
        super().setUp()
        self.host = self.useFixture(compute.ComputeHost())
        self.nova = self.tenant.through_service()

    def attach(
        self, volume: clients.Resource, mode: str = 'rw'
    ) -> compute.ConnectionInfo:
        """Attach a volume; return the connection info."""
        attachment = self.nova.api.attachments.create(
            volume.id,
            self.host.connector('/dev/vda'),
            instance_id=str(uuid.uuid4()),
            mode=mode,
        )
        self.addCleanup(self.nova.api.attachments.delete, attachment['id'])
        self.nova.api.attachments.complete(attachment['id'])
        info: compute.ConnectionInfo = attachment['connection_info']
        return info

    def test_limits_of_the_front_end(self) -> None:
        name = f'limited-{self.tenant.project}'
        limited = self.admin.create_type(
            name, {'volume_backend_name': 'qcow2'}
        )
        limits = {'read_iops_sec': '1000', 'write_bytes_sec': '1048576'}
        specs = self.admin.api.qos_specs.create(
            name, {'consumer': 'front-end', **limits}
        )
        self.admin.api.qos_specs.associate(specs.id, limited.id)
        volume = self.tenant.create_volume(1, volume_type=name)

        info = self.attach(volume)

        self.assertEqual(limits, info['qos_specs'])
        self.assertEqual('qcow2', info['format'])

    def test_no_limits(self) -> None:
        info = self.attach(self.create_volume().volume)
        self.assertIsNone(info['qos_specs'])
        self.assertEqual('rw', info['access_mode'])

    def test_read_only_as_the_attachment_says(self) -> None:
        volume = self.create_volume().volume
        self.attach(volume, 'ro')
        (attached,) = self.nova.api.attachments.list(
            detailed=True, search_opts={'volume_id': volume.id}
        )
        self.assertEqual('ro', attached.attach_mode)

    def test_read_only_as_the_volume_says(self) -> None:
        volume = self.create_volume().volume
        self.tenant.api.volumes.update_readonly_flag(volume, True)
        # Whatever the attachment says.
        info = self.attach(volume, 'rw')
        self.assertEqual('ro', info['access_mode'])
