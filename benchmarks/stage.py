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

"""The directory that all contestants work on, and the volumes in it.

One directory serves all of them: it is what Cinder's code takes for the mount
point of its share. A volume is made once, by this driver, and kept as a
template. Before each measurement it is put there anew, and what that wrote is
brought to the disk, so that it is not in the figure.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import pathlib
import subprocess
import time
import typing

import fixtures

from benchmarks import results
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import effort
from tests.fixtures import image_tools

KIB = 1 << 10
MIB = 1 << 20
GIB = drivers.GIB

# With all snapshots that a row takes the chain must not become too deep.
_MAX_DEPTH = 1000
_PATTERN = 0x5A

Extent = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Template:
    """A volume as it is at the beginning of a measurement.

    :ivar directory: where its files are kept
    :ivar snapshots: ids, the oldest first
    """

    directory: pathlib.Path
    record: drivers.Volume
    snapshots: tuple[str, ...] = ()

    def image(self, number: int) -> str:
        """Return the name of an image: 0 is the base, -1 the active one."""
        names = [self.record.name]
        names += [f'{self.record.name}.{each}' for each in self.snapshots]
        return names[number]


class Stage(fixtures.Fixture):
    """A directory, and the drivers on it.

    :param hypervisor: what our driver asks for guests
    :ivar cinder: Cinder's own NFS driver
    :ivar ours: this driver
    """

    def __init__(self, hypervisor: str = 'none') -> None:
        self._hypervisor = hypervisor

    def _setUp(self) -> None:
        self.cinder = self.useFixture(cinder_remotefs.CinderRemoteFS('qcow2'))
        self.directory: pathlib.Path = self.cinder.directory
        self._kept = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        made = drivers.DriverFixture(
            self.directory,
            volume_format='qcow2',
            hypervisor=self._hypervisor,
            max_chain_depth=_MAX_DEPTH,
        )
        self.ours = self.useFixture(made)

    @property
    def driver(self) -> typing.Any:
        """This driver."""
        return self.ours.driver

    def path(self, name: str) -> pathlib.Path:
        return self.directory / name

    # -- templates -----------------------------------------------------------

    def create(
        self, size: int = 1, data: collections.abc.Iterable[Extent] = ()
    ) -> drivers.Volume:
        """Create a volume of some GiB, with data in it."""
        record = drivers.volume(size=size)
        self.driver.create_volume(record)
        self.write(self.path(record.name), data)
        return record

    def add_layer(
        self, record: drivers.Volume, data: collections.abc.Iterable[Extent]
    ) -> str:
        """Take a snapshot, and write data after it; return its id."""
        snapshot = drivers.snapshot(record)
        self.driver.create_snapshot(snapshot)
        self.write(self.ours.active(record), data)
        return snapshot.id

    def write(
        self, path: pathlib.Path, data: collections.abc.Iterable[Extent]
    ) -> None:
        """Fill extents of a qcow2 image."""
        for offset, length in data:
            # Larger pieces would be a buffer of that size in qemu-io.
            for begin in range(offset, offset + length, 64 * MIB):
                part = min(64 * MIB, offset + length - begin)
                image_tools.qemu_io_write(path, 'qcow2', begin, part, _PATTERN)

    def keep(
        self,
        record: drivers.Volume,
        snapshots: collections.abc.Sequence[str] = (),
    ) -> Template:
        """Keep a copy of what is in the directory."""
        target = self._kept / f'{len(list(self._kept.iterdir()))}'
        target.mkdir()
        _copy(self._files(), target)
        return Template(target, record, tuple(snapshots))

    def make_chain(
        self, size: int, layers: collections.abc.Iterable[list[Extent]]
    ) -> Template:
        """Make a template: the base first, then a snapshot below each layer.

        :param size: GiB
        """
        self.clear()
        base, *above = layers
        record = self.create(size, base)
        snapshots = [self.add_layer(record, layer) for layer in above]
        return self.keep(record, snapshots)

    def put(self, template: Template) -> None:
        """Put a volume into the directory, alone, and on the disk."""
        self.clear()
        _copy(template.directory.iterdir(), self.directory)
        os.sync()

    def clear(self) -> None:
        for path in self._files():
            path.unlink()

    def _files(self) -> list[pathlib.Path]:
        """Return all files but the locks, which drivers keep open."""
        return [path for path in self.directory.iterdir() if path.is_file()]

    # -- records -------------------------------------------------------------

    def snapshot(
        self, template: Template, number: int | None = None
    ) -> drivers.Snapshot:
        """Return our record of a snapshot; a new one without a number."""
        found = None if number is None else template.snapshots[number]
        return drivers.snapshot(template.record, found)

    def cinder_snapshot(
        self, template: Template, number: int | None = None
    ) -> cinder_remotefs.Snapshot:
        """Return Cinder's record of a snapshot, and of its volume."""
        record = self.cinder.adopt(template.record)
        if template.snapshots:
            record.admin_metadata['base_format'] = 'qcow2'
        return self.cinder.snapshot(record, self.snapshot(template, number).id)


def measure(call: collections.abc.Callable[[], object]) -> results.Sample:
    """Measure a call in this process, with its children."""
    watch = effort.Watch()
    with watch:
        began = time.perf_counter()
        call()
        seconds = time.perf_counter() - began
    return results.Sample(
        {
            results.SECONDS: seconds,
            results.CHILDREN: watch.effort.children,
            results.WRITTEN: watch.effort.written,
        },
        watch.effort.commands,
    )


def _copy(
    paths: collections.abc.Iterable[pathlib.Path], target: pathlib.Path
) -> None:
    found = [os.fspath(path) for path in paths]
    if found:
        subprocess.run(
            ['cp', '--preserve', '--sparse=auto', '--', *found, target],
            check=True,
        )
