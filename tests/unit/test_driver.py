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

import inspect
import os
import types
import typing

import ddt
import stevedore

from tests import base
from tests.unit import fakes
from volume_driver import driver
from volume_driver import exception
from volume_driver import opts
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import locking

_GIB = 1 << 30


def _volume(identity: str = 'u', size: int = 1, **more: object) -> typing.Any:
    """Return a record with just what the driver needs."""
    return types.SimpleNamespace(id=identity, size=size, **more)


def _snapshot(volume: object, identity: str = 'a') -> typing.Any:
    return types.SimpleNamespace(id=identity, volume=volume)


class DriverTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        self.driver = self.make_driver()

    def make_driver(self, **settings: object) -> driver.Qcow2Driver:
        values = {
            'volume_files_dir': str(self.directory),
            'hypervisor': 'none',
            **settings,
        }
        return driver.Qcow2Driver(
            configuration=types.SimpleNamespace(**values),
            locks=fakes.Locks(),
        )

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}


class SetupTest(DriverTestCase):
    def test_all_is_there(self) -> None:
        self.driver.do_setup(None)
        self.driver.check_for_setup_error()

    def test_missing_directory(self) -> None:
        made = self.make_driver(volume_files_dir='/nowhere')
        made.do_setup(None)
        error = self.assertRaises(
            exception.DirectoryUnusable, made.check_for_setup_error
        )
        self.assertEqual('/nowhere', error.path)

    def test_directory_that_may_not_be_written_to(self) -> None:
        self.patch(os, 'access', lambda *_: False)
        self.assertRaises(
            exception.DirectoryUnusable, self.driver.check_for_setup_error
        )

    def test_missing_plugin(self) -> None:
        made = self.make_driver(hypervisor='vax')
        error = self.assertRaises(exception.PluginMissing, made.do_setup, None)
        self.assertEqual('vax', error.name)

    def test_plugins_are_entry_points(self) -> None:
        found: typing.Any
        found = stevedore.ExtensionManager('volume_driver.hypervisors')
        self.assertTrue({'libvirt', 'none'} <= set(found.names()))
        found = stevedore.ExtensionManager('volume_driver.drivers')
        self.assertIs(driver.Qcow2Driver, found['qcow2'].plugin)

    def test_made_with_nothing_it_has_the_defaults(self) -> None:
        made = driver.Qcow2Driver()
        self.assertEqual(opts.Settings(), made._settings)

    def test_what_else_cinder_gives_is_ignored(self) -> None:
        driver.Qcow2Driver(host='h', cluster_name=None, active_backend_id='')

    def test_locks_are_files_by_default(self) -> None:
        made = driver.Qcow2Driver(self.driver.configuration)
        self.assertIsInstance(made.context.locks, locking.FileLocks)

    def test_setup_recovers_and_stops_at_nothing(self) -> None:
        (self.directory / 'volume-u.journal').write_text('{')
        self.driver.do_setup(None)
        self.assertIn('cannot be trusted', self.log.output)
        self.assertEqual({'volume-u'}, set(self.driver.recover()))
        self.assertRaises(
            exception.JournalCorrupt, self.driver.recover, _volume()
        )

    def test_nothing_to_recover(self) -> None:
        self.assertEqual({}, self.driver.recover())
        self.assertEqual({}, self.driver.recover(_volume()))


@ddt.ddt
class RecordTest(DriverTestCase):
    def target(self, **more: object) -> hypervisors.Target:
        return self.driver.target(_volume(**more))  # type: ignore[arg-type]

    def test_name_is_made_from_the_id(self) -> None:
        self.assertEqual(
            hypervisors.Target('u', 'volume-u', str(self.directory)),
            self.target(),
        )

    @ddt.data(None, '')
    def test_no_name_is_as_none_at_all(self, name: str | None) -> None:
        self.assertEqual('volume-u', self.target(name=name).name)

    def test_name_of_the_record_prevails(self) -> None:
        """As with Cinder's option volume_name_template."""
        found = self.target(name='vol_7')
        self.assertEqual('vol_7', found.name)
        self.assertEqual('u', found.volume_id)

    @ddt.data('../u', 'a/b', '/etc/passwd', 'u.info', '-f')
    def test_name_that_is_no_file_name(self, name: str) -> None:
        self.assertRaises(exception.InvalidName, self.target, name=name)

    @ddt.data('../u', 'a/b', '', 'u.a')
    def test_id_that_is_no_file_name(self, identity: str) -> None:
        volume = _volume(identity)
        if identity:
            self.assertRaises(
                exception.InvalidName, self.driver.delete_volume, volume
            )
        self.assertRaises(
            exception.InvalidName,
            self.driver.create_snapshot,
            _snapshot(_volume(), identity),
        )

    def test_ids_need_not_be_text(self) -> None:
        self.assertEqual('volume-7', self.driver.target(_volume(7)).name)  # type: ignore[arg-type]

    @ddt.data(None, [], ())
    def test_no_attachment(self, attachments: object) -> None:
        found = self.target(volume_attachment=attachments)
        self.assertFalse(found.attached)
        self.assertEqual((), found.hosts)

    def test_hosts_of_attachments_are_told_once_and_in_order(self) -> None:
        attachments = [
            types.SimpleNamespace(attached_host=host)
            for host in ('two', 'one', None, 'two', '')
        ]
        found = self.target(volume_attachment=attachments)
        self.assertTrue(found.attached)
        self.assertEqual(('two', 'one'), found.hosts)

    def test_attachment_without_a_host_is_one(self) -> None:
        found = self.target(volume_attachment=[types.SimpleNamespace()])
        self.assertTrue(found.attached)
        self.assertEqual((), found.hosts)

    def test_reserved_attachment_is_none(self) -> None:
        reserved = types.SimpleNamespace(
            attached_host=None, attach_status='reserved'
        )
        found = self.target(volume_attachment=[reserved])
        self.assertFalse(found.attached)
        known = types.SimpleNamespace(
            attached_host='one', attach_status='reserved'
        )
        found = self.target(volume_attachment=[reserved, known])
        self.assertTrue(found.attached)
        self.assertEqual(('one',), found.hosts)

    def test_attached_volume_is_refused_without_a_hypervisor(self) -> None:
        volume = _volume(volume_attachment=[types.SimpleNamespace()])
        self.driver.create_volume(volume)
        self.assertRaises(
            exception.HypervisorUnreachable,
            self.driver.create_snapshot,
            _snapshot(volume),
        )


