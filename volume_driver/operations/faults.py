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

"""The seam where tests kill, fail or delay an operation.

Every step of every operation passes here, before and after it; so do the two
moments that are no step: right after the journal was written (``after``,
None) and right before it is dropped (``before``, None). In production
:data:`hook` is None and nothing happens.
"""

from __future__ import annotations

import collections.abc

from volume_driver.planning import plan

Hook = collections.abc.Callable[[str, plan.Step | None], None]

hook: Hook | None = None


def reach(moment: str, step: plan.Step | None) -> None:
    """Tell whoever waits for it that an operation has come to a point.

    :param moment: ``before`` or ``after``
    :param step: the step, None for the journal
    """
    if hook is not None:
        hook(moment, step)
