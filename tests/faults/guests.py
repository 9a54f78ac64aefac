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

"""The guest of a case: what it wrote, and whether it goes on."""

from __future__ import annotations

import random

import libvirt

from tests.faults import templates
from tests.faults import verdict as verdicts
from tests.fixtures import domain_xml
from tests.fixtures import guest as guests
from tests.fixtures import hypervisor
from tests.fixtures import model as models
from tests.fixtures import monitor

_KIB = 1 << 10
_MIB = 1 << 20
# Where a guest writes, and the byte: over old data, and where none was.
_BEFORE = ((4 * _KIB, 8 * _KIB, 0xA1), (511 * _MIB, 2 * _MIB, 0xA2))
_MEANWHILE = ((4 * _KIB + 8 * _KIB, 4 * _KIB, 0xB1), (700 * _MIB, 4096, 0xB2))
_AFTER = ((20 * _KIB, 4 * _KIB, 0xC1), (701 * _MIB, 64 * _KIB, 0xC2))
_SPOTS = 5


class CaseGuest(guests.Guest):
    """A guest without an operating system on a volume of the matrix."""

    def reconnect(self) -> None:
        """Go on after libvirtd was started anew."""
        self._connection = hypervisor.connect()

    def is_running(self) -> bool:
        """Return whether it is neither shut off nor suspended."""
        if not self.is_active():
            return False
        return bool(self.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING)


class User:
    """Uses a volume through a guest, and knows what has to be there."""

    def __init__(self, copy: templates.Copy, cache: str) -> None:
        self._model = copy.model
        active = f'{copy.record.name}.{copy.snapshots[-1]}'
        disk = domain_xml.Disk(
            copy.directory / active, 'qcow2', copy.record.id
        )
        self.guest = CaseGuest([disk], cache=cache)

    def begin(self) -> None:
        """Start the guest, and write what is then acknowledged."""
        self.guest.start()
        self._write(_BEFORE)

    def go_on(self) -> bool:
        """Write while nobody cares for the volume; return whether it did."""
        if not self.guest.is_running():
            return False
        self._write(_MEANWHILE)
        return True

    def finish(self, verdict: verdicts.Verdict) -> None:
        """Look whether all goes on, then end it as a power cut would.

        A guest that died is started from its definition.
        """
        try:
            if not self.guest.is_active():
                self.guest.start()
            elif not self.guest.is_running():
                verdict.stuck.append('the guest is left suspended')
                return
            self._read(verdict)
            self._write(_AFTER)
        except (
            libvirt.libvirtError,
            monitor.MonitorError,
            guests.GuestError,
        ) as error:
            verdict.stuck.append(f'the guest does not go on: {error}')
        finally:
            if self.guest.is_active():
                self.guest.kill()

    def _read(self, verdict: verdicts.Verdict) -> None:
        blocks = self._model.active.blocks
        spots = random.Random(0).sample(sorted(blocks), _SPOTS)
        wrong = [
            block
            for block in spots
            if not self.guest.read_is(
                block * models.BLOCK, models.BLOCK, blocks[block]
            )
        ]
        if wrong:
            verdict.lost.append(f'the guest does not see blocks {wrong}')

    def _write(self, writes: tuple[tuple[int, int, int], ...]) -> None:
        for offset, length, value in writes:
            self.guest.write(offset, length, value)
            self._model.active.write(offset, length, value)
        self.guest.flush()
