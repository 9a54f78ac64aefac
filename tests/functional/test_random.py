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

"""Random operations, with a guest and without: no bit may be wrong, ever.

After each operation every snapshot and the active view are compared with a
model. ``RANDOM_SEED`` repeats a run: a failure names the seed that it had.
"""

from __future__ import annotations

import collections.abc
import itertools
import os
import random
import socket
import sys

import ddt
from testtools import content

from tests import base
from tests.fixtures import domain_xml
from tests.fixtures import driver as drivers
from tests.fixtures import guest
from tests.fixtures import model
from tests.fixtures import modelled
from volume_driver import exception

OPERATIONS = 200
FIXED_SEED = 20260
MAX_DEPTH = 7
MAX_SIZE = 4

# How often each operation is tried; one that is impossible now is not.
WEIGHTS = {
    'write': 30,
    'create_snapshot': 20,
    'delete_snapshot': 18,
    'revert': 4,
    'extend': 2,
    'clone': 2,
    'copy_snapshot': 2,
    'start_guest': 9,
    'stop_guest': 3,
    'kill_guest': 3,
}


class Sequence:
    """Operations on one volume, and on the guest that it belongs to.

    :ivar log: what was done, in words
    """

    def __init__(
        self,
        chance: random.Random,
        volume: modelled.ModelledVolume,
        machine: guest.Guest,
    ) -> None:
        self.chance = chance
        self.volume = volume
        self.machine = machine
        self.running = False
        self.log: list[str] = []

    def run(self, count: int) -> None:
        """Do some operations, and compare after each."""
        for number in range(count):
            name = self.choose()
            self.log.append(f'{number}: {name}')
            operation: collections.abc.Callable[[], None] = getattr(self, name)
            operation()
            # What is not flushed yet is part of the next operation.
            if name != 'write' or self.chance.random() < 0.5:
                self.compare()

    def choose(self) -> str:
        """Return an operation that is possible now."""
        possible = {
            'create_snapshot': len(self.snapshots) < MAX_DEPTH,
            'delete_snapshot': bool(self.snapshots),
            'revert': bool(self.snapshots) and not self.running,
            'extend': self.volume.record.size < MAX_SIZE,
            'copy_snapshot': bool(self.snapshots),
            'start_guest': not self.running,
            'stop_guest': self.running,
            'kill_guest': self.running,
        }
        left = {k: v for k, v in WEIGHTS.items() if possible.get(k, True)}
        return self.chance.choices(list(left), list(left.values()))[0]

    @property
    def snapshots(self) -> list[drivers.Snapshot]:
        return list(self.volume.snapshots.values())

    def note(self, text: str) -> None:
        """Say more about the operation that is done."""
        self.log[-1] += f' {text}'

    def compare(self) -> None:
        """Compare every view with the model, and the guest's own as well."""
        if self.running:
            self.machine.flush()
            self.compare_guest()
        else:
            self.compare_definition()
        found = self.volume.differences(share=self.running)
        if found:
            raise AssertionError('\n'.join(found))

    def compare_guest(self) -> None:
        """Let the guest read a block that has data and one that may not."""
        view = self.volume.model.active
        blocks = [self.chance.randrange(view.size // model.BLOCK)]
        if view.blocks:
            blocks.append(self.chance.choice(list(view.blocks)))
        for block in blocks:
            pattern = view.blocks.get(block, 0)
            offset = block * model.BLOCK
            if not self.machine.read_is(offset, model.BLOCK, pattern):
                raise AssertionError(f'the guest reads block {block} wrong')

    def compare_definition(self) -> None:
        """The guest, if it is started now, starts from the active image."""
        active = self.volume.made.active(self.volume.record)
        if f"'{active}'" not in self.machine.inactive_xml():
            raise AssertionError(f'the guest does not start from {active}')

    # -- operations ----------------------------------------------------------

    def write(self) -> None:
        view = self.volume.model.active
        length = self.chance.randint(1, 64) * model.BLOCK
        end = view.size - length
        # Where other layers have data too, anywhere, and at the very end.
        offset = self.chance.choice(
            [
                self.chance.randrange(0, 1 << 20, model.BLOCK),
                self.chance.randrange(0, end, model.BLOCK),
                end,
            ]
        )
        pattern = self.chance.randrange(256)
        self.note(f'{offset} + {length}: {pattern}')
        if self.running:
            self.machine.write(offset, length, pattern)
            view.write(offset, length, pattern)
        else:
            self.volume.write(offset, length, pattern)

    def create_snapshot(self) -> None:
        self.note(self.volume.create_snapshot().id)

    def delete_snapshot(self) -> None:
        snapshot = self.chance.choice(self.snapshots)
        direction = self.chance.choice(['commit', 'pull', 'auto'])
        self.note(f'{snapshot.id} {direction}')
        newest = snapshot is self.snapshots[-1]
        if not (self.running and direction == 'pull' and not newest):
            self.volume.delete_snapshot(snapshot, direction)
            return
        try:
            self.volume.delete_snapshot(snapshot, direction)
        except exception.DirectionImpossible:
            self.note('refused')
        else:
            raise AssertionError('a pull below the active image of a guest')

    def revert(self) -> None:
        self.volume.revert(self.snapshots[-1])

    def extend(self) -> None:
        self.volume.extend(self.volume.record.size + 1)

    def clone(self) -> None:
        self.look_at(self.volume.clone(self.larger()))

    def copy_snapshot(self) -> None:
        snapshot = self.chance.choice(self.snapshots)
        self.look_at(self.volume.copy_snapshot(snapshot, self.larger()))

    def larger(self) -> int:
        """Return the size of a copy in GiB."""
        return self.volume.record.size + self.chance.randrange(2)

    def look_at(self, copy: modelled.ModelledVolume) -> None:
        """Compare a copy with its model and delete it."""
        found = copy.differences()
        if found:
            raise AssertionError('\n'.join(['copy:', *found]))
        copy.made.driver.delete_volume(copy.record)

    def start_guest(self) -> None:
        # From what its definition says, which is the driver's to keep right.
        self.machine.start()
        self.running = True
        self.volume.record.status = 'in-use'
        self.volume.record.volume_attachment = [
            drivers.Attachment(self.machine.uuid, socket.gethostname())
        ]

    def stop_guest(self) -> None:
        self.machine.flush()
        self.machine.destroy()
        self.stopped()

    def kill_guest(self) -> None:
        self.machine.flush()
        self.machine.kill()
        self.stopped()

    def stopped(self) -> None:
        """Note that the guest is off; it may stay attached."""
        self.running = False
        if self.chance.random() < 0.5:
            self.note('and detach')
            self.volume.record.status = 'available'
            self.volume.record.volume_attachment = []


@ddt.ddt
class RandomTest(base.TestCase):
    @ddt.data(*itertools.product(('qcow2', 'raw'), ('fixed', 'random')))
    @ddt.unpack
    def test_every_bit_is_right(self, volume_format: str, which: str) -> None:
        self.require_program('qemu-img', 'qemu-utils')
        self.require_program('qemu-system-x86_64', 'qemu-system-x86')
        seed = self.choose_seed(which)
        sequence = self.make_sequence(random.Random(seed), volume_format)
        try:
            sequence.run(OPERATIONS)
        except Exception as error:
            last = sequence.log[-1]
            text = f'RANDOM_SEED={seed} {volume_format}, operation {last}'
            raise AssertionError(f'{text}: {error}') from error
        self.finish(sequence)

    def choose_seed(self, which: str) -> int:
        """Return the seed of a run; print it, and let a failure name it."""
        seed = FIXED_SEED
        if which == 'random':
            given = os.environ.get('RANDOM_SEED')
            seed = int(given or random.SystemRandom().randrange(1 << 32))
        self.addDetail('seed', content.text_content(f'RANDOM_SEED={seed}'))
        # The worker's stdout carries the results, its stderr is the run's.
        sys.stderr.write(f'{self.id()}: RANDOM_SEED={seed}\n')
        return seed

    def make_sequence(
        self, chance: random.Random, volume_format: str
    ) -> Sequence:
        """Make a volume and the guest that it belongs to, shut off."""
        made = drivers.DriverFixture(
            volume_format=volume_format, hypervisor='libvirt'
        )
        self.useFixture(made)
        volume = modelled.ModelledVolume.create(made)
        disk = domain_xml.Disk(
            made.active(volume.record), volume_format, volume.record.id
        )
        machine = guest.Guest([disk])
        self.useFixture(machine)
        sequence = Sequence(chance, volume, machine)
        self.addDetail(
            'operations',
            content.Content(
                content.text_content('').content_type,
                lambda: ['\n'.join(sequence.log).encode()],
            ),
        )
        return sequence

    def finish(self, sequence: Sequence) -> None:
        """Delete every snapshot offline, then the volume."""
        if sequence.running:
            sequence.stop_guest()
        sequence.volume.record.volume_attachment = []
        for snapshot in sequence.snapshots:
            sequence.volume.delete_snapshot(snapshot)
            self.assertEqual([], sequence.volume.differences())
        sequence.volume.made.driver.delete_volume(sequence.volume.record)
        directory = sequence.volume.made.directory
        self.assertEqual({}, model.fingerprint(directory))
