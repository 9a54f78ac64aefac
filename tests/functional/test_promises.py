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

"""Promises of "What survives what" that the fault matrix does not play."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import pathlib
import signal
import subprocess
import typing

from tests.faults import child
from tests.faults import processes as children
from tests.fixtures import driver as drivers
from tests.fixtures import model as models
from tests.fixtures import modelled
from tests.fixtures import processes
from tests.functional.live import case

KIB = case.KIB
MIB = case.MIB

# Points of a merge: after the journal, before the merge, after it.
_BEFORE_MERGE = 2
_AFTER_MERGE = 3


class Child:
    """Another process that works on a volume of the test.

    :param fault: fields of the injector
    """

    def __init__(
        self,
        notes: pathlib.Path,
        volume: modelled.ModelledVolume,
        operation: str,
        fields: dict[str, typing.Any] | None = None,
        **fault: typing.Any,
    ) -> None:
        self.notes = notes
        options = volume.made.options
        spec = child.Spec(
            options={
                **options,
                'volume_files_dir': str(volume.made.directory),
            },
            volume={'id': volume.record.id, 'name': volume.record.name},
            operation=operation,
            fault={'directory': str(notes), **fault},
            attached=options['hypervisor'] == 'libvirt',
            **(fields or {}),
        )
        self._process: subprocess.Popen[bytes] = children.start(spec, notes)

    def wait_fired(self) -> None:
        """Wait until its fault has happened."""
        processes.wait_until(
            lambda: (
                (self.notes / 'fired').exists()
                or self._process.poll() is not None
            ),
            'the child comes to its point',
            60.0,
        )

    def wait_for_lock(self) -> None:
        """Wait until it has begun to wait for the volume's lock."""
        processes.wait_until(
            lambda: self._has_lock_file() or self._process.poll() is not None,
            'the child opens the lock',
            60.0,
        )

    def _has_lock_file(self) -> bool:
        found = pathlib.Path(f'/proc/{self._process.pid}/fd')
        try:
            return any('/.locks/' in os.readlink(fd) for fd in found.iterdir())
        except FileNotFoundError:
            return False

    def go(self) -> None:
        """Let it go on from where it is held."""
        (self.notes / 'go').touch()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> children.Outcome:
        return children.end(self._process, self.notes)


class _Case(case.LiveTestCase):
    def child(self, *args: typing.Any, **fault: typing.Any) -> Child:
        made = Child(self.temp_dir(), *args, **fault)
        self.addCleanup(made.kill)
        return made


