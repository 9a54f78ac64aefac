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

import os
import pathlib
import random
import typing

import ddt
from oslo_concurrency import processutils

from tests import base
from tests.fixtures import image_tools
from tests.unit import fakes
from volume_driver import chain
from volume_driver import exception
from volume_driver.images import allocation
from volume_driver.images import clusters
from volume_driver.images import qemu_img
from volume_driver.images import reader

_CLUSTER = 65536
_COUNT = fakes.SIZE // _CLUSTER
_BOTH = frozenset({'commit', 'pull'})


class AllocationTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def write(self, name: str, *commands: str, raw: bool = False) -> None:
        """Let qemu-io run commands on one image, of clusters of 64 KiB."""
        image_tools.qemu_io(
            pathlib.Path(self.path(name)), 'raw' if raw else 'qcow2', *commands
        )

    def chain(self, active: str = 'volume-u.c') -> chain.Chain:
        return reader.read_chain(
            str(self.directory), fakes.VOLUME, active, 'raw'
        )

    def measure(
        self, lowest: str, top: str, limit: int | None = allocation.LIMIT
    ) -> allocation.Costs:
        images = self.chain().between(lowest, top)
        return allocation.measure(str(self.directory), images, limit)


@ddt.ddt
class MeasureTest(AllocationTestCase):
    """``volume-u <- volume-u.a <- volume-u.b <- volume-u.c^``."""

    def setUp(self) -> None:
        super().setUp()
        self.names = fakes.make_volume(self.directory, 'abc')

    def test_nothing_is_allocated(self) -> None:
        self.assertEqual(
            allocation.Costs(0, 0, _BOTH),
            self.measure('volume-u', 'volume-u.a'),
        )

    @ddt.data(*range(6))
    def test_as_a_model_says(self, seed: int) -> None:
        """Each layer has some clusters with data, and some that are zero."""
        generator = random.Random(seed)
        layers: list[list[str]] = []
        for name in self.names:
            held = generator.choices(('', 'data', 'zero'), k=_COUNT)
            layers.append(held)
            commands = [
                f'write {"-P 7" if kind == "data" else "-z"} {at * 64}k 64k'
                for at, kind in enumerate(held)
                if kind
            ]
            self.write(name, *commands)
        for lowest in range(3):
            for top in range(lowest + 1, 4):
                below = layers[lowest:top]
                self.assertEqual(
                    allocation.Costs(
                        self.seen(layers[lowest + 1 : top + 1], []),
                        self.seen(below, layers[top]),
                        _BOTH,
                    ),
                    self.measure(self.names[lowest], self.names[top]),
                    f'from {lowest} to {top}',
                )

    def seen(self, layers: list[list[str]], hidden: list[str]) -> int:
        """Return the bytes of data in some layers, the lowest first.

        :param hidden: what is above them, empty for nothing
        """
        count = 0
        for at in range(_COUNT):
            held = [layer[at] for layer in layers if layer[at]]
            if held and held[-1] == 'data' and not (hidden and hidden[at]):
                count += _CLUSTER
        return count

    def test_a_limit_leaves_the_most(self) -> None:
        self.write('volume-u.a', 'write 0 64k')
        found = self.measure('volume-u', 'volume-u.a', limit=0)
        self.assertEqual(frozenset(), found.exact)
        images = self.chain().between('volume-u', 'volume-u.a')
        self.assertEqual(allocation.estimate(images), found)
        self.assertLessEqual(_CLUSTER, found.commit)

    def test_a_limit_for_what_is_below(self) -> None:
        self.write('volume-u.a', 'write 0 64k')
        found = self.measure('volume-u.a', 'volume-u.b', limit=0)
        self.assertEqual(frozenset({'commit'}), found.exact)
        self.assertEqual(0, found.commit)
        self.assertEqual(found.pull, found.of('pull'))

    def test_other_clusters_below_are_not_compared(self) -> None:
        """A base from elsewhere may have clusters of any size."""
        command = ('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=2M')
        processutils.execute(
            'qemu-img', *command, self.path('volume-u'), str(fakes.SIZE)
        )
        self.write('volume-u', 'write 0 64k')
        found = self.measure('volume-u', 'volume-u.a')
        self.assertEqual(frozenset({'commit'}), found.exact)

    def test_subclusters_are_not_counted(self) -> None:
        command = ('create', '-q', '-f', 'qcow2', '-u', '-o', 'extended_l2=on')
        processutils.execute(
            *('qemu-img', *command, '-b', 'volume-u', '-F', 'qcow2'),
            *(self.path('volume-u.a'), str(fakes.SIZE)),
        )
        found = self.measure('volume-u', 'volume-u.a')
        self.assertEqual(frozenset(), found.exact)

    def test_compressed_clusters_are_data(self) -> None:
        self.write('volume-u.a', 'write -c -P 7 0 64k')
        self.assertEqual(
            _CLUSTER, self.measure('volume-u', 'volume-u.a').commit
        )

    def test_an_image_that_is_gone(self) -> None:
        images = self.chain().between('volume-u', 'volume-u.a')
        os.unlink(self.path('volume-u'))
        self.assertRaises(
            exception.ImageInvalid,
            allocation.measure,
            str(self.directory),
            images,
        )

    @ddt.data((0x30, 8), (40, 8))
    @ddt.unpack
    def test_tables_outside_the_file_tell_nothing(
        self, where: int, length: int
    ) -> None:
        """An entry of the L1 table, or the place of the whole table."""
        self.write('volume-u.a', 'write 0 64k')
        with open(self.path('volume-u.a'), 'r+b') as image:
            if where == 0x30:
                image.seek(40)
                where = int.from_bytes(image.read(8), 'big')
            image.seek(where)
            image.write((1 << 40).to_bytes(length, 'big'))
        self.assertIsNone(clusters.read(self.path('volume-u.a')))


