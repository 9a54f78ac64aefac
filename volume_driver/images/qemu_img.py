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
the page cache only; who needs it on disk calls ``files.sync``. The key of an
encrypted volume is one argument more; without it an image is plain.
"""

from __future__ import annotations

import collections.abc
import errno
import json
import os
import typing

from oslo_concurrency import processutils
import tenacity

from volume_driver import access
from volume_driver import exception
from volume_driver import files
from volume_driver.images import limits
from volume_driver.images import secrets

_MIB = 1 << 20

# How child processes are run: processutils.execute, or Cinder's own.
Execute = collections.abc.Callable[..., typing.Any]

# What changes an image that is there; to read one takes no right to write.
_WRITING = frozenset({'commit', 'rebase', 'resize'})

_WRONG = 'Invalid password'
# Before it makes a LUKS header QEMU measures how fast it is. Where the kernel
# counts CPU time coarsely, older versions (7.2 for one) find that they took
# none, now and then, and give up before anything is written.
_TOO_QUICK = 'Unable to get accurate CPU usage'


def create(
    execute: Execute,
    path: str,
    image_format: str,
    size: int,
    key: secrets.Key | None = None,
) -> None:
    """Create an empty image of size bytes, sparse."""
    run(
        execute,
        path,
        *('create', '-q', '-f', image_format, *_encryption(key)),
        *(path, str(size)),
        made=key,
    )


def create_overlay(
    execute: Execute,
    path: str,
    backing: str,
    backing_format: str,
    size: int,
    key: secrets.Key | None = None,
) -> None:
    """Create an overlay of size bytes on top of a backing image.

    :param backing: bare name; it is not opened (-u), so the cost does not
        grow with the depth of the chain
    """
    run(
        execute,
        path,
        *('create', '-q', '-f', 'qcow2', '-u', *_encryption(key)),
        *('-b', backing, '-F', backing_format, path, str(size)),
        made=key,
    )


def commit(
    execute: Execute,
    path: str,
    base: str | None = None,
    bandwidth: int = 0,
    key: secrets.Key | None = None,
) -> None:
    """Merge an overlay down into an image below it, which grows if needed.

    Killed midway and run again it ends right (20 of 20). ``-d``: the overlay
    is not emptied, as its file goes anyway.

    :param base: bare name of that image if it is not the backing image: then
        those between are merged as well
    :param bandwidth: MiB/s, 0 is no limit
    """
    rate = ['-r', str(bandwidth * _MIB)] if bandwidth else []
    into = ['-b', base] if base else []
    image = image_arguments(path, key)
    run(execute, path, 'commit', '-q', '-d', *rate, *into, *image, opened=key)


def commit_pair(
    execute: Execute, path: str, base: str, bandwidth: int = 0
) -> None:
    """Merge an overlay of whole clusters down, opening its base alone.

    QEMU's own drive-mirror with ``sync=top`` writes to its target likewise,
    without what is below that.

    :param base: bare name of its backing image
    :param bandwidth: MiB/s, 0 is no limit
    """
    below = os.path.join(os.path.dirname(path), base)
    name = json.dumps({**lone_node(path), 'backing': lone_node(below)})
    rate = ['-r', str(bandwidth * _MIB)] if bandwidth else []
    run(execute, path, 'commit', '-q', '-d', *rate, f'json:{name}')


def lone_node(path: str) -> dict[str, typing.Any]:
    """Return how QEMU opens a qcow2 image without the one below it."""
    return {
        'driver': 'qcow2',
        'file': {'driver': 'file', 'filename': os.path.abspath(path)},
        'backing': None,
    }


def rebase(
    execute: Execute,
    path: str,
    backing: str | None,
    backing_format: str,
    bandwidth: int = 0,
) -> None:
    """Pull what would change into an overlay, then name a new backing image.

    Killed midway it may leave the new name without the data (5 of 9), and, if
    it is limited, as a path: the caller puts the old name back before it runs
    this again.

    :param backing: bare name of the new backing image, None for none
    :param bandwidth: MiB/s, 0 is no limit
    """
    image = ['-f', 'qcow2', path]
    named = backing
    if bandwidth:
        # A rebase has no limit of its own; a filter over the file has.
        image = _throttled(path, bandwidth)
        # To such an image it takes no name that is relative to it.
        named = backing and os.path.join(os.path.dirname(path), backing)
    naming = ['-b', named, '-F', backing_format] if named else ['-b', '']
    run(execute, path, 'rebase', '-q', *image[:-1], *naming, image[-1])
    if bandwidth and backing:
        point(execute, path, backing, backing_format)


def _throttled(path: str, bandwidth: int) -> list[str]:
    limit = f'throttle-group,id=limit,x-bps-write={bandwidth * _MIB}'
    file = {'driver': 'file', 'filename': os.path.abspath(path)}
    node = {
        'driver': 'qcow2',
        'file': {
            'driver': 'throttle',
            'throttle-group': 'limit',
            'file': file,
        },
    }
    return ['--object', limit, f'json:{json.dumps(node)}']


def point(
    execute: Execute,
    path: str,
    backing: str,
    backing_format: str,
    key: secrets.Key | None = None,
) -> None:
    """Write another backing name into an overlay, and touch nothing else."""
    *driver, image = image_arguments(path, key, alone=True)
    run(
        execute,
        path,
        *('rebase', '-q', '-u', *driver),
        *('-b', backing, '-F', backing_format, image),
        opened=key,
    )


def resize(
    execute: Execute,
    path: str,
    image_format: str,
    size: int,
    key: secrets.Key | None = None,
) -> None:
    """Grow an image to size bytes."""
    image = image_arguments(path, key, image_format)
    run(execute, path, 'resize', '-q', *image, str(size), opened=key, reads=0)


def convert(
    execute: Execute,
    source: str,
    target: str,
    formats: tuple[str, str],
    size: int,
    keys: tuple[secrets.Key | None, secrets.Key | None] = (None, None),
) -> None:
    """Copy what one sees through an image into a new image without backing.

    ``-C``: the kernel copies it (copy_file_range), which on a filesystem that
    can share extents, such as XFS, copies nothing; qemu-img goes on by itself
    where that is impossible, as with what is encrypted. Into a raw image it
    is faster in any case (1.4 s for 6.9 s with 800 MiB, page cache warm).

    :param formats: of the source and of the target
    :param size: of the source in bytes, as an image
    :param keys: likewise of both
    :raises LimitReached: when it takes more than a sound image does
    """
    *driver, image = image_arguments(source, keys[0], formats[0])
    run(
        execute,
        target,
        *('convert', '-q', '-C', *driver, '-O', formats[1]),
        *_encryption(keys[1], formats[1]),
        *('-t', 'writeback', image, target),
        opened=keys[0],
        made=keys[1],
        reads=size,
    )


def convert_onto(
    execute: Execute,
    source: str,
    target: str,
    formats: tuple[str, str],
    size: int,
    key: secrets.Key | None = None,
) -> None:
    """Copy what one sees through an image over all of one that is there.

    What is zero in the source is written too: the target may show something
    else there, from its backing image.

    :param formats: of the source and of the target
    :param size: of both in bytes, as images
    :param key: of both
    :raises LimitReached: when it takes more than a sound image does
    """
    *driver, image = image_arguments(source, key, formats[0])
    *_, onto = image_arguments(target, key, formats[1])
    run(
        execute,
        target,
        *('convert', '-q', '-n', *driver, '-O', formats[1]),
        *('-t', 'writeback', image, onto),
        opened=key,
        reads=size,
    )


def probe(
    execute: Execute,
    path: str,
    volume: str,
    key: secrets.Key,
    image_format: str = 'qcow2',
) -> None:
    """Check that a key opens an encrypted image and all images below it.

    :param volume: name of the volume, for the error
    :param image_format: ``qcow2``, or ``luks`` for a container without it
    :raises PassphraseWrong: when it does not
    """
    image = image_arguments(path, key, image_format)
    try:
        run(
            execute,
            path,
            *('map', '--output=json', '-U', '-l', '512', *image),
            opened=key,
            reads=0,
        )
    except exception.CommandFailed as error:
        if _WRONG in str(error):
            raise exception.PassphraseWrong(
                volume=volume, path=path
            ) from error
        raise


def image_arguments(
    path: str,
    key: secrets.Key | None,
    image_format: str = 'qcow2',
    alone: bool = False,
) -> tuple[str, ...]:
    """Return the arguments that name an image to be opened.

    :param alone: the images below it are not looked at
    """
    if key is None:
        return ('-f', image_format, path)
    if image_format == 'luks':
        return (secrets.luks_name(path),)
    return (secrets.name(path, alone),)


def _encryption(
    key: secrets.Key | None, image_format: str = 'qcow2'
) -> tuple[str, ...]:
    if key is None:
        return ()
    return ('-o', secrets.options(key, image_format))


def run(
    execute: Execute,
    path: str,
    verb: str,
    *arguments: str,
    opened: secrets.Key | None = None,
    made: secrets.Key | None = None,
    reads: int | None = None,
) -> str:
    """Run qemu-img; return what it prints.

    :param path: of the image that it is about; it runs in its directory
    :param opened: the key of the images that are opened
    :param made: the key of an image that is made
    :param reads: how many bytes it may have to read of an image that others
        made, which is what its limits follow; None for no limits
    :raises AccessDenied: when it is written to, and this service may not
    :raises CommandFailed: when it fails
    :raises LimitReached: when its limits are why
    :raises NoSpace: when it says that this is why
    :raises DirectoryUnusable, ProgramMissing: when it cannot be started
    """
    if verb in _WRITING:
        access.ensure(path)
    keys = {secrets.OPENED: opened, secrets.MADE: made}
    with secrets.shown(keys) as objects:
        limited = () if reads is None else limits.prefix(reads)
        command = (*limited, 'qemu-img', verb, *objects, *arguments)
        if made is not None:
            return _execute_again(execute, path, *command)
        return _execute(execute, path, *command)


def _is_too_quick(error: BaseException) -> bool:
    return isinstance(error, exception.CommandFailed) and (
        _TOO_QUICK in str(error)
    )


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_too_quick),
    stop=tenacity.stop_after_attempt(20),
    reraise=True,
)
def _execute_again(execute: Execute, path: str, *command: str) -> str:
    return _execute(execute, path, *command)


def _execute(execute: Execute, path: str, *command: str) -> str:
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
        raise limits.failure(command, error.exit_code, text) from error
    except FileNotFoundError as error:
        directory = os.path.dirname(path) or '.'
        if not os.path.isdir(directory):
            raise exception.DirectoryUnusable(
                path=directory, reason='it is not there'
            ) from error
        raise limits.missing() from error


def check_installed(execute: Execute) -> None:
    """Check that qemu-img can be run, with limits.

    :raises ProgramMissing: when it is not installed, or what limits it
    """
    run(execute, '/', '--version', reads=0)
