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

"""What an operator does with volumes besides what Cinder does."""

from __future__ import annotations

import abc
import collections.abc
import functools
import os
import typing

from volume_driver import files
from volume_driver.checking import findings
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import check as checks
from volume_driver.operations import context as contexts
from volume_driver.operations import describe as descriptions
from volume_driver.operations import flatten as flattening
from volume_driver.operations import jobs
from volume_driver.operations import progress
from volume_driver.operations import repair as repairs
from volume_driver.operations import take_over as takeovers
from volume_driver.operations import volumes

Record = typing.Any
M = typing.TypeVar('M', bound=collections.abc.Callable[..., object])


def typed(method: M) -> M:
    """Let no error of the operating system leave a method as it is."""

    @functools.wraps(method)
    def wrapped(driver: Operating, *args: object, **kwargs: object) -> object:
        with files.typed(os.path.join(driver.directory, '')):
            return method(driver, *args, **kwargs)

    return typing.cast(M, wrapped)


class Operating(abc.ABC):
    """The part of a driver that looks, checks, repairs and steers."""

    @property
    @abc.abstractmethod
    def directory(self) -> str:
        """Where the volumes are."""

    @property
    @abc.abstractmethod
    def context(self) -> contexts.Context:
        """What the operations on this directory work with."""

    @abc.abstractmethod
    def target(self, volume: Record) -> hypervisor.Target:
        """Return what is known of a volume from its record."""

    # -- volumes -------------------------------------------------------------

    @typed
    def describe(
        self, volume: Record, guest: bool = True
    ) -> descriptions.Description:
        """Return what a volume is made of.

        :param guest: find out which guest has it, too
        :raises VolumeNotFound: when it has no file
        """
        return descriptions.describe(self.context, self.target(volume), guest)

    @typed
    def check(
        self,
        volume: Record | None = None,
        deep: bool = False,
        hosts: tuple[str, ...] = (),
        known: checks.Records | None = None,
    ) -> findings.Report:
        """Return what is wrong with a volume, or with all; change nothing.

        See :func:`volume_driver.operations.check.check`.
        """
        target = self.target(volume) if volume is not None else None
        return checks.check(self.context, target, deep, hosts, known)

    @typed
    def repair(
        self,
        volume: Record | None = None,
        do: bool = False,
        deep: bool = False,
        hosts: tuple[str, ...] = (),
        known: checks.Records | None = None,
        settle: float = repairs.SETTLE,
    ) -> repairs.Report:
        """Put right what is wrong with a volume, or with all, or tell how.

        See :func:`volume_driver.operations.repair.repair`.
        """
        target = self.target(volume) if volume is not None else None
        return repairs.repair(
            self.context, target, do, deep, hosts, known, settle
        )

    @typed
    def take_over(
        self,
        volume: Record | None = None,
        do: bool = False,
        hosts: tuple[str, ...] = (),
        known: checks.Records | None = None,
    ) -> list[takeovers.Outcome]:
        """Take over volumes that another driver made, or tell how.

        See :func:`volume_driver.operations.take_over.take_over`.
        """
        target = self.target(volume) if volume is not None else None
        return takeovers.take_over(self.context, target, do, hosts, known)

    @typed
    def flatten(self, volume: Record) -> None:
        """Merge all images of a volume; all its snapshots are deleted."""
        flattening.flatten(self.context, self.target(volume))

    @typed
    def flatten_around(
        self,
        volume: Record,
        known: collections.abc.Set[str],
        do: bool = True,
    ) -> list[str]:
        """Merge only the overlays that are those of no snapshot.

        See :func:`volume_driver.operations.flatten.keep_snapshots`.
        """
        target = self.target(volume)
        return flattening.keep_snapshots(self.context, target, known, do)

    @typed
    def list_volumes(self) -> list[str]:
        """Return the names of all volumes in the directory, sorted."""
        return volumes.listed(self.context)

    # -- merges that run -----------------------------------------------------

    @typed
    def list_jobs(self) -> list[jobs.Job]:
        """Return all operations that were begun and have not ended.

        :raises JournalCorrupt: when nobody can tell what one is
        """
        return jobs.listed(self.context)

    @typed
    def watch(self, volume: Record) -> progress.Watch:
        """Return what tells how far the merge of a volume is."""
        return progress.Watch(self.context, self.target(volume))

    @typed
    def limit_merge(self, volume: Record, bandwidth: int) -> None:
        """Limit the merge that runs under a guest, in MiB/s; 0: no limit.

        :raises MergeNotRunning: when none does
        """
        jobs.limit(self.context, self.target(volume), bandwidth)

    @typed
    def cancel_merge(self, volume: Record) -> None:
        """End the merge that runs under a guest before it is done.

        See :func:`volume_driver.operations.jobs.cancel`.

        :raises MergeNotRunning: when none does
        """
        jobs.cancel(self.context, self.target(volume))
