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

"""A tenant's day: ``python -m examples.cloud``, below the tests' daemons.

A small, real Cinder with this driver, a real guest in the place of a server,
and the openstack client. Each command is printed with its result, and after
each one that matters all data is compared bit for bit. With ``--stay`` the
cloud stays up until it is interrupted, and what to export is printed.
"""

from __future__ import annotations

import argparse
import collections.abc
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import typing

from tests.fixtures.cloud import auth
from tests.fixtures.cloud import checked
from tests.fixtures.cloud import compute
from tests.fixtures.cloud import configuration
from tests.fixtures.cloud import services

_MIB = 1 << 20
_MICROVERSION = '3.70'


class Tenant:
    """Somebody with the openstack client, who shows what he does.

    :ivar differences: what was found that should not be, in words
    """

    def __init__(self, cinder: services.CinderServices) -> None:
        self.cinder = cinder
        self.client = cinder.tenant()
        token = auth.token(
            self.client.project, self.client.user, self.client.roles
        )
        self.exports = {
            'OS_AUTH_TYPE': 'admin_token',
            'OS_ENDPOINT': f'{cinder.url}/v3/{self.client.project}',
            'OS_TOKEN': token,
            'OS_VOLUME_API_VERSION': _MICROVERSION,
        }
        self.differences: list[str] = []

    def run(self, command: str) -> str:
        """Run a command of the client; return what it printed."""
        print(f'$ openstack {command}', flush=True)
        program = pathlib.Path(sys.executable).parent / 'openstack'
        result = subprocess.run(
            [program, *shlex.split(command)],
            env={**os.environ, **self.exports},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise SystemExit(f'openstack {command}: {result.stderr}')
        print(result.stdout, end='', flush=True)
        return result.stdout.strip()

    def create(self, what: str, arguments: str) -> str:
        """Create something and wait for it; return its id."""
        made = self.run(f'{what} create -f value -c id {arguments}')
        return self.wait(what, made)

    def wait(self, what: str, found: str) -> str:
        """Wait until something is available, or in use; return its id."""
        self.client.wait_status(self._get(what, found), 'available', 'in-use')
        return found

    def delete(self, what: str, found: str) -> None:
        """Delete something and wait until it is gone."""
        resource = self._get(what, found)
        self.run(f'{what} delete {found}')
        self.client.wait_gone(resource)

    def _get(self, what: str, found: str) -> typing.Any:
        api = self.client.api
        manager = api.volumes if what == 'volume' else api.volume_snapshots
        return manager.get(found)

    def volume(
        self, found: str, like: checked.CheckedVolume | None = None
    ) -> checked.CheckedVolume:
        """Return a volume with a model, like that of another one."""
        return checked.CheckedVolume(
            self.client,
            self.cinder.share(),
            self.client.api.volumes.get(found),
            like.model.active if like else None,
        )

    def check(self, *volumes: checked.CheckedVolume) -> None:
        """Compare volumes with what they have to be, and say so."""
        found = [each for volume in volumes for each in volume.differences()]
        print(f'# data: {"; ".join(found) or "every bit is right"}\n')
        self.differences += found


def play(tenant: Tenant, host: compute.ComputeHost) -> None:
    """Play the day."""
    volume = tenant.volume(tenant.create('volume', '--size 1 disk'))
    print('# a server starts on it and writes')
    volume.boot(host)
    volume.write(0, 8 * _MIB, 0x11)
    tenant.run(f'volume show -f yaml -c status -c size {volume.volume.id}')
    snapshots = []
    for number in range(3):
        made = tenant.create(
            'volume snapshot', f'--force --volume disk snap-{number}'
        )
        volume.model.snapshots[made] = volume.model.active.copy()
        snapshots.append(made)
        print('# the server writes')
        volume.write(number * 4 * _MIB, 2 * _MIB, 0x20 + number)
    tenant.check(volume)
    for made in (snapshots[1], snapshots[0]):
        tenant.delete('volume snapshot', made)
        del volume.model.snapshots[made]
        tenant.check(volume)
    clone = tenant.volume(
        tenant.create('volume', '--size 2 --source disk clone'), volume
    )
    tenant.check(volume, clone)
    tenant.run('volume snapshot list -c Name -c Status -c Size')
    print('# the server is deleted')
    volume.delete_server()
    tenant.run('volume set --size 3 clone')
    tenant.wait('volume', clone.volume.id)
    clone.model.active.size = 3 * checked.GIB
    tenant.check(clone)
    tenant.run('volume revert snap-2')
    tenant.wait('volume', volume.volume.id)
    view = volume.model.snapshots[snapshots[2]]
    volume.model.active = view.copy()
    tenant.check(volume)
    tenant.delete('volume snapshot', snapshots[2])
    del volume.model.snapshots[snapshots[2]]
    tenant.check(volume)


def main(arguments: collections.abc.Sequence[str]) -> int:
    """Bring the cloud up, play, and end it.

    :returns: 0, or 1 when any data was not right
    """
    parser = argparse.ArgumentParser(
        prog='python -m examples.cloud', description=__doc__
    )
    parser.add_argument(
        '--stay',
        action='store_true',
        help='leave the cloud up afterwards, until Ctrl-C',
    )
    options = parser.parse_args(arguments)
    cinder = services.CinderServices([configuration.qcow2()])
    with cinder, compute.ComputeHost() as host:
        tenant = Tenant(cinder)
        play(tenant, host)
        print(f'{len(tenant.differences)} differences')
        if options.stay:
            _stay(tenant)
    return 1 if tenant.differences else 0


def _stay(tenant: Tenant) -> None:
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    print('\nThe cloud stays up; in another terminal:\n')
    for name, value in tenant.exports.items():
        print(f'export {name}={shlex.quote(value)}')
    print('\nCtrl-C ends it.', flush=True)
    signal.sigwait(ends)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
