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

"""What keeps the benchmark from measuring; each message says what to do."""

from __future__ import annotations


class BenchmarkError(Exception):
    """Something could not be measured."""


class PartMissing(BenchmarkError):
    """A program or a package that is needed is not there."""


class GuestSilent(BenchmarkError):
    """A guest did not write as it should, so there is no gap to measure."""


class WorkFailed(BenchmarkError):
    """What was to be measured failed."""
