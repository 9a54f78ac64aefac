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

"""Shows how far a merge is: a bar on a terminal, else lines in the log."""

from __future__ import annotations

import collections.abc
import contextlib
import logging
import typing

from rich import console as rich_console
from rich import progress as rich_progress

from volume_driver.operations import progress

LOG = logging.getLogger('volume-driver')

# Seconds: what is done by then is not shown; between two looks, and lines.
_BEFORE, _LOOK, _LINE = 1.0, 0.2, 10.0


@contextlib.contextmanager
def shown(
    watch: progress.Watch, stream: typing.TextIO
) -> collections.abc.Iterator[None]:
    """Show how far a merge is while something else waits for it."""
    done = False
    with progress.beside(
        lambda ended: follow(watch, stream, ended, lambda: done)
    ):
        yield
        done = True


def follow(
    watch: progress.Watch,
    stream: typing.TextIO,
    ended: progress.Ended,
    done: collections.abc.Callable[[], bool] = lambda: False,
) -> None:
    """Show how far a merge is until it is over.

    :param stream: where to, if that is a terminal
    :param ended: waits for some seconds; tells whether it is over
    :param done: tells, when it is over, whether it is known to have succeeded
    """
    if ended(_BEFORE):
        return
    if stream.isatty():
        _bar(watch, stream, ended, done)
    else:
        _lines(watch, ended)


def _bar(
    watch: progress.Watch,
    stream: typing.TextIO,
    ended: progress.Ended,
    done: collections.abc.Callable[[], bool],
) -> None:
    bar = rich_progress.Progress(
        rich_progress.TextColumn('{task.description}'),
        rich_progress.BarColumn(),
        rich_progress.TaskProgressColumn(),
        rich_progress.DownloadColumn(binary_units=True),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=rich_console.Console(file=stream),
    )
    with bar:
        task = bar.add_task('merging', total=None)
        while True:
            seen = watch.look()
            if seen is not None:
                bar.update(task, completed=seen[0], total=seen[1] or None)
            if ended(_LOOK):
                break
        if done():
            # Its end comes between two looks.
            bar.update(task, completed=bar.tasks[0].total)


def _lines(watch: progress.Watch, ended: progress.Ended) -> None:
    while True:
        seen = watch.look()
        if seen is not None:
            LOG.info('merging: %d of %d bytes are copied', *seen)
        if ended(_LINE):
            break
