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

"""Cinder's own code and ours take each other's volumes as they are."""

from __future__ import annotations

import itertools
import json

import ddt

from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model
from tests.fixtures import modelled
from tests.functional.offline import case
from volume_driver import names

WAYS = ('commit', 'pull')
ORDERS = ((0, 1, 2), (2, 1, 0), (1, 0, 2))


class CinderTestCase(case.OfflineTestCase):
    """With both drivers on one directory."""

    def prepare(self, volume_format: str, ours: bool) -> None:
        """Create a volume with some data.

        :param ours: our driver creates it, not Cinder's
        """
        self.cinder = cinder_remotefs.CinderRemoteFS(volume_format)
        self.useFixture(self.cinder)
        made = self.make_driver(volume_format, directory=self.cinder.directory)
        if ours:
            self.volume = modelled.ModelledVolume.create(made)
            self.record = self.cinder.adopt(self.volume.record)
        else:
            self.record = self.cinder.create_volume()
            view = model.View(case.GIB)
            self.volume = modelled.ModelledVolume(
                made, self.record, model.Model(volume_format, view)
            )
        self.volume.write(0, 256 * case.KIB, 0x11)
        self.volume.write(case.GIB - 96 * case.KIB, 96 * case.KIB, 0x13)

    def create(self, ours: bool) -> cinder_remotefs.Snapshot:
        """Take a snapshot by one of the two, then write something."""
        snapshot = self.cinder.snapshot(self.record)
        driver = self.volume.made.driver if ours else self.cinder.driver
        driver.create_snapshot(snapshot)
        self.volume.know_snapshot(snapshot)
        number = len(self.volume.snapshots)
        self.volume.write(number * 68 * case.KIB, 100 * case.KIB, number)
        self.volume.write(number * 64 * case.MIB, 64 * case.KIB, 0x40 + number)
        self.check(self.volume)
        return snapshot

    def delete(
        self, snapshot: cinder_remotefs.Snapshot, ours: bool, way: str
    ) -> None:
        """Delete a snapshot by one of the two."""
        if ours:
            self.volume.delete_snapshot(snapshot, way)
        else:
            self.cinder.driver.delete_snapshot(snapshot)
            self.volume.forget_snapshot(snapshot)
        self.check(self.volume)


@ddt.ddt
class TakenOverTest(CinderTestCase):
    @ddt.data(*itertools.product(case.FORMATS, ORDERS, WAYS))
    @ddt.unpack
    def test_we_delete_what_cinder_made(
        self, volume_format: str, order: tuple[int, ...], way: str
    ) -> None:
        self.prepare(volume_format, ours=False)
        snapshots = [self.create(ours=False) for _ in range(3)]
        for number in order:
            self.delete(snapshots[number], True, way)

    @ddt.data(*itertools.product(case.FORMATS, ORDERS))
    @ddt.unpack
    def test_cinder_deletes_what_we_made(
        self, volume_format: str, order: tuple[int, ...]
    ) -> None:
        self.prepare(volume_format, ours=True)
        snapshots = [self.create(ours=True) for _ in range(3)]
        for number in order:
            self.delete(snapshots[number], False, '')

    @ddt.data(*itertools.product(case.FORMATS, (False, True), WAYS))
    @ddt.unpack
    def test_they_take_turns(
        self, volume_format: str, ours: bool, way: str
    ) -> None:
        self.prepare(volume_format, ours)
        snapshots = [self.create(bool(n % 2) != ours) for n in range(4)]
        for number, snapshot in enumerate((snapshots[1], snapshots[3])):
            self.delete(snapshot, bool(number % 2) == ours, way)
        self.create(ours)
        self.create(not ours)
        for number, each in enumerate(list(self.volume.snapshots)):
            found = self.volume.snapshots[each]
            assert isinstance(found, cinder_remotefs.Snapshot)
            self.delete(found, bool(number % 2) == ours, way)

    @ddt.data(*case.FORMATS)
    def test_snapshots_are_seen_alike(self, volume_format: str) -> None:
        self.prepare(volume_format, ours=True)
        for ours in (False, True, False):
            self.create(ours)
            seen = self.cinder.driver.get_active_image_from_info(self.record)
            active = self.volume.made.active(self.record)
            self.assertEqual(active.name, seen)
            connection = self.cinder.driver.initialize_connection(
                self.record, {}
            )['data']
            self.assertEqual(active.name, connection['name'])
            self.assertEqual('qcow2', connection['format'])

    @ddt.data(*case.FORMATS)
    def test_copies_are_alike(self, volume_format: str) -> None:
        self.prepare(volume_format, ours=True)
        for snapshot in (self.create(False), self.create(True)):
            view = self.volume.model.snapshots[snapshot.id]
            for create in (
                self.volume.made.driver.create_volume_from_snapshot,
                self.copy_by_cinder,
            ):
                record = self.cinder.adopt(drivers.volume())
                create(record, snapshot)
                wanted = model.Model(volume_format, view)
                found = wanted.differences(self.cinder.directory, record.name)
                self.assertEqual([], found)

    def copy_by_cinder(
        self,
        record: cinder_remotefs.Volume,
        snapshot: cinder_remotefs.Snapshot,
    ) -> None:
        """Make a volume from a snapshot as Cinder does."""
        self.cinder.driver._copy_volume_from_snapshot(snapshot, record, 1)

    @ddt.data(*itertools.product(case.FORMATS, (False, True)))
    @ddt.unpack
    def test_volume_is_deleted_by_the_other(
        self, volume_format: str, ours: bool
    ) -> None:
        self.prepare(volume_format, ours)
        self.delete(self.create(not ours), ours, 'commit')
        if not ours:
            self.volume.made.driver.delete_volume(self.record)
        else:
            self.cinder.driver.delete_volume(self.record)
            # This is not Cinder's to know; it is gone with the next call.
            self.volume.made.driver.delete_volume(self.record)
        self.assertEqual({}, model.fingerprint(self.cinder.directory))

    @ddt.data(*case.FORMATS)
    def test_volume_that_cinder_extended(self, volume_format: str) -> None:
        self.prepare(volume_format, ours=True)
        snapshot = self.create(False)
        image_tools.qemu_img(
            *('resize', '-q', '-f', 'qcow2'),
            *(self.volume.made.active(self.record), '2G'),
        )
        self.volume.know_size(2)
        self.record.size = 2
        newer = self.create(False)
        self.delete(snapshot, True, 'commit')
        self.delete(newer, False, '')


