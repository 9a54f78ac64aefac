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

"""How far a merge has come, for whoever waits for it."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import threading

from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts
from volume_driver.planning import plan

Ended = collections.abc.Callable[[float], bool]


class Watch:
    """Watches the merge of one volume, from outside; holds no lock.

    It is what the image that takes the data has grown by since the watch
    began, out of what the plan says is to be copied; qemu-img says nothing
    else. Under a guest it is what the block job says, if that is more: some
    kinds of job count what they look at, whether they copy it or not.
    """

    def __init__(
        self, context: contexts.Context, target: hypervisor.Target
    ) -> None:
        self._context = context
        self._target = target
        self._before: dict[str, int] = {}
        self._highest = 0.0
        for name in os.listdir(context.directory):
            if name.split('.')[0] == target.name:
                self._before[name] = allocated(context.path(name))

    def percent(self) -> int | None:
        """Return how far it is, 0 to 99; None when there is no merge."""
        if self.look() is None:
            return None
        # The job is gone before the operation is over.
        return min(99, int(self._highest * 100))

    def look(self) -> tuple[int, int] | None:
        """Return how many bytes are copied, of how many; it never goes back.

        None when there is no merge.
        """
        try:
            journal = journals.find(self._context.directory, self._target.name)
            if journal is None or not journal.plan.way:
                return None
            found = self._context.hypervisor.find(self._target)
            seen = [self._grown_of(journal.plan)]
            if found.live is not None:
                seen.append(found.live.job_progress())
        except exception.VolumeDriverError:
            # It is only for looking at; the merge itself tells what is wrong.
            return None
        for done, total in seen:
            if total > 0:
                self._highest = max(self._highest, min(1.0, done / total))
        cost = journal.plan.cost
        return int(self._highest * cost), cost

    def _grown_of(self, content: plan.Plan) -> tuple[int, int]:
        for step in content.steps:
            if isinstance(step, plan.Commit):
                return self._grown(step.base), content.cost
            if isinstance(step, plan.Pull):
                return self._grown(step.overlay), content.cost
        return 0, 0

    def _grown(self, name: str) -> int:
        now = allocated(self._context.path(name))
        return max(0, now - self._before.get(name, 0))


def allocated(path: str) -> int:
    """Return the bytes that a file takes; it is only for looking at."""
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        # Gone, or just not to be seen.
        return 0


@contextlib.contextmanager
def beside(
    show: collections.abc.Callable[[Ended], None],
) -> collections.abc.Iterator[None]:
    """Show something in a thread of its own until the context ends.

    :param show: gets a function that waits for some seconds, and tells
        whether the context has ended
    """
    ended = threading.Event()
    thread = threading.Thread(target=show, args=(ended.wait,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def has_files(context: contexts.Context, target: hypervisor.Target) -> bool:
    """Tell whether a volume is there at all."""
    return contexts.exists(context, target.name)
