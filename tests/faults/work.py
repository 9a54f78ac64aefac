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

"""What the operation of a case is, for the driver and for the model."""

from __future__ import annotations

import dataclasses
import typing
import uuid

from tests.faults import cases
from tests.faults import child
from tests.faults import templates
from tests.fixtures import model as models

_METHODS = {
    'create': 'create_snapshot',
    'delete': 'delete_snapshot',
    'clone': 'create_cloned_volume',
    'extend': 'extend_volume',
    'revert': 'revert_to_snapshot',
    'delete volume': 'delete_volume',
}
_SIZE = 2
# So that a job of a guest lasts about a second.
_BANDWIDTH = 32


@dataclasses.dataclass
class Work:
    """One operation on one copy of a template."""

    case: cases.Case
    copy: templates.Copy

    def __post_init__(self) -> None:
        self.new = str(uuid.uuid4())
        self.before = self.copy.model.active.copy()

    @property
    def new_name(self) -> str:
        """Name of the volume that a clone makes."""
        return f'volume-{self.new}'

    def spec(
        self, fault: dict[str, typing.Any], recover: bool = False
    ) -> child.Spec:
        """Return what a child is told.

        :param fault: fields of the injector
        :param recover: let it only recover the volume
        """
        operation = self.case.operation
        record = self.copy.record
        return child.Spec(
            options=self.options(),
            volume={'id': record.id, 'name': record.name},
            operation='recover' if recover else self._method(),
            fault=fault,
            snapshots=self._snapshots(),
            new=self.new,
            # Cinder's own code never grows a clone; here it need not.
            size=1 if operation.name == 'clone' else _SIZE,
            commands=bool(cases.commands(operation)),
            attached=operation.live,
        )

    def options(self) -> dict[str, typing.Any]:
        """Return the driver's options."""
        operation = self.case.operation
        return {
            'volume_files_dir': str(self.copy.directory),
            'volume_format': operation.base_format,
            'hypervisor': 'libvirt' if operation.live else 'none',
            'merge_direction': operation.way or 'commit',
            'merge_bandwidth': _BANDWIDTH if self.case.big else 0,
        }

    def _method(self) -> str:
        operation = self.case.operation
        if operation.position in cases.PAIRS:
            return 'delete_snapshots'
        return _METHODS[operation.name]

    def _snapshots(self) -> tuple[str, ...]:
        operation = self.case.operation
        if operation.name == 'delete':
            return tuple(
                self.copy.snapshots[cases.POSITIONS.index(position)]
                for position in operation.positions
            )
        if operation.name == 'revert':
            return (self.copy.snapshots[-1],)
        return (self.new,)

    def freeze(self) -> None:
        """Note what the volume holds when the operation begins."""
        self.before = self.copy.model.active.copy()

    def expected(self, settled: bool) -> list[models.Model]:
        """Return what the volume may be afterwards.

        :param settled: the operation has ended; if not, what it was about is
            left out
        """
        name = self.case.operation.name
        model = self.copy.model
        if name == 'delete':
            rest = dict(model.snapshots)
            for deleted in self._snapshots():
                del rest[deleted]
            return [dataclasses.replace(model, snapshots=rest)]
        if name == 'extend':
            done = self._with_active(model.active.copy(_SIZE * templates.GIB))
            return [done] if settled else [done, model]
        if name == 'revert':
            done = self._with_active(model.snapshots[self._snapshots()[0]])
            return [done] if settled else [done, model]
        if name == 'create' and settled:
            return [
                dataclasses.replace(
                    model, snapshots={**model.snapshots, self.new: view}
                )
                for view in self._seen()
            ]
        return [model]

    def expected_new(self) -> list[models.Model]:
        """Return what the volume that a clone makes may be."""
        base_format = self.case.operation.base_format
        return [models.Model(base_format, view) for view in self._seen()]

    def _seen(self) -> list[models.View]:
        """Return what may have been copied: a guest wrote in between."""
        return [self.before, self.meanwhile]

    def note_meanwhile(self) -> None:
        """Note what the volume holds when the operation is called again."""
        self.meanwhile = self.copy.model.active.copy()

    def _with_active(self, view: models.View) -> models.Model:
        return dataclasses.replace(self.copy.model, active=view)
