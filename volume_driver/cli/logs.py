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

"""What is logged: to stderr in single lines, elsewhere as configured."""

from __future__ import annotations

import logging
import typing

from oslo_config import cfg
from oslo_log import log

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _OneLine(logging.Formatter):
    """Puts the program's name first and a message on one line.

    Only a traceback, which ``--debug`` asks for, has lines of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        return ' '.join(super().formatMessage(record).split())


def console(
    program: str, stream: typing.TextIO, verbosity: int
) -> logging.Handler:
    """Return the handler that writes to stderr.

    :param verbosity: 0 for warnings and errors, 1 for all but debugging
    """
    handler = logging.StreamHandler(stream)
    handler.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
    handler.setFormatter(_OneLine(f'{program}: %(message)s'))
    return handler


def set_up(
    conf: cfg.ConfigOpts,
    project: str,
    stderr: logging.Handler,
    log_file: str | None,
) -> None:
    """Log as configured, and to stderr besides.

    :param stderr: what :func:`console` returned
    :param log_file: instead of option log_file, unless None
    """
    if log_file is not None:
        conf.set_override('log_file', log_file)
    if stderr.level <= logging.DEBUG:
        conf.set_override('debug', True)
    # oslo.log writes to stdout when it is told of no other place, so it gets
    # stderr, and its handler for that is replaced by ours.
    conf.set_override('use_stderr', True)
    log.setup(conf, project)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            root.removeHandler(handler)
    root.addHandler(stderr)
