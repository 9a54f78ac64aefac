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

"""Loads the hypervisor plugin that is configured."""

from __future__ import annotations

import typing

from stevedore import driver as stevedore_driver
from stevedore import exception as stevedore_exception

from volume_driver import exception
from volume_driver import opts
from volume_driver.hypervisors import base as hypervisor


def load_hypervisor(settings: opts.Settings) -> hypervisor.Hypervisor:
    """Make the plugin that option ``hypervisor`` names.

    :raises PluginMissing: when it cannot be loaded
    """
    try:
        manager: typing.Any = stevedore_driver.DriverManager(
            'volume_driver.hypervisors',
            settings.hypervisor,
            invoke_on_load=True,
            invoke_args=(settings,),
            warn_on_missing_entrypoint=False,
        )
    except (stevedore_exception.NoMatches, RuntimeError) as error:
        raise exception.PluginMissing(
            name=settings.hypervisor, reason=str(error)
        ) from error
    return typing.cast(hypervisor.Hypervisor, manager.driver)
