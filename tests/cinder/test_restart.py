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

"""Cinder dies in the middle of what it does, and is started again."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import stat

import ddt

from tests.cinder import attached
from tests.fixtures import processes
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import clients
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import deployment
from volume_driver.operations import locking

_MIB = 1 << 20
_TIMEOUT = 60.0
# Holds the child before, or after, it does what it is asked for.
_QEMU_IMG = """\
#!/bin/sh
hold() {{
    if [ "$(cat {held}/wanted 2>/dev/null)" = "$1" ]; then
        echo $$ > {held}/new
        mv {held}/new {held}/pid
        while :; do sleep 1; done
    fi
}}
hold "before $1"
{real} "$@"
code=$?
hold "after $1"
exit $code
"""


class RestartTestCase(attached.AttachedTestCase):
    """Tests that kill a Cinder that only they use, and start it again."""

    backends = (
        configuration.qcow2(
            'killed', merge_bandwidth=1, merge_direction='commit'
        ),
    )

    def setUp(self) -> None:
        super().setUp()
        try:
            self.assertTrue(self.cinder.pid)
        except deployment.DeploymentError:
            # A test before this one failed while it was dead.
            self.cinder.start()
        self.before = self.unfinished()
        self.held = self.temp_dir()
        program = self.cinder.directory / 'bin' / 'qemu-img'
        real = shutil.which('qemu-img')
        program.write_text(_QEMU_IMG.format(held=self.held, real=real))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.addCleanup(program.unlink)

    def hold(self, when: str) -> None:
        """Let qemu-img stop, ``before`` or ``after`` one of its verbs."""
        (self.held / 'wanted').write_text(when)

    def kill_held(self) -> None:
        """Kill Cinder while qemu-img is held, and that with it."""
        pid = self.held / 'pid'
        processes.wait_until(pid.exists, 'qemu-img is held', _TIMEOUT)
        self.cinder.kill()
        os.kill(int(pid.read_text()), signal.SIGKILL)
        (self.held / 'wanted').unlink()
        pid.unlink()

    def start(self) -> None:
        """Start Cinder again; nothing is under way any more."""
        self.cinder.start()
        self.assert_settled()

    def assert_settled(self) -> None:
        """Check that nothing is under way: no status, no journal."""

        def statuses() -> list[str]:
            return [
                each.status
                for each in (
                    *self.tenant.api.volumes.list(),
                    *self.tenant.api.volume_snapshots.list(),
                )
                if each.status.endswith('ing')
            ]

        processes.wait_until(
            lambda: not statuses(), 'no status is "...ing"', _TIMEOUT
        )
        # Recovery goes on by itself when the start has waited long enough.
        processes.wait_until(
            lambda: not self.unfinished() - self.before,
            'nothing is unfinished',
            _TIMEOUT,
        )

    def unfinished(self) -> set[str]:
        """Return the files that are there while something is under way."""
        return {
            path.name
            for path in self.cinder.share().iterdir()
            if path.suffix in {'.journal', '.part'}
        }

    def files_of(self, resource: clients.Resource) -> list[pathlib.Path]:
        """Return the files of a volume that is, or was."""
        return list(self.cinder.share().glob(f'volume-{resource.id}*'))


@ddt.ddt
class SnapshotsTest(RestartTestCase):
    def repeat_deletion(
        self, volume: checked.CheckedVolume, snapshot: clients.Resource
    ) -> None:
        """Delete a snapshot again whose deletion was cut off."""
        snapshot = self.tenant.refresh(snapshot)
        self.assertEqual('error', snapshot.status)
        volume.delete_snapshot(snapshot)
        self.assert_as_modelled(volume)
        volume.write(300 * _MIB, _MIB, 0x74)
        later = volume.create_snapshot()
        self.assert_as_modelled(volume)
        volume.delete_snapshot(later)
        self.assert_as_modelled(volume)

    def test_live_deletion(self) -> None:
        volume, _ = self.boot()
        snapshot = attached.make_slow(volume, 8)
        attached.begin_deletion(volume, snapshot)
        self.cinder.kill()
        self.assertTrue(attached.has_job(volume))
        volume.write(301 * _MIB, _MIB, 0x75)
        self.start()
        self.assertEqual('in-use', volume.refresh().status)
        self.repeat_deletion(volume, snapshot)

    @ddt.data('before commit', 'after commit')
    def test_offline_deletion(self, when: str) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        snapshot = attached.make_slow(volume, 4)
        self.hold(when)
        self.tenant.api.volume_snapshots.delete(snapshot)
        self.kill_held()
        self.start()
        self.repeat_deletion(volume, snapshot)

    def test_offline_deletion_whose_child_goes_on(self) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        snapshot = attached.make_slow(volume, 8)
        base = volume.share / volume.name
        before = base.stat().st_blocks
        self.tenant.api.volume_snapshots.delete(snapshot)
        processes.wait_until(
            lambda: base.stat().st_blocks > before,
            'qemu-img copies',
            _TIMEOUT,
        )
        self.cinder.kill()
        self.start()
        self.repeat_deletion(volume, snapshot)

    @ddt.data('before create', 'after create')
    def test_creation(self, when: str) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        older = volume.create_snapshot()
        volume.write(_MIB, _MIB, 0x76)
        self.hold(when)
        cut_off = self.tenant.create_snapshot(volume.volume, wait=False)
        self.kill_held()
        self.start()
        self.assertEqual('available', volume.refresh().status)
        self.assertEqual('error', self.tenant.refresh(cut_off).status)
        volume.write(2 * _MIB, _MIB, 0x77)
        self.tenant.delete_snapshot(cut_off)
        self.assert_as_modelled(volume)
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)


@ddt.ddt
class VolumesTest(RestartTestCase):
    @ddt.data('before resize', 'after resize')
    def test_extension(self, when: str) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        volume.take_snapshots(1)
        self.hold(when)
        self.tenant.api.volumes.extend(volume.volume, 2)
        self.kill_held()
        self.start()
        self.assertEqual('available', volume.refresh().status)
        # It has become larger, and says so: a server can use it at once.
        self.assertEqual(2, volume.volume.size)
        volume.model.active.size = 2 * checked.GIB
        self.assert_as_modelled(volume)
        project = self.tenant.project
        found = self.admin.api.quotas.get(project, usage=True)
        self.assertEqual(3, found.gigabytes['in_use'])
        volume.boot(self.host)
        volume.delete_server()
        volume.extend(3)
        volume.write(3 * checked.GIB - _MIB, _MIB, 0x78)
        self.assert_as_modelled(volume)

    @ddt.data('before convert', 'after convert')
    def test_clone(self, when: str) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        self.hold(when)
        cut_off = self.tenant.create_volume(
            1, source_volid=volume.volume.id, wait=False
        )
        self.kill_held()
        self.cinder.start()
        self.assertEqual('error', self.tenant.refresh(cut_off).status)
        self.assertEqual('available', volume.refresh().status)
        self.tenant.delete_volume(cut_off)
        self.assertEqual([], self.files_of(cut_off))
        self.assert_settled()
        copy = volume.clone()
        self.assert_as_modelled(volume, copy)

    def test_clone_of_an_attached_volume(self) -> None:
        volume, _ = self.boot()
        older = volume.create_snapshot()
        volume.write(_MIB, _MIB, 0x79)
        self.hold('before convert')
        cut_off = self.tenant.create_volume(
            1, source_volid=volume.volume.id, wait=False
        )
        self.kill_held()
        self.cinder.start()
        self.assertEqual('in-use', volume.refresh().status)
        self.assertEqual('error', self.tenant.refresh(cut_off).status)
        self.tenant.delete_volume(cut_off)
        self.assertEqual([], self.files_of(cut_off))
        volume.write(2 * _MIB, _MIB, 0x7A)
        # The next call on it drops the snapshot that was for the copy.
        volume.delete_snapshot(older)
        self.assert_as_modelled(volume)
        self.assert_settled()

    def test_deletion_with_all_snapshots(self) -> None:
        volume = self.create_volume()
        volume.write(0, 8 * _MIB, 0x11)
        volume.take_snapshots(3)
        other = self.create_volume()
        other.write(0, _MIB, 0x12)
        locks = locking.FileLocks(str(volume.share))
        with locks(volume.name):
            # Somebody else is at work on it, so that it is not over at once.
            self.tenant.api.volumes.delete(volume.volume, cascade=True)
            self.assertEqual('deleting', volume.refresh().status)
            processes.wait_until(
                lambda: self.cinder.works_on(volume.volume.id),
                'Cinder is at work on it',
                _TIMEOUT,
            )
            self.cinder.kill()
        self.cinder.start()
        self.tenant.wait_gone(volume.volume)
        self.assertEqual([], self.files_of(volume.volume))
        self.assertEqual([], self.tenant.api.volume_snapshots.list())
        self.assert_as_modelled(other)
        self.assert_settled()
