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

"""Fuzzing of all that reads bytes which others wrote.

    python -m tests.fuzz [--seconds 60] [--seed N] [READER...]
    python -m tests.fuzz --input FILE READER

The first one lets libFuzzer, through atheris, make inputs from the seeds in
``corpus`` and ``tests/data``, led by what each reaches in the code. It ends
with 1 where an input leads to anything but a value or a typed error of ours,
and saves that input. The second one runs one input alone, without atheris.
"""
