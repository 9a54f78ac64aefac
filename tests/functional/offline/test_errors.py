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

"""What is wrong around a volume is a typed error that changes no file."""

from __future__ import annotations

import pathlib
import subprocess

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from tests.functional.offline import children
from volume_driver import exception


@ddt.ddt
class MissingProgramTest(case.OfflineTestCase):
    def test_set_up_names_the_package(self) -> None:
        made = self.make_driver()
        self.without_programs()
        with self.refused(exception.ProgramMissing, made.directory):
            made.driver.check_for_setup_error()

    def test_no_volume_is_created(self) -> None:
        made = self.make_driver()
        self.without_programs()
        with self.refused(exception.ProgramMissing, made.directory):
            made.driver.create_volume(drivers.volume())

    @ddt.data('create', 'revert', 'extend', 'clone', 'copy')
    def test_every_operation_is_refused(self, operation: str) -> None:
        volume = self.make_volume()
        newest = self.make_snapshots(volume, 2)[-1]
        self.without_programs()
        calls = {
            'create': volume.create_snapshot,
            'revert': lambda: volume.revert(newest),
            'extend': lambda: volume.extend(2),
            'clone': lambda: volume.clone(1),
            'copy': lambda: volume.copy_snapshot(newest, 1),
        }
        with self.refused(exception.ProgramMissing, volume.made.directory):
            calls[operation]()

    @ddt.data('commit', 'pull')
    def test_deletion_is_refused(self, direction: str) -> None:
        volume = self.make_volume()
        snapshots = self.make_snapshots(volume, 3)
        self.without_programs()
        for snapshot in snapshots:
            with self.refused(exception.ProgramMissing, volume.made.directory):
                volume.delete_snapshot(snapshot, direction)


class DirectoryTest(case.OfflineTestCase):
    def test_missing_directory_is_refused(self) -> None:
        made = self.make_driver()
        driver = made.make(volume_files_dir=str(made.path('missing')))
        with self.refused(exception.DirectoryUnusable, made.directory):
            driver.check_for_setup_error()

    def test_directory_that_may_not_be_written_is_refused(self) -> None:
        volume = self.make_volume()
        self.open_to_all(volume.made.directory)
        driver = volume.made.make()
        with self.refused(exception.DirectoryUnusable, volume.made.directory):
            self.as_nobody(driver.check_for_setup_error)

    def test_create_without_permission_is_our_error(self) -> None:
        volume = self.make_volume()
        self.open_to_all(volume.made.directory)
        driver = volume.made.make()
        with self.refused(exception.VolumeDriverError, volume.made.directory):
            self.as_nobody(driver.create_volume, drivers.volume())

    def test_snapshot_without_permission_is_our_error(self) -> None:
        volume = self.make_volume()
        self.open_to_all(volume.made.directory)
        driver = volume.made.make()
        snapshot = drivers.snapshot(volume.record)
        with self.refused(exception.VolumeDriverError, volume.made.directory):
            self.as_nobody(driver.create_snapshot, snapshot)

    def open_to_all(self, directory: pathlib.Path) -> None:
        """Let every user read, and only root write."""
        directory.chmod(0o755)
        for path in directory.iterdir():
            path.chmod(0o755 if path.is_dir() else 0o644)

    def as_nobody(self, call: object, *arguments: object) -> None:
        """Call something as user nobody; raise what it raised."""
        assert callable(call)
        found = children.run_as_nobody(lambda: call(*arguments))
        if isinstance(found, BaseException):
            raise found


