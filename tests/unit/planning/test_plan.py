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

import dataclasses
import json
import typing

import ddt
import hypothesis
from hypothesis import strategies

from tests import base
from volume_driver.planning import plan

STEPS: tuple[plan.Step, ...] = (
    plan.CreateOverlay('v.a', 'v', 'raw', 1000),
    plan.Switch('v.a', 'v', 'raw'),
    plan.Commit('v.b', 'v.a', None),
    plan.Commit('v.b', 'v.a', 'v.c'),
    plan.Pull('v.b', 'v.a', 'qcow2', 'v', 'raw'),
    plan.Pull('v.a', 'v', 'raw', None, None),
    plan.Point('v.c', 'v.a', 'qcow2'),
    plan.StartFrom('v.a', 'qcow2'),
    plan.Record({'active': 'v.a', 'a': 'v.a'}),
    plan.Remove('v.b'),
    plan.Empty('v.b', 'v.a', 'qcow2', 1000),
    plan.Replace('v', 'v.export-image', 'raw', 'qcow2'),
    plan.Resize('v', 'raw', 2000),
    plan.CommitInPlace('v.b', 'v', None, 'raw', 1000),
    plan.Remember('v'),
)

_texts = strategies.text(max_size=8)
_fields = {
    'str': _texts,
    'str | None': strategies.none() | _texts,
    'int': strategies.integers(0, 1 << 63),
    'dict[str, str]': strategies.dictionaries(_texts, _texts).map(
        lambda found: {'active': 'v', **found}
    ),
}
_steps = strategies.one_of(
    *(
        strategies.builds(
            kind,
            **{
                field.name: _fields[str(field.type)]
                for field in dataclasses.fields(kind)
            },
        )
        for kind in typing.get_args(plan.Step)
    )
)
_plans = strategies.builds(
    plan.Plan,
    operation=_texts,
    volume=_texts,
    steps=strategies.lists(_steps, max_size=6).map(tuple),
    way=_texts,
    reason=_texts,
    cost=strategies.integers(0),
)


@ddt.ddt
class StepTest(base.TestCase):
    def test_every_kind_of_step_is_among_the_samples(self) -> None:
        self.assertEqual(
            set(typing.get_args(plan.Step)), {type(step) for step in STEPS}
        )

    @ddt.data(*STEPS)
    def test_text_names_the_image(self, step: plan.Step) -> None:
        self.assertRegex(str(step), r'\bv\b')

    @ddt.data(*STEPS)
    def test_docstring_says_when_it_is_done(self, step: plan.Step) -> None:
        text = (type(step).__doc__ or '').lower()
        self.assertIn('done', text)

    @ddt.data(*STEPS)
    def test_steps_cannot_be_changed(self, step: plan.Step) -> None:
        self.assertRaises(
            dataclasses.FrozenInstanceError,
            setattr,
            step,
            dataclasses.fields(step)[0].name,
            'x',
        )

    def test_texts(self) -> None:
        self.assertEqual('commit v.b into v.a', str(STEPS[2]))
        self.assertEqual('pull v.a into v.b', str(STEPS[4]))
        self.assertEqual('grow v to 2000 bytes', str(STEPS[-3]))


@ddt.ddt
class PlanTest(base.TestCase):
    PLAN = plan.Plan(
        'delete snapshot b', 'v', STEPS, 'commit', 'it is cheaper', 7
    )

    def test_json_round_trip_of_every_step(self) -> None:
        text = json.dumps(self.PLAN.as_dict())
        self.assertEqual(self.PLAN, plan.Plan.from_dict(json.loads(text)))

    @hypothesis.given(_plans)
    def test_json_round_trip_of_any_plan(self, content: plan.Plan) -> None:
        text = json.dumps(content.as_dict())
        self.assertEqual(content, plan.Plan.from_dict(json.loads(text)))

    @hypothesis.given(_plans)
    def test_any_plan_prints_itself(self, content: plan.Plan) -> None:
        self.assertIn(content.operation, str(content))

    def test_steps_are_named_in_json(self) -> None:
        found = typing.cast(
            list[dict[str, object]], self.PLAN.as_dict()['steps']
        )
        self.assertEqual(
            {'step': 'Commit', 'top': 'v.b', 'base': 'v.a', 'above': None},
            found[2],
        )

    def test_text_numbers_the_steps(self) -> None:
        content = plan.Plan('revert', 'v', (STEPS[9], STEPS[7]))
        self.assertEqual(
            'revert of v\n  1. remove v.b\n  2. let a guest start from v.a',
            str(content),
        )

    def test_text_gives_way_and_reason(self) -> None:
        self.assertIn('\n  way: commit (it is cheaper)\n', str(self.PLAN))

    @ddt.data(
        ('create snapshot a', 'create snapshot', 'a'),
        ('delete snapshot a', 'delete snapshot', 'a'),
        ('delete snapshots a, b', 'delete snapshot', 'a, b'),
        ('revert to snapshot a', 'revert to snapshot', 'a'),
        ('rename snapshot a to b', 'rename snapshot', 'a to b'),
        ('extend volume', 'extend volume', ''),
    )
    @ddt.unpack
    def test_kind_and_ids(self, text: str, kind: str, ids: str) -> None:
        content = plan.Plan(text, 'v', ())
        self.assertEqual(kind, content.kind)
        self.assertEqual(ids, content.snapshots)

    def test_depth_is_what_info_will_have(self) -> None:
        self.assertEqual(2, self.PLAN.depth)
        self.assertIsNone(plan.Plan('delete volume', 'v', ()).depth)
        forgotten = plan.Plan('delete snapshot a', 'v', STEPS, 'none')
        self.assertIsNone(forgotten.depth)

    @ddt.data(
        None,
        {},
        [],
        'text',
        {'steps': None},
        {'steps': [None]},
        {'steps': ['text']},
        {'steps': [{}]},
        {'steps': [{'step': 'Explode'}]},
        {'steps': [{'step': ['Remove']}]},
        {'steps': [{'step': 'Remove'}]},
        {'steps': [{'step': 'Remove', 'name': 'v', 'force': True}]},
        {'steps': []},
        {'steps': [], 'operation': 'x', 'volume': 'v', 'extra': 1},
    )
    def test_anything_else_is_no_plan(self, found: typing.Any) -> None:
        try:
            plan.Plan.from_dict(found)
        except (KeyError, TypeError, ValueError):
            return
        self.fail('it was taken for a plan')
