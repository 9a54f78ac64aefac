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

"""One function for each qemu-img verb: builds the command line and runs it.

Formats are always given, never probed. What a function returns after is in
the page cache only; who needs it on disk calls ``files.sync``.
"""

from __future__ import annotations

import collections.abc
import errno
import os
import typing

from oslo_concurrency import processutils

from volume_driver import exception
from volume_driver import files

_MIB = 1 << 20


# How child processes are run: processutils.execute, or Cinder's own.
Execute = collections.abc.Callable[..., typing.Any]


def create(execute: Execute, path: str, image_format: str, size: int) -> None:
    """Create an empty image of size bytes, sparse."""
    _run(execute, path, 'create', '-q', '-f', image_format, path, str(size))


def create_overlay(
    execute: Execute, path: str, backing: str, backing_format: str, size: int
) -> None:
    """Create an overlay of size bytes on top of a backing image.

    :param backing: bare name; it is not opened (-u), so the cost does not
        grow with the depth of the chain
    """
    _run(
        execute,
        path,
        *('create', '-q', '-f', 'qcow2', '-u'),
        *('-b', backing, '-F', backing_format, path, str(size)),
    )


def commit(execute: Execute, path: str, bandwidth: int = 0) -> None:
    """Merge an overlay down into its backing image, which grows if needed.

    Killed midway and run again it ends right (20 of 20). ``-d``: the overlay
    is not emptied, as its file goes anyway.

    :param bandwidth: MiB/s, 0 is no limit
    """
    rate = ['-r', str(bandwidth * _MIB)] if bandwidth else []
    _run(execute, path, 'commit', '-q', '-d', *rate, '-f', 'qcow2', path)


def rebase(
    execute: Execute, path: str, backing: str | None, backing_format: str
) -> None:
    """Pull what would change into an overlay, then name a new backing image.

    Killed midway it may leave the new name without the data (5 of 9): the
    caller puts the old name back before it runs this again.

    :param backing: bare name of the new backing image, None for none
    """
    naming = ['-b', backing, '-F', backing_format] if backing else ['-b', '']
    _run(execute, path, 'rebase', '-q', '-f', 'qcow2', *naming, path)


def point(
    execute: Execute, path: str, backing: str, backing_format: str
) -> None:
    """Write another backing name into an overlay, and touch nothing else."""
    _run(
        execute,
        path,
        *('rebase', '-q', '-u', '-f', 'qcow2'),
        *('-b', backing, '-F', backing_format, path),
    )


def resize(execute: Execute, path: str, image_format: str, size: int) -> None:
    """Grow an image to size bytes."""
    _run(execute, path, 'resize', '-q', '-f', image_format, path, str(size))


def convert(
    execute: Execute, source: str, target: str, formats: tuple[str, str]
) -> None:
    """Copy what one sees through an image into a new image without backing.

    :param formats: of the source and of the target
    """
    _run(
        execute,
        target,
        *('convert', '-q', '-f', formats[0], '-O', formats[1]),
        *('-t', 'writeback', source, target),
    )


def free_leaked(execute: Execute, path: str) -> None:
    """Free the clusters of a qcow2 image that nothing refers to."""
    arguments = ('check', '-q', '-r', 'leaks', '-f', 'qcow2', path)
    _run(execute, path, *arguments)


def map_extents(execute: Execute, path: str) -> str:
    """Return the extents of a qcow2 image and those below it, as JSON."""
    arguments = ('map', '--output=json', '-U', '-f', 'qcow2', path)
    return _run(execute, path, *arguments)


def _run(execute: Execute, path: str, *arguments: str) -> str:
    command = ('qemu-img', *arguments)
    try:
        out, _ = execute(
            *command,
            cwd=os.path.dirname(path) or '.',
            env_variables={**os.environ, 'LC_ALL': 'C'},
        )
        return str(out)
    except processutils.ProcessExecutionError as error:
        text = (error.stderr or error.stdout or '').strip()
        if os.strerror(errno.ENOSPC) in text:
            raise files.no_space(path, 'more space') from error
        raise exception.CommandFailed(
            command=' '.join(command), exit_code=error.exit_code, stderr=text
        ) from error
    except FileNotFoundError as error:
        directory = os.path.dirname(path) or '.'
        if not os.path.isdir(directory):
            raise exception.DirectoryUnusable(
                path=directory, reason='it is not there'
            ) from error
        raise exception.ProgramMissing(
            program='qemu-img', package='qemu-utils'
        ) from error


def check_installed(execute: Execute) -> None:
    """Check that qemu-img can be run.

    :raises ProgramMissing: when it is not installed
    """
    _run(execute, '/', '--version')
