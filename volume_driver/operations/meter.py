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

"""What operations tell of themselves to whoever counts them."""

from __future__ import annotations

import contextlib

from volume_driver import journal as journals


class Meter:
    """Counts nothing, which costs nothing."""

    def operation(
        self, journal: journals.Journal
    ) -> contextlib.AbstractContextManager[None]:
        """Count the operation that is carried out while this is entered."""
        return contextlib.nullcontext()

    def recovery(
        self, journal: journals.Journal
    ) -> contextlib.AbstractContextManager[None]:
        """Count likewise what finishes an operation that was cut off."""
        return contextlib.nullcontext()
