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

"""What operations count, if an option asks for it.

There is one meter, with figures of its own, for each driver, or for all the
drivers of a backend of Cinder. The library is imported only when it is needed.
"""

from __future__ import annotations

import os

from volume_driver import exception
from volume_driver import opts
from volume_driver.operations import meter as meters


def make(settings: opts.Settings) -> meters.Meter:
    """Return what counts, and shows it where the options say.

    :raises LibraryMissing: when prometheus_client is not installed
    :raises ConfigurationInvalid: when the file cannot be one of metrics
    """
    path = settings.metrics_file
    if not path and not settings.metrics_port:
        return meters.Meter()
    if path and not (os.path.isabs(path) and path.endswith('.prom')):
        # The collector would never look at it.
        raise exception.ConfigurationInvalid(
            option='metrics_file',
            found=path,
            expected='an absolute path that ends in .prom',
        )
    try:
        from volume_driver.operations import prometheus
    except ImportError as error:
        raise exception.LibraryMissing(
            option='metrics_file' if path else 'metrics_port',
            package='prometheus_client',
            reason=str(error),
        ) from error
    return prometheus.make(settings)
