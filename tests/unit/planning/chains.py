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

"""Chains to plan on."""

from __future__ import annotations

from volume_driver import chain
from volume_driver import info

VOLUME = 'volume-u'


def make(
    snapshots: str,
    base_format: str = 'qcow2',
    allocated: tuple[int, ...] = (),
    encrypted: bool = False,
) -> tuple[chain.Chain, info.Info]:
    """Return a chain and its ``.info``.

    :param snapshots: one letter for each, the oldest first
    :param allocated: bytes of each image, the base first
    """
    sizes = dict(enumerate(allocated))
    images = [
        chain.Image(
            VOLUME,
            base_format,
            1000,
            sizes.get(0, 100),
            encrypted=encrypted,
        )
    ]
    content = info.Info(VOLUME)
    for number, letter in enumerate(snapshots, 1):
        below = images[-1]
        name = f'{VOLUME}.{letter}'
        images.append(
            chain.Image(
                name,
                'qcow2',
                1000,
                sizes.get(number, 100),
                below.name,
                below.format,
                encrypted,
            )
        )
        content = content.with_snapshot(letter, name)
    return chain.Chain(tuple(images)), content
