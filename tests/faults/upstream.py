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

"""The same offline cases for the RemoteFS code of Cinder 29.

Cinder's own code runs, in process, in a forked child. Its steps are the
commands that it runs, as far as they change anything; there the child is
killed, or the command fails. What stands in for Cinder's database says only
what Cinder's manager would have written there by then.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback
import typing
from unittest import mock
import uuid

from oslo_concurrency import processutils

from tests.faults import cases
from tests.faults import child
from tests.faults import inject
from tests.faults import moments
from tests.faults import processes
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import processes as system

_READING = frozenset({'stat', 'du', 'df', 'mount.nfs'})
_MODULES = ('cinder.volume.drivers.nfs', 'cinder.volume.drivers.remotefs')


def require() -> None:
    """Check that Cinder is installed.

    :raises CinderMissing: naming the extra, when it is not
    """
    for name in _MODULES:
        cinder_remotefs.import_cinder(name)


# -- cases -------------------------------------------------------------------


def beginnings() -> collections.abc.Iterator[cases.Case]:
    """Yield every operation that Cinder's code has offline, with no fault."""
    for operation in cases.operations():
        missing = (
            operation.name == 'revert'
            or operation.way == 'pull'
            or operation.position in cases.PAIRS
        )
        if not operation.live and not missing:
            yield cases.Case(operation, cases.Fault('none', -1, ''))


def boundaries(
    case: cases.Case, count: int
) -> collections.abc.Iterator[cases.Case]:
    """Yield an operation with each fault at each of its points."""
    for point in range(1, count + 1):
        # Points come in pairs, before and after a command.
        moment = 'before' if point % 2 else 'after'
        where = f'{moment} command {(point + 1) // 2}'
        for fault in (
            cases.Fault(cases.DRIVER, point, where, kill=('driver',)),
            cases.Fault(cases.ERROR, point, where, error='command'),
        ):
            yield cases.Case(case.operation, fault)


def random_moments(seed: int) -> list[cases.Case]:
    """Return kills inside the commit, which is the first command."""
    return [
        dataclasses.replace(
            case, fault=dataclasses.replace(case.fault, point=1)
        )
        for case in moments.everything(seed)
        if case.fault.kind == cases.MOMENT
        and case.operation.row == 'delete by commit'
        and not case.operation.live
    ]


# -- children ----------------------------------------------------------------


def run(
    spec: child.Spec,
    notes: pathlib.Path,
    when_fired: collections.abc.Callable[[], None] | None = None,
) -> processes.Outcome:
    """Run Cinder's driver in a forked child; see :func:`processes.run`."""
    require()
    for path in pathlib.Path(spec.options['volume_files_dir']).glob(
        '*.record'
    ):
        path.unlink()  # our own driver's
    pid = os.fork()
    if pid == 0:
        _be_child(spec, notes)
    deadline = time.monotonic() + processes.TIMEOUT
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            # Nobody calls again while a qemu-img that was left still runs.
            system.wait_until(
                lambda: not session(pid), 'orphans end', processes.TIMEOUT
            )
            return processes.read(os.waitstatus_to_exitcode(status), notes)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return processes.read(None, notes)
        time.sleep(0.005)


def session(leader: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(path.name)) == leader:
                found.append(int(path.name))
    return found


def _be_child(spec: child.Spec, notes: pathlib.Path) -> typing.NoReturn:
    code = child.FAILED
    try:
        os.setsid()
        stream = (notes / 'stderr').open('wb')
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        # Whoever is killed tidies nothing up.
        tempfile.tempdir = os.fspath(notes)
        _operate(spec)
        code = 0
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f'{os.path.basename(last.filename)}:{last.lineno}'
        sys.stderr.write(f'{type(error).__name__}: {error} ({place})\n')
    finally:
        sys.stderr.flush()
        os._exit(code)


def _operate(spec: child.Spec) -> None:
    injector = inject.Injector(**spec.fault)
    base_format = spec.options['volume_format']
    with (
        cinder_remotefs.CinderRemoteFS(base_format) as cinder,
        database(cinder, spec) as record,
    ):
        shutil.rmtree(cinder.directory)
        cinder.directory.symlink_to(spec.options['volume_files_dir'])
        call = getattr(cinder.driver, spec.operation)
        execute = _wrap(processutils.execute, injector)
        with mock.patch.object(processutils, 'execute', execute):
            injector.begin()
            try:
                call(*_arguments(cinder, spec, record))
            finally:
                injector.end()


def _wrap(execute: typing.Any, injector: inject.Injector) -> typing.Any:
    changing = inject.wrap(execute, injector)

    def run(*words: typing.Any, **options: typing.Any) -> typing.Any:
        reads = words[0] in _READING or 'info' in words[:8]
        return (execute if reads else changing)(*words, **options)

    return run


def _arguments(
    cinder: cinder_remotefs.CinderRemoteFS,
    spec: child.Spec,
    record: cinder_remotefs.Volume,
) -> tuple[object, ...]:
    snapshot = cinder.snapshot(record, next(iter(spec.snapshots), None))
    new = cinder.adopt(drivers.volume(id=spec.new or None, size=spec.size))
    new.obj_context = record.obj_context
    found: dict[str, tuple[object, ...]] = {
        'create_snapshot': (snapshot,),
        'delete_snapshot': (snapshot,),
        'create_cloned_volume': (new, record),
        'extend_volume': (record, spec.size),
        'delete_volume': (record,),
    }
    return found[spec.operation]


class _Context:
    """What is read of a request's context."""

    user_id = project_id = 'faults'

    def elevated(self) -> _Context:
        return self


class _TemporarySnapshot(cinder_remotefs.Snapshot):
    """The record that a clone makes of its temporary snapshot."""

    source: cinder_remotefs.Volume

    def __init__(self, context: object, **fields: object) -> None:
        super().__init__(str(uuid.uuid4()), self.source)
        self.status = str(fields['status'])
        self.context = context

    def create(self) -> None:
        """Nothing: there is no database."""

    save = destroy = create


@contextlib.contextmanager
def database(
    cinder: cinder_remotefs.CinderRemoteFS, spec: child.Spec
) -> collections.abc.Iterator[cinder_remotefs.Volume]:
    """Stand in for Cinder's database; yield the record of the volume."""
    record = cinder.adopt(drivers.volume(**spec.volume))
    fields: typing.Any = record
    fields.obj_context = _Context()
    fields.volume_type = fields.volume_type_id = fields.metadata = None
    if spec.operation != 'delete_volume':
        # It has snapshots, so its active image is an overlay.
        record.admin_metadata['base_format'] = cinder.volume_format
        record.admin_metadata['format'] = 'qcow2'
    temporary = type('Temporary', (_TemporarySnapshot,), {'source': record})
    objects = mock.Mock()
    objects.Snapshot = temporary
    objects.Volume.get_by_id.return_value = record
    with contextlib.ExitStack() as stack:
        for name in _MODULES:
            module = cinder_remotefs.import_cinder(name)
            stack.enter_context(mock.patch.object(module, 'objects', objects))
        stack.enter_context(
            mock.patch.object(
                cinder.driver, '_ensure_share_mounted', autospec=True
            )
        )
        yield record
