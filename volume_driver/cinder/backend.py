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

"""One core driver for each share of a backend, and which one a volume is on.

A volume's ``provider_location`` names its share; the pools that the scheduler
knows have the shares' names.
"""

from __future__ import annotations

import threading
import typing

from cinder.volume import volume_utils
from oslo_log import log

from volume_driver import driver as core_driver
from volume_driver import exception
from volume_driver import files
from volume_driver import opts
from volume_driver.cinder import keys
from volume_driver.cinder import locking
from volume_driver.cinder import records
from volume_driver.cinder import shares
from volume_driver.operations import metrics

LOG = log.getLogger(__name__)


class Backend:
    """The shares of a backend that are mounted, each with its driver.

    :param configuration: Cinder's, of the backend
    :param execute: how child processes are run
    """

    def __init__(self, configuration: typing.Any, execute: typing.Any) -> None:
        self._configuration = configuration
        self._execute = execute
        self.shares = shares.Shares(configuration)
        self.keys = keys.Keys()
        # One for all shares: the process has one port.
        self._meter = metrics.make(opts.Settings.read(configuration))
        self._drivers: dict[str, core_driver.Qcow2Driver] = {}
        # Two drivers of one directory would not know each other's locks.
        self._making = threading.Lock()

    def start(self) -> None:
        """Mount the shares, and finish what a crash left on them.

        Recovery may have a merge of hours to do again. It is waited for as
        long as option recovery_wait says and goes on by itself then.

        :raises ShareNotMounted: when none can be mounted
        """
        mounted = self.shares.mount_all()
        if not mounted:
            raise exception.ShareNotMounted(
                share=', '.join(self.shares.all) or '(none)',
                reason='not a single one is',
            )
        thread = threading.Thread(
            target=self._recover, args=(mounted,), daemon=True
        )
        thread.start()
        thread.join(self._configuration.recovery_wait)

    def _recover(self, mounted: list[str]) -> None:
        for address in mounted:
            try:
                self.on(address).do_setup(None)
            except exception.VolumeDriverError as error:
                LOG.error('%s', error)

    def mounted(self) -> list[str]:
        """Return the addresses of the shares that can be used now."""
        return self.shares.mount_all()

    def on(self, address: str) -> core_driver.Qcow2Driver:
        """Return the driver of a share, which is mounted by then.

        :raises ShareNotMounted: when it cannot be
        """
        self.shares.mount(address)
        with self._making:
            if address not in self._drivers:
                self._drivers[address] = self._make(address)
        return self._drivers[address]

    def _make(self, address: str) -> core_driver.Qcow2Driver:
        directory = self.shares.directory(address)
        return core_driver.Qcow2Driver(
            configuration=self._configuration,
            execute=self._execute,
            locks=locking.CinderLocks(address, directory),
            directory=directory,
            passphrase=self.keys,
            meter=self._meter,
        )

    def of(self, volume: typing.Any) -> core_driver.Qcow2Driver:
        """Return the driver of the share that a volume is on.

        A volume that Cinder's own driver made is one of ours from then on.

        :raises ShareNotMounted: when the share cannot be mounted
        """
        found = self.on(self.address(volume))
        self.keys.know(volume)
        records.adopt_volume(found, volume)
        return found

    def address(self, volume: typing.Any) -> str:
        """Return the share that a volume is on.

        :raises ShareNotMounted: when its record names none
        """
        if not volume.provider_location:
            raise exception.ShareNotMounted(
                share='(none)', reason=f'{volume.name} names none'
            )
        return str(volume.provider_location)

    def candidates(self, volume: typing.Any) -> list[str]:
        """Return the shares on which a volume may have files.

        One whose creation was cut off may have some, but names no share.
        """
        if volume.provider_location:
            return [str(volume.provider_location)]
        pool = volume_utils.extract_host(volume.host or '', level='pool')
        return [pool] if pool in self.shares.all else self.mounted()

    def choose(self, volume: typing.Any) -> str:
        """Return the share for a new volume: the pool that was scheduled.

        A pool of another name is one that Cinder's own driver had for all
        its shares; then it is the one with the most room.

        :raises ShareNotMounted: when there is none
        """
        pool = volume_utils.extract_host(volume.host or '', level='pool')
        if pool in self.shares.all:
            return str(pool)
        mounted = self.mounted()
        if not mounted:
            raise exception.ShareNotMounted(
                share=str(pool), reason='not a single one is'
            )
        return max(
            mounted,
            key=lambda each: files.available(self.shares.directory(each)),
        )
