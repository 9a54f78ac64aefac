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

"""The shares that volumes are on: found, mounted, and where they are.

A share is written ``host:/path``, and stands so in a volume's
``provider_location``. It is mounted by os-brick, below a common directory
under a name that Nova and os-brick make of it in the same way.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing

from cinder import utils
from os_brick import exception as brick_exception
from os_brick.remotefs import remotefs as brick
from oslo_concurrency import processutils
from oslo_log import log

from volume_driver import exception

LOG = log.getLogger(__name__)

_ADDRESS = re.compile(r'.+:/.+')
# The kernel's client of CephFS goes by another name; os-brick has none.
_MOUNT_TYPES = {'cephfs': 'ceph'}
_DEFAULT_NFS_SHARES = '/etc/cinder/nfs_shares'


@dataclasses.dataclass(frozen=True)
class Share:
    """One share.

    :param address: ``host:/path``
    :param options: to mount it with, as mount takes them: ``-o ro``
    :param common: they are those of the backend, which os-brick knows
    """

    address: str
    options: str | None = None
    common: bool = False

    @property
    def path(self) -> str:
        """The part behind the host."""
        return self.address[self.address.index(':/') + 1 :]


class Shares:
    """The shares of one backend.

    :param configuration: Cinder's, of the backend
    :raises ConfigurationInvalid: when none can be read from it
    """

    def __init__(self, configuration: typing.Any) -> None:
        self._configuration = configuration
        self.kind = _kind(configuration)
        self.base = os.path.realpath(configuration.nfs_mount_point_base)
        self.all = {each.address: each for each in self._read()}
        self._client = None if self.kind == 'local' else self._make_client()

    def mount(self, address: str) -> None:
        """Mount a share if it is not; nothing else may be done before.

        :raises ShareNotMounted: when it cannot be
        """
        if self._client is None:
            if not os.path.isdir(self.directory(address)):
                raise exception.ShareNotMounted(
                    share=address, reason='its directory is not there'
                )
            return
        share = self.all.get(address)
        flags = None
        if share and share.options and not share.common:
            flags = share.options.split()
        try:
            self._client.mount(address, flags)
        except (
            brick_exception.BrickException,
            processutils.ProcessExecutionError,
            OSError,
        ) as error:
            raise exception.ShareNotMounted(
                share=address, reason=str(error)
            ) from error

    def mount_all(self) -> list[str]:
        """Mount all shares; return those that could be mounted."""
        mounted = []
        for address in self.all:
            try:
                self.mount(address)
            except exception.ShareNotMounted as error:
                LOG.error('%s', error)
            else:
                mounted.append(address)
        return mounted

    def directory(self, address: str) -> str:
        """Return where the volumes of a share are on this host."""
        if self._client is None:
            return Share(address).path
        return str(self._client.get_mount_point(address))

    def _read(self) -> list[Share]:
        conf = self._configuration
        if conf.nas_host and conf.nas_share_path:
            share = _share(f'{conf.nas_host}:{conf.nas_share_path}')
            if not conf.nas_mount_options:
                return [share]
            options = f'-o {conf.nas_mount_options}'
            return [Share(share.address, options, common=True)]
        path = _shares_file(conf)
        if path is not None:
            return _read_file(path)
        return [_share(f'localhost:{os.path.abspath(conf.volume_files_dir)}')]

    def _make_client(self) -> typing.Any:
        conf = self._configuration
        kind = 'glusterfs' if self.kind in _MOUNT_TYPES else self.kind
        client = brick.RemoteFsClient(
            kind,
            utils.get_root_helper(),
            **{
                f'{kind}_mount_point_base': self.base,
                f'{kind}_mount_options': conf.nas_mount_options
                or conf.nfs_mount_options,
            },
        )
        client._mount_type = _MOUNT_TYPES.get(self.kind, kind)
        return client


def _kind(conf: typing.Any) -> str:
    if conf.share_type != 'auto':
        return str(conf.share_type)
    named = conf.nas_host and conf.nas_share_path
    return 'nfs' if named or _shares_file(conf) else 'local'


def _shares_file(conf: typing.Any) -> str | None:
    """Return the file of shares; the default one only if it is there."""
    if conf.shares_config:
        return str(conf.shares_config)
    path = conf.nfs_shares_config
    if path and (path != _DEFAULT_NFS_SHARES or os.path.exists(path)):
        return str(path)
    return None


def _read_file(path: str) -> list[Share]:
    """Read a file of shares as Cinder's NFS driver does."""
    try:
        with open(path) as stream:
            lines = [line.strip() for line in stream]
    except OSError as error:
        raise exception.ConfigurationInvalid(
            option='shares_config',
            found=path,
            expected=f'a file that can be read ({error.strerror})',
        ) from error
    shares = []
    for line in lines:
        if line and not line.startswith('#'):
            address, _, options = line.partition(' ')
            # A space in a path is written as in /etc/fstab.
            address = address.replace('\\040', ' ')
            shares.append(_share(address, options.strip() or None))
    return shares


def _share(address: str, options: str | None = None) -> Share:
    if not _ADDRESS.fullmatch(address):
        raise exception.ConfigurationInvalid(
            option='shares_config', found=address, expected='host:/path'
        )
    return Share(address, options)
