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

"""A volume, its driver, its guest, and the witness of what becomes of them."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import socket
import time
import types
import typing
import uuid

from oslo_config import cfg
from stevedore import driver as stevedore_driver

from examples import report
from examples import witness
from tests.fixtures import domain_xml
from tests.fixtures import guest as guests
from tests.fixtures import image_tools
from volume_driver import driver
from volume_driver import exception
from volume_driver import opts
from volume_driver.operations import describe
from volume_driver.planning import plan

_MIB = 1 << 20
# So few slots that the guest writes to each of them between two snapshots:
# a merge that lets an older block win over a newer one is seen.
_AREA = witness.Area(offset=64 * _MIB, slots=256)
_FRESH = 300
_FEW = 10
_ELSEWHERE = 256 * _MIB


class BlocksLost(Exception):
    """A comparison has found something lost; it is printed already."""


class Stage:
    """One volume, and what can be done with it.

    Every operation of the driver is measured, compared and printed.
    """

    def __init__(
        self,
        place: pathlib.Path,
        image_format: str,
        seconds_between: float,
        printed: report.Report,
    ) -> None:
        """Make the driver, on a new directory in ``place``."""
        self._directory = place / 'volumes'
        self._directory.mkdir()
        self._seconds_between = seconds_between
        self._report = printed
        self._driver = _load_driver(self._directory, image_format)
        self._volume = _volume()
        self._cache = _cache_mode(self._directory)
        self._witness = witness.Witness(
            self._directory,
            self._volume.name,
            image_format,
            _AREA,
            self._cache,
        )
        self._guest: guests.Guest | None = None
        self._live = False

    # -- operations of the driver --------------------------------------------

    def create_volume(self) -> None:
        """Create the volume."""
        self._do(
            f'create a volume of {self._volume.size} GiB',
            lambda: self._driver.create_volume(self._volume),
        )

    def delete_volume(self) -> None:
        """Delete the volume; it is detached before."""
        self._volume.volume_attachment = []
        self._witness.expect_deleted()
        self._do(
            'delete the volume',
            lambda: self._driver.delete_volume(self._volume),
        )

    def create_snapshot(self, snapshot: str) -> None:
        """Create a snapshot, and take a picture of it."""
        record = self._snapshot(snapshot)
        # What is acknowledged up to here has to be in the snapshot.
        acknowledged = self._acknowledged()
        self._do(
            f'create {snapshot}',
            lambda: self._driver.create_snapshot(record),
            look=lambda: self._witness.remember_snapshot(
                snapshot, acknowledged
            ),
        )

    def delete_snapshot(self, snapshot: str, which: str) -> None:
        """Delete a snapshot.

        :param which: which one of those there are it is, in words
        """
        record = self._snapshot(snapshot)
        self._witness.forget_snapshot(snapshot)
        self._do(
            f'delete {snapshot}, {which}',
            lambda: self._driver.delete_snapshot(record),
            planned=self._driver.plan_delete_snapshot(record),
        )

    def revert(self, snapshot: str) -> None:
        """Bring the volume back to its newest snapshot."""
        record = self._snapshot(snapshot)
        self._witness.expect_revert(snapshot)
        self._do(
            f'revert to {snapshot}',
            lambda: self._driver.revert_to_snapshot(
                None, self._volume, record
            ),
        )

    def show(self) -> None:
        """Print what the volume is made of, as the command line does."""
        self._report.show(self._driver.describe(self._volume))

    # -- the guest, and writes without it ------------------------------------

    def guest(self) -> guests.Guest:
        """Return a new guest with the volume as its disk, to be set up."""
        self._guest = guests.Guest(
            [self._disk()],
            kernel=True,
            writer_slots=_AREA.slots,
            writer_offset=_AREA.offset,
            cache=self._cache,
        )
        return self._guest

    def attach(self) -> None:
        """Record that the guest has the volume, as Cinder does."""
        assert self._guest is not None
        self._volume.status = 'in-use'
        self._volume.volume_attachment = [
            types.SimpleNamespace(
                instance_uuid=self._guest.uuid,
                attached_host=socket.gethostname(),
            )
        ]

    def start_guest(self) -> None:
        """Boot the guest, and wait until it has written to every slot."""
        assert self._guest is not None
        first = self._acknowledged() + 1
        begun = time.monotonic()
        self._guest.start()
        self._live = True
        self._guest.wait_up()
        self._report.say(
            f'The guest boots in {time.monotonic() - begun:.1f} s and writes '
            f'from block {first:,} on.'
        )
        self.let_guest_write()

    def stop_guest(self, kill: bool = False) -> None:
        """Stop the guest as when power is lost.

        :param kill: by SIGKILL to QEMU; False: by libvirt
        """
        assert self._guest is not None
        if kill:
            self._guest.kill()
        else:
            self._guest.destroy()
        self._live = False
        how = 'QEMU is killed' if kill else 'The guest is destroyed'
        self._report.say(
            f'{how}; {self._acknowledged():,} blocks were acknowledged.'
        )
        verdict = self._witness.check(self._acknowledged(), True)
        self._report.verdict(verdict)
        _stop_if_lost(verdict)
        self._witness.remember_active()

    def let_guest_write(self) -> None:
        """Wait until the guest has written to every slot again."""
        self._wait_for_blocks(_FRESH)

    def write(self, offset: int, length: int, pattern: int) -> None:
        """Write with qemu-io, outside of the guest's area.

        :param offset: MiB from where such writes begin
        :param length: MiB
        :param pattern: the byte, 0 to 255
        """
        self._qemu_io(_ELSEWHERE + offset * _MIB, length * _MIB, pattern)
        self._witness.remember_active()
        self._report.say(f'{length} MiB are written with qemu-io.')

    def spoil(self) -> None:
        """Overwrite all that the guest wrote; a revert has to follow."""
        length = _AREA.slots * witness.BLOCK
        self._qemu_io(_AREA.offset, length, 0xEE)
        self._report.say('All blocks of the guest are overwritten.')

    # -- below: our own ------------------------------------------------------

    def _do(
        self,
        headline: str,
        act: collections.abc.Callable[[], None],
        look: collections.abc.Callable[[], witness.Verdict] | None = None,
        planned: plan.Plan | None = None,
    ) -> None:
        """Run one operation, compare everything, print it.

        :param look: compares what only this operation needs compared
        """
        before = self._describe()
        acknowledged = self._acknowledged()
        begun = time.monotonic()
        act()
        seconds = time.monotonic() - begun
        meanwhile = self._acknowledged() - acknowledged
        verdict = look() if look is not None else witness.Verdict()
        verdict += self._check()
        after = self._describe(verdict.lost)
        outcome = report.Outcome(
            headline=headline,
            before=before,
            after=after,
            seconds=seconds,
            live=self._live,
            meanwhile=meanwhile,
            planned=planned,
            verdict=verdict,
        )
        self._report.outcome(outcome)
        _stop_if_lost(outcome.verdict)
        if self._live:
            # It must not only have its data, it must go on.
            self._wait_for_blocks(_FEW)
        time.sleep(self._seconds_between)

    def _check(self) -> witness.Verdict:
        if not self._live:
            return self._witness.check(self._acknowledged(), False)
        assert self._guest is not None
        self._guest.suspend()
        try:
            # Counted after the guest has stopped. Of what it wrote last the
            # console may not have told yet: that is newer, which is allowed,
            # and the next comparison has it.
            return self._witness.check(self._acknowledged(), True)
        finally:
            self._guest.resume()

    def _wait_for_blocks(self, count: int) -> None:
        assert self._guest is not None
        self._guest.wait_acknowledged(self._acknowledged() + count)

    def _acknowledged(self) -> int:
        if self._guest is None:
            return 0
        return self._guest.acknowledged()

    def _describe(self, lost: int = 0) -> describe.Description | None:
        try:
            return self._driver.describe(self._volume)
        except exception.VolumeNotFound:
            # Not created yet, or deleted.
            return None
        except exception.VolumeDriverError:
            # That it cannot be read is no news then.
            if lost:
                return None
            raise

    def _disk(self) -> domain_xml.Disk:
        data = self._connection()
        return domain_xml.Disk(
            data['device_path'], data['format'], self._volume.id
        )

    def _qemu_io(self, offset: int, length: int, pattern: int) -> None:
        data = self._connection()
        image_tools.qemu_io_write(
            data['device_path'], data['format'], offset, length, pattern
        )

    def _connection(self) -> dict[str, str]:
        found = self._driver.initialize_connection(self._volume, {})
        return typing.cast(dict[str, str], found['data'])

    def _snapshot(self, snapshot: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(
            id=snapshot,
            name=f'snapshot-{snapshot}',
            volume=self._volume,
            volume_size=self._volume.size,
        )


def _stop_if_lost(verdict: witness.Verdict) -> None:
    if verdict.lost:
        raise BlocksLost


def _volume() -> types.SimpleNamespace:
    """Return a record of a volume like Cinder's, with a short name."""
    volume_id = uuid.uuid4().hex[:8]
    return types.SimpleNamespace(
        id=volume_id,
        name=f'volume-{volume_id}',
        size=1,
        status='available',
        volume_attachment=[],
    )


def _load_driver(
    directory: pathlib.Path, image_format: str
) -> driver.Qcow2Driver:
    """Load the driver by its entry point, with options of its own."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    group = opts.register(conf)
    conf.set_override('volume_files_dir', str(directory), opts.GROUP)
    conf.set_override('volume_format', image_format, opts.GROUP)
    manager: typing.Any = stevedore_driver.DriverManager(
        'volume_driver.drivers',
        'qcow2',
        invoke_on_load=True,
        invoke_kwds={'configuration': group},
    )
    loaded = typing.cast(driver.Qcow2Driver, manager.driver)
    loaded.do_setup(None)
    loaded.check_for_setup_error()
    return loaded


def _cache_mode(directory: pathlib.Path) -> str:
    """Return 'none' unless the filesystem (a tmpfs) has no O_DIRECT."""
    probe = directory.parent / 'probe'
    probe.touch()
    try:
        os.close(os.open(probe, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return 'writeback'
    return 'none'
