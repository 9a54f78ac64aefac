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

import io
import typing

import fixtures

from tests import base
from volume_driver.cli import tree

KIB = 1 << 10
GIB = 1 << 30


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def image(name: str, **values: typing.Any) -> dict[str, typing.Any]:
    return {
        'name': name,
        'format': 'qcow2',
        'size_bytes': GIB,
        'allocated_bytes': 196 * KIB,
        'backing': None,
        'snapshot': None,
        'active': False,
        **values,
    }


def facts(**values: typing.Any) -> dict[str, typing.Any]:
    return {
        'volume': 'volume-u',
        'size_bytes': GIB,
        'allocated_bytes': 392 * KIB,
        'active': 'volume-u.a',
        'guest': None,
        'unfinished': None,
        'images': [
            image('volume-u', snapshot='a'),
            image('volume-u.a', active=True, backing='volume-u'),
        ],
        **values,
    }


class WriteTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ('FORCE_COLOR', 'TTY_COMPATIBLE', 'NO_COLOR'):
            self.useFixture(fixtures.EnvironmentVariable(name))
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))

    def written(
        self, stream: io.StringIO | None = None, **values: typing.Any
    ) -> str:
        stream = stream or io.StringIO()
        tree.write(facts(**values), stream)
        return stream.getvalue()

    def test_a_pipe_gets_plain_ascii(self) -> None:
        self.assertEqual(
            """\
volume-u: 1 GiB, 392 KiB allocated
guest: none
+-- volume-u
|   qcow2, 1 GiB, 196 KiB allocated, data of snapshot a
`-- volume-u.a (active)
    qcow2, 1 GiB, 196 KiB allocated
""",
            self.written(),
        )

    def test_a_terminal_gets_colours_and_lines(self) -> None:
        text = self.written(Terminal())
        self.assertIn('\x1b[', text)
        self.assertIn('└── ', text)

    def test_a_terminal_that_wants_no_colours_gets_none(self) -> None:
        self.useFixture(fixtures.EnvironmentVariable('NO_COLOR', '1'))
        self.assertNotIn('\x1b[3', self.written(Terminal()))

    def test_guest_is_named(self) -> None:
        self.assertIn(
            '\nguest: demo (running)\n', self.written(guest='demo (running)')
        )

    def test_holders_are_named(self) -> None:
        held = {'pid': 7, 'program': 'qemu', 'image': 'volume-u.a'}
        text = self.written(
            holders=[{**held, 'writes': True}, {**held, 'writes': False}]
        )
        self.assertIn(
            '\nheld by: qemu (process 7), which writes to volume-u.a\n'
            'held by: qemu (process 7), which reads volume-u.a\n',
            text,
        )

    def test_unfinished_operation_is_named(self) -> None:
        self.assertNotIn('unfinished', self.written())
        text = self.written(unfinished='delete snapshot a by host:7')
        self.assertIn('\nunfinished: delete snapshot a by host:7\n', text)

    def test_long_names_are_not_broken(self) -> None:
        name = 'volume-' + 'u' * 120 + '.' + 's' * 120
        for stream in (io.StringIO(), Terminal()):
            text = self.written(stream, images=[image(name)])
            self.assertIn(name, text)

    def test_all_of_a_deep_chain_is_equally_wide(self) -> None:
        images = [image(f'volume-u.{n:03}') for n in range(100)]
        lines = self.written(images=images).splitlines()
        names = [line for line in lines if 'volume-u.' in line]
        self.assertEqual(100, len(names))
        self.assertEqual({len('+-- volume-u.000')}, set(map(len, names)))
        self.assertTrue(names[0].endswith('.000'), names[0])

    def test_names_are_no_markup(self) -> None:
        text = self.written(guest='[red]demo[/red] :smile:')
        self.assertIn('guest: [red]demo[/red] :smile:\n', text)

    def test_only_what_was_asked_for_is_drawn(self) -> None:
        stream = io.StringIO()
        tree.write({'volume': 'volume-u', 'size_bytes': GIB}, stream)
        self.assertEqual('volume-u: 1 GiB\n', stream.getvalue())


class HumanTest(base.TestCase):
    def test_units(self) -> None:
        for size, expected in (
            (0, '0 B'),
            (1023, '1023 B'),
            (KIB, '1 KiB'),
            (1536, '1.5 KiB'),
            (200704, '196 KiB'),
            (GIB, '1 GiB'),
            (1023 * GIB, '1023 GiB'),
            (5 << 40, '5 TiB'),
            (2000 << 50, '2000 PiB'),
        ):
            self.assertEqual(expected, tree.human(size))
