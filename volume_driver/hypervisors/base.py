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

"""The port to what runs the guests.

A plugin finds the disks that use a volume and does the few things that only
the process with the open images can do. It knows nothing of snapshots,
``.info`` or journals. Images are named by their bare file names everywhere:
the directory may be mounted elsewhere where the guest runs.
"""

from __future__ import annotations

import abc
import dataclasses
import typing

from volume_driver import exception
from volume_driver import opts


@dataclasses.dataclass(frozen=True)
class Target:
    """A volume, as a hypervisor has to know it.

    :param volume_id: id of the record; the serial of the guest's disk
    :param name: name of the volume, beginning of its images' names
    :param directory: where its images are on this host
    :param hosts: hosts that its attachments name
    :param attached: there is an attachment, on a known host or not; None
        where the caller has no record of attachments
    """

    volume_id: str
    name: str
    directory: str
    hosts: tuple[str, ...] = ()
    attached: bool | None = False


class Progress(typing.Protocol):
    """What a step writes down, durably, while it runs."""

    @property
    def marked(self) -> bool:
        """The step is known to have happened."""

    @property
    def held(self) -> bool:
        """The guest may be suspended, by us."""

    @property
    def notes(self) -> dict[str, str]:
        """What was noted in this operation, before a crash too."""

    def mark(self) -> None:
        """The step has happened: it must not be done again."""

    def hold(self) -> None:
        """The guest is about to be suspended, by us."""

    def release(self) -> None:
        """The guest was resumed."""

    def note(self, key: str, value: str | None) -> None:
        """Note a value under a key; None drops the note.

        ``guest`` is the identity of the guest under which a merge runs,
        ``throttle`` what its disk's limits were before we lowered them.
        """


class Renewal(typing.Protocol):
    """What is done to the top's file while its guest is suspended."""

    def settled(self) -> None:
        """Take down that both images hold the same; then comes the pivot."""

    def renew(self) -> None:
        """Give the top's name to an empty overlay, unless that was done.

        :raises GuestUnknown: when it is another run of the guest by now
        """

    def may_resume(self) -> bool:
        """Tell whether what the guest writes from now on is sure to stay.

        It is not while it runs on the base, and the top has its old file: who
        starts it by the top's name again would not see it.
        """


class GuestDisk(abc.ABC):
    """The disk of a running guest that has the volume's chain open.

    :ivar unsure: whether it was, or will be, switched is not known just now
    """

    unsure = False

    def __init__(self, guest: str) -> None:
        self.guest = guest

    @abc.abstractmethod
    def chain(self) -> tuple[str, ...]:
        """Return the images that the guest has open, the base first."""

    def image_format(self) -> str | None:
        """Return the format that the guest reads the active image in.

        None where that cannot be told.
        """
        return None

    @abc.abstractmethod
    def job(self) -> str | None:
        """Return, in words, the block job that runs on the disk, if any."""

    @abc.abstractmethod
    def job_progress(self) -> tuple[int, int]:
        """Return how much of the running job is done, out of how much.

        The unit differs by kind of job; both are 0 when none runs.
        """

    @abc.abstractmethod
    def limit_job(self, bandwidth: int) -> bool:
        """Limit the merge that runs on the disk; tell whether there is one.

        :param bandwidth: in MiB/s, 0 for no limit
        :raises LiveOperationFailed: when it cannot be limited
        """

    @abc.abstractmethod
    def cancel_job(self) -> bool:
        """End the merge that runs on the disk; tell whether there is one.

        The guest goes on with the chain that it had before.

        :raises LiveOperationFailed: when it cannot be ended
        """

    @abc.abstractmethod
    def size(self) -> int:
        """Return the size of the disk as the guest sees it, in bytes."""

    @abc.abstractmethod
    def switch_to(self, overlay: str) -> None:
        """Let the guest write to an overlay of its active image.

        Returns once :meth:`chain` shows it.

        :raises QuiesceFailed: when option quiesce requires what fails
        :raises LiveOperationFailed: when the guest was not switched
        :raises UnexpectedChain: when it runs on something else now
        """

    @abc.abstractmethod
    def commit(self, top: str, base: str, progress: Progress) -> None:
        """Merge an image, and those between, into one below it.

        Up to the barrier. A job of that kind that runs already is adopted,
        and a merge that is done is only taken through the barrier. When top
        is the active image the guest is suspended, then both images are made
        to hold the same on disk, then comes the pivot, with which the
        definition of the guest names the base, then the mark, and then the
        guest is resumed.

        :raises JobConflict: when a job of another kind runs on the disk
        :raises JobNotStarted: when libvirt refuses it
        :raises JobFailed: when the guest still runs on the old chain
        :raises UnexpectedChain: when it runs on something else
        :raises BarrierFailed: when the data may not be on disk yet
        """

    @abc.abstractmethod
    def commit_in_place(
        self,
        top: str,
        base: str,
        renewal: Renewal,
        progress: Progress,
    ) -> None:
        """Merge the active image down, and go on on an empty one.

        As :meth:`commit`; but once the guest, suspended, was switched to the
        base, the file of the top is renewed and the guest is switched to it.
        A guest that was left on the base by an earlier call is switched, too.

        A guest that may not be resumed then stays suspended, and held.

        :param renewal: gives the top's name to an empty overlay
        :raises LiveOperationFailed: when the guest is on the base for now:
            then calling it again is right
        """

    @abc.abstractmethod
    def pull(
        self, pulled: str, backing: str | None, progress: Progress
    ) -> None:
        """Merge images below the active one up into it, likewise.

        :param pulled: name of the first of them, just below the active one
        :param backing: name of the image below the last, None for none

        Raises what :meth:`commit` does.
        """

    @abc.abstractmethod
    def identity(self) -> str:
        """Return what tells this run of the guest from any other."""

    @abc.abstractmethod
    def let_go(self, progress: Progress) -> None:
        """Give the guest back what an earlier process of ours took.

        :raises LiveOperationFailed, BarrierFailed: when libvirt refuses
        """

    @abc.abstractmethod
    def resize(self, size: int) -> None:
        """Grow the disk to size bytes, image and guest alike.

        :raises LiveOperationFailed: when it has the old size still
        """

    @abc.abstractmethod
    def start_from(self, active: str, image_format: str) -> None:
        """Let the guest start from an image when it is next started."""


