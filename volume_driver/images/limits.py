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

"""What a child may take that reads an image which others made.

Such an image can be made so that its reader takes memory or time without end:
one table for all parts of it, say, which a check reads again and again.

The limits are set by small programs that become the child, but for one that
waits for it; if that is killed, the child is, too. Python's own way, that of
oslo.concurrency, is an interpreter more for each child.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal

from volume_driver import exception

# Debian's packages of the programs that are run.
_SETTING = {
    'timeout': 'coreutils',
    'setpriv': 'util-linux',
    'prlimit': 'util-linux',
}
_PACKAGES = {'qemu-img': 'qemu-utils', **_SETTING}

_GIB = 1 << 30
# What qemu-img 7.2 takes at most: 0.7 GiB for a conversion, with its threads;
# for a check 0.2 GiB, and 1 GiB more for a file of 32 TiB.
_MEMORY = 2 * _GIB
# Seconds of CPU, and of time: to begin with, and for each GiB. The slowest
# that is sound, clusters of 512 bytes, takes 290 s of CPU for a GiB; the usual
# ones 1 s, and 5 s if they are compressed. A share of 1 MiB/s is a slow one.
_CPU = (120, 600)
_TIME = (600, 3600)
# The exit codes of the one when that is over, and of all when there is no such
# program; and what glib says before it gives up.
_TIMED_OUT = 124
_NOT_FOUND = 127
_NO_MEMORY = 'failed to allocate'


def prefix(length: int) -> tuple[str, ...]:
    """Return what is put before a command.

    :param length: bytes that the child may have to read
    """
    whole = -(-length // _GIB)
    cpu, time = (first + each * whole for first, each in (_CPU, _TIME))
    return (
        *('timeout', '--foreground', str(time)),
        *('setpriv', '--pdeathsig', 'KILL', '--'),
        *('prlimit', f'--as={_MEMORY}', f'--cpu={cpu}:{cpu + 5}'),
        *('--core=0', '--'),
    )


def failure(
    command: tuple[str, ...], exit_code: object, text: str
) -> exception.VolumeDriverError:
    """Return the error for a command that did not end well.

    :param text: what it said
    """
    limited = command[0] in _SETTING
    if limited and exit_code == _NOT_FOUND:
        return missing()
    limit = _reached(exit_code, text) if limited else ''
    facts = {
        'command': ' '.join(command),
        'exit_code': exit_code,
        'stderr': text,
    }
    if limit:
        return exception.LimitReached(limit=limit, **facts)
    return exception.CommandFailed(**facts)


def _reached(exit_code: object, text: str) -> str:
    """Return the limit that ended a child, in words; empty for none."""
    if exit_code == _TIMED_OUT:
        return 'its time'
    if exit_code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return 'its time on the CPU'
    if os.strerror(errno.ENOMEM) in text or _NO_MEMORY in text:
        return f'{_MEMORY >> 30} GiB of memory'
    return ''


def missing() -> exception.ProgramMissing:
    """Return the error for the first of the programs that is not there."""
    found = [each for each in _PACKAGES if not shutil.which(each)]
    program = (found or ['qemu-img'])[0]
    return exception.ProgramMissing(
        program=program, package=_PACKAGES[program]
    )
