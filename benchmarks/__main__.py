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

"""Measure, print the tables and the aims, and write them for the docs.

    python -m benchmarks [--quick] [--only GROUPS] [--output DIRECTORY]

Below ``tests.fixtures.daemons``, and as root: live rows need a libvirtd. That
an aim is missed is no failure; the exit code is 1 only when something could
not be measured.
"""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys
import types

_DOCS = pathlib.Path('doc/source/_generated')
_TRIAL = pathlib.Path('.cache/benchmark')
_GROUPS = ('offline', 'data', 'many', 'live')


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    # Guests are ended, and files removed, by what is left on the way out.
    signal.signal(signal.SIGTERM, _leave)
    try:
        # Late, so that a package that is missing can be named.
        from benchmarks import run
    except ModuleNotFoundError as error:
        return _stop(f'{error}: "tox -e bench" installs all that is needed')
    try:
        run.run(options.quick, options.only, options.directory, options.output)
    except run.ERRORS as error:
        return _stop(str(error))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks',
        description='Measure this driver beside the RemoteFS code of Cinder '
        'and the bare limit.',
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='few rounds and small sizes: to try it out',
    )
    parser.add_argument(
        '--only',
        type=lambda text: text.split(','),
        default=list(_GROUPS),
        metavar='GROUPS',
        help=f'some of: {",".join(_GROUPS)}',
    )
    parser.add_argument(
        '--directory',
        type=pathlib.Path,
        default=pathlib.Path('/var/tmp'),  # noqa: S108  a new one is made
        help='where the volumes are made (default: %(default)s)',
    )
    parser.add_argument(
        '--output',
        type=pathlib.Path,
        help=f'where the results go (default: {_DOCS}, or {_TRIAL} if quick)',
    )
    options = parser.parse_args(arguments)
    unknown = set(options.only) - set(_GROUPS)
    if unknown:
        parser.error(f'--only: no such group: {", ".join(sorted(unknown))}')
    options.output = options.output or (_TRIAL if options.quick else _DOCS)
    return options


def _leave(number: int, _frame: types.FrameType | None) -> None:
    sys.exit(128 + number)


def _stop(why: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f'benchmark: {why}\n')
    return 1


if __name__ == '__main__':
    sys.exit(main())
