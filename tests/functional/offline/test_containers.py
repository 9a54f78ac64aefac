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

"""Encrypted volumes as the files that Cinder's services copy."""

from __future__ import annotations

import functools
import os
import pathlib
import tempfile

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import encrypted
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.functional.offline import case
from tests.functional.offline import test_encrypted
from volume_driver import exception
from volume_driver.images import secrets
from volume_driver.operations import containers
from volume_driver.operations import copies
from volume_driver.operations import seal


@functools.cache
def flat() -> encrypted.EncryptedVolume:
    """Return a volume without snapshots, which is only ever copied."""
    directory = tempfile.TemporaryDirectory()
    made = drivers.DriverFixture(directory.name, passphrase=encrypted.Keys())
    made.setUp()
    volume = encrypted.EncryptedVolume.create(made)
    volume.kept = directory  # type: ignore[attr-defined]
    volume.write(0, case.MIB, 0x5A)
    volume.write(case.GIB - 4096, 4096, 0x5B)
    return volume


class ContainersTestCase(test_encrypted.EncryptedTestCase):
    def volume(self) -> encrypted.EncryptedVolume:
        """Return an encrypted volume without snapshots."""
        return self.again(flat)

    def read_out(
        self,
        volume: encrypted.EncryptedVolume,
        limit: int | None = None,
        snapshot: drivers.Snapshot | None = None,
    ) -> pathlib.Path:
        """Return the container of a volume, off its directory."""
        path = self.temp_dir() / 'container'
        driver = volume.made.driver
        source = driver.source(volume.record, snapshot)
        containers.read_out(source, str(path), limit)
        return path

    def write_over(
        self,
        volume: encrypted.EncryptedVolume,
        path: pathlib.Path,
        size: int = case.GIB,
    ) -> None:
        """Let a volume hold what a container holds."""
        name = f'{volume.record.name}.export-volume'
        export = volume.made.directory / name
        export.write_bytes(path.read_bytes())
        driver = volume.made.driver
        target = driver.target(volume.record)
        containers.write_over(driver.context, target, str(export), size)
        self.assertFalse(export.exists())

    def assert_holds(
        self, path: pathlib.Path, passphrase: str, view: models.View
    ) -> None:
        """Compare what is in a qcow2 container, bit for bit."""
        directory = self.temp_dir()
        view.save(directory / 'expected')
        with image_tools.unlocked([path], passphrase) as found:
            image_tools.qemu_img(
                *('compare', '-f', 'raw', *found[:-1]),
                *(directory / 'expected', found[-1]),
            )

    def assert_nothing_in_the_clear(self, path: pathlib.Path) -> None:
        content = path.read_bytes()
        for pattern in (b'\x5a', b'\x11', b'\x12', b'\x13'):
            self.assertNotIn(pattern * 64, content)

    def to_luks(
        self, volume: encrypted.EncryptedVolume, path: pathlib.Path
    ) -> None:
        source = volume.made.driver.source(volume.record)
        containers.read_out_luks(source, str(path))


class OutTest(ContainersTestCase):
    def test_it_is_what_the_volume_is(self) -> None:
        volume = self.volume()
        path = self.read_out(volume)
        self.assert_nothing_in_the_clear(path)
        self.assert_holds(path, volume.model.passphrase, volume.model.active)
        self.check(volume)

    def test_with_snapshots_it_is_flat(self) -> None:
        volume = self.again()
        path = self.read_out(volume)
        self.assert_nothing_in_the_clear(path)
        self.assert_holds(path, volume.model.passphrase, volume.model.active)
        for record in volume.snapshots.values():
            path = self.read_out(volume, snapshot=record)
            view = volume.model.snapshots[record.id]
            self.assert_holds(path, volume.model.passphrase, view)
        self.check(volume)

    def test_all_are_of_one_length(self) -> None:
        volume = self.volume()
        first = self.read_out(volume)
        volume.write(4 * case.MIB, 64 * case.MIB, 0x31)
        second = self.read_out(volume)
        self.assertEqual(first.stat().st_size, second.stat().st_size)
        # Neither the master key is another one, nor what was not written to.
        before, after = first.read_bytes(), second.read_bytes()
        begin, end = 256 * case.KIB, 2 * case.MIB
        self.assertEqual(before[begin:end], after[begin:end])
        third = self.read_out(self.again())
        self.assertEqual(first.stat().st_size, third.stat().st_size)

    def test_as_many_bytes_as_are_copied(self) -> None:
        volume = self.volume()
        path = self.read_out(volume, limit=case.GIB)
        self.assertLess(path.stat().st_size, 8 * case.MIB)
        self.assert_holds(path, volume.model.passphrase, volume.model.active)

    def test_a_file_that_has_grown_is_made_compact(self) -> None:
        volume = self.volume()
        os.truncate(volume.made.active(volume.record), 2 * case.GIB)
        found = self.read_out(volume, limit=case.GIB)
        self.assertLess(found.stat().st_size, 8 * case.MIB)
        self.assert_holds(found, volume.model.passphrase, volume.model.active)
        self.assertEqual(
            containers.room(case.GIB), self.read_out(volume).stat().st_size
        )

    def test_nothing_is_cut_off(self) -> None:
        volume = self.volume()
        volume.write(0, 16 * case.MIB, 0x31)
        with self.refused(exception.ContainerTooLarge, volume.made.directory):
            self.read_out(volume, limit=16 * case.MIB)

    def test_luks_alone(self) -> None:
        volume = self.again()
        path = self.temp_dir() / 'luks'
        self.to_luks(volume, path)
        self.assertTrue(path.read_bytes().startswith(b'LUKS'))
        self.assert_nothing_in_the_clear(path)
        self.check(volume)


