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


"""The driver has all that Cinder's interfaces of drivers ask for."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

from cinder import interface
from cinder.interface import volume_driver as core_interface
from cinder.interface import volume_manageable_driver
from cinder.interface import volume_snapshot_revert
from cinder.interface import volume_snapshotmanagement_driver
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import nfs
from cinder.volume.drivers import remotefs
import ddt
from oslo_config import cfg
from oslo_config import generator

from tests import base
from volume_driver.cinder import driver

_INTERFACES = (
    core_interface.VolumeDriverCore,
    volume_snapshot_revert.VolumeSnapshotRevertDriver,
    volume_manageable_driver.VolumeManagementDriver,
    volume_manageable_driver.VolumeListManageableDriver,
    volume_snapshotmanagement_driver.VolumeSnapshotManagementDriver,
)
# Where a driver has none of its own Cinder takes a generic way, or the API
# refuses what the pool does not claim to be able to do.
_NOT_OURS = {
    'groups': {
        *('create_group', 'create_group_from_src', 'create_group_snapshot'),
        *('delete_group', 'delete_group_snapshot', 'update_group'),
    },
    'consistency groups': {
        *('create_cgsnapshot', 'create_consistencygroup'),
        *('create_consistencygroup_from_src', 'delete_cgsnapshot'),
        *('delete_consistencygroup', 'update_consistencygroup'),
    },
    'replication': {
        *('disable_replication', 'enable_replication', 'failover_completed'),
        *('failover_host', 'failover_replication'),
    },
    'a backup service that makes volumes': {'create_volume_from_backup'},
}
_COMPLIANCE = """
import unittest
import volume_driver.cinder.driver
from cinder.tests.compliance import test_volume_drivers
print([each.class_fqn for each in test_volume_drivers.VOLUME_DRIVERS])
unittest.main('cinder.tests.compliance.test_volume_drivers', verbosity=2)
"""

Function = typing.Any


def functions(cls: type) -> dict[str, Function]:
    """Return the public functions of a class by their names."""
    return {
        name: function
        for name, function in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith('_')
    }


def parameters(function: Function) -> list[inspect.Parameter]:
    """Return what a function takes, without what takes all the rest."""
    rest = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        each
        for each in inspect.signature(function).parameters.values()
        if each.kind not in rest
    ]


@ddt.ddt
class InterfacesTest(base.TestCase):
    @ddt.data(*_INTERFACES)
    def test_methods(self, wanted: type) -> None:
        ours = functions(driver.Qcow2Driver)
        asked = functions(wanted)
        self.assertNotEqual({}, asked)
        for name, method in asked.items():
            if isinstance(getattr(driver.Qcow2Driver, name), property):
                # The interface does not say that it is one.
                self.assertEqual(
                    ['self'], [*inspect.signature(method).parameters]
                )
                continue
            self.assertIn(name, ours)
            names = [each.name for each in parameters(method)]
            found = [each.name for each in parameters(ours[name])]
            self.assertEqual(names, found[: len(names)], name)
            self.check_defaults(method, ours[name])

    def check_defaults(self, method: Function, ours: Function) -> None:
        """Check that whatever may be left out there may be so here."""
        known = {each.name: each for each in parameters(ours)}
        for each in parameters(method):
            if each.default is not inspect.Parameter.empty:
                self.assertEqual(
                    each.default, known[each.name].default, str(method)
                )
        asked = {each.name for each in parameters(method)}
        for name, each in known.items():
            if name not in asked:
                self.assertIsNot(
                    inspect.Parameter.empty, each.default, str(method)
                )

    def test_nothing_is_left_that_is_not_implemented(self) -> None:
        left = {
            name
            for name, method in functions(driver.Qcow2Driver).items()
            if method.__module__ == cinder_driver.__name__
            and 'raise NotImplementedError' in inspect.getsource(method)
        }
        self.assertEqual(set().union(*_NOT_OURS.values()), left)


class DriverTest(base.TestCase):
    def test_it_is_registered(self) -> None:
        self.assertIn(driver.Qcow2Driver, interface._volume_register)

    def test_what_it_says_of_itself(self) -> None:
        self.assertRegex(driver.Qcow2Driver.VERSION, r'^\d+\.\d+\.\d+$')
        self.assertRegex(driver.Qcow2Driver.CI_WIKI_NAME, r'^\w+$')
        self.assertTrue(driver.Qcow2Driver.SUPPORTED)
        self.assertIn(
            f'{driver.Qcow2Driver.VERSION} - ',
            inspect.getdoc(driver.Qcow2Driver) or '',
        )

    def test_options_are_in_some_sample_configuration(self) -> None:
        ((_, found),) = generator._list_opts(['volume_driver.cinder'])
        ours = [option for _, options in found for option in options]
        # In Cinder's own file there are those of its NFS driver.
        theirs = [*nfs.nfs_opts, *remotefs.nas_opts]
        names = {option.dest for option in ours}
        self.assertEqual(set(), names & {option.dest for option in theirs})
        read = driver.Qcow2Driver.get_driver_options()
        self.assertEqual(
            {option.dest for option in [*ours, *theirs]},
            {option.dest for option in read},
        )
        for option in read:
            self.assertIsInstance(option, cfg.Opt)
            self.assertIn(option, [*ours, *theirs])

    def test_cinders_own_compliance_tests(self) -> None:
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _COMPLIANCE],
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, result.returncode, result.stderr)
        name = 'volume_driver.cinder.driver.Qcow2Driver'
        self.assertIn(name, result.stdout)
        self.assertRegex(result.stderr, r'compliance_1 \.\.\. ok')
        self.assertNotIn('skipped', result.stderr)