@ddt.ddt
class RecordsTest(case.OfflineTestCase):
    def test_unknown_volume_gets_no_snapshot(self) -> None:
        made = self.make_driver()
        snapshot = drivers.snapshot(drivers.volume())
        with self.refused(exception.VolumeNotFound, made.directory):
            made.driver.create_snapshot(snapshot)

    def test_unknown_volume_can_be_deleted(self) -> None:
        volume = self.make_volume()
        before = model.fingerprint(volume.made.directory)
        unknown = drivers.volume()
        volume.made.driver.delete_volume(unknown)
        volume.made.driver.delete_snapshot(drivers.snapshot(unknown))
        self.assertEqual(before, model.fingerprint(volume.made.directory))

    def test_unknown_snapshot_can_be_deleted(self) -> None:
        volume = self.make_volume()
        before = model.fingerprint(volume.made.directory)
        unknown = drivers.snapshot(volume.record)
        volume.made.driver.delete_snapshot(unknown)
        self.make_snapshots(volume, 1)
        before = model.fingerprint(volume.made.directory)
        volume.made.driver.delete_snapshot(unknown)
        self.assertEqual(before, model.fingerprint(volume.made.directory))

    def test_unknown_snapshot_cannot_be_copied(self) -> None:
        volume = self.make_volume()
        unknown = drivers.snapshot(volume.record)
        with self.refused(exception.SnapshotNotFound, volume.made.directory):
            volume.made.driver.create_volume_from_snapshot(
                drivers.volume(), unknown
            )

    @ddt.data('../x', 'a/b', '', 'a.b', '.', 'active', 'info', 'a\n')
    def test_id_that_is_no_file_name_is_refused(self, name: str) -> None:
        volume = self.make_volume()
        record = drivers.Snapshot(name, volume.record)
        driver = volume.made.driver
        for call in (driver.create_snapshot, driver.delete_snapshot):
            with self.refused(exception.InvalidName, volume.made.directory):
                call(record)

    def test_volume_with_snapshots_is_not_deleted(self) -> None:
        volume = self.make_volume()
        self.make_snapshots(volume, 2)
        with self.refused(exception.VolumeHasSnapshots, volume.made.directory):
            volume.made.driver.delete_volume(volume.record)

    def test_volume_that_is_there_is_not_created_anew(self) -> None:
        volume = self.make_volume()
        other = volume.clone(1)
        driver, record = volume.made.driver, volume.record
        with self.refused(exception.NameCollision, volume.made.directory):
            driver.create_volume(record)
        with self.refused(exception.NameCollision, volume.made.directory):
            driver.create_cloned_volume(record, other.record)

    def test_file_in_the_place_of_the_overlay_is_not_touched(self) -> None:
        volume = self.make_volume()
        snapshot = drivers.snapshot(volume.record)
        foreign = volume.made.path(f'{volume.record.name}.{snapshot.id}')
        foreign.write_bytes(b'somebody needs this')
        with self.refused(exception.NameCollision, volume.made.directory):
            volume.made.driver.create_snapshot(snapshot)

    def test_chain_has_a_limit(self) -> None:
        made = self.make_driver(max_chain_depth=3)
        volume = modelled.ModelledVolume.create(made)
        self.make_snapshots(volume, 2)
        with self.refused(exception.ChainTooDeep, made.directory):
            volume.create_snapshot()

    @ddt.data('qcow2', 'raw')
    def test_image_that_another_process_holds_is_refused(
        self, volume_format: str
    ) -> None:
        volume = self.make_volume(volume_format)
        newest = self.make_snapshots(volume, 2)[-1]
        path = volume.made.active(volume.record)
        process = subprocess.Popen(
            ['qemu-io', '-f', 'qcow2', path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            # Its prompt: the image is open.
            process.stdout.read(len('qemu-io> '))
            for call in (
                volume.create_snapshot,
                lambda: volume.delete_snapshot(newest),
                lambda: volume.revert(newest),
                lambda: volume.extend(2),
                lambda: volume.clone(1),
            ):
                with self.refused(
                    exception.ImageOpenElsewhere, volume.made.directory
                ):
                    call()
        finally:
            process.communicate(b'quit\n')
        volume.delete_snapshot(newest)
        self.check(volume)

    def test_attached_volume_is_refused_without_a_hypervisor(self) -> None:
        volume = self.make_volume()
        volume.record.volume_attachment.append(drivers.Attachment())
        with self.refused(
            exception.HypervisorUnreachable, volume.made.directory
        ):
            volume.create_snapshot()
