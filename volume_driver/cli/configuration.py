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

"""The configuration, from files and from the command line."""

from __future__ import annotations

import argparse

from oslo_config import cfg
from oslo_log import log

from volume_driver import opts

PROJECT = 'volume_driver'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`load` reads."""
    group = parser.add_argument_group('configuration')
    group.add_argument(
        '--config-file',
        action='append',
        default=[],
        dest='config_files',
        metavar='FILE',
        help='A configuration file; may be repeated, the last one wins. '
        'Without any, ~/.volume_driver/volume_driver.conf and '
        '/etc/volume_driver/volume_driver.conf are read if they are there.',
    )
    group.add_argument(
        '--config-dir',
        action='append',
        default=[],
        dest='config_dirs',
        metavar='DIR',
        help='A directory of configuration files, read after the '
        'files; may be repeated.',
    )
    group.add_argument(
        '--volume-files-dir',
        metavar='DIR',
        help='The directory of the volumes, whatever the configuration says.',
    )


def load(options: argparse.Namespace) -> cfg.ConfigOpts:
    """Read the configuration.

    :raises cfg.Error: when a file is missing or cannot be read
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    opts.register(conf)
    arguments = [f'--config-file={path}' for path in options.config_files]
    arguments += [f'--config-dir={path}' for path in options.config_dirs]
    conf(arguments, project=PROJECT)
    # oslo.privsep reads its options there, and tells its helper the files.
    cfg.CONF(arguments, project=PROJECT)
    if options.volume_files_dir is not None:
        conf.set_override(
            'volume_files_dir', options.volume_files_dir, opts.GROUP
        )
    return conf
