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

"""The demo: ``python -m examples.demo``, below ``tests.fixtures.daemons``.

A small Linux boots on a volume and writes numbered blocks, each with an
fsync, without pause. Under it snapshots are taken and deleted, then the same
is done while no guest runs. After every operation every snapshot, and what
the guest was told is on disk, is compared bit for bit. Takes half a minute.
"""

from __future__ import annotations

import argparse
import collections.abc
import pathlib
import shutil
import sys

# Debian's packages of what is run as a program.
_PROGRAMS = {
    'cpio': 'cpio',
    'qemu-img': 'qemu-utils',
    'qemu-io': 'qemu-utils',
    'qemu-system-x86_64': 'qemu-system-x86',
}
# Where the name of a module does not tell its package.
_MODULES = {
    'libvirt': 'libvirt-python (see tools/install_libvirt_python.sh)',
    'libvirt_qemu': 'libvirt-python (see tools/install_libvirt_python.sh)',
    'oslo_concurrency': 'oslo.concurrency',
    'oslo_config': 'oslo.config',
    'oslo_log': 'oslo.log',
    'tests': 'this project itself: run the demo from its source tree',
}


def main(arguments: collections.abc.Sequence[str]) -> int:
    """Run the demo.

    :returns: 0, or 1 when a block was lost or the demo could not go on.
    """
    options = _parse(arguments)
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return _stop(f'{program} is missing: install {package}')
    try:
        # Late, so that a package that is missing can be named.
        from examples import show
    except ModuleNotFoundError as error:
        module = str(error.name).partition('.')[0]
        package = _MODULES.get(module, module)
        return _stop(f'no Python module {module}: install {package}')
    try:
        return show.run(
            options.format, options.directory, options.seconds_between
        )
    except show.ERRORS as error:
        return _stop(show.reason(error))
    except KeyboardInterrupt:
        return _stop('interrupted')


def _parse(arguments: collections.abc.Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m examples.demo',
        description='Take and delete snapshots of a volume, under a running '
        'guest and without one, and compare all data after every step.',
    )
    parser.add_argument(
        '--format',
        choices=['qcow2', 'raw'],
        default='qcow2',
        help='of the base image (default: %(default)s)',
    )
    parser.add_argument(
        '--directory',
        type=pathlib.Path,
        default=pathlib.Path('/var/tmp'),  # noqa: S108  mkdtemp works in it
        help='where a new directory is made for the volume; it goes again '
        'unless a block was lost (default: %(default)s)',
    )
    parser.add_argument(
        '--seconds-between',
        type=float,
        default=0.0,
        metavar='N',
        help='wait that long after every step (default: %(default)s)',
    )
    return parser.parse_args(arguments)


def _stop(why: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f'demo: {why}\n')
    return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
