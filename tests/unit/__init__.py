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

"""The unit tests.

Hypothesis tries the same examples in each run and writes nothing down: a gate
that fails does so again. ``HYPOTHESIS_PROFILE=search`` looks for new ones.
"""

import os

import hypothesis

hypothesis.settings.register_profile(
    'gate', derandomize=True, database=None, deadline=None
)
hypothesis.settings.register_profile(
    'search', database=None, deadline=None, max_examples=20000
)
# What it caches goes where git does not look.
os.environ.setdefault('HYPOTHESIS_STORAGE_DIRECTORY', '.cache/hypothesis')
hypothesis.settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'gate'))