@ddt.ddt
class InTest(ContainersTestCase):
    @ddt.data('qcow2', 'luks')
    def test_over_a_volume(self, kind: str) -> None:
        volume = self.volume()
        path = self.container(volume, kind)
        view = volume.model.active.copy()
        volume.write(2 * case.MIB, 8 * case.MIB, 0x31)
        self.write_over(volume, path)
        volume.model.active = view
        self.check(volume)
        self.check_lives(volume)

    @ddt.data('qcow2', 'luks')
    def test_over_a_volume_with_snapshots(self, kind: str) -> None:
        volume = self.again()
        path = self.container(volume, kind)
        view = volume.model.active.copy()
        volume.write(2 * case.MIB, 8 * case.MIB, 0x31)
        self.write_over(volume, path)
        volume.model.active = view
        self.check(volume)
        volume.delete_snapshot(self.snapshot(volume, 1))
        self.check(volume)
        self.check_lives(volume)

    @ddt.data('qcow2', 'luks')
    def test_of_another_volume_over_a_larger_one(self, kind: str) -> None:
        volume = self.volume()
        path = self.container(volume, kind)
        other = encrypted.EncryptedVolume.create(volume.made, 2)
        # That is what Cinder does: the record names the backup's key.
        volume.keys.known[other.record.id] = volume.model.passphrase
        self.write_over(other, path, 2 * case.GIB)
        view = volume.model.active.copy(2 * case.GIB)
        other.model = models.Model(
            'qcow2', view, passphrase=volume.model.passphrase
        )
        self.check(other, volume)
        self.check_lives(other)

    def container(
        self, volume: encrypted.EncryptedVolume, kind: str
    ) -> pathlib.Path:
        if kind == 'qcow2':
            return self.read_out(volume)
        path = self.temp_dir() / 'luks'
        self.to_luks(volume, path)
        return path

    def check_lives(self, volume: encrypted.EncryptedVolume) -> None:
        """Check that it can do what any volume can."""
        volume.take_snapshots(1)
        volume.write(32 * case.MIB, case.MIB, 0x32)
        self.check(volume)

    def test_what_another_key_opens_is_dropped(self) -> None:
        volume, other = self.volume(), self.again()
        path = self.read_out(other)
        self.assertRaises(
            exception.PassphraseWrong, self.write_over, volume, path
        )
        self.check(volume)

    def test_snapshots_of_another_key_stay(self) -> None:
        volume, other = self.again(), self.volume()
        path = self.read_out(other)
        passphrase = other.model.passphrase
        volume.keys.known[volume.record.id] = passphrase
        self.assertRaises(
            exception.PassphraseWrong, self.write_over, volume, path
        )
        self.check(volume)

    def test_larger_than_the_volume(self) -> None:
        volume = self.volume()
        larger = self.volume()
        larger.made.driver.extend_volume(larger.record, 2)
        path = self.read_out(larger)
        self.assertRaises(exception.InvalidSize, self.write_over, volume, path)
        self.check(volume)

    @ddt.data(
        ('zeros', exception.ImageInvalid),
        ('plain', exception.ImageNotTrusted),
        ('backing', exception.ImageNotTrusted),
    )
    @ddt.unpack
    def test_what_is_no_container_is_dropped(
        self, kind: str, error: type[exception.VolumeDriverError]
    ) -> None:
        volume = self.volume()
        path = getattr(self, f'_{kind}')(volume)
        self.assertRaises(error, self.write_over, volume, path)
        self.check(volume)

    def _zeros(self, volume: encrypted.EncryptedVolume) -> pathlib.Path:
        path = self.temp_dir() / 'zeros'
        path.write_bytes(bytes(case.MIB))
        return path

    def _plain(self, volume: encrypted.EncryptedVolume) -> pathlib.Path:
        path = self.temp_dir() / 'plain'
        image_tools.qemu_img('create', '-f', 'qcow2', path, str(case.MIB))
        return path

    def _backing(self, volume: encrypted.EncryptedVolume) -> pathlib.Path:
        path = self._plain(volume)
        image_tools.qemu_img(
            *('rebase', '-u', '-f', 'qcow2', '-b', '/etc/passwd'),
            *('-F', 'raw', path),
        )
        return path


class ImagesTest(ContainersTestCase):
    def test_an_image_is_encrypted_anew(self) -> None:
        origin = self.volume()
        path = self.temp_dir() / 'image'
        self.to_luks(origin, path)
        other = encrypted.EncryptedVolume.create(origin.made, 2)
        driver = origin.made.driver
        seal.write_over(
            driver.context,
            driver.target(other.record),
            str(path),
            secrets.Key(origin.model.passphrase),
        )
        other.model.active = origin.model.active.copy(2 * case.GIB)
        self.check(other, origin)
        self.assertTrue(path.exists())

    def test_a_plain_one_takes_an_encrypted_ones_place(self) -> None:
        volume = self.volume()
        name = f'{volume.record.name}.export-volume'
        export = volume.made.directory / name
        with tempfile.NamedTemporaryFile() as content:
            content.write(b'1' * 4096)
            content.flush()
            os.link(content.name, export)
            driver = volume.made.driver
            copies.write_over(
                driver.context,
                driver.target(volume.record),
                *(str(export), 'raw'),
                unseal=True,
            )
        volume.model = models.Model('raw', models.View(case.GIB))
        volume.model.active.write(0, 4096, 0x31)
        self.check(volume)
