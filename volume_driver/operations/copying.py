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

"""Tells in the log how far a copy is that takes long."""

from __future__ import annotations

import collections.abc
import contextlib
import os

from oslo_log import log

from volume_driver import exception
from volume_driver.images import header
from volume_driver.images import trust
from volume_driver.operations import progress

LOG = log.getLogger(__name__)

# Seconds: what is done by then is not told; between two lines.
_BEFORE, _LINE = 2.0, 10.0


@contextlib.contextmanager
def told(source: str, copy: str) -> collections.abc.Iterator[None]:
    """Say now and then how much of a copy is there, until it is over.

    :param source: path of the image that is copied, with all below it
    :param copy: path of the file that is written
    """
    with progress.beside(lambda ended: _tell(source, copy, ended)):
        yield


def _tell(source: str, copy: str, ended: progress.Ended) -> None:
    if ended(_BEFORE):
        return
    most = to_copy(source)
    while True:
        done = min(progress.allocated(copy), most)
        LOG.info(
            'copying %(source)s: %(done)d of at most %(most)d bytes '
            '(%(percent)d %%)',
            {
                'source': os.path.basename(source),
                'done': done,
                'most': most,
                'percent': 100 * done // max(most, 1),
            },
        )
        if ended(_LINE):
            break


def to_copy(path: str) -> int:
    """Return the most bytes that one can see through an image.

    That is what it and all below it take on their filesystem; it is only for
    looking at, so that what cannot be read counts nothing.
    """
    total, seen = 0, set()
    while path not in seen:
        seen.add(path)
        total += progress.allocated(path)
        try:
            backing = header.read(path).backing
            below = trust.plain(backing) if backing else ''
        except exception.VolumeDriverError:
            break
        if not below:
            break
        path = os.path.join(os.path.dirname(path), below)
    return total
