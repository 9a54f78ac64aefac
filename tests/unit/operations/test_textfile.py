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

import concurrent.futures
import fcntl
import os
import pathlib

import ddt
import prometheus_client
from prometheus_client import parser

from tests import base
from volume_driver.operations import textfile


class Process:
    """What one process counts, and how it writes that down."""

    def __init__(self, path: pathlib.Path) -> None:
        registry = prometheus_client.CollectorRegistry()
        self.counter = prometheus_client.Counter(
            'things', 'Things.', ('kind',), registry=registry
        )
        self.histogram = prometheus_client.Histogram(
            'size', 'Sizes.', registry=registry, buckets=(1, 10)
        )
        self._file = textfile.TextFile(str(path), registry)

    def count(self, kind: str = 'a') -> None:
        self.counter.labels(kind).inc()
        self.write()

    def write(self) -> None:
        self._file.write()


@ddt.ddt
class TextFileTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.temp_dir() / 'x.prom'
        self.one, self.other = Process(self.path), Process(self.path)

    def found(self) -> dict[tuple[str, ...], float]:
        text = self.path.read_text()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def test_each_adds_what_it_counted(self) -> None:
        self.one.count()
        self.other.count()
        self.one.count()
        self.other.count('b')
        found = self.found()
        self.assertEqual(3, found['things_total', 'a'])
        self.assertEqual(1, found['things_total', 'b'])

    def test_what_was_written_is_not_added_again(self) -> None:
        self.one.count()
        before = self.path.read_bytes()
        self.one.write()
        self.assertEqual(before, self.path.read_bytes())

    def test_histograms(self) -> None:
        self.one.histogram.observe(0.5)
        self.one.write()
        self.other.histogram.observe(5)
        self.other.histogram.observe(50)
        self.other.write()
        found = self.found()
        self.assertEqual(1, found['size_bucket', '1.0'])
        self.assertEqual(2, found['size_bucket', '10.0'])
        self.assertEqual(3, found['size_bucket', '+Inf'])
        self.assertEqual(3, found['size_count',])
        self.assertEqual(55.5, found['size_sum',])

    def test_text_is_what_the_library_writes(self) -> None:
        self.one.count('a "quoted" \\ one')
        self.other.count('a "quoted" \\ one')
        self.assertEqual(
            [
                '# HELP things_total Things.',
                '# TYPE things_total counter',
                r'things_total{kind="a \"quoted\" \\ one"} 2.0',
                '# HELP size Sizes.',
                '# TYPE size histogram',
                'size_bucket{le="1.0"} 0.0',
                'size_bucket{le="10.0"} 0.0',
                'size_bucket{le="+Inf"} 0.0',
                'size_count 0.0',
                'size_sum 0.0',
            ],
            self.path.read_text().splitlines(),
        )

    def test_what_others_count_stays(self) -> None:
        theirs = '# HELP x Theirs.\n# TYPE x gauge\nx{y="z"} 7.0\n'
        self.path.write_text(theirs)
        self.one.count()
        self.assertTrue(self.path.read_text().startswith(theirs))

    @ddt.data('', '\0', 'x{', '# TYPE', 'things_total{kind="a"} many\n')
    def test_what_makes_no_sense_is_begun_anew(self, text: str) -> None:
        self.path.write_text(text)
        self.one.count()
        self.assertEqual(1, self.found()['things_total', 'a'])

    def test_text_that_is_none_is_begun_anew(self) -> None:
        self.path.write_bytes(b'\xff\xfe')
        self.one.count()
        self.assertEqual(1, self.found()['things_total', 'a'])

    def test_collector_may_read_it(self) -> None:
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.one.count()
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)

    def test_mode_that_it_was_given_stays(self) -> None:
        self.one.count()
        self.path.chmod(0o640)
        self.other.count()
        self.assertEqual(0o640, self.path.stat().st_mode & 0o777)

    def test_nothing_is_left_beside_it(self) -> None:
        self.one.count()
        self.assertEqual(['x.prom'], os.listdir(self.path.parent))

    def test_directory_that_is_not_there(self) -> None:
        self.path.parent.rmdir()
        self.one.count()
        self.assertIn('x.prom (option metrics_file) yet', self.log.output)
        self.path.parent.mkdir()
        self.one.count()
        self.assertEqual(2, self.found()['things_total', 'a'])

    def test_directory_that_somebody_has_locked(self) -> None:
        self.patch(textfile, '_lock', textfile._lock.__wrapped__)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.one.count()
        self.assertFalse(self.path.exists())
        os.close(descriptor)
        self.one.count()
        self.assertEqual(2, self.found()['things_total', 'a'])

    def test_many_at_once(self) -> None:
        processes = [Process(self.path) for _ in range(4)]

        def work(process: Process) -> None:
            for _ in range(20):
                process.count()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(work, processes))
        # Who waited too long for the others has something left.
        for process in processes:
            process.write()
        self.assertEqual(80, self.found()['things_total', 'a'])
