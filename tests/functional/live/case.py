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

"""What the tests of volumes that a guest runs on have in common."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import itertools
import os
import pathlib
import typing

import libvirt

from tests import base
from tests.fixtures import domain_xml
from tests.fixtures import driver as drivers
from tests.fixtures import guest as guests
from tests.fixtures import model as models
from tests.fixtures import modelled
from volume_driver import exception

KIB = 1 << 10
MIB = 1 << 20
GIB = drivers.GIB

FORMATS = ('qcow2', 'raw')


class GuestVolume(modelled.ModelledVolume):
    """A volume, its model, and the guest that has it as its first disk."""

    guest: guests.Guest

    @classmethod
    def attached(
        cls, made: drivers.DriverFixture, size: int = 1
    ) -> GuestVolume:
        """Create a volume of some GiB that is recorded as attached."""
        record = drivers.volume(
            size=size,
            status='in-use',
            volume_attachment=[drivers.Attachment()],
        )
        made.driver.create_volume(record)
        view = models.View(size * GIB)
        return cls(
            made, record, models.Model(made.options['volume_format'], view)
        )

    def disk(self) -> domain_xml.Disk:
        """Return the disk of a guest that starts from the active image."""
        path = self.made.active(self.record)
        base = path.name == self.record.name
        return domain_xml.Disk(
            path, self.model.base_format if base else 'qcow2', self.record.id
        )

    def write(self, offset: int, length: int, pattern: int) -> None:
        """Write through the guest, or to the image when it is off."""
        if not self.guest.is_active():
            super().write(offset, length, pattern)
            return
        self.guest.write(offset, length, pattern)
        self.model.active.write(offset, length, pattern)

    def unseen(self) -> list[str]:
        """Read all data through the guest; return what it sees otherwise."""
        size = int(self.guest.domain.blockInfo('vda')[0])
        if size != self.model.active.size:
            return [f'the guest sees {size} bytes']
        return [
            f'the guest does not see {pattern:#x} at {offset} + {length}'
            for offset, length, pattern in self._extents()
            if not self.guest.read_is(offset, length, pattern)
        ]

    def _extents(self) -> typing.Iterator[tuple[int, int, int]]:
        """Yield offset, length and byte of all that was ever written."""
        written = enumerate(sorted(self.model.active.blocks.items()))
        for _, group in itertools.groupby(
            written, lambda each: (each[1][0] - each[0], each[1][1])
        ):
            found = [each for _, each in group]
            first, pattern = found[0]
            yield first * models.BLOCK, len(found) * models.BLOCK, pattern

    def state(self) -> int:
        """Return libvirt's number for the state of the guest."""
        return int(self.guest.domain.state()[0])

    def is_running(self) -> bool:
        """Return whether the guest runs and is not suspended."""
        return bool(self.state() == libvirt.VIR_DOMAIN_RUNNING)

    def next_start(self) -> tuple[str, str]:
        """Return the file and the format that the guest starts from."""
        return source_of(self.guest.inactive_xml())


def source_of(xml: str) -> tuple[str, str]:
    """Return the file and the format of the first disk of a domain."""
    disk = disk_xml(xml, 'vda')
    return disk.partition("<source file='")[2].partition("'")[0], (
        disk.partition("type='")[2].partition("'")[0]
    )


def disk_xml(xml: str, target: str) -> str:
    """Return what a domain's XML says of one disk."""
    for part in xml.split('<disk ')[1:]:
        disk = part.partition('</disk>')[0]
        if f"<target dev='{target}'" in disk:
            # Its own type is not of interest here, that of the image is.
            return disk.partition('>')[2]
    raise LookupError(f'no disk {target} in the domain XML')


