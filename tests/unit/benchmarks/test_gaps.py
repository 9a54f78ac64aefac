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

from __future__ import annotations

import pathlib
import subprocess

from benchmarks import errors
from benchmarks import gaps
from tests import base
from tests.fixtures import processes


class LongestTest(base.TestCase):
    STAMPS = [1.0, 1.1, 1.2, 2.0, 2.1, 5.0]

    def test_gap_within_the_span(self) -> None:
        self.assertAlmostEqual(0.8, gaps.longest(self.STAMPS, 1.05, 2.05))

    def test_gap_that_began_before_or_ended_after(self) -> None:
        self.assertAlmostEqual(0.8, gaps.longest(self.STAMPS, 1.5, 1.6))
        self.assertAlmostEqual(2.9, gaps.longest(self.STAMPS, 2.05, 2.2))

    def test_gaps_outside_do_not_count(self) -> None:
        self.assertAlmostEqual(0.1, gaps.longest(self.STAMPS, 1.05, 1.15))

    def test_span_has_to_be_between_stamps(self) -> None:
        for stamps in ([], [1.2, 3.0], [0.5, 1.9], [1.5]):
            self.assertRaises(
                errors.GuestSilent, gaps.longest, stamps, 1.0, 2.0
            )


class LinesTest(base.TestCase):
    def test_whole_acknowledgements_are_counted(self) -> None:
        lines = gaps.Lines()
        for data, wanted in (
            (b'ACK 1\r\nACK 2\r\n', 2),
            (b'ACK', 0),
            (b' 3', 0),
            (b'\r', 0),
            (b'\nGUEST-UP\r\nACK x\n', 1),
            (b'ACK 4\nACK 5', 1),
        ):
            self.assertEqual(wanted, lines.feed(data), repr(data))


class WatcherTest(base.TestCase):
    def append(self, path: pathlib.Path, text: str) -> None:
        with path.open('a') as stream:
            stream.write(text)

    def test_stamps_are_of_what_comes_while_it_watches(self) -> None:
        path = self.temp_dir() / 'console'
        path.write_text('ACK 1\nACK 2\n')
        with gaps.Watcher(path) as watcher:
            self.append(path, 'ACK 3\n')
            self.wait_read(watcher, path)
            self.append(path, 'something else\n')
            self.append(path, 'ACK 4\nACK 5\n')
            self.wait_read(watcher, path)
        self.assertEqual(2, len(watcher.stamps))
        self.assertEqual(sorted(watcher.stamps), watcher.stamps)

    def wait_read(self, watcher: gaps.Watcher, path: pathlib.Path) -> None:
        """Wait until the watcher has read the file to its end."""
        places = pathlib.Path(f'/proc/{watcher.pid}/fdinfo')
        links = pathlib.Path(f'/proc/{watcher.pid}/fd')

        def look() -> bool:
            return any(
                int((places / link.name).read_text().split()[1])
                == path.stat().st_size
                for link in links.iterdir()
                if link.resolve() == path.resolve()
            )

        processes.wait_until(look, 'it has read all', 30.0)

    def test_console_that_is_not_there(self) -> None:
        watcher = gaps.Watcher(self.temp_dir() / 'console')
        self.assertRaises(errors.GuestSilent, watcher.__enter__)

    def test_end_of_input_is_the_end(self) -> None:
        path = self.temp_dir() / 'console'
        path.touch()
        result = subprocess.run(
            gaps.command(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertEqual((0, 'ready\n\n'), (result.returncode, result.stdout))