class KilledAfterwardsTestCase(_Case):
    """QEMU is killed at once after a deletion under an idle guest returned.

    The data that was merged, and the tables that locate it, are still in
    QEMU's memory unless the driver has seen to it.
    """

    TIMES = 20

    def test_pull(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        for number in range(self.TIMES):
            newest = list(volume.snapshots.values())[-1]
            self._delete_and_kill(volume, newest, 'pull')
            self._go_on(volume, number)

    def test_active_commit(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        for number in range(self.TIMES):
            newest = list(volume.snapshots.values())[-1]
            self._delete_and_kill(volume, newest, 'commit')
            self._go_on(volume, number)

    def test_commit_below(self) -> None:
        volume, _ = self.make_running(snapshots=2)
        for number in range(self.TIMES):
            oldest = next(iter(volume.snapshots.values()))
            self._delete_and_kill(volume, oldest, 'commit')
            self._go_on(volume, number)

    def _delete_and_kill(
        self,
        volume: case.GuestVolume,
        snapshot: drivers.Snapshot,
        direction: str,
    ) -> None:
        volume.guest.flush()
        driver = volume.made.merging(direction)
        kill = functools.partial(os.kill, volume.guest.pid(), signal.SIGKILL)
        driver.delete_snapshot(snapshot)
        kill()
        volume.forget_snapshot(snapshot)
        processes.wait_until(
            lambda: not volume.guest.is_active(), 'QEMU is gone', 30.0
        )
        self.check(volume)

    def _go_on(self, volume: case.GuestVolume, number: int) -> None:
        """Start the guest from its definition; write, and take a snapshot."""
        volume.guest.start()
        self._write(volume, number, 0x40)
        volume.create_snapshot()
        self._write(volume, number, 0x80)

    def _write(
        self, volume: case.GuestVolume, number: int, value: int
    ) -> None:
        volume.write((20 + 7 * number) * MIB, 2 * MIB, value + number)
        volume.write(number * 20 * KIB, 60 * KIB, value + number)
        volume.write((600 + 7 * number) * MIB, MIB, value + number)
        volume.write(512 * MIB - 8 * KIB, 16 * KIB, value + number)


class BarrierTestCase(_Case):
    """What was merged is on disk before anything else follows.

    The driver and QEMU are killed right behind the merge, and nobody
    recovers: the image that was merged is still there, but not needed.
    """

    def test_pull(self) -> None:
        volume, overlay = self._merge_and_kill(2, 'pull')
        pulled = volume.made.path(overlay.below)
        self.assertTrue(pulled.exists())
        pulled.rename(pulled.with_suffix('.aside'))
        files = volume.files()
        self.assertNotIn(pulled.name, files.chain)
        self.assertIsNone(files.compare(overlay.name, volume.model.active))

    def test_active_commit(self) -> None:
        volume, overlay = self._merge_and_kill(2, 'commit')
        files = volume.files()
        self.assertTrue(volume.made.path(overlay.name).exists())
        self.assertIsNone(files.compare(overlay.below, volume.model.active))

    def test_commit_below(self) -> None:
        volume, overlay = self._merge_and_kill(0, 'commit')
        merged = volume.made.path(overlay.name)
        self.assertTrue(merged.exists())
        merged.rename(merged.with_suffix('.aside'))
        files = volume.files()
        self.assertNotIn(overlay.name, files.chain)
        active = files.chain[-1]
        self.assertIsNone(files.compare(active, volume.model.active))

    def _merge_and_kill(
        self, position: int, direction: str
    ) -> tuple[case.GuestVolume, Overlay]:
        """Delete a snapshot up to the end of the merge."""
        volume, taken = self.make_running(
            snapshots=3, options={'merge_direction': direction}
        )
        volume.guest.flush()
        files = volume.made.driver.describe(volume.record)
        names = [layer.image.name for layer in files.layers]
        merging = self.child(
            volume,
            'delete_snapshot',
            {'snapshots': [taken[position].id]},
            point=_AFTER_MERGE,
            kill=('qemu', 'driver'),
            qemu=volume.guest.pid(),
        )
        outcome = merging.end()
        self.assertEqual(-signal.SIGKILL, outcome.code, str(outcome))
        self.assertEqual(f'after {direction.capitalize()}', outcome.fired)
        processes.wait_until(
            lambda: not volume.guest.is_active(), 'QEMU is gone', 30.0
        )
        return volume, Overlay(names[position + 1], names[position])


@dataclasses.dataclass(frozen=True)
class Overlay:
    """The overlay of a snapshot, and the image below it."""

    name: str
    below: str


class TwoProcessesTestCase(_Case):
    """Real processes work on one volume at once: one waits, never both."""

    def test_wait_live(self) -> None:
        volume, taken = self.make_running(snapshots=2)
        volume.guest.flush()
        self._overlap(volume, taken)

    def test_wait_offline(self) -> None:
        volume = self._make_offline()
        self._overlap(volume, self.take_snapshots(volume, 2))

    def _make_offline(self) -> modelled.ModelledVolume:
        made = self.make_driver(hypervisor='none')
        volume = modelled.ModelledVolume.create(made)
        volume.write(0, 256 * KIB, 0x11)
        return volume

    def _overlap(
        self,
        volume: modelled.ModelledVolume,
        taken: list[drivers.Snapshot],
    ) -> None:
        """Hold a deletion before its merge, and let a creation come."""
        merging = self.child(
            volume,
            'delete_snapshot',
            {'snapshots': [taken[0].id]},
            point=_BEFORE_MERGE,
            hold=True,
        )
        merging.wait_fired()
        new = drivers.snapshot(volume.record)
        creating = self.child(
            volume, 'create_snapshot', {'snapshots': [new.id]}
        )
        creating.wait_for_lock()
        merging.go()
        self._check_one_after_the_other([merging.end(), creating.end()])
        volume.forget_snapshot(taken[0])
        volume.know_snapshot(new)
        self.check(volume)

    def test_waiting_process_recovers(self) -> None:
        volume = self._make_offline()
        taken = self.take_snapshots(volume, 2)
        merging = self.child(
            volume,
            'delete_snapshot',
            {'snapshots': [taken[0].id]},
            point=_AFTER_MERGE,
            hold=True,
        )
        merging.wait_fired()
        new = drivers.snapshot(volume.record)
        creating = self.child(
            volume, 'create_snapshot', {'snapshots': [new.id]}
        )
        creating.wait_for_lock()
        merging.kill()
        self.assertEqual(-signal.SIGKILL, merging.end().code)
        outcome = creating.end()
        self.assertTrue(outcome.well, str(outcome))
        volume.forget_snapshot(taken[0])
        volume.know_snapshot(new)
        self.check(volume)

    def test_many_at_once(self) -> None:
        volume = self._make_offline()
        taken = self.take_snapshots(volume, 3)
        new = drivers.snapshot(volume.record)
        outcomes = [
            each.end()
            for each in [
                self.child(volume, 'create_snapshot', {'snapshots': [new.id]}),
                # Two that want the same thing: both are right.
                self.child(volume, 'create_snapshot', {'snapshots': [new.id]}),
                self.child(volume, 'extend_volume', {'size': 2}),
                *(
                    self.child(
                        volume, 'delete_snapshot', {'snapshots': [each.id]}
                    )
                    for each in taken
                ),
            ]
        ]
        self._check_one_after_the_other(outcomes)
        for each in taken:
            volume.forget_snapshot(each)
        volume.know_snapshot(new)
        volume.model.active.size = 2 * case.GIB
        # Which came first, the growth or the snapshot, is not said.
        files = volume.files()
        image = files.below(files.snapshots[new.id])
        volume.model.snapshots[new.id].size = models.size_of(
            files.directory / image, 'qcow2'
        )
        self.check(volume)

    def _check_one_after_the_other(
        self, outcomes: list[children.Outcome]
    ) -> None:
        """Check that no step of one ran between two steps of another."""
        spans = []
        for outcome in outcomes:
            self.assertTrue(outcome.well, str(outcome))
            # The first is the beginning, before the lock, the last the end.
            steps = outcome.times[1:-1]
            if steps:
                spans.append((steps[0], steps[-1]))
        self.assertGreater(len(spans), 1)
        spans.sort()
        for (_, end), (begin, _) in itertools.pairwise(spans):
            self.assertLess(end, begin)
