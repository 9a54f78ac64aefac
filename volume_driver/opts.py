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

"""The options, and their values as the rest of the driver sees them."""

from __future__ import annotations

import dataclasses
import os
import typing

from oslo_config import cfg

from volume_driver import exception

GROUP = 'volume_driver'

_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'volume_files_dir',
        default='/var/lib/volume-driver/volumes',
        help='Directory of the volumes. It may be on a local or on a shared '
        'filesystem and must be writable by this service.',
    ),
    cfg.StrOpt(
        'volume_format',
        default='qcow2',
        choices=['qcow2', 'raw'],
        help='Format of the base image of new volumes. Overlays are always '
        'qcow2.',
    ),
    cfg.StrOpt(
        'hypervisor',
        default='libvirt',
        help='Plugin (entry points volume_driver.hypervisors) that finds '
        'running guests and switches and merges their disks. "none" '
        'never finds one.',
    ),
    cfg.StrOpt(
        'libvirt_uri',
        default='qemu:///system',
        help='Where the guests are. %(host)s is replaced by the host that '
        'the attachment names, for example qemu+tls://%(host)s/system.',
    ),
    cfg.StrOpt(
        'merge_direction',
        default='auto',
        choices=['auto', 'commit', 'pull'],
        help='How a snapshot is deleted: by a commit of its overlay into '
        'the image below, by a pull of the image below into its '
        'overlay, or (auto) by whichever copies fewer bytes.',
    ),
    cfg.BoolOpt(
        'keep_active_name',
        default=False,
        help='Let the active image of a volume that is attached keep its '
        'name when a snapshot is deleted, for where something else than '
        'libvirt keeps that name and would start a guest from it. What '
        'would end on the image below ends on an empty overlay then. The '
        'plugin nova does so always.',
    ),
    cfg.IntOpt(
        'merge_bandwidth',
        default=0,
        min=0,
        help='Upper limit of the speed of a merge in MiB/s; 0 is no limit.',
    ),
    cfg.StrOpt(
        'quiesce',
        default='auto',
        choices=['auto', 'require', 'never'],
        help="Freeze the guest's filesystems through its agent while a live "
        'snapshot is taken: when there is an agent (auto), always, or '
        'fail (require), or never.',
    ),
    cfg.IntOpt(
        'convergence_timeout',
        default=60,
        min=1,
        help='Seconds that the merge of the active image of a running guest '
        'may take to catch up with what the guest writes. After that '
        "the guest's writes to the disk are limited, and after as long "
        'again the guest is suspended, for longest_pause at most.',
    ),
    cfg.IntOpt(
        'longest_pause',
        default=10,
        min=1,
        help='Seconds that a guest is suspended at most for a merge to catch '
        'up; a merge that has not by then is given up for this time.',
    ),
    cfg.IntOpt(
        'max_chain_depth',
        default=100,
        min=1,
        help='A volume with this many images gets no further snapshot. From '
        'three quarters of it on each new one is logged as a warning.',
    ),
    cfg.StrOpt(
        'metrics_file',
        default='',
        help='File in which metrics are kept for the textfile collector of '
        "Prometheus's node exporter: an absolute path that ends in .prom, or "
        'empty for none. All processes of a host share one file; each adds '
        'to it what it counted, after each operation.',
    ),
    cfg.PortOpt(
        'metrics_port',
        default=0,
        help='Port on which Prometheus can read the metrics of this process; '
        '0 is none. Each backend of a host needs one of its own.',
    ),
    cfg.StrOpt(
        'metrics_address',
        default='127.0.0.1',
        help='Address to listen on at metrics_port. Whoever reaches it can '
        'read the metrics; they name no volumes.',
    ),
]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options' values, read once when the driver is made."""

    volume_files_dir: str = '/var/lib/volume-driver/volumes'
    volume_format: str = 'qcow2'
    hypervisor: str = 'libvirt'
    libvirt_uri: str = 'qemu:///system'
    merge_direction: str = 'auto'
    keep_active_name: bool = False
    merge_bandwidth: int = 0
    quiesce: str = 'auto'
    convergence_timeout: int = 60
    longest_pause: int = 10
    max_chain_depth: int = 100
    metrics_file: str = ''
    metrics_port: int = 0
    metrics_address: str = '127.0.0.1'

    @classmethod
    def read(cls, configuration: object) -> Settings:
        """Take the values from a configuration.

        :param configuration: a group of oslo.config, Cinder's own
            ``Configuration``, or anything with the options as attributes;
            an option that it does not have keeps its default.
        :raises ConfigurationInvalid: when a value is none that it may have
        """
        append = getattr(configuration, 'append_config_values', None)
        if append is not None:
            append(_OPTS)
        found = {
            opt.dest: _checked(opt, getattr(configuration, opt.dest))
            for opt in _OPTS
            if hasattr(configuration, opt.dest)
        }
        return cls(**found)

    @property
    def directory(self) -> str:
        """Absolute path of ``volume_files_dir``."""
        return os.path.abspath(self.volume_files_dir)


def _checked(opt: cfg.Opt, value: typing.Any) -> typing.Any:
    """Return a value; a configuration made by hand is not checked yet."""
    try:
        return opt.type(value)
    except ValueError as error:
        raise exception.ConfigurationInvalid(
            option=opt.name, found=value, expected=str(error)
        ) from error


def backend_opts() -> list[cfg.Opt]:
    """Return the options, for whoever registers them by himself."""
    return list(_OPTS)


def register(conf: cfg.ConfigOpts, group: str = GROUP) -> typing.Any:
    """Register the options in a group of conf and return the group."""
    conf.register_opts(_OPTS, group=group)
    return conf[group]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Entry point for oslo-config-generator: the standalone group."""
    return [(GROUP, backend_opts())]
