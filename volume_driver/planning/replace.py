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

"""Plans that a file takes the place of a volume's base."""

from __future__ import annotations

from volume_driver import chain
from volume_driver.planning import plan


def plan_replace(
    volume: str, given: chain.Image, base: chain.Image
) -> plan.Plan:
    """Plan that a flat file becomes the base of a volume without snapshots.

    :param given: the file, of the base's size
    """
    step = plan.Replace(base.name, given.name, given.format, base.format)
    return plan.Plan('replace data', volume, (step,))
