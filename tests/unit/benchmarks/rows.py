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

"""Rows with made-up samples."""

from __future__ import annotations

from benchmarks import results

MIB = 1 << 20


def row(
    group: str,
    name: str = 'a row',
    facts: dict[str, float] | None = None,
    measure: str = results.SECONDS,
    **medians: float,
) -> results.Row:
    """Make a row with one sample of one measure for each contestant.

    :param medians: by ``ours``, ``upstream``, ``bare`` and ``raw``
    """
    names = {
        'ours': results.OURS,
        'upstream': results.UPSTREAM,
        'bare': results.BARE,
        'raw': results.RAW,
    }
    samples = {
        names[key]: [results.Sample({measure: value})]
        for key, value in medians.items()
    }
    return results.Row(group, name, facts or {}, samples)
