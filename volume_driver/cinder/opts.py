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

"""The options of the driver inside Cinder, in the backend's own section.

Beside ours there are those of Cinder's NFS driver that say where the shares
are, spelled as there: a deployment of that driver needs no other ones.
"""

from __future__ import annotations

from oslo_config import cfg

from volume_driver import opts

KINDS = ('local', 'nfs', 'glusterfs', 'cephfs', 'quobyte')

ADAPTER_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'share_type',
        default='auto',
        choices=['auto', *KINDS],
        help='What kind of filesystem the volumes are on, and who mounts it. '
        'Shares of kind "local" are directories that are there already: '
        'volume_files_dir, or the paths that shares_config names. Shares of '
        'any other kind are mounted below nfs_mount_point_base. "auto" is '
        '"nfs" where nas_host and nas_share_path, or a file of shares, are '
        'configured, and "local" elsewhere.',
    ),
    cfg.StrOpt(
        'shares_config',
        help='File with one share in each line, host:/path, with mount '
        'options behind it. None is the file that nfs_shares_config names.',
    ),
    cfg.IntOpt(
        'recovery_wait',
        default=30,
        min=0,
        help='Seconds that the start of the service waits for operations to '
        'be finished that a crash cut off. What takes longer goes on in the '
        'background, and only the volume that it is about waits for it.',
    ),
]


def driver_opts() -> list[cfg.Opt]:
    """Return all options of our own."""
    return [*opts.backend_opts(), *ADAPTER_OPTS]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Entry point for oslo-config-generator: Cinder's common section."""
    return [('backend_defaults', driver_opts())]
