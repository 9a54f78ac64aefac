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

"""What the benchmark ran on: versions, processor, filesystem, date.

Nothing here names the machine.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess

import libvirt

from benchmarks import errors
from tests.fixtures import hypervisor


def describe(directory: pathlib.Path) -> dict[str, str]:
    """Return what the numbers depend on, in words.

    :param directory: where the volumes are
    """
    connection = hypervisor.connect()
    try:
        return {
            'date': f'{datetime.datetime.now(datetime.UTC):%Y-%m-%d}',
            'system': platform.freedesktop_os_release()['PRETTY_NAME'],
            'kernel': platform.release(),
            'processor': _processor(),
            'processors': str(os.cpu_count()),
            'memory': f'{_memory() >> 20} MiB',
            'filesystem': _filesystem(directory),
            'acceleration': 'none (TCG)',
            'qemu-img': _qemu_img(),
            'QEMU': _version(connection.getVersion()),
            'libvirt': _version(connection.getLibVersion()),
            'libvirt-python': _version(libvirt.getVersion()),
            'Python': platform.python_version(),
            'cinder': importlib.metadata.version('cinder'),
            'oslo.concurrency': importlib.metadata.version('oslo.concurrency'),
        }
    finally:
        connection.close()


def _version(number: int) -> str:
    """Return one of libvirt's version numbers as it is written."""
    return f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'


def _qemu_img() -> str:
    try:
        result = subprocess.run(
            ['qemu-img', '--version'], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise errors.PartMissing(
            'qemu-img is missing: install the Debian package qemu-utils'
        ) from error
    found = re.search(r'version (\S+)', result.stdout)
    return found.group(1) if found else 'unknown'


def _processor() -> str:
    text = pathlib.Path('/proc/cpuinfo').read_text()
    found = re.search(r'^model name\s*: (.*)$', text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _memory() -> int:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _filesystem(directory: pathlib.Path) -> str:
    """Return the type of the filesystem that a directory is on."""
    device = directory.stat().st_dev
    wanted = f'{os.major(device)}:{os.minor(device)}'
    for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines():
        left, _, right = line.partition(' - ')
        if left.split()[2] == wanted:
            return right.split()[0]
    return 'unknown'