class DefinedDisk(abc.ABC):
    """The disk of a guest that is defined and does not run."""

    def __init__(self, guest: str) -> None:
        self.guest = guest

    def is_saved(self) -> bool:
        """Tell whether the guest goes on with its memory when it is started.

        What its disk shows must not change until then.

        :raises LiveOperationFailed: when that cannot be told
        """
        return False

    @abc.abstractmethod
    def active(self) -> str | None:
        """Return the name of the image that the guest would start from.

        None when its definition has lost the disk.

        :raises LiveOperationFailed: when the definition cannot be read
        """

    @abc.abstractmethod
    def start_from(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        """Let the guest start from an image when it is next started.

        :param below: names of the images below it, its own first, if they
            are encrypted; the definition names these, too
        :raises LiveOperationFailed: when the definition cannot be changed
        """

    def switch_to(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        """Let the guest start from a new overlay of its active image.

        Arguments and errors as of :meth:`start_from`; for a plugin that has
        to tell somebody else as well.
        """
        self.start_from(active, image_format, below)

    def switch_back(
        self, active: str, image_format: str, below: tuple[str, ...] = ()
    ) -> None:
        """Take :meth:`switch_to` back, to the image that was active before.

        :raises LiveOperationFailed: when that is not possible any more
        """
        self.start_from(active, image_format, below)


@dataclasses.dataclass(frozen=True)
class Found:
    """The disks that use a volume.

    :param live: the disk of a running guest, None when none runs
    :param defined: disks of guests that do not run
    :param looked_at: where was looked, in words
    """

    live: GuestDisk | None = None
    defined: tuple[DefinedDisk, ...] = ()
    looked_at: str = 'nowhere'


@dataclasses.dataclass(frozen=True)
class AllFound:
    """All disks that use a volume, however many there are.

    :param live: disks of running guests
    :param defined: disks of guests that do not run
    :param next_starts: the definitions of those that run
    :param looked_at: where was looked, in words
    """

    live: tuple[GuestDisk, ...] = ()
    defined: tuple[DefinedDisk, ...] = ()
    next_starts: tuple[DefinedDisk, ...] = ()
    looked_at: str = 'nowhere'


class Hypervisor(abc.ABC):
    """A plugin; made once with the driver's settings.

    :cvar keeps_names: the active image of an attached volume has to keep its
        name, since somebody else would start a guest by it
    """

    keeps_names = False

    def __init__(self, settings: opts.Settings) -> None:
        self.settings = settings

    @abc.abstractmethod
    def find(self, target: Target) -> Found:
        """Find the guest disks that use a volume.

        :raises AmbiguousGuest: when two running guests have it
        :raises HypervisorUnreachable: when it is attached and its host
            cannot be asked
        """

    def find_all(self, target: Target) -> AllFound:
        """Find all guest disks that use a volume, for a reader.

        A plugin that can tell of several says so here.

        :raises HypervisorUnreachable: when it is attached and its host
            cannot be asked
        """
        found = self.find(target)
        return AllFound(
            (found.live,) if found.live else (),
            found.defined,
            looked_at=found.looked_at,
        )


class NoHypervisor(Hypervisor):
    """Plugin ``none``: there are no guests, an attached volume is refused."""

    def find(self, target: Target) -> Found:
        if target.attached:
            raise exception.HypervisorUnreachable(
                uri='none',
                volume=target.name,
                reason='option hypervisor is "none"',
            )
        return Found()
