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

"""A check of volumes that real guests run on, or would."""

from __future__ import annotations

import ddt

from tests.fixtures import domain_xml
from tests.fixtures import model as models
from tests.functional.live import case


class CheckTestCase(case.LiveTestCase):
    def told(self, volume: case.GuestVolume) -> list[tuple[str, str]]:
        """Return kind and file of what is told; check that nothing changes."""
        made, name = volume.made, volume.record.name
        if volume.guest.is_active():
            volume.guest.flush()
        before = models.fingerprint(made.directory)
        with self.definition_kept(volume.guest):
            report = made.driver.check(deep=True)
        self.assertEqual(before, models.fingerprint(made.directory))
        self.assertEqual((name,), report.volumes)
        return [
            (each.kind, each.file.removeprefix(name))
            for each in report.findings
            if each.kind != 'unchecked'
        ]

    def make_frozen(self, position: int) -> tuple[case.GuestVolume, str]:
        """Make a volume whose guest has an image of its chain as its disk.

        :param position: of the image in the chain of three
        """
        volume = case.GuestVolume.attached(self.make_driver())
        for _ in range(2):
            volume.create_snapshot()
        image = volume.files().chain[position]
        self.attach(volume, path=volume.made.path(image))
        return volume, image.removeprefix(volume.record.name)


@ddt.ddt
class CheckTest(CheckTestCase):
    @ddt.data(0, 1)
    def test_guest_and_a_frozen_image(self, position: int) -> None:
        volume, image = self.make_frozen(position)
        self.assertEqual([('frozen-start', image)], self.told(volume))
        volume.guest.start()
        self.assertEqual([('frozen-guest', image)], self.told(volume))

    @ddt.data(*case.FORMATS)
    def test_nothing_is_wrong(self, volume_format: str) -> None:
        volume, snapshots = self.make_running(volume_format, snapshots=3)
        self.assertEqual([], self.told(volume))
        volume.delete_snapshot(snapshots[1])
        self.assertEqual([], self.told(volume))
        volume.delete_snapshot(snapshots[2], 'commit')
        self.assertEqual([], self.told(volume))
        volume.guest.destroy()
        self.assertEqual([], self.told(volume))
        report = volume.made.driver.check(deep=True)
        self.assertTrue(report.clean, report)

    def test_guest_is_ahead_of_info(self) -> None:
        """A snapshot was taken, and .info not written."""
        volume, _ = self.make_running(snapshots=2)
        path = volume.made.path(f'{volume.record.name}.info')
        text = path.read_bytes()
        volume.create_snapshot()
        path.write_bytes(text)
        added = f'.{list(volume.snapshots)[-1]}'
        self.assertEqual(
            [('guest-mismatch', added), ('orphan-overlay', added)],
            self.told(volume),
        )

    def test_second_guest_hides_nothing(self) -> None:
        volume, _ = self.make_running(snapshots=1)
        base = volume.made.path(volume.record.name)
        self.make_guest(domain_xml.Disk(base, 'qcow2', 'other'))
        self.assertEqual(
            [('frozen-start', ''), ('many-guests', '')], self.told(volume)
        )
