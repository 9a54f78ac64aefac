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

"""How much is measured: all of it, or little, to try things out."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    :ivar rounds: of offline work with almost no data
    :ivar data_rounds: of deletions with data
    :ivar live_rounds: of work under a guest
    :ivar data: MiB in the snapshot, and in the image on top of it
    :ivar base: MiB in the base of a volume with a guest
    :ivar changed: MiB that were written since
    :ivar at_once: volumes that are worked on at once
    :ivar repeats: snapshots of each of them
    :ivar volumes: how many are very many
    """

    rounds: int = 9
    data_rounds: int = 3
    live_rounds: int = 5
    create_depths: tuple[int, ...] = (1, 10, 50, 100)
    delete_depths: tuple[int, ...] = (10, 20, 50)
    data: tuple[tuple[int, int], ...] = ((1000, 50), (50, 1000), (500, 500))
    base: int = 1024
    changed: int = 16
    at_once: tuple[int, ...] = (1, 2, 4, 8)
    repeats: int = 5
    volumes: int = 10_000


FULL = Sizes()
QUICK = Sizes(
    rounds=2,
    data_rounds=2,
    live_rounds=1,
    create_depths=(1, 20),
    delete_depths=(20,),
    data=((64, 16), (16, 64)),
    base=512,
    at_once=(1, 2),
    repeats=1,
    volumes=500,
)