class RawTest(AllocationTestCase):
    """``volume-u <- volume-u.c^``, the base raw."""

    def setUp(self) -> None:
        super().setUp()
        path = self.path('volume-u')
        qemu_img.create(processutils.execute, path, 'raw', fakes.SIZE)
        qemu_img.create_overlay(
            processutils.execute,
            self.path('volume-u.c'),
            *('volume-u', 'raw', fakes.SIZE),
        )

    def test_what_the_filesystem_tells(self) -> None:
        self.write('volume-u', 'write 0 64k', 'write 256k 128k', raw=True)
        self.write('volume-u.c', 'write 320k 64k')
        self.assertEqual(
            allocation.Costs(_CLUSTER, 2 * _CLUSTER, _BOTH),
            self.measure('volume-u', 'volume-u.c'),
        )

    def test_an_extent_over_two_tables(self) -> None:
        self.write('volume-u', 'write 0 128k', raw=True)
        found = clusters.read_raw(self.path('volume-u'), 512)
        assert found is not None
        # 64 clusters of 512 bytes below each table.
        self.assertEqual({0, 1, 2, 3}, set(found.tables))
        self.assertEqual(128 << 10, clusters.seen([found]))

    def test_too_many_extents(self) -> None:
        self.write('volume-u', 'write 0 64k', 'write 256k 64k', raw=True)
        self.assertIsNone(
            clusters.read_raw(self.path('volume-u'), _CLUSTER, limit=1)
        )


