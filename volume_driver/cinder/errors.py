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

"""Our typed errors as Cinder's.

Cinder's manager goes by the class: after ``SnapshotIsBusy`` and
``VolumeIsBusy`` the record is what it was before, ``available``, which is
right where we refused and nothing was changed. It is right, too, where a guest
went away under a merge, or its host did: the tenant may ask again, and what
was begun is finished then, while the API would refuse to delete a snapshot
that is ``error_deleting``. After anything else it is in an error state. It
also goes into the tenant's message by its class.
"""

from __future__ import annotations

import collections.abc
import functools
import typing

from cinder import exception as cinder_exception
from oslo_log import log

from volume_driver import exception
from volume_driver import files

LOG = log.getLogger(__name__)

M = typing.TypeVar('M', bound=collections.abc.Callable[..., object])

# The tenant asked for what cannot be, as opposed to what went wrong.
_INVALID: dict[type[exception.VolumeDriverError], typing.Any] = {
    exception.VolumeInUse: cinder_exception.InvalidVolume,
    exception.AmbiguousGuest: cinder_exception.InvalidVolume,
    exception.ImageNotTrusted: cinder_exception.InvalidVolume,
    exception.EncryptionUnsupported: cinder_exception.InvalidVolume,
    exception.ContainerTooLarge: cinder_exception.InvalidVolume,
    exception.BackupUnsuitable: cinder_exception.InvalidVolume,
    exception.ChainTooDeep: cinder_exception.InvalidVolume,
    exception.NotNewestSnapshot: cinder_exception.InvalidSnapshot,
    exception.InvalidSize: cinder_exception.InvalidInput,
}


# After these the same call may be made again, with nobody's help.
_AGAIN = (exception.Refused, exception.LiveOperationFailed)


class Qcow2DriverException(cinder_exception.VolumeDriverException):
    """Any other error of ours; the message is that error's own."""

    message = '%(reason)s'


def translate(
    error: exception.VolumeDriverError, busy: typing.Any = None
) -> Exception:
    """Return Cinder's error for one of ours.

    :param busy: what such an error becomes after which the call can be made
        again, where the caller knows such a class
    """
    if busy is not None and isinstance(error, _AGAIN):
        return typing.cast(Exception, busy(message=str(error)))
    for kind, made in _INVALID.items():
        if isinstance(error, kind):
            return typing.cast(Exception, made(reason=str(error)))
    return Qcow2DriverException(reason=str(error))


def translated(busy: typing.Any = None) -> collections.abc.Callable[[M], M]:
    """Decorate a method so that it raises Cinder's errors only.

    :param busy: see :func:`translate`
    """

    def decorate(method: M) -> M:
        @functools.wraps(method)
        def wrapped(*args: object, **kwargs: object) -> object:
            try:
                with files.typed(method.__name__):
                    return method(*args, **kwargs)
            except exception.VolumeDriverError as error:
                LOG.error('%s: %s', method.__name__, error)
                raise translate(error, busy) from error

        return typing.cast(M, wrapped)

    return decorate
