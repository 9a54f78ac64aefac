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

"""Deletions on a volume in use that are slow, refused, or fail."""

from __future__ import annotations

import itertools
import time

import libvirt

from tests.cinder import attached
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration

_PROGRESS = 'os-extended-snapshot-attributes:progress'


class RefusedTest(attached.AttachedTestCase):
    def delete_refused(self, snapshot: clients.Resource) -> None:
        """Ask for a deletion that is refused: the snapshot stays good."""
        self.tenant.api.volume_snapshots.delete(snapshot)
        self.tenant.wait_status(snapshot, 'available')
        (message,) = self.tenant.messages(snapshot)
        self.assertIn('delete snapshot:Snapshot is busy.', message)

    def test_another_block_job_runs(self) -> None:
        volume, server = self.boot()
        older, _ = volume.take_snapshots(2)
        domain = server.guest.domain
        domain.blockCopy(
            'vda',
            f"<disk type='file'><source file='{self.temp_dir() / 'copy'}'/>"
            "<driver type='qcow2'/></disk>",
            {},
            libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB,
        )
        chain = volume.files().chain

        self.delete_refused(older)

        self.assertTrue(domain.blockJobInfo('vda', 0))
        self.assertEqual(chain, volume.files().chain)
        self.assertEqual('in-use', volume.refresh().status)
        domain.blockJobAbort('vda', 0)
        processes.wait_until(
            lambda: not domain.blockJobInfo('vda', 0), 'the job is gone', 30
        )
        self.assert_as_modelled(volume)
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)

    def test_an_image_is_missing_for_a_while(self) -> None:
        volume, server = self.boot()
        older, _ = volume.take_snapshots(2)
        server.power_off()
        path = volume.share / volume.name
        away = path.rename(path.with_name('away'))

        self.delete_refused(older)

        self.assertEqual('in-use', volume.refresh().status)
        away.rename(path)
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)


class SlowTest(attached.AttachedTestCase):
    """Live merges of one MiB in a second."""

    backends = (configuration.qcow2(merge_bandwidth=1),)

    def boot_slow(
        self, mib: int
    ) -> tuple[checked.CheckedVolume, compute.Server, clients.Resource]:
        volume, server = self.boot()
        return volume, server, attached.make_slow(volume, mib)

    def test_progress_moves(self) -> None:
        volume, _, snapshot = self.boot_slow(20)
        attached.begin_deletion(volume, snapshot)
        seen: list[str] = []
        while known := self.known().get(snapshot.id):
            status, progress = known
            self.assertEqual('deleting', status)
            if progress and progress not in seen[-1:]:
                seen.append(progress)
            time.sleep(0.1)
        self.tenant.wait_gone(snapshot)
        # What is left of its creation.
        percents = [int(each.rstrip('%')) for each in seen if each != '100%']
        self.assertGreater(len(percents), 3, seen)
        self.assertTrue(
            all(one < other for one, other in itertools.pairwise(percents)),
            seen,
        )
        volume.forget_snapshot(snapshot)
        self.assert_as_modelled(volume)

    def known(self) -> dict[str, tuple[str, str]]:
        """Return status and progress of the tenant's snapshots."""
        return {
            each.id: (each.status, getattr(each, _PROGRESS))
            for each in self.tenant.api.volume_snapshots.list()
        }

    def test_a_cancelled_job_fails_and_can_be_asked_for_again(self) -> None:
        volume, server, snapshot = self.boot_slow(8)
        attached.begin_deletion(volume, snapshot)
        server.guest.domain.blockJobAbort('vda', 0)
        self.tenant.wait_status(snapshot, 'available')
        (message,) = self.tenant.messages(snapshot)
        self.assertIn('Snapshot is busy', message)
        self.assertEqual('in-use', volume.refresh().status)
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)

    def test_an_administrator_may_force_it(self) -> None:
        volume, server, snapshot = self.boot_slow(8)
        attached.begin_deletion(volume, snapshot)
        server.guest.domain.blockJobAbort('vda', 0)
        self.tenant.wait_status(snapshot, 'available')
        self.admin.api.volume_snapshots.delete(snapshot, force=True)
        self.tenant.wait_gone(snapshot)
        volume.forget_snapshot(snapshot)
        self.assert_as_modelled(volume)