@ddt.ddt
class AddsNothingTest(AllocationTestCase):
    def setUp(self) -> None:
        super().setUp()
        fakes.make_volume(self.directory, 'abc')

    def adds_nothing(self, top: str = 'volume-u.c') -> bool:
        return allocation.adds_nothing(str(self.directory), top, 'volume-u')

    def test_blank_overlays(self) -> None:
        self.assertTrue(self.adds_nothing('volume-u.a'))
        self.assertTrue(self.adds_nothing())

    @ddt.data('write 0 512', 'write -z 0 64k', 'write -c 0 64k')
    def test_anything_in_any_of_them(self, command: str) -> None:
        self.write('volume-u.b', command)
        self.assertTrue(self.adds_nothing('volume-u.a'))
        self.assertFalse(self.adds_nothing())

    def test_what_was_discarded_counts(self) -> None:
        self.write('volume-u', 'write -P 7 0 64k')
        self.write('volume-u.b', 'write 0 64k', 'discard 0 64k')
        self.assertFalse(self.adds_nothing())

    def test_another_size(self) -> None:
        qemu_img.resize(
            processutils.execute,
            self.path('volume-u.c'),
            'qcow2',
            2 * fakes.SIZE,
        )
        self.assertFalse(self.adds_nothing())

    @ddt.data(fakes.SIZE, 2 * fakes.SIZE)
    def test_a_raw_base(self, size: int) -> None:
        path = self.path('volume-u')
        os.unlink(path)
        qemu_img.create(processutils.execute, path, 'raw', size)
        above: dict[str, typing.Any] = {'execute': processutils.execute}
        qemu_img.point(
            **above,
            path=self.path('volume-u.a'),
            backing='volume-u',
            backing_format='raw',
        )
        self.assertEqual(size == fakes.SIZE, self.adds_nothing())

    def test_not_below(self) -> None:
        self.assertFalse(
            allocation.adds_nothing(
                str(self.directory), 'volume-u.a', 'volume-u.c'
            )
        )


@ddt.ddt
class WholeDataTest(AllocationTestCase):
    """``volume-u <- volume-u.a <- volume-u.b``: b into a."""

    def setUp(self) -> None:
        super().setUp()
        fakes.make_volume(self.directory, 'ab')
        self.write('volume-u', 'write -P 1 0 1M')
        self.write('volume-u.a', 'write -P 2 128k 128k')
        self.write('volume-u.b', 'write -P 3 4k 4k')

    def is_whole(self, top: str = 'volume-u.b') -> bool:
        return allocation.is_whole_data(str(self.directory), top)

    def test_data_alone(self) -> None:
        self.assertTrue(self.is_whole())

    def test_a_base_below_which_is_nothing(self) -> None:
        self.assertFalse(self.is_whole('volume-u.a'))

    @ddt.data('write -z 192k 64k', 'discard 0 64k')
    def test_zeros(self, command: str) -> None:
        self.write('volume-u.b', command)
        self.assertFalse(self.is_whole())

    def test_another_size(self) -> None:
        path = self.path('volume-u.b')
        qemu_img.resize(processutils.execute, path, 'qcow2', 2 * fakes.SIZE)
        self.assertFalse(self.is_whole())

    @ddt.data(
        ('volume-u.a', 'cluster_size=128k'),
        ('volume-u.a', 'compat=0.10'),
        ('volume-u.a', 'extended_l2=on'),
        ('volume-u.b', 'cluster_size=32k'),
        ('volume-u.b', 'extended_l2=on'),
    )
    @ddt.unpack
    def test_another_layout(self, name: str, option: str) -> None:
        below = {'volume-u.a': 'volume-u', 'volume-u.b': 'volume-u.a'}[name]
        processutils.execute(
            *('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-o', option),
            *('-b', below, '-F', 'qcow2', self.path(name), str(fakes.SIZE)),
        )
        self.assertFalse(self.is_whole())

    def test_it_is_committed_as_with_the_whole_chain(self) -> None:
        """Parts of clusters too: an overlay has the whole cluster."""
        self.write(
            'volume-u.b', 'write -P 4 200k 3k', 'write -c -P 5 512k 64k'
        )
        before = image_tools.digest(self.path('volume-u.b'), 'qcow2')
        self.assertTrue(self.is_whole())
        qemu_img.commit_pair(
            processutils.execute, self.path('volume-u.b'), 'volume-u.a'
        )
        after = image_tools.digest(self.path('volume-u.a'), 'qcow2')
        self.assertEqual(before, after)
        found = reader.read_image(
            str(self.directory), fakes.VOLUME, 'volume-u.a', 'qcow2'
        )
        self.assertEqual('volume-u', found.backing)
        image_tools.qemu_img(
            'check', '-q', '-f', 'qcow2', self.path('volume-u.a')
        )
