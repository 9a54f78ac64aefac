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

import ast
import collections.abc
import copy
import pathlib
import pickle
import re
import string

import ddt

from tests import base
import volume_driver
from volume_driver import exception
from volume_driver.executors import base as executors
from volume_driver.planning import plan

_BASES = (exception.VolumeDriverError, exception.Refused)

# How a message tells its reader what to do, or what will be done for them.
_ADVICE = re.compile(
    r'\b(ask|attach|bring|call again|check|compare|correct|delete|detached|'
    r'find|free|goes on|inspect|install|let|look|mend|move|must|next call|'
    r'nothing was done|only|restore|set|start|try again|wait)\b',
    re.IGNORECASE,
)


def _family(
    parent: type[exception.VolumeDriverError],
) -> collections.abc.Iterator[type[exception.VolumeDriverError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _family(child)


# CannotUndo stands beside what raises it and makes its facts itself.
ERRORS = [
    error
    for error in _family(exception.VolumeDriverError)
    if error.__module__ == exception.__name__ and error not in _BASES
]


def _fields(error: type[exception.VolumeDriverError]) -> set[str]:
    parsed = string.Formatter().parse(error.template)
    return {field for _, field, _, _ in parsed if field}


def _make(
    error: type[exception.VolumeDriverError],
) -> exception.VolumeDriverError:
    return error(**{name: f'<{name}>' for name in _fields(error)})


@ddt.ddt
class MessageTest(base.TestCase):
    @ddt.data(*ERRORS)
    def test_message_has_all_facts(
        self, error: type[exception.VolumeDriverError]
    ) -> None:
        text = str(_make(error))
        for name in _fields(error):
            self.assertIn(f'<{name}>', text)

    @ddt.data(*ERRORS)
    def test_message_says_what_to_do(
        self, error: type[exception.VolumeDriverError]
    ) -> None:
        sentences = re.split(r'[.;]\s', str(_make(error)))
        advice = sentences[-1] if len(sentences) < 3 else sentences[-2:]
        self.assertRegex(str(advice), _ADVICE)

    @ddt.data(*ERRORS)
    def test_message_is_whole_sentences(
        self, error: type[exception.VolumeDriverError]
    ) -> None:
        text = str(_make(error))
        self.assertTrue(text.endswith('.'), text)
        self.assertNotIn('  ', text)

    @ddt.data(*ERRORS)
    def test_facts_are_attributes(
        self, error: type[exception.VolumeDriverError]
    ) -> None:
        made = _make(error)
        for name in _fields(error):
            self.assertEqual(f'<{name}>', getattr(made, name))

    @ddt.data(*ERRORS)
    def test_copy_and_pickle_keep_the_facts(
        self, error: type[exception.VolumeDriverError]
    ) -> None:
        made = _make(error)
        for twin in (copy.copy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301
            self.assertIs(error, type(twin))
            self.assertEqual(made.facts, twin.facts)
            self.assertEqual(str(made), str(twin))

    def test_other_attributes_are_missing(self) -> None:
        made = exception.VolumeNotFound(volume='v', directory='d')
        self.assertRaises(AttributeError, getattr, made, 'path')
        self.assertFalse(hasattr(made, 'snapshot'))

    def test_facts_need_not_be_text(self) -> None:
        made = exception.InvalidSize(volume='v', wanted=1, minimum=2)
        self.assertEqual(2, made.minimum)
        self.assertIn('at least 2 bytes', str(made))

    def test_cannot_undo_names_the_step(self) -> None:
        made = executors.CannotUndo(plan.Remove('volume-u.a'))
        twin = pickle.loads(pickle.dumps(made))  # noqa: S301
        self.assertIn('"remove volume-u.a"', str(made))
        self.assertEqual(str(made), str(twin))
        self.assertNotIsInstance(made, exception.Refused)


class RaisedTest(base.TestCase):
    """All places that make an error, read from the source."""

    def calls(
        self,
    ) -> collections.abc.Iterator[tuple[str, str, set[str | None]]]:
        root = pathlib.Path(volume_driver.__file__).parent
        for path in sorted(root.rglob('*.py')):
            tree = ast.parse(path.read_text(encoding='utf-8'))
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == 'exception'
                ):
                    where = f'{path.relative_to(root)}:{node.lineno}'
                    # None stands for **words, which only running shows.
                    facts = {keyword.arg for keyword in node.keywords}
                    yield where, node.func.attr, facts

    def test_each_gets_the_facts_of_its_message(self) -> None:
        seen = 0
        for where, name, facts in self.calls():
            error = getattr(exception, name)
            if None not in facts:
                self.assertEqual(_fields(error), facts, f'{name} at {where}')
            seen += 1
        self.assertGreater(seen, 40)