class LifeTest(DriverTestCase):
    """A volume from its creation to its end, with no guest."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = _volume(status='available')
        self.driver.create_volume(self.volume)

    def test_volume_and_snapshots(self) -> None:
        snapshot = _snapshot(self.volume)
        self.driver.create_snapshot(snapshot)
        self.driver.create_snapshot(snapshot)
        found = self.driver.describe(self.volume)
        self.assertEqual(_GIB, found.size)
        self.assertEqual(2, len(found.layers))
        self.assertEqual(
            f'{self.directory}/volume-u.a',
            self.driver.local_path(self.volume),
        )
        self.driver.revert_to_snapshot(None, self.volume, snapshot)
        plan = self.driver.plan_delete_snapshot(snapshot)
        self.assertIn('delete snapshot a', str(plan))
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.assertIsNone(self.driver.plan_delete_snapshot(snapshot))
        self.driver.delete_volume(self.volume)
        self.driver.delete_volume(self.volume)
        self.assertEqual(set(), self.names())

    def test_cascade(self) -> None:
        snapshots = [_snapshot(self.volume, each) for each in 'abc']
        for snapshot in snapshots:
            self.driver.create_snapshot(snapshot)
        self.volume.status = 'deleting'
        for snapshot in snapshots:
            self.driver.delete_snapshot(snapshot)
        self.assertEqual(
            {'volume-u.a', 'volume-u.b', 'volume-u.c'},
            self.names() & {'volume-u.a', 'volume-u.b', 'volume-u.c'},
        )
        self.driver.delete_volume(self.volume)
        self.assertEqual(set(), self.names())

    def test_copies(self) -> None:
        snapshot = _snapshot(self.volume)
        self.driver.create_snapshot(snapshot)
        self.driver.create_volume_from_snapshot(_volume('n', 2), snapshot)
        self.driver.create_cloned_volume(_volume('m', 0), self.volume)
        self.assertEqual(
            ['volume-m', 'volume-n', 'volume-u'], self.driver.list_volumes()
        )
        self.assertEqual(2 * _GIB, self.driver.describe(_volume('n')).size)
        self.assertEqual(_GIB, self.driver.describe(_volume('m')).size)

    def test_extend(self) -> None:
        self.driver.extend_volume(self.volume, 3)
        self.assertEqual(3 * _GIB, self.driver.describe(self.volume).size)
        self.assertRaises(
            exception.InvalidSize, self.driver.extend_volume, self.volume, 2
        )

    def test_connection_is_the_active_image(self) -> None:
        self.driver.create_snapshot(_snapshot(self.volume))
        found = self.driver.initialize_connection(self.volume, {})
        self.assertEqual(
            {
                'driver_volume_type': 'local',
                'data': {
                    'device_path': f'{self.directory}/volume-u.a',
                    'format': 'qcow2',
                    'name': 'volume-u.a',
                },
            },
            found,
        )
        self.driver.terminate_connection(self.volume, {}, force=True)
        self.driver.create_export(None, self.volume, {})
        self.driver.ensure_export(None, self.volume)
        self.driver.remove_export(None, self.volume)

    def test_stats_are_those_of_the_filesystem(self) -> None:
        found = self.driver.get_volume_stats(refresh=True)
        stat = os.statvfs(self.directory)
        self.assertEqual(
            stat.f_blocks * stat.f_frsize / _GIB, found['total_capacity_gb']
        )
        self.assertEqual('file', found['storage_protocol'])

    def test_stats_tell_what_the_images_come_to(self) -> None:
        self.driver.create_snapshot(_snapshot(self.volume))
        found = self.driver.get_volume_stats()
        self.assertEqual(2, found['deepest_chain'])
        images = ('volume-u', 'volume-u.a')
        self.assertEqual(
            sum(os.stat(self.directory / x).st_blocks * 512 for x in images),
            found['allocated_bytes'],
        )

    def test_what_the_system_refuses_is_an_error_of_ours(self) -> None:
        missing = self.make_driver(volume_files_dir='/nowhere')
        for call in (missing.list_volumes, missing.get_volume_stats):
            self.assertRaises(exception.VolumeDriverError, call)


class ContractTest(base.TestCase):
    """Cinder's own names and arguments."""

    EXPECTED = {
        'create_volume': ['volume'],
        'delete_volume': ['volume'],
        'create_snapshot': ['snapshot'],
        'delete_snapshot': ['snapshot'],
        'create_volume_from_snapshot': ['volume', 'snapshot'],
        'create_cloned_volume': ['volume', 'src_vref'],
        'extend_volume': ['volume', 'new_size'],
        'revert_to_snapshot': ['context', 'volume', 'snapshot'],
        'do_setup': ['context'],
        'check_for_setup_error': [],
    }

    def test_methods_have_them(self) -> None:
        for name, expected in self.EXPECTED.items():
            method = getattr(driver.Qcow2Driver, name)
            found = list(inspect.signature(method).parameters)
            self.assertEqual(['self', *expected], found, name)