@ddt.ddt
class ShapesTest(CinderTestCase):
    """Shapes that a live deletion by Cinder and Nova leaves."""

    def pull_as_nova(self, snapshot: cinder_remotefs.Snapshot) -> None:
        """Pull into the active image, and write .info as Cinder does."""
        files = self.volume.files()
        active = files.chain[-1]
        pulled = files.below(active)
        below = files.chain[: files.chain.index(pulled)]
        naming = ['-b', '']
        if below:
            naming = ['-b', below[-1], '-F', files.format(below[-1])]
        path = files.directory / active
        image_tools.qemu_img('rebase', '-f', 'qcow2', *naming, path)
        (files.directory / pulled).unlink()
        content = {'active': active, **files.snapshots}
        for other, name in files.snapshots.items():
            if name == pulled:
                content[other] = active
        del content[snapshot.id]
        self.cinder.driver._write_info_file(
            str(files.directory / f'{self.record.name}.info'), content
        )
        self.volume.forget_snapshot(snapshot)
        self.check(self.volume)

    @ddt.data(*itertools.product(case.FORMATS, (1, 2, 3), WAYS))
    @ddt.unpack
    def test_chain_after_pulls_is_taken(
        self, volume_format: str, pulls: int, way: str
    ) -> None:
        self.prepare(volume_format, ours=False)
        snapshots = [self.create(ours=False) for _ in range(3)]
        for snapshot in list(reversed(snapshots))[:pulls]:
            self.pull_as_nova(snapshot)
        # The last pull takes the base, and its name is gone.
        base = self.cinder.directory / self.record.name
        self.assertEqual(pulls < 3, base.exists())
        self.create(ours=True)
        self.create(ours=False)
        for each in list(self.volume.snapshots.values()):
            assert isinstance(each, cinder_remotefs.Snapshot)
            self.delete(each, True, way)

    @ddt.data(*case.FORMATS)
    def test_our_pulls_are_taken_by_cinder(self, volume_format: str) -> None:
        self.prepare(volume_format, ours=True)
        snapshots = [self.create(ours=True) for _ in range(4)]
        # The base goes, and its name with it.
        self.delete(snapshots[0], True, 'pull')
        self.delete(snapshots[2], True, 'pull')
        self.create(ours=False)
        for each in list(self.volume.snapshots.values()):
            assert isinstance(each, cinder_remotefs.Snapshot)
            self.delete(each, False, '')

    @ddt.data(*case.FORMATS)
    def test_info_with_active_alone_is_taken(self, volume_format: str) -> None:
        self.prepare(volume_format, ours=False)
        self.delete(self.create(ours=False), False, '')
        path = self.cinder.directory / f'{self.record.name}.info'
        self.assertEqual({'active': self.record.name}, self.read(path))
        self.delete(self.create(ours=True), True, 'commit')
        self.assertEqual({'active': self.record.name}, self.read(path))
        self.create(ours=False)

    def test_name_of_a_passing_snapshot_is_taken_by_cinder(self) -> None:
        self.prepare('qcow2', ours=True)
        # What a clone of a running volume leaves as the active image.
        passing = names.passing_snapshot(drivers.volume().name)
        name = names.overlay(self.record.name, passing)
        image_tools.qemu_img(
            *('create', '-q', '-f', 'qcow2', '-u', '-b', self.record.name),
            *('-F', 'qcow2', self.cinder.directory / name, '1G'),
        )
        snapshot = self.cinder.snapshot(self.record)
        content = {'active': name, snapshot.id: name}
        path = self.cinder.directory / f'{self.record.name}.info'
        path.write_text(json.dumps(content, indent=1, sort_keys=True))
        self.volume.know_snapshot(snapshot)
        newer = self.create(ours=False)
        self.delete(newer, False, '')
        self.delete(snapshot, False, '')

    def read(self, path: object) -> object:
        """Return the content of a JSON file."""
        with open(str(path)) as stream:
            return json.load(stream)
