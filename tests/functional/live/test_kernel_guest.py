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

"""A Linux guest writes, and flushes, all the time while snapshots go."""

from __future__ import annotations

import itertools
import pathlib
import subprocess

import ddt

from tests.fixtures import driver as drivers
from tests.fixtures import image_tools
from tests.fixtures import model as models
from tests.functional.live import case
from tests.functional.live import jobs

SLOTS = 1024
OFFSET = 510 * case.MIB
# Blocks that the writer has to get on by before something is tried.
ENOUGH = 12


class Witness:
    """A volume under a writer, with a copy of each snapshot when taken."""

    def __init__(
        self, volume: case.GuestVolume, directory: pathlib.Path
    ) -> None:
        self.volume = volume
        self.directory = directory
        self.acknowledged: dict[str, int] = {}

    def take(self) -> drivers.Snapshot:
        """Take a snapshot, and keep a copy of what it shows."""
        before = self.volume.guest.acknowledged()
        record = drivers.snapshot(self.volume.record)
        self.volume.made.driver.create_snapshot(record)
        self.acknowledged[record.id] = before
        image_tools.qemu_img(
            *('convert', '-U', '-f', *reversed(self.frozen(record.id))),
            *('-O', 'raw', self.directory / record.id),
        )
        return record

    def delete(self, record: drivers.Snapshot, direction: str) -> None:
        """Delete a snapshot."""
        self.volume.made.merging(direction).delete_snapshot(record)
        del self.acknowledged[record.id]

    def go_on(self) -> None:
        """Wait until the writer has got on."""
        guest = self.volume.guest
        guest.wait_acknowledged(guest.acknowledged() + ENOUGH)

    def frozen(self, snapshot_id: str) -> tuple[pathlib.Path, str]:
        """Return the path and the format of a snapshot's frozen image."""
        files = models.Files(
            self.volume.made.directory,
            self.volume.record.name,
            self.volume.model.base_format,
            share=True,
        )
        name = files.below(files.snapshots[snapshot_id])
        return files.directory / name, files.format(name)

    def changed(self) -> list[str]:
        """Return the snapshots that are not what they were when taken."""
        return [each for each in self.acknowledged if not self._is_same(each)]

    def _is_same(self, snapshot_id: str) -> bool:
        path, image_format = self.frozen(snapshot_id)
        command = ['qemu-img', 'compare', '-U', '-f', 'raw', '-F']
        result = subprocess.run(
            [*command, image_format, self.directory / snapshot_id, path],
            capture_output=True,
        )
        return result.returncode == 0

    def lost(self) -> dict[str, int]:
        """Count what was acknowledged and lost, of each snapshot and now.

        The guest must be off.
        """
        disk = self.volume.disk()
        last = self.volume.guest.acknowledged()
        seen = {'active': _lost(pathlib.Path(disk.path), disk.format, last)}
        for snapshot_id, before in self.acknowledged.items():
            copy = self.directory / snapshot_id
            seen[snapshot_id] = _lost(copy, 'raw', before)
        return {name: count for name, count in seen.items() if count}


def _lost(path: pathlib.Path, image_format: str, last: int) -> int:
    return image_tools.verify_acknowledged(
        path, image_format, SLOTS, last, OFFSET
    )


@ddt.ddt
class WriterTest(case.LiveTestCase):
    def make_witness(self, volume_format: str) -> Witness:
        """Start a guest that writes all the time."""
        volume = self.make_volume(
            volume_format,
            kernel=True,
            writer_slots=SLOTS,
            writer_offset=OFFSET,
        )
        volume.guest.start()
        volume.guest.wait_acknowledged(ENOUGH)
        return Witness(volume, self.temp_dir())

    @ddt.data(
        *itertools.product(
            case.FORMATS, ('commit', 'pull'), ('kill', 'destroy')
        )
    )
    @ddt.unpack
    def test_nothing_acknowledged_is_lost(
        self, volume_format: str, direction: str, end: str
    ) -> None:
        witness = self.make_witness(volume_format)
        snapshots = []
        for _ in range(4):
            snapshots.append(witness.take())
            witness.go_on()
        # The middle one, the oldest one, and then the newest one.
        for position, way in ((1, 'auto'), (0, 'auto'), (-1, direction)):
            witness.delete(snapshots.pop(position), way)
            self.assertEqual([], witness.changed())
            witness.go_on()
        getattr(witness.volume.guest, end)()
        self.assertEqual({}, witness.lost())
        self.assertEqual([], witness.changed())

    @ddt.data(*itertools.product(case.FORMATS, ('commit', 'pull')))
    @ddt.unpack
    def test_killed_right_after_the_newest_went(
        self, volume_format: str, direction: str
    ) -> None:
        witness = self.make_witness(volume_format)
        for _ in range(2):
            witness.take()
            newest = witness.take()
            witness.go_on()
            witness.delete(newest, direction)
            witness.volume.guest.kill()
            self.assertEqual({}, witness.lost())
            self.assertEqual([], witness.changed())
            witness.volume.guest.start()
            # It goes on after the last block that it acknowledged before.
            witness.go_on()

    @ddt.data('commit', 'pull')
    def test_writer_goes_on_during_a_merge(self, direction: str) -> None:
        witness = self.make_witness('qcow2')
        guest = witness.volume.guest
        guest.write(0, 24 * case.MIB, 0x31)
        witness.take()
        guest.write(32 * case.MIB, 24 * case.MIB, 0x32)
        snapshot = witness.take()
        guest.write(64 * case.MIB, 24 * case.MIB, 0x33)
        slow = witness.volume.made.make(
            merge_direction=direction, merge_bandwidth=1
        )
        with jobs.in_background(
            lambda: slow.delete_snapshot(snapshot)
        ) as call:
            jobs.wait_for_job(guest, call)
            witness.go_on()
            self.assertTrue(guest.domain.blockJobInfo('vda', 0))
            guest.domain.blockJobSetSpeed('vda', 0)
        call.result()
        del witness.acknowledged[snapshot.id]
        self.assertEqual([], witness.changed())
        for number in range(3):
            offset = number * 32 * case.MIB
            pattern = 0x31 + number
            self.assertTrue(guest.read_is(offset, 24 * case.MIB, pattern))
        guest.kill()
        self.assertEqual({}, witness.lost())
