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

"""Fuzzes one reader in a process of its own, which libFuzzer ends.

python -m tests.fuzz.child READER DIRECTORY [OPTION OF LIBFUZZER...]
"""

from __future__ import annotations

import pathlib
import resource
import sys
import tempfile

import atheris

# What C code allocates counts, too; libFuzzer itself takes the larger part.
_MOST_MEMORY = 4 << 30


def main() -> None:
    name, directory, *arguments = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    with atheris.instrument_imports(include=['volume_driver']):
        from tests.fuzz import readers

    root = tempfile.mkdtemp(dir=directory)
    place = readers.Place(pathlib.Path(root))
    reader = readers.READERS[name]

    def check(data: bytes) -> None:
        reader.check(data, place)

    atheris.Setup([sys.argv[0], *arguments], check)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
