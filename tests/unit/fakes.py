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

"""Guests that are no guests, and small volumes that are real."""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib

from oslo_concurrency import processutils

from volume_driver import exception
from volume_driver import info
from volume_driver import opts
from volume_driver.hypervisors import base as hypervisors
from volume_driver.images import qemu_img
from volume_driver.images import record
from volume_driver.operations import context as contexts

VOLUME = 'volume-u'
SIZE = 1 << 20


class Progress:
    """What a step noted, in memory."""

    def __init__(self, marked: bool = False, held: bool = False) -> None:
        self.marked = marked
        self.held = held
        self.notes: dict[str, str] = {}

    def mark(self) -> None:
        self.marked = True

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False

    def note(self, key: str, value: str | None) -> None:
        if value is None:
            self.notes.pop(key, None)
        else:
            self.notes[key] = value


class _Failing:
    """Takes calls down; one that is to fail does so, once."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.errors: dict[str, Exception] = {}

    def call(self, name: str, *arguments: object) -> None:
        self.calls.append((name, *arguments))
        if name in self.errors:
            raise self.errors.pop(name)

    def called(self) -> list[object]:
        return [call[0] for call in self.calls]


class Disk(hypervisors.GuestDisk, _Failing):
    """The disk of a running guest; its merges copy nothing."""

    def __init__(self, *images: str, size: int = SIZE) -> None:
        hypervisors.GuestDisk.__init__(self, 'guest on host')
        _Failing.__init__(self)
        self.images = list(images)
        self.running_job: str | None = None
        self.current_size = size
        self.run = 'first run'

    def chain(self) -> tuple[str, ...]:
        return tuple(self.images)

    def job(self) -> str | None:
        return self.running_job

    def job_progress(self) -> tuple[int, int]:
        return (1, 2) if self.running_job else (0, 0)

    def cancel_job(self) -> bool:
        self.call('cancel_job')
        return self.running_job is not None

    def limit_job(self, bandwidth: int) -> bool:
        self.call('limit_job', bandwidth)
        return self.running_job is not None

    def size(self) -> int:
        return self.current_size

    def identity(self) -> str:
        return self.run

    def switch_to(self, overlay: str) -> None:
        self.call('switch_to', overlay)
        self.images.append(overlay)

    def commit(
        self, top: str, base: str, progress: hypervisors.Progress
    ) -> None:
        self.call('commit', top, base)
        if top in self.images:
            self.images.remove(top)
        progress.mark()

    def commit_in_place(
        self,
        top: str,
        base: str,
        renewal: hypervisors.Renewal,
        progress: hypervisors.Progress,
    ) -> None:
        self.call('commit_in_place', top, base)
        at = self.images.index(base) + 1
        self.images[at:] = [top]
        renewal.settled()
        renewal.renew()
        progress.mark()

    def pull(
        self,
        pulled: str,
        backing: str | None,
        progress: hypervisors.Progress,
    ) -> None:
        self.call('pull', pulled, backing)
        if pulled in self.images:
            self.images.remove(pulled)
        progress.mark()

    def let_go(self, progress: hypervisors.Progress) -> None:
        self.call('let_go')
        progress.release()

    def resize(self, size: int) -> None:
        self.call('resize', size)
        self.current_size = size

    def start_from(self, active: str, image_format: str) -> None:
        self.call('start_from', active, image_format)


class Defined(hypervisors.DefinedDisk, _Failing):
    """The disk of a guest that is shut off."""

    def __init__(self) -> None:
        hypervisors.DefinedDisk.__init__(self, 'guest that is off')
        _Failing.__init__(self)
        self.named = 'volume-u'

    def active(self) -> str:
        self.call('active')
        return self.named

    def start_from(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        self.call('start_from', active, image_format, *below)


class Hypervisor(hypervisors.Hypervisor, _Failing):
    """Finds what the test put there."""

    def __init__(
        self,
        live: hypervisors.GuestDisk | None = None,
        *defined: hypervisors.DefinedDisk,
    ) -> None:
        hypervisors.Hypervisor.__init__(self, opts.Settings())
        _Failing.__init__(self)
        self.found = hypervisors.Found(live, defined, 'fake')

    def find(self, target: hypervisors.Target) -> hypervisors.Found:
        self.call('find', target.name)
        return self.found


class Locks:
    """Locks that only tell who holds them."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.taken: list[str] = []

    @contextlib.contextmanager
    def __call__(
        self, name: str, blocking: bool = True
    ) -> collections.abc.Iterator[None]:
        self.held.append(name)
        self.taken.append(name)
        try:
            yield
        finally:
            self.held.remove(name)


def target(directory: pathlib.Path, name: str = VOLUME) -> hypervisors.Target:
    return hypervisors.Target(
        name.removeprefix('volume-'), name, str(directory)
    )


def context(
    directory: pathlib.Path,
    hypervisor: hypervisors.Hypervisor | None = None,
    **settings: object,
) -> contexts.Context:
    """Return what operations work with, in a directory of the test."""
    return contexts.Context(
        opts.Settings(
            volume_files_dir=str(directory),
            **settings,  # type: ignore[arg-type]
        ),
        processutils.execute,
        hypervisor or Hypervisor(),
        Locks(),
    )


def make_volume(
    directory: pathlib.Path, snapshots: str = '', name: str = VOLUME
) -> tuple[str, ...]:
    """Make a volume of 1 MiB; return the names of its images.

    :param snapshots: one letter for each, the oldest first
    """
    execute = processutils.execute
    images = [name]
    qemu_img.create(execute, str(directory / name), 'qcow2', SIZE)
    record.write(str(directory), name, 'qcow2')
    content = info.Info(name)
    for letter in snapshots:
        overlay = f'{name}.{letter}'
        path = str(directory / overlay)
        qemu_img.create_overlay(execute, path, images[-1], 'qcow2', SIZE)
        content = content.with_snapshot(letter, overlay)
        images.append(overlay)
    if snapshots:
        info.write(str(directory), name, content)
    return tuple(images)


def live_error() -> exception.LiveOperationFailed:
    return exception.LiveOperationFailed(
        operation='it', guest='guest', reason='the test says so'
    )


def refusal() -> exception.Refused:
    return exception.VolumeInUse(
        volume=VOLUME, holder='the test', operation='it'
    )
