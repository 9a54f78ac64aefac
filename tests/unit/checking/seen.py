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

"""Facts of volumes that are nowhere but here."""

from __future__ import annotations

import dataclasses
import typing

from volume_driver import info
from volume_driver.checking import facts
from volume_driver.checking import findings
from volume_driver.checking import judge
from volume_driver.images import header

VOLUME = 'volume-u'
SIZE = 1 << 20


def qcow2(
    name: str, backing: str | None = None, **fields: typing.Any
) -> facts.Image:
    """Return a qcow2 image; the format of its backing image is given."""
    writer = fields.pop('writer', False)
    named = fields.pop('backing_format', 'qcow2' if backing else None)
    found = header.Header(
        version=3,
        size=fields.pop('size', SIZE),
        cluster_size=65536,
        backing=backing,
        backing_format=named,
        **fields,
    )
    return facts.Image(name, SIZE, True, found, None, writer)


def raw(name: str = VOLUME, **fields: typing.Any) -> facts.Image:
    return facts.Image(name, SIZE, **fields)


def volume(snapshots: str = 'ab', **changed: typing.Any) -> facts.Facts:
    """Return a volume with nothing wrong, and then what is changed.

    ::

        volume-u  <-  volume-u.a  <-  volume-u.b^

    :param snapshots: one letter for each, the oldest first
    """
    found = {VOLUME: qcow2(VOLUME)}
    content = info.Info(VOLUME)
    for letter in snapshots:
        name = f'{VOLUME}.{letter}'
        found[name] = qcow2(name, content.active)
        content = content.with_snapshot(letter, name)
    made = facts.Facts(
        VOLUME,
        frozenset({*found, f'{VOLUME}.info', f'{VOLUME}.record'}),
        found,
        content,
        record='qcow2',
    )
    return dataclasses.replace(made, **changed)


def having(found: facts.Facts, *changed: facts.Image) -> facts.Facts:
    """Return a volume with some images instead, or besides."""
    all_of = {**found.images, **{image.name: image for image in changed}}
    return dataclasses.replace(
        found, images=all_of, names=found.names | all_of.keys()
    )


def without(found: facts.Facts, name: str) -> facts.Facts:
    """Return a volume without one of its images."""
    rest = {k: v for k, v in found.images.items() if k != name}
    return dataclasses.replace(found, images=rest, names=found.names - {name})


def told(found: facts.Facts) -> list[tuple[str, str]]:
    """Return kind and file of all findings, the worst first."""
    return [
        (each.kind, each.file) for each in findings.ordered(judge.judge(found))
    ]


def text(found: facts.Facts) -> str:
    """Return what is told, which is one finding."""
    (each,) = judge.judge(found)
    return each.text
