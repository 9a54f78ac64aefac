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

"""Durable changes to files: whoever reads after a crash sees all or nothing.

A change of a directory (create, rename, unlink) is on disk only after the
directory itself was synced.
"""

import collections.abc
import contextlib
import errno
import os
import stat
import typing

from volume_driver import access
from volume_driver import exception
from volume_driver import names
from volume_driver import native


@contextlib.contextmanager
def typed(
    path: str, needed: int | str = 'more space'
) -> collections.abc.Iterator[None]:
    """Make what the operating system refuses an error of ours.

    :param needed: bytes that are to be written, where that is known
    :raises NoSpace: when the filesystem, or a quota, is full
    :raises FileOperationFailed: when it refuses anything else
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(path, needed) from error
        raise exception.FileOperationFailed(
            path=os.fsdecode(error.filename or path),
            reason=error.strerror or str(error),
        ) from error


def read(
    path: str,
    most: int,
    corrupt: collections.abc.Callable[[str], exception.VolumeDriverError],
) -> bytes | None:
    """Return what a small file of ours holds; None where there is none.

    Whoever can write to the directory can put something else there: a symlink
    is not followed, and a pipe is not waited for.

    :param most: bytes that it can have
    :param corrupt: makes the error for what is no such file
    :raises FileOperationFailed: when it cannot be read
    """
    with typed(path):
        try:
            fd = _open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            raise corrupt('it is not a regular file') from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise corrupt('it is not a regular file')
            with open(fd, 'rb', closefd=False) as stream:
                text = stream.read(most + 1)
        finally:
            os.close(fd)
    if len(text) > most:
        raise corrupt(f'it is larger than {most} bytes')
    return text


def open_to_write(
    path: str, mode: typing.Literal['wb', 'r+b']
) -> typing.BinaryIO:
    """Open a small file of ours to write to it; a symlink is not followed."""
    return open(path, mode, opener=_open)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def sync(path: str) -> None:
    """Return once the file's data, or the directory's entries, are on disk.

    Data that another process wrote into the page cache is covered too.
    """
    with typed(path):
        native.call(_sync, path)


def _sync(path: str) -> None:
    fd = access.open_image(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_parent(path: str) -> None:
    """Return once the entry of a file in its directory is on disk."""
    sync(os.path.dirname(path) or '.')


def replace(path: str, data: bytes, like: str | None = None) -> None:
    """Put new content into a file as one step, durably.

    :param like: the file whose mode and owner a new file gets
    :raises NoSpace: when the filesystem is full; the old content stays
    """
    part = path + names.PART
    try:
        with typed(path, len(data)):
            like = path if os.path.exists(path) else like
            native.call(_write, part, data, like)
        rename(part, path)
    except exception.VolumeDriverError:
        discard(part)
        raise


def _write(path: str, data: bytes, like: str | None) -> None:
    with open_to_write(path, 'wb') as stream:
        stream.write(data)
        stream.flush()
        if like is not None:
            cover(path, like)
        os.fsync(stream.fileno())


def rename(source: str, target: str) -> None:
    """Rename within a directory, durably, over target if it is there."""
    with typed(target):
        native.call(os.rename, source, target)
    sync_parent(target)


def remove(path: str) -> None:
    """Unlink a file, durably; one that is gone already is no error."""
    with typed(path), contextlib.suppress(FileNotFoundError):
        native.call(os.unlink, path)
    sync_parent(path)


def discard(path: str) -> None:
    """Unlink a file that nothing refers to, without waiting for the disk."""
    with contextlib.suppress(FileNotFoundError):
        native.call(os.unlink, path)


def cover(path: str, like: str) -> None:
    """Give a new file the mode and the owner of the one that it covers."""
    found = os.stat(like)
    os.chmod(path, stat.S_IMODE(found.st_mode))
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        # An unprivileged service cannot give files away; the mode it can,
        # and on a squashed NFS export the server decides anyway.
        with contextlib.suppress(PermissionError):
            os.chown(path, found.st_uid, found.st_gid)


def exists(path: str) -> bool:
    """Tell whether anything stands at path, a broken symlink too."""
    return os.path.lexists(path)


def is_file(path: str) -> bool:
    """Tell whether a regular file (no symlink) stands at path."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def trace(path: str) -> str:
    """Return what changes with every write to a file, and with the file.

    Empty for a file that is not there.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ''
    return f'{found.st_ino} {found.st_size} {found.st_mtime_ns}'


def available(directory: str) -> int:
    """Return the bytes that this service may still write in a directory."""
    found = native.call(os.statvfs, directory)
    return found.f_bavail * found.f_frsize


def no_space(path: str, needed: int | str) -> exception.NoSpace:
    """Make the error for a full filesystem, with the figures."""
    directory = os.path.dirname(path) or '.'
    text = needed if isinstance(needed, str) else f'{needed} bytes'
    return exception.NoSpace(
        path=path,
        needed=text,
        available=available(directory),
        directory=directory,
    )