class LiveTestCase(base.TestCase):
    """With a driver on a directory of its own, and real guests."""

    def make_driver(
        self, volume_format: str = 'qcow2', **options: typing.Any
    ) -> drivers.DriverFixture:
        """Make a driver for volumes of a format."""
        self.require_program('qemu-img', 'qemu-utils')
        wanted = {'hypervisor': 'libvirt', **options}
        made = drivers.DriverFixture(volume_format=volume_format, **wanted)
        self.useFixture(made)
        return made

    def make_volume(
        self,
        volume_format: str = 'qcow2',
        size: int = 1,
        options: dict[str, typing.Any] | None = None,
        **guest: typing.Any,
    ) -> GuestVolume:
        """Make a volume with a guest on it, which is shut off.

        :param size: GiB
        :param options: of the driver
        :param guest: arguments of the guest fixture
        """
        made = self.make_driver(volume_format, **(options or {}))
        return self.attach(GuestVolume.attached(made, size), **guest)

    def attach(
        self,
        volume: GuestVolume,
        path: str | os.PathLike[str] = '',
        serial: str | None = None,
        **guest: typing.Any,
    ) -> GuestVolume:
        """Give a volume its guest, which is shut off.

        :param path: of the disk, if not that of the active image
        :param serial: of the disk, if not the volume's id
        """
        disk = volume.disk()
        serial = disk.serial if serial is None else serial
        changed = dataclasses.replace(
            disk, path=path or disk.path, serial=serial
        )
        volume.guest = self.make_guest(changed, **guest)
        return volume

    def make_guest(
        self, *disks: domain_xml.Disk, **options: typing.Any
    ) -> guests.Guest:
        """Set a guest up, shut off."""
        guest = guests.Guest(disks, **options)
        self.useFixture(guest)
        return guest

    def make_running(
        self,
        volume_format: str = 'qcow2',
        snapshots: int = 0,
        paused: bool = False,
        **options: typing.Any,
    ) -> tuple[GuestVolume, list[drivers.Snapshot]]:
        """Make a volume with data and snapshots under a running guest.

        :param options: of :meth:`make_volume`
        """
        volume = self.make_volume(volume_format, **options)
        volume.guest.start(paused=paused)
        volume.write(0, 256 * KIB, 0x11)
        volume.write(512 * MIB, 128 * KIB, 0x12)
        volume.write(GIB - 96 * KIB, 96 * KIB, 0x13)
        return volume, self.take_snapshots(volume, snapshots)

    def take_snapshots(
        self, volume: modelled.ModelledVolume, count: int
    ) -> list[drivers.Snapshot]:
        """Take snapshots of a volume, each layer with data of its own."""
        return volume.take_snapshots(count)

    def check(self, *volumes: modelled.ModelledVolume) -> None:
        """Compare volumes with their models: every view, bit for bit.

        What a running guest sees is read through it, too.
        """
        for volume in volumes:
            active = (
                isinstance(volume, GuestVolume) and volume.guest.is_active()
            )
            if isinstance(volume, GuestVolume) and active:
                self.assertEqual([], volume.unseen())
                volume.guest.flush()
            self.assertEqual([], volume.differences(share=active))

    def check_next_start(self, volume: GuestVolume) -> None:
        """Start the guest anew from its definition and let it look."""
        volume.guest.destroy()
        self.check(volume)
        volume.guest.start()
        self.assertEqual([], volume.unseen())

    @contextlib.contextmanager
    def refused(
        self,
        error: type[exception.VolumeDriverError],
        directory: str | os.PathLike[str],
        words: str = '.',
    ) -> typing.Iterator[None]:
        """Expect an error that leaves every file as it was.

        :param words: a regular expression for what its message says
        """
        before = models.fingerprint(pathlib.Path(directory))
        try:
            yield
        except error as problem:
            # What to do next is what the message ends with.
            self.assertRegex(str(problem), r'[.]$')
            self.assertRegex(str(problem), words)
        else:
            self.fail(f'{error.__name__} was not raised')
        self.assertEqual(before, models.fingerprint(pathlib.Path(directory)))

    @contextlib.contextmanager
    def definition_kept(
        self, *machines: guests.Guest
    ) -> collections.abc.Iterator[None]:
        """Expect that guests stay as they are, running or not."""

        def look() -> list[tuple[bool, str, str]]:
            return [
                (each.is_active(), each.domain.XMLDesc(0), each.inactive_xml())
                for each in machines
            ]

        before = look()
        yield
        self.assertEqual(before, look())
