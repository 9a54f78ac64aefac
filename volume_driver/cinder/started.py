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

"""What all parts of the driver share once it was started."""

from __future__ import annotations

from cinder import exception as cinder_exception

from volume_driver.cinder import backend


class Started:
    """A part of the driver.

    :ivar host: host@backend
    """

    _backend: backend.Backend | None = None
    host: str

    @property
    def backend(self) -> backend.Backend:
        """The shares; there from do_setup on.

        :raises DriverNotInitialized: before
        """
        if self._backend is None:
            raise cinder_exception.DriverNotInitialized()
        return self._backend
