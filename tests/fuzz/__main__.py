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

"""Runs the fuzzer for a limited time; see ``tests.fuzz``."""

from __future__ import annotations

import argparse
import collections.abc
import pathlib
import re
import subprocess
import sys
import tempfile

from tests.fuzz import readers

_FINDINGS = pathlib.Path('.cache/fuzz')
_RUNS = re.compile(r'^stat::number_of_executed_units: (\d+)$', re.MULTILINE)
# One input takes less than a millisecond: this is a hang on any machine.
_HANGS_AFTER = 60
_LONGEST = 64 << 10
_LINES = 40


def _words(reader: readers.Reader) -> str:
    """Return the words of a reader as libFuzzer wants to read them."""
    lines = (
        ''.join(f'\\x{byte:02x}' for byte in word) for word in reader.words
    )
    return ''.join(f'"{line}"\n' for line in lines)


def fuzz(reader: readers.Reader, seconds: int, seed: int) -> bool:
    """Fuzz a reader, print what came of it, and tell whether it is good."""
    _FINDINGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        words = pathlib.Path(directory) / 'words'
        words.write_text(_words(reader))
        made = pathlib.Path(directory) / 'made'
        made.mkdir()
        result = subprocess.run(
            [
                *(sys.executable, '-m', 'tests.fuzz.child'),
                *(reader.name, directory, str(made)),
                *map(str, reader.seeds),
                f'-dict={words}',
                f'-seed={seed}',
                f'-max_total_time={seconds}',
                f'-max_len={_LONGEST}',
                f'-timeout={_HANGS_AFTER}',
                f'-artifact_prefix={_FINDINGS}/{reader.name}-',
                '-print_final_stats=1',
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
        )
    runs = _RUNS.search(result.stdout)
    good = result.returncode == 0 and runs is not None
    count = runs[1] if runs else 'an unknown number of'
    print(f'{reader.name}: {count} inputs, {"no" if good else "a"} finding')
    if not good:
        print('\n'.join(result.stdout.splitlines()[-_LINES:]))
    sys.stdout.flush()
    return good


def replay(reader: readers.Reader, path: pathlib.Path) -> None:
    """Let a reader read one input; what is wrong comes out as an error."""
    with tempfile.TemporaryDirectory() as directory:
        place = readers.Place(pathlib.Path(directory))
        reader.check(path.read_bytes(), place)
    print(f'{reader.name}: {path} leads to nothing wrong')


def main(argv: collections.abc.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.fuzz')
    parser.add_argument(
        '--seconds', type=int, default=60, help='for all readers together'
    )
    parser.add_argument(
        '--seed', type=int, default=1, help='0 for another one in each run'
    )
    parser.add_argument(
        '--input', type=pathlib.Path, help='run this input alone'
    )
    parser.add_argument(
        'reader',
        nargs='*',
        default=list(readers.READERS),
        help=f'of {", ".join(readers.READERS)}; all by default',
    )
    given = parser.parse_args(argv)
    unknown = set(given.reader) - set(readers.READERS)
    if unknown:
        parser.error(f'no reader: {", ".join(sorted(unknown))}')
    chosen = [readers.READERS[name] for name in given.reader]
    if given.input is not None:
        for reader in chosen:
            replay(reader, given.input)
        return 0
    each = max(1, given.seconds // len(chosen))
    # All of them are run, whatever one of them finds.
    results = [fuzz(reader, each, given.seed) for reader in chosen]
    if all(results):
        return 0
    print(f'The inputs are in {_FINDINGS}; python -m tests.fuzz --input FILE')
    return 1


if __name__ == '__main__':
    sys.exit(main())
