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

"""The RemoteFS code of Cinder 29, as far as an attack can reach it.

It runs in a forked child: it may hang, and is ended then.
"""

from __future__ import annotations

import collections.abc
import os
import pathlib
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import typing

from cinder import exception as cinder_exception
from oslo_concurrency import processutils

from tests.attacks import checks
from tests.attacks import content
from tests.attacks import glance
from tests.attacks import play
from tests.attacks import stage as stages
from tests.faults import child
from tests.faults import upstream
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import processes

TYPED = (
    cinder_exception.CinderException,
    processutils.ProcessExecutionError,
)
# What this machine can spare.
_MEMORY = 8 << 30

_IN_CHAIN = frozenset({stages.GUEST, stages.BASE, stages.ACTIVE})
_AS_BASE = frozenset({stages.GUEST, stages.BASE})
_BYTES = frozenset({stages.BYTES})

# Calls a method of Cinder's driver, in the child.
_Run = collections.abc.Callable[
    [cinder_remotefs.CinderRemoteFS, cinder_remotefs.Volume], None
]


class Hung(Exception):
    """It did not come back."""


def entries() -> list[play.Entry]:
    """Return all that its NFS driver has."""
    upstream.require()
    taken = stages.Shape(snapshot=True)
    entry = play.Entry
    return [
        entry('create snapshot', _create_snapshot, _IN_CHAIN),
        entry('delete snapshot', _delete_snapshot, _IN_CHAIN, taken),
        entry('delete volume', _delete_volume, _AS_BASE),
        entry('clone', _clone, _IN_CHAIN),
        entry('volume from snapshot', _copy, _IN_CHAIN, taken),
        entry('extend', _extend, _IN_CHAIN),
        entry('attach', _attach, _IN_CHAIN),
        entry('copy image out', _copy_out, _IN_CHAIN),
        entry('copy image in', _copy_in, _BYTES),
    ]


def _create_snapshot(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    below, taken = stage.active, drivers.snapshot(stages.RECORD)
    _call(
        stage,
        lambda cinder, record: cinder.driver.create_snapshot(
            cinder.snapshot(record, taken.id)
        ),
    )
    path = stage.path(f'{stages.VOLUME}.{taken.id}')
    return lambda before: checks.overlay(stage, before, path, below)


def _delete_snapshot(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    _call(
        stage,
        lambda cinder, record: cinder.driver.delete_snapshot(
            cinder.snapshot(record, stages.SNAPSHOT.id)
        ),
    )
    return lambda before: content.same(before.overlay, stage.base)


def _delete_volume(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    _call(stage, lambda cinder, record: cinder.driver.delete_volume(record))
    return lambda before: (
        'it is left' if stage.path(stages.VOLUME).exists() else ''
    )


def _clone(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    new = drivers.volume()
    _call(
        stage,
        lambda cinder, record: cinder.driver.create_cloned_volume(
            _like(cinder, new, record), record
        ),
    )
    made = (stage.path(new.name), stage.base_format)
    return lambda before: content.same(before.active, made)


def _copy(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    new = drivers.volume()

    def run(
        cinder: cinder_remotefs.CinderRemoteFS, record: cinder_remotefs.Volume
    ) -> None:
        cinder.driver._find_share = lambda _volume: cinder_remotefs.SHARE
        cinder.driver._ensure_shares_mounted = lambda: None
        cinder.driver.create_volume_from_snapshot(
            _like(cinder, new, record),
            cinder.snapshot(record, stages.SNAPSHOT.id),
        )

    _call(stage, run)
    made = (stage.path(new.name), stage.base_format)
    return lambda before: content.same(before.base, made)


def _extend(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    _call(stage, lambda cinder, record: cinder.driver.extend_volume(record, 2))
    return lambda before: ''


def _attach(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    path, named = stage.active
    note = out / 'note'

    def run(
        cinder: cinder_remotefs.CinderRemoteFS, record: cinder_remotefs.Volume
    ) -> None:
        data = cinder.driver.initialize_connection(record, {})['data']
        note.write_text(f'{data["name"]} {data["format"]}')

    _call(stage, run)
    found = note.read_text()
    return lambda before: '' if found == f'{path.name} {named}' else found


def _copy_out(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    path = out / 'image'
    service = glance.ImageService('raw', out=str(path))
    _call(
        stage,
        lambda cinder, record: cinder.driver.copy_volume_to_image(
            glance.REQUEST, record, service, service.meta
        ),
    )
    return lambda before: content.same(before.active, (path, 'raw'))


def _copy_in(stage: stages.Stage, out: pathlib.Path) -> play.Check:
    given = stage.bytes()
    service = glance.ImageService(stage.attack.claims, given)
    _call(
        stage,
        lambda cinder, record: cinder.driver.copy_image_to_volume(
            glance.REQUEST, record, service, str(service.meta['id'])
        ),
    )

    def check(before: stages.Stage) -> str:
        path = out / 'given'
        path.write_bytes(given)
        image = (path, glance.qemu_format(stage.attack.claims))
        # It makes a raw base of all images.
        return checks.begins_as(image, (stage.path(stages.VOLUME), 'raw'))

    return check


def _like(
    cinder: cinder_remotefs.CinderRemoteFS,
    new: drivers.Volume,
    record: cinder_remotefs.Volume,
) -> cinder_remotefs.Volume:
    made = cinder.adopt(new)
    made.obj_context = record.obj_context
    return made


def _call(stage: stages.Stage, run: _Run) -> None:
    """Let Cinder's driver do something in a child; raise what it raises."""
    with tempfile.TemporaryDirectory() as notes:
        path = pathlib.Path(notes) / 'error'
        pid = os.fork()
        if pid == 0:
            _be_child(stage, run, path)
        deadline = time.monotonic() + play.LONGEST
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise Hung
            time.sleep(0.005)
        processes.wait_until(
            lambda: not upstream.session(pid), 'orphans end', play.LONGEST
        )
        if path.exists():
            known, text = pickle.loads(path.read_bytes())  # noqa: S301
            raise (TYPED[0] if known else Exception)(text)


def _be_child(
    stage: stages.Stage, run: _Run, path: pathlib.Path
) -> typing.NoReturn:
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        tempfile.tempdir = os.fspath(path.parent)
        _operate(stage, run)
    except Exception as error:
        text = f'{type(error).__name__}: {error}'
        path.write_bytes(pickle.dumps((isinstance(error, TYPED), text)))
    finally:
        sys.stderr.flush()
        os._exit(0)


def _operate(stage: stages.Stage, run: _Run) -> None:
    spec = child.Spec(
        *({}, {'id': stages.RECORD.id}, run.__name__, {}),
    )
    taken = stage.active == stage.overlay
    with (
        cinder_remotefs.CinderRemoteFS(stage.base_format) as cinder,
        upstream.database(cinder, spec) as record,
    ):
        record.admin_metadata.clear()
        record.admin_metadata['format'] = stage.active[1]
        if taken:
            record.admin_metadata['base_format'] = stage.base_format
        fields: typing.Any = record
        fields.glance_metadata = None
        fields.volume_type = glance.volume().volume_type
        shutil.rmtree(cinder.directory)
        cinder.directory.symlink_to(stage.directory)
        run(cinder, record)
