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

"""Rows of volumes under a guest that writes without pause.

Each measurement has a guest of its own, which has just booted. Bytes written
are those of QEMU, of this process and of its children, what the guest itself
wrote meanwhile included.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import pathlib
import time

from benchmarks import bare_live
from benchmarks import gaps
from benchmarks import nova
from benchmarks import results
from benchmarks import rounds
from benchmarks import stage as stages
from tests.fixtures import cinder_remotefs
from tests.fixtures import domain_xml
from tests.fixtures import driver as drivers
from tests.fixtures import effort
from tests.fixtures import guest as guests

_SLOTS = 256
# The guest writes behind all other data.
_AREA = 2 * stages.MIB
# Acknowledged writes that are waited for before and after.
_BEFORE = 5
_AFTER = 3
_QUIET_SECONDS = 1.0

Work = collections.abc.Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Scene:
    """A guest on a volume, for one measurement."""

    stage: stages.Stage
    template: stages.Template
    guest: guests.Guest

    @property
    def record(self) -> drivers.Volume:
        """The volume, as our driver is told of it."""
        return dataclasses.replace(
            self.template.record,
            status='in-use',
            volume_attachment=[drivers.Attachment()],
        )

    def snapshot(self, number: int | None = None) -> drivers.Snapshot:
        """Return our record of a snapshot; a new one without a number."""
        found = self.stage.snapshot(self.template, number)
        return drivers.Snapshot(found.id, self.record)

    def cinder_snapshot(self, number: int | None = None) -> nova.Snapshot:
        """Return Cinder's record of a snapshot, and of its volume."""
        made = self.stage.cinder_snapshot(self.template, number)
        record: cinder_remotefs.Volume = made.volume
        record.status = 'in-use'
        record.attach_status = 'attached'
        record.volume_attachment = [nova.Attachment()]
        if self.template.snapshots:
            record.admin_metadata['format'] = 'qcow2'
        status = 'creating' if number is None else 'deleting'
        return nova.Snapshot(made.id, record, status)

    def path(self, number: int) -> pathlib.Path:
        """Return the path of an image: 0 is the base, -1 the active one."""
        return self.stage.path(self.template.image(number))


def cases(
    stage: stages.Stage, base: int, changed: int, count: int
) -> collections.abc.Iterator[rounds.Case]:
    """Yield the work.

    :param base: MiB that the base has
    :param changed: MiB that were written since
    """
    yield _create(stage, count)
    size = base // 1024 + 1
    whole = [(0, base * stages.MIB)]
    since = [(0, changed * stages.MIB)]
    behind = [(changed * stages.MIB, changed * stages.MIB)]
    only = stage.make_chain(size, [whole, since])
    yield _delete(stage, f'the only one, base {base} MiB', only, count)
    both = stage.make_chain(size, [whole, since, behind])
    yield _delete(stage, 'below the active image', both, count)


def _create(stage: stages.Stage, count: int) -> rounds.Case:
    template = stage.make_chain(1, [[(0, stages.MIB)]])

    def ours() -> results.Sample:
        with _scene(stage, template) as scene:
            snapshot = scene.snapshot()
            return _measure(
                scene, lambda: stage.driver.create_snapshot(snapshot)
            )

    def upstream() -> results.Sample:
        with _scene(stage, template) as scene:
            snapshot = scene.cinder_snapshot()
            create = stage.cinder.driver.create_snapshot
            return _measure_with_nova(
                scene, snapshot, lambda: create(snapshot)
            )

    def limit() -> results.Sample:
        with _scene(stage, template) as scene:
            new = stage.path(f'{template.record.name}.new')
            return _measure(
                scene,
                lambda: bare_live.create(
                    scene.guest.domain,
                    new,
                    template.image(-1),
                    template.record.size * stages.GIB,
                ),
            )

    return rounds.Case(
        'live create',
        'under a running guest',
        {results.OURS: ours, results.UPSTREAM: upstream, results.BARE: limit},
        count,
        warm_up=False,
    )


def _delete(
    stage: stages.Stage, name: str, template: stages.Template, count: int
) -> rounds.Case:
    """Delete the oldest snapshot, of one or of two."""
    only = len(template.snapshots) == 1

    def ours() -> results.Sample:
        with _scene(stage, template) as scene:
            snapshot = scene.snapshot(0)
            return _measure(
                scene, lambda: stage.driver.delete_snapshot(snapshot)
            )

    def upstream() -> results.Sample:
        with _scene(stage, template) as scene:
            snapshot = scene.cinder_snapshot(0)
            delete = stage.cinder.driver.delete_snapshot
            return _measure_with_nova(
                scene, snapshot, lambda: delete(snapshot)
            )

    def limit() -> results.Sample:
        with _scene(stage, template) as scene:
            domain, overlay = scene.guest.domain, scene.path(1)
            if only:
                return _measure(
                    scene, lambda: bare_live.commit_active(domain, overlay)
                )
            return _measure(
                scene,
                lambda: bare_live.commit(domain, overlay, scene.path(0)),
            )

    return rounds.Case(
        'live delete',
        name,
        {results.OURS: ours, results.UPSTREAM: upstream, results.BARE: limit},
        count,
        {'only': int(only)},
        warm_up=False,
    )


@contextlib.contextmanager
def _scene(
    stage: stages.Stage, template: stages.Template
) -> collections.abc.Iterator[Scene]:
    """Have a guest that writes without pause."""
    stage.put(template)
    record = template.record
    disk = domain_xml.Disk(stage.path(template.image(-1)), 'qcow2', record.id)
    guest = guests.Guest(
        [disk],
        kernel=True,
        writer_slots=_SLOTS,
        writer_offset=record.size * stages.GIB - _AREA,
    )
    with guest:
        guest.start()
        guest.wait_acknowledged(_BEFORE)
        yield Scene(stage, template, guest)


def _measure(scene: Scene, work: Work) -> results.Sample:
    """Measure a call while the guest writes."""
    guest, pid = scene.guest, scene.guest.pid()
    with gaps.Watcher(guest.console.path) as watcher:
        guest.wait_acknowledged(guest.acknowledged() + _BEFORE)
        time.sleep(_QUIET_SECONDS)
        before = effort.written(pid)
        begin = time.monotonic()
        sample = stages.measure(work)
        end = time.monotonic()
        by_qemu = effort.written(pid) - before
        guest.wait_acknowledged(guest.acknowledged() + _AFTER)
    stamps = watcher.stamps
    values = {
        **sample.values,
        results.GAP: gaps.longest(stamps, begin, end),
        results.QUIET: gaps.longest(stamps, begin - _QUIET_SECONDS, begin),
    }
    values[results.WRITTEN] += by_qemu
    return results.Sample(values, sample.commands)


def _measure_with_nova(
    scene: Scene, snapshot: nova.Snapshot, work: Work
) -> results.Sample:
    driver = scene.stage.cinder.driver
    with nova.Nova(driver, scene.guest, snapshot) as service:
        sample = _measure(scene, work)
    values = {**sample.values, results.NOVA: service.seconds}
    return results.Sample(values, sample.commands)
