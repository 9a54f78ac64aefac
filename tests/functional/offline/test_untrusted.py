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

"""What the files of a volume say is checked before anything is changed."""

from __future__ import annotations

import json
import os
import pathlib
import typing

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from volume_driver import exception


class UntrustedTestCase(case.OfflineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.volume = self.make_volume()
        self.snapshots = self.make_snapshots(self.volume, 2)
        self.directory = self.volume.made.directory
        self.name = self.volume.record.name

    def check_refused(self, error: type[exception.Refused]) -> None:
        """Check that every operation is refused, and no file changed."""
        volume = self.volume
        for snapshot in self.snapshots:
            with self.refused(error, self.directory):
                volume.delete_snapshot(snapshot)
        for call in (
            volume.create_snapshot,
            lambda: volume.revert(self.snapshots[-1]),
            lambda: volume.extend(2),
            lambda: volume.clone(1),
            lambda: volume.copy_snapshot(self.snapshots[0], 1),
            lambda: volume.made.driver.describe(volume.record),
            lambda: volume.made.driver.delete_volume(volume.record),
        ):
            with self.refused(error, self.directory):
                call()

    def point(self, image: str, backing: str) -> None:
        """Write another backing name into an image."""
        image_tools.qemu_img(
            *('rebase', '-u', '-f', 'qcow2', '-b', backing, '-F', 'qcow2'),
            self.directory / image,
        )

    def overlay(self, number: int) -> str:
        """Return the name of the overlay of a snapshot."""
        return f'{self.name}.{self.snapshots[number].id}'


@ddt.ddt
class InfoTest(UntrustedTestCase):
    def write(self, content: bytes) -> None:
        (self.directory / f'{self.name}.info').write_bytes(content)

    def good(self) -> dict[str, typing.Any]:
        path = self.directory / f'{self.name}.info'
        found: dict[str, typing.Any] = json.loads(path.read_text())
        return found

    @ddt.data(
        b'',
        b'{',
        b'[]',
        b'null',
        b'{}',
        b'\xff\xfe',
        b'[' * 100000,
        b'{"active": 1}',
        b'{"active": null}',
        b'{"active": "/etc/passwd"}',
        b'{"active": "../volume"}',
    )
    def test_corrupt_info_is_refused(self, content: bytes) -> None:
        self.write(content)
        self.check_refused(exception.InfoCorrupt)

    def test_info_that_was_cut_off_is_refused(self) -> None:
        text = json.dumps(self.good(), indent=1).encode()
        self.write(text[: len(text) // 2])
        self.check_refused(exception.InfoCorrupt)

    def test_info_of_another_volume_is_refused(self) -> None:
        other = modelled.ModelledVolume.create(self.volume.made)
        other.create_snapshot()
        foreign = self.directory / f'{other.record.name}.info'
        self.write(foreign.read_bytes())
        self.check_refused(exception.InfoCorrupt)

    @ddt.data('/etc/passwd', '../{}', 'volume-x.y', '{}.info', './{}', 7, [])
    def test_snapshot_with_a_foreign_file_is_refused(self, name: str) -> None:
        content = self.good()
        if isinstance(name, str):
            name = name.format(self.name)
        content[self.snapshots[0].id] = name
        self.write(json.dumps(content).encode())
        self.check_refused(exception.InfoCorrupt)

    def test_two_snapshots_with_one_overlay_are_refused(self) -> None:
        content = self.good()
        content[self.snapshots[0].id] = content[self.snapshots[1].id]
        self.write(json.dumps(content).encode())
        self.check_refused(exception.InfoCorrupt)

    def test_info_without_a_snapshot_of_the_chain_is_refused(self) -> None:
        content = self.good()
        del content[self.snapshots[0].id]
        self.write(json.dumps(content).encode())
        self.check_some_refused(exception.ChainMismatch)

    def test_info_with_an_older_active_image_is_refused(self) -> None:
        content = self.good()
        content['active'] = self.overlay(0)
        self.write(json.dumps(content).encode())
        self.check_refused(exception.ChainMismatch)

    def test_info_with_a_snapshot_too_many_is_refused(self) -> None:
        content = self.good()
        content['gone'] = f'{self.name}.gone'
        self.write(json.dumps(content).encode())
        self.check_refused(exception.ChainMismatch)

    def check_some_refused(self, error: type[exception.Refused]) -> None:
        """Check all operations but those on a snapshot that is not there."""
        for call in (
            self.volume.create_snapshot,
            lambda: self.volume.delete_snapshot(self.snapshots[1]),
            lambda: self.volume.extend(2),
            lambda: self.volume.made.driver.delete_volume(self.volume.record),
        ):
            with self.refused(error, self.directory):
                call()


@ddt.ddt
class ChainTest(UntrustedTestCase):
    def test_cycle_is_refused(self) -> None:
        self.point(self.name, self.overlay(1))
        self.check_refused(exception.ChainMismatch)

    def test_image_on_itself_is_refused(self) -> None:
        self.point(self.overlay(0), self.overlay(0))
        self.check_refused(exception.ChainMismatch)

    def test_absolute_backing_name_is_refused(self) -> None:
        self.point(self.overlay(0), str(self.directory / self.name))
        self.check_refused(exception.ImageNotTrusted)

    @ddt.data(
        '/etc/passwd',
        '../other/volume',
        'volume-other',
        'nbd://localhost/x',
        'json:{"driver": "null-co"}',
    )
    def test_foreign_backing_name_is_refused(self, backing: str) -> None:
        self.point(self.name, backing)
        self.check_refused(exception.ImageNotTrusted)

    def test_snapshot_below_which_nothing_is_is_refused(self) -> None:
        image_tools.qemu_img(
            *('rebase', '-u', '-f', 'qcow2', '-b', ''),
            self.directory / self.overlay(0),
        )
        self.check_refused(exception.ChainMismatch)

    def test_skipped_image_is_refused(self) -> None:
        self.point(self.overlay(1), self.name)
        self.check_refused(exception.ChainMismatch)

    @ddt.data(0, 1, 2)
    def test_missing_image_is_refused(self, number: int) -> None:
        name = self.volume.files().chain[number]
        (self.directory / name).rename(self.directory / 'away')
        self.check_refused(exception.ImageInvalid)

    @ddt.data(0, 1, 2)
    def test_symlink_is_refused(self, number: int) -> None:
        path = self.directory / self.volume.files().chain[number]
        path.rename(self.directory / 'away')
        path.symlink_to(self.directory / 'away')
        self.check_refused(exception.ImageNotTrusted)

    def test_fifo_is_refused(self) -> None:
        path = self.directory / self.overlay(0)
        path.unlink()
        os.mkfifo(path)
        self.check_refused(exception.ImageNotTrusted)

    def test_data_file_is_refused(self) -> None:
        path = self.directory / self.overlay(0)
        path.unlink()
        options = f'data_file={self.directory}/secret,data_file_raw=off'
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-o', options, '-u'),
            *('-b', self.name, '-F', 'qcow2', path, '1G'),
        )
        self.check_refused(exception.ImageNotTrusted)

    @ddt.data(b'', b'QFI\xfb', b'QFI\xfb\0\0\0\3' + b'\xff' * 200)
    def test_broken_header_is_refused(self, content: bytes) -> None:
        (self.directory / self.overlay(0)).write_bytes(content)
        self.check_refused(exception.ImageInvalid)

    @ddt.data(b'', b'{}', b'{"version": 1, "base_format": "vmdk"}')
    def test_corrupt_record_is_refused(self, content: bytes) -> None:
        (self.directory / f'{self.name}.record').write_bytes(content)
        self.check_refused(exception.RecordCorrupt)

    @ddt.data(b'', b'{}', b'{"version": 99}', b'[]')
    def test_corrupt_journal_is_refused(self, content: bytes) -> None:
        (self.directory / f'{self.name}.journal').write_bytes(content)
        for call in (
            self.volume.create_snapshot,
            lambda: self.volume.delete_snapshot(self.snapshots[1]),
            lambda: self.volume.extend(2),
        ):
            with self.refused(exception.JournalCorrupt, self.directory):
                call()


@ddt.ddt
class ForgedHeaderTest(case.OfflineTestCase):
    """The guest of a raw volume writes a qcow2 header to its disk."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = self.make_volume('raw')
        self.secret = self.temp_dir() / 'secret'
        self.secret.write_bytes(b'a secret of the host' * 50000)
        self.forge(self.volume.made.path(self.volume.record.name))

    def forge(self, path: pathlib.Path) -> None:
        """Put the header of an overlay of a secret into a raw volume."""
        forged = self.temp_dir() / 'forged'
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', self.secret),
            *('-F', 'raw', forged, '50G'),
        )
        header = forged.read_bytes()
        self.header = header.ljust(-(-len(header) // 65536) * 65536, b'\0')
        with path.open('r+b') as stream:
            stream.write(self.header)

    def check_data(self, volume: modelled.ModelledVolume) -> None:
        """Check size and data; the forged header is read as data."""
        files = volume.files()
        self.assertEqual([], files.problems())
        active = files.chain[-1]
        path = volume.made.path(active)
        image_format = files.format(active)
        self.assertEqual(case.GIB, model.size_of(path, image_format))
        copy = self.temp_dir() / 'copy'
        image_tools.qemu_img(
            'convert', '-f', image_format, '-O', 'raw', path, copy
        )
        with copy.open('rb') as stream:
            self.assertEqual(self.header, stream.read(len(self.header)))
            stream.seek(case.GIB - 96 * case.KIB)
            self.assertEqual(b'\x13' * 96 * case.KIB, stream.read())

    def test_volume_stays_raw(self) -> None:
        self.check_data(self.volume)
        found = self.volume.made.driver.describe(self.volume.record)
        self.assertEqual('raw', found.layers[0].image.format)

    @ddt.data('commit', 'pull')
    def test_snapshots_of_it_come_and_go(self, direction: str) -> None:
        first = self.volume.create_snapshot()
        second = self.volume.create_snapshot()
        self.check_data(self.volume)
        for snapshot in (first, second):
            self.volume.delete_snapshot(snapshot, direction)
            self.check_data(self.volume)

    def test_it_is_copied_as_it_is(self) -> None:
        snapshot = self.volume.create_snapshot()
        self.check_data(self.volume.copy_snapshot(snapshot, 1))
        self.check_data(self.volume.clone(1))

    def test_option_does_not_change_what_it_is(self) -> None:
        made = self.volume.made
        made.driver = made.make(volume_format='qcow2')
        self.volume.create_snapshot()
        self.check_data(self.volume)

    def test_without_a_record_it_is_refused(self) -> None:
        made = self.volume.made
        made.path(f'{self.volume.record.name}.record').unlink()
        with self.refused(exception.ImageNotTrusted, made.directory):
            self.volume.create_snapshot()

    def test_without_a_record_the_overlay_knows(self) -> None:
        made = self.volume.made
        self.volume.create_snapshot()
        made.path(f'{self.volume.record.name}.record').unlink()
        self.volume.create_snapshot()
        self.check_data(self.volume)


class PlainBackingNameTest(case.OfflineTestCase):
    def test_name_with_a_dot_and_slash_is_taken(self) -> None:
        volume = self.make_volume()
        (snapshot,) = self.make_snapshots(volume, 1)
        image_tools.qemu_img(
            *('rebase', '-u', '-f', 'qcow2', '-F', 'qcow2'),
            *('-b', f'./{volume.record.name}'),
            volume.made.active(volume.record),
        )
        another = drivers.snapshot(volume.record)
        volume.made.driver.create_snapshot(another)
        volume.know_snapshot(another)
        for each in (another, snapshot):
            volume.delete_snapshot(each)
        self.check(volume)
