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

"""Limits for Cinder's own conversion of an image that a tenant made.

Cinder puts what its throttle says before ``qemu-img convert``
(``cinder.image.image_utils.convert_image``). That is the one place where a
driver can say how the child is run.
"""

from __future__ import annotations

import collections.abc
import contextlib
import contextvars
import shlex
import typing

from cinder.volume import throttling
from oslo_concurrency import processutils

from volume_driver import exception
from volume_driver.images import limits

# Bytes that may be read by what this thread, greenthread or task converts.
_LENGTH: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    'length', default=None
)


class LimitedThrottle(throttling.Throttle):
    """Another throttle, and our limits where :func:`limited` asks for them.

    :param inner: what else is put before a command
    """

    def __init__(self, inner: throttling.Throttle) -> None:
        super().__init__()
        self._inner = inner

    @contextlib.contextmanager
    def subcommand(
        self, srcpath: str, dstpath: str
    ) -> collections.abc.Iterator[dict[str, typing.Any]]:
        """Have what is put before a command that reads one and writes one."""
        with self._inner.subcommand(srcpath, dstpath) as found:
            length = _LENGTH.get()
            ours = () if length is None else limits.prefix(length)
            yield {**found, 'prefix': [*found['prefix'], *ours]}


def install() -> None:
    """Let all that Cinder's functions convert in this process ask us."""
    throttling.Throttle.set_default(
        LimitedThrottle(throttling.Throttle.get_default())
    )


@contextlib.contextmanager
def limited(length: int) -> collections.abc.Iterator[None]:
    """Limit what Cinder's functions convert within.

    :param length: bytes that the image may show
    :raises LimitReached: when it takes more than a sound image does
    :raises ProgramMissing: when what sets the limits is not installed
    """
    token = _LENGTH.set(length)
    try:
        yield
    except processutils.ProcessExecutionError as error:
        found = _failure(error, limits.prefix(length))
        if isinstance(
            found, exception.LimitReached | exception.ProgramMissing
        ):
            raise found from error
        raise
    finally:
        _LENGTH.reset(token)


def _failure(
    error: processutils.ProcessExecutionError, ours: tuple[str, ...]
) -> exception.VolumeDriverError:
    """Return our error for a command that failed, whoever ran it."""
    words = (*shlex.split(str(error.cmd or '')), '')
    # What another throttle says comes first.
    at = words.index(ours[0]) if ours[0] in words else 0
    return limits.failure(words[at:], error.exit_code, error.stderr or '')
