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

"""What every step of a plan promises, whoever carries it out."""

from __future__ import annotations

import abc

from volume_driver import exception
from volume_driver.hypervisors import base as hypervisor
from volume_driver.planning import plan

Progress = hypervisor.Progress


class CannotUndo(exception.VolumeDriverError):
    template = (
        'The step "{step}" cannot be taken back; the operation is finished '
        'by the next call on the volume.'
    )

    def __init__(self, step: plan.Step) -> None:
        super().__init__(step=str(step))


class Executor(abc.ABC):
    """Carries out the steps of plans for one volume."""

    @abc.abstractmethod
    def is_done(self, step: plan.Step, progress: Progress) -> bool:
        """Tell whether a step has happened already."""

    @abc.abstractmethod
    def do(self, step: plan.Step, progress: Progress) -> None:
        """Let a step happen; it may have been begun, and cut off, before."""

    @abc.abstractmethod
    def undo(self, step: plan.Step) -> None:
        """Take back a step that failed, or one before it.

        A commit cannot be: what reached the base already is part of what the
        deleted snapshot shows, so the deletion can only be finished.

        :raises CannotUndo: when only going forward is right
        """

    @abc.abstractmethod
    def let_go(self, progress: Progress) -> None:
        """Give the guest back what an earlier process of ours took.

        It is resumed if that one had suspended it, and the limits that its
        disk had before are restored.
        """
