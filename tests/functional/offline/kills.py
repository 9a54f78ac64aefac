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

"""Kills what runs before or after anything that changes a file."""

from __future__ import annotations

import collections.abc
import functools
import itertools
import os
import signal
import typing

from oslo_concurrency import processutils

from tests.fixtures import driver as drivers
from tests.functional.offline import children
from volume_driver import driver as volume_drivers
from volume_driver import files
from volume_driver.operations import faults

Driver = volume_drivers.Qcow2Driver

_CHANGES = ('rename', 'remove', 'discard', 'cover', 'sync')


def runs_to_its_end(
    made: drivers.DriverFixture,
    call: collections.abc.Callable[[Driver], object],
    point: int,
) -> bool:
    """Call something in a child that kills itself at a point.

    :param point: how many points it passes before: each step, each child
        process and each change of a file is two
    """
    numbers = itertools.count()

    def reach() -> None:
        if next(numbers) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def reaching(
        change: collections.abc.Callable[..., typing.Any],
    ) -> collections.abc.Callable[..., typing.Any]:
        @functools.wraps(change)
        def wrapped(*args: typing.Any, **kwargs: typing.Any) -> typing.Any:
            reach()
            found = change(*args, **kwargs)
            reach()
            return found

        return wrapped

    def run() -> None:
        faults.hook = lambda moment, step: reach()
        for name in _CHANGES:
            setattr(files, name, reaching(getattr(files, name)))
        configuration = made.make().configuration
        execute = reaching(processutils.execute)
        call(Driver(configuration=configuration, execute=execute))

    return children.runs_to_its_end(run)
