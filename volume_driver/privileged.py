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

"""What needs more than the rights of the service's user, and no more than it.

libvirt gives the images of a guest that runs to QEMU's user (option
``dynamic_ownership`` of ``qemu.conf``, which is on by default), and afterwards
to root where it does not remember whose they were. These two functions run in
a process of their own that oslo.privsep starts, as root with three
capabilities. Each believes nothing that it is told: it touches a regular file
with the name of one of our images, in one place only, and gives away no more
than whoever may write to the directory has anyway.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import stat

from oslo_privsep import capabilities
from oslo_privsep import priv_context

from volume_driver import exception
from volume_driver import names

context = priv_context.PrivContext(
    'volume_driver',
    cfg_section='volume_driver_privileged',
    pypath=f'{__name__}.context',
    capabilities=[
        # The group, and the owner, of a file of somebody else's.
        capabilities.CAP_CHOWN,
        # Its mode.
        capabilities.CAP_FOWNER,
        # A directory that only the service may enter.
        capabilities.CAP_DAC_READ_SEARCH,
    ],
    logger_name=__name__,
)

_PERMISSIONS = 0o777
_OWNER_AND_GROUP = 0o660


@context.entrypoint
def share(directory: str, name: str) -> None:
    """Let the group of a directory read and write an image in it.

    Its owner stays: QEMU, which may have it open, can open it again.

    :raises ImageNotTrusted: when it is not what an image of ours is
    """
    with _opened(directory, name) as (place, image):
        found = os.fstat(image)
        os.chown(_path(image), -1, os.fstat(place).st_gid)
        os.chmod(_path(image), _mode(found) | _OWNER_AND_GROUP)


@context.entrypoint
def give(directory: str, name: str, like: str) -> None:
    """Give a new image the owner, group and mode of the one that it covers.

    :param name: of the overlay, complete or not
    :param like: name of the image below it, of the same volume
    :raises ImageNotTrusted: when one of them is not what an image of ours is
    """
    with (
        _opened(directory, name) as (_, image),
        _opened(directory, like) as (_, below),
    ):
        if _volume(name) != _volume(like):
            raise exception.ImageNotTrusted(
                path=os.path.join(directory, name),
                reason=f'it is of another volume than {like}',
            )
        found = os.fstat(below)
        os.chown(_path(image), found.st_uid, found.st_gid)
        os.chmod(_path(image), _mode(found))


@contextlib.contextmanager
def _opened(
    directory: str, name: str
) -> collections.abc.Iterator[tuple[int, int]]:
    """Open a directory and an image in it, neither to read nor to write."""
    path = os.path.join(directory, name)
    image = name.removesuffix(names.PART)
    volume = _volume(name)
    if not names.is_volume(volume) or not names.is_image_of(volume, image):
        raise exception.ImageNotTrusted(
            path=path, reason='it has not the name of an image'
        )
    with contextlib.ExitStack() as stack:
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, place)
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=place)
        stack.callback(os.close, file)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise exception.ImageNotTrusted(
                path=path, reason='it is not a regular file'
            )
        if found.st_nlink != 1:
            # It may be a file of anybody's, found a second name for.
            raise exception.ImageNotTrusted(
                path=path, reason=f'it has {found.st_nlink} names'
            )
        yield place, file


def _volume(name: str) -> str:
    return name.partition('.')[0]


def _path(descriptor: int) -> str:
    """Return a path of what is open, whatever has its name by now."""
    return f'/proc/self/fd/{descriptor}'


def _mode(found: os.stat_result) -> int:
    """Return the permissions of a file, without set-user-id and the like."""
    return found.st_mode & _PERMISSIONS
