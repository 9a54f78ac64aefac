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

"""Live operations in a process of greenlets, as cinder-volume is one.

The functions at the top run in that process. While a merge takes its time,
another volume is worked on, and whatever libvirt is asked is asked from
another thread than that of the greenlets.
"""

from __future__ import annotations

import os
import threading
import types
import typing

import ddt
import libvirt
import libvirt_qemu

from tests.fixtures import driver as drivers
from tests.fixtures import greened
from tests.fixtures import modelled
from tests.functional.live import case
from volume_driver import driver as volume_drivers

MIB = case.MIB

# Of how many snapshots which one, and the ways it can go.
MERGES = {
    'intermediate commit': (1, 3, 'commit'),
    'active commit': (2, 3, 'commit'),
    'pull': (2, 3, 'pull'),
}
# What the library answers by itself, or does once.
_NEVER_BLOCK = {
    'virDomainFree',
    'virDomainGetName',
    'virDomainGetUUID',
    'virDomainSnapshotFree',
    'virEventRegisterDefaultImpl',
    'virRegisterErrorHandler',
}


class _Watched:
    """Stands for a module; notes what is asked of it in the main thread."""

    def __init__(self, module: object) -> None:
        self._module = module
        self.in_main_thread: set[str] = set()

    def __getattr__(self, name: str) -> typing.Any:
        if threading.get_native_id() == os.getpid():
            self.in_main_thread.add(name)
        return getattr(self._module, name)


def _work(
    directory: str,
    options: dict[str, typing.Any],
    attached: list[str],
    other: str,
) -> dict[str, typing.Any]:
    """Delete a snapshot live, work on another volume, then take one live.

    :param attached: ids of the volume, of its snapshot and of the new one
    :param other: id of the volume that no guest has
    """
    import eventlet

    watched = (
        _watch(libvirt, 'libvirtmod'),
        _watch(libvirt_qemu, 'libvirtmod_qemu'),
    )
    driver = drivers.DriverFixture(directory, **options)
    driver.setUp()
    volume = drivers.volume(
        id=attached[0],
        status='in-use',
        volume_attachment=[drivers.Attachment()],
    )
    old, new = (drivers.snapshot(volume, each) for each in attached[1:])
    with greened.Ticks() as ticks:
        merge = eventlet.spawn(driver.driver.delete_snapshot, old)
        rounds = _work_offline(driver.driver, other, merge)
        merge.wait()
    with greened.Ticks() as snapshot:
        driver.driver.create_snapshot(new)
    asked = set().union(*(each.in_main_thread for each in watched))
    return {
        'seconds': ticks.seconds,
        'largest gap': max(ticks.largest_gap, snapshot.largest_gap),
        'rounds': rounds,
        'asked in the main thread': sorted(asked - _NEVER_BLOCK),
    }


def _watch(module: types.ModuleType, name: str) -> _Watched:
    """Watch what a module asks of another one."""
    watched = _Watched(getattr(module, name))
    setattr(module, name, watched)
    return watched


def _work_offline(
    driver: volume_drivers.Qcow2Driver, volume_id: str, meanwhile: typing.Any
) -> int:
    """Take and delete snapshots as long as a greenlet runs; count them."""
    volume = drivers.volume(id=volume_id)
    rounds = 0
    while not meanwhile.dead:
        snapshot = drivers.snapshot(volume)
        driver.create_snapshot(snapshot)
        driver.delete_snapshot(snapshot)
        rounds += 1
    return rounds


@ddt.ddt
class EventletTest(case.LiveTestCase):
    def slow(self, name: str) -> tuple[case.GuestVolume, drivers.Snapshot]:
        """Make a volume, and return the snapshot whose merge takes long."""
        position, count, direction = MERGES[name]
        volume, snapshots = self.make_running(
            snapshots=count,
            options={'merge_bandwidth': 1, 'merge_direction': direction},
        )
        volume.write(256 * MIB, 12 * MIB, 0x71)
        if name != 'active commit':
            # Now it is in the image below the active one.
            snapshots = snapshots[1:] + self.take_snapshots(volume, 1)
        return volume, snapshots[position]

    @ddt.data(*MERGES)
    def test_nobody_waits_for_a_merge(self, name: str) -> None:
        volume, old = self.slow(name)
        other = modelled.ModelledVolume.create(volume.made)
        other.write(0, MIB, 0x81)
        new = drivers.snapshot(volume.record)
        found = greened.call(
            _work,
            str(volume.made.directory),
            volume.made.options,
            [volume.record.id, old.id, new.id],
            other.record.id,
        )
        volume.forget_snapshot(old)
        volume.know_snapshot(new)
        self.assertGreater(found['seconds'], 6)
        self.assertLess(found['largest gap'], 2)
        self.assertGreater(found['rounds'], 1)
        self.assertEqual([], found['asked in the main thread'])
        self.assertTrue(volume.is_running())
        volume.write(3 * MIB, MIB, 0x99)
        self.check(volume, other)
        self.check_next_start(volume)
