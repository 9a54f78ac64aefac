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

"""Access to images that belong to somebody else while a guest has them.

Where the service's user has no access to an image it asks the privileged
process, once, and says what to do where that is of no use. Root, and a service
that shares a group with QEMU, never get here.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat

from oslo_log import log

from volume_driver import exception
from volume_driver import native

LOG = log.getLogger(__name__)

_READ_AND_WRITE = os.R_OK | os.W_OK


def ensure(path: str) -> None:
    """Make sure that this service can read and write an image.

    One that is not there, or is no regular file, is left to whoever opens it.

    :raises AccessDenied: when it cannot, and cannot be helped
    """
    if os.access(path, _READ_AND_WRITE) or not _is_there(path):
        return
    directory, name = os.path.split(os.path.abspath(path))
    LOG.info('%s: no access for this service, asking for it', path)
    try:
        _call('share', directory, name)
    except exception.ImageNotTrusted:
        raise
    except Exception as error:
        # Of sudo or rootwrap, of the privileged process, of the filesystem.
        raise _denied(path, str(error)) from error
    if not os.access(path, _READ_AND_WRITE):
        raise _denied(path, 'its group is that of the directory by now')


def open_image(path: str, flags: int) -> int:
    """Open an image, with the help of :func:`ensure` where it takes that.

    :raises OSError: as os.open
    :raises AccessDenied: when there is no access, and no help
    """
    try:
        return os.open(path, flags)
    except PermissionError:
        ensure(path)
    return os.open(path, flags)


def give(path: str, like: str) -> None:
    """Give a new overlay to whom the image below it belongs, if possible.

    Where it is not, libvirt does it when it is told of the overlay, if that
    is its business; else QEMU needs a group that it shares with the service.

    :param path: of the overlay, complete or not
    :param like: of the image below it
    """
    found, wanted = os.stat(path), os.stat(like)
    if (found.st_uid, found.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    directory, name = os.path.split(os.path.abspath(path))
    try:
        _call('give', directory, name, os.path.basename(like))
    except Exception as error:
        LOG.info(
            '%s belongs to this service, not to %s as %s does: %s',
            *(path, _owner(wanted), like, error),
        )


def _call(function: str, *arguments: str) -> None:
    # It brings much that nobody else needs.
    from volume_driver import privileged

    native.call(getattr(privileged, function), *arguments)


def _is_there(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _denied(path: str, reason: str) -> exception.AccessDenied:
    found = os.stat(path)
    group = os.stat(os.path.dirname(path) or '.').st_gid
    return exception.AccessDenied(
        path=path,
        owner=_owner(found),
        mode=stat.filemode(found.st_mode),
        user=f'{_user(os.geteuid())}, groups {_groups()}',
        group=_group(group),
        reason=reason,
    )


def _owner(found: os.stat_result) -> str:
    return f'{_user(found.st_uid)}:{_group(found.st_gid)}'


def _groups() -> str:
    return ', '.join(map(_group, sorted({os.getegid(), *os.getgroups()})))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
