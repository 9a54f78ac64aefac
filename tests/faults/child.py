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

"""One operation in a process of its own: ``child SPEC.json``.

The process may be told to end itself, to end others, or to fail, at a point
of the operation; see :mod:`tests.faults.inject`. It exits with 0 when the
operation succeeded and with 3 when it raised an error, which is on standard
error then.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import typing

from oslo_concurrency import processutils
from oslo_config import cfg

from tests.faults import inject
from tests.fixtures import driver as drivers
from volume_driver import driver as volume_drivers
from volume_driver import opts
from volume_driver.operations import faults

FAILED = 3


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a child is to do.

    :ivar options: of the driver
    :ivar volume: fields of the volume's record
    :ivar operation: name of the driver's method
    :ivar snapshots: ids of the snapshots, where the operation takes any
    :ivar new: id of the new volume, where the operation makes one
    :ivar size: the new size in GiB, where the operation takes one
    :ivar fault: fields of the injector
    :ivar attached: its record says that a guest has it
    :ivar commands: its points are child processes, not steps
    """

    options: dict[str, typing.Any]
    volume: dict[str, typing.Any]
    operation: str
    fault: dict[str, typing.Any]
    snapshots: tuple[str, ...] = ()
    new: str = ''
    size: int = 0
    commands: bool = False
    attached: bool = False

    def save(self, path: pathlib.Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: str) -> Spec:
        return cls(**json.loads(pathlib.Path(path).read_text()))


def arguments(spec: Spec) -> tuple[object, ...]:
    """Return what the driver's method is called with."""
    attachments = [drivers.Attachment()] if spec.attached else []
    volume = drivers.volume(**spec.volume, volume_attachment=attachments)
    snapshots = [drivers.snapshot(volume, each) for each in spec.snapshots]
    snapshot = snapshots[0] if snapshots else None
    new = drivers.volume(id=spec.new or None, size=spec.size or 1)
    found: dict[str, tuple[object, ...]] = {
        'create_snapshot': (snapshot,),
        'delete_snapshot': (snapshot,),
        'delete_snapshots': (snapshots,),
        'create_cloned_volume': (new, volume),
        'create_volume': (volume,),
        'extend_volume': (volume, spec.size),
        'revert_to_snapshot': (None, volume, snapshot),
        'delete_volume': (volume,),
        'recover': (volume,),
    }
    return found[spec.operation]


def make_driver(
    spec: Spec, injector: inject.Injector
) -> volume_drivers.Qcow2Driver:
    """Make the driver, with the fault in it."""
    conf = cfg.ConfigOpts()
    group = opts.register(conf)
    conf([], project='volume-driver', default_config_files=[])
    for name, value in spec.options.items():
        conf.set_override(name, value, opts.GROUP)
    execute = None
    if spec.commands:
        execute = inject.wrap(processutils.execute, injector)
    else:
        faults.hook = injector.seam
    return volume_drivers.Qcow2Driver(configuration=group, execute=execute)


def main(path: str) -> int:
    spec = Spec.load(path)
    injector = inject.Injector(**spec.fault)
    call = getattr(make_driver(spec, injector), spec.operation)
    try:
        injector.begin()
        call(*arguments(spec))
    except Exception as error:
        sys.stderr.write(f'{type(error).__name__}: {error}\n')
        return FAILED
    finally:
        injector.end()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
