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

"""The seeds of the fuzzer, and what it once found, without the fuzzer."""

from __future__ import annotations

import pathlib

import ddt

from tests import base
from tests.fuzz import bounds
from tests.fuzz import readers


def _inputs() -> list[tuple[str, str]]:
    return [
        (name, str(path))
        for name, reader in readers.READERS.items()
        for directory in reader.seeds
        for path in sorted(directory.rglob('*'))
        if path.is_file()
    ]


@ddt.ddt
class SeedsTest(base.TestCase):
    def test_each_reader_has_some(self) -> None:
        self.assertEqual(set(readers.READERS), {name for name, _ in _inputs()})

    @ddt.data(*_inputs())
    @ddt.unpack
    def test_seed(self, name: str, path: str) -> None:
        place = readers.Place(self.temp_dir())
        self.addCleanup(place.close)
        readers.READERS[name].check(pathlib.Path(path).read_bytes(), place)


class BoundsTest(base.TestCase):
    """The fuzzer would find what it is there for."""

    def setUp(self) -> None:
        super().setUp()
        self.place = readers.Place(self.temp_dir())
        self.addCleanup(self.place.close)

    def assert_found(self, read: object, what: str) -> None:
        error = self.assertRaises(bounds.Finding, self.place.read, read)
        self.assertIn(what, str(error))

    def test_file_outside(self) -> None:
        self.assert_found(pathlib.Path('/etc/hostname').read_text, 'it opens')

    def test_file_outside_and_nothing_said(self) -> None:
        def read() -> None:
            try:
                pathlib.Path('/etc/hostname').read_text()
            except bounds.Finding:
                return

        self.assert_found(read, 'it opens')

    def test_memory_without_end(self) -> None:
        self.assert_found(lambda: len(bytes(1 << 28)), 'of memory')

    def test_other_errors_come_out(self) -> None:
        self.assertRaises(ValueError, self.place.read, lambda: int('x'))
