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

import ddt

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import info
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import header
from volume_driver.operations import forecast
from volume_driver.operations import snapshots


class SnapshotsTestCase(base.TestCase):
    """On ``volume-u <- volume-u.a <- volume-u.b^``."""

    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        self.images = fakes.make_volume(self.directory, 'ab')
        self.hypervisor = fakes.Hypervisor()
        self.target = fakes.target(self.directory)
        self.configure()

    def configure(self, **settings: object) -> None:
        self.context = fakes.context(
            self.directory, self.hypervisor, **settings
        )

    def start_guest(self) -> fakes.Disk:
        disk = fakes.Disk(*self.images, size=3 << 20)
        self.hypervisor.found = hypervisors.Found(disk)
        return disk

    def info(self) -> dict[str, str]:
        found = info.read(str(self.directory), fakes.VOLUME)
        assert found is not None
        return found.as_dict()

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}

    def header(self, name: str) -> header.Header:
        return header.read(str(self.directory / name))


@ddt.ddt
class CreateTest(SnapshotsTestCase):
    def create(self, snapshot: str = 'c') -> None:
        snapshots.create(self.context, self.target, snapshot)

    def test_offline(self) -> None:
        self.create()
        self.assertEqual('volume-u.c', self.info()['active'])
        self.assertEqual('volume-u.b', self.header('volume-u.c').backing)
        self.assertNotIn('volume-u.journal', self.names())

    def test_live(self) -> None:
        disk = self.start_guest()
        self.create()
        self.assertEqual(('switch_to', 'volume-u.c'), disk.calls[0])
        self.assertEqual('volume-u.c', self.info()['active'])
        # The guest's own view of the size counts.
        self.assertEqual(3 << 20, self.header('volume-u.c').size)

    def test_again_changes_nothing(self) -> None:
        before = self.info()
        self.create('a')
        self.assertEqual(before, self.info())
        self.assertNotIn('volume-u.journal', self.names())

    def test_guest_that_was_not_switched(self) -> None:
        before, disk = self.names(), self.start_guest()
        disk.errors['switch_to'] = fakes.live_error()
        self.assertRaises(exception.LiveOperationFailed, self.create)
        self.assertEqual(before, self.names())
        self.assertEqual('volume-u.b', self.info()['active'])

    def test_guest_that_was_switched_keeps_its_overlay(self) -> None:
        disk = self.start_guest()
        disk.errors['start_from'] = fakes.live_error()
        self.assertRaises(exception.LiveOperationFailed, self.create)
        self.assertTrue({'volume-u.c', 'volume-u.journal'} <= self.names())
        self.create()
        self.assertEqual('volume-u.c', self.info()['active'])
        self.assertNotIn('volume-u.journal', self.names())

    def test_file_that_nobody_knows(self) -> None:
        (self.directory / 'volume-u.c').write_text('mine')
        error = self.assertRaises(exception.NameCollision, self.create)
        self.assertEqual(f'{self.directory}/volume-u.c', error.path)
        self.assertEqual('mine', (self.directory / 'volume-u.c').read_text())

    @ddt.data('', 'active', '../c', 'tmp-snap-n')
    def test_bad_id(self, snapshot: str) -> None:
        self.assertRaises(exception.InvalidName, self.create, snapshot)

    def test_depth(self) -> None:
        self.configure(max_chain_depth=3)
        self.assertRaises(exception.ChainTooDeep, self.create)

    @ddt.data((5, True), (6, False))
    @ddt.unpack
    def test_chain_that_becomes_deep(self, limit: int, warned: bool) -> None:
        """With this one there are four images."""
        self.configure(max_chain_depth=limit)
        self.create()
        text = f'volume-u has 4 images now, and {limit} are the most'
        self.assertEqual(warned, text in self.log.output)


@ddt.ddt
class DeleteTest(SnapshotsTestCase):
    def delete(self, snapshot: str, cascade: bool = False) -> None:
        snapshots.delete(self.context, self.target, (snapshot,), cascade)

    @ddt.data(
        ('commit', 'a', {'active': 'volume-u.b', 'b': 'volume-u.b'}, 'a'),
        ('commit', 'b', {'active': 'volume-u.a', 'a': 'volume-u.a'}, 'b'),
        ('pull', 'a', {'active': 'volume-u.b', 'b': 'volume-u.b'}, ''),
        ('pull', 'b', {'active': 'volume-u.b', 'a': 'volume-u.b'}, 'a'),
    )
    @ddt.unpack
    def test_offline(
        self,
        direction: str,
        snapshot: str,
        expected: dict[str, str],
        gone: str,
    ) -> None:
        self.configure(merge_direction=direction)
        self.delete(snapshot)
        self.assertEqual(expected, self.info())
        name = f'volume-u.{gone}' if gone else 'volume-u'
        self.assertEqual(
            {*self.images, 'volume-u.info', 'volume-u.record'} - {name},
            self.names(),
        )

    def test_live(self) -> None:
        self.configure(merge_direction='commit')
        disk = self.start_guest()
        self.delete('b')
        self.assertIn('commit', disk.called())
        self.assertEqual('volume-u.a', self.info()['active'])
        self.assertNotIn('volume-u.b', self.names())

    def test_gone_already(self) -> None:
        before = self.names()
        self.delete('z')
        self.assertEqual(before, self.names())
        self.assertIn('gone already', self.log.output)

    def test_volume_gone_already(self) -> None:
        self.target = fakes.target(self.directory, 'volume-v')
        self.delete('a')
        self.assertIn('has no files', self.log.output)

    def test_cascade_merges_nothing(self) -> None:
        self.delete('a', cascade=True)
        self.delete('b', cascade=True)
        self.assertEqual({'active': 'volume-u.b'}, self.info())
        self.assertTrue({*self.images} <= self.names())

    def test_cascade_under_a_guest_merges(self) -> None:
        disk = self.start_guest()
        self.delete('b', cascade=True)
        self.assertTrue({'commit', 'pull'} & set(disk.called()))

    def test_bad_id(self) -> None:
        self.assertRaises(exception.InvalidName, self.delete, '../a')

    def test_dry_run_changes_nothing(self) -> None:
        before = self.names()
        (found,) = forecast.delete(self.context, self.target, ('b',))
        self.assertIn('delete snapshot b of volume-u', str(found.plan))
        self.assertEqual(2, len(found.after))
        self.assertIsNone(found.seconds)
        self.assertEqual(before, self.names())
        self.assertEqual(
            [], forecast.delete(self.context, self.target, ('z',))
        )


class RevertTest(SnapshotsTestCase):
    def revert(self, snapshot: str) -> None:
        snapshots.revert(self.context, self.target, snapshot)

    def test_active_overlay_is_new(self) -> None:
        path = self.directory / 'volume-u.b'
        before, inode = self.info(), path.stat().st_ino
        self.revert('b')
        self.assertNotEqual(inode, path.stat().st_ino)
        self.assertEqual(before, self.info())

    def test_older_snapshot(self) -> None:
        self.assertRaises(exception.NotNewestSnapshot, self.revert, 'a')

    def test_unknown_snapshot(self) -> None:
        error = self.assertRaises(exception.SnapshotNotFound, self.revert, 'z')
        self.assertEqual('a, b', error.known)

    def test_under_a_guest(self) -> None:
        self.start_guest()
        self.assertRaises(exception.VolumeInUse, self.revert, 'b')
