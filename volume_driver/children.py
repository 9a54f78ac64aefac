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

"""Runs child processes where nothing else is said.

``processutils.execute`` calls a function of its own between fork and exec, so
that Python has to fork, which costs milliseconds in a process with much
memory, where vfork costs none. It is right under eventlet, all the same.
"""

from __future__ import annotations

import subprocess

from oslo_concurrency import processutils
from oslo_log import log

from volume_driver import native

LOG = log.getLogger(__name__)


def execute(
    *command: str,
    cwd: str | None = None,
    env_variables: dict[str, str] | None = None,
) -> tuple[str, str]:
    """Run a program to its end; return what it wrote to both its outputs.

    :param cwd: the directory it runs in, None for this process's own
    :param env_variables: its environment, None for this process's own
    :raises ProcessExecutionError: when it does not end with 0
    :raises OSError: when it cannot be started
    """
    if native.is_green():
        out, error = processutils.execute(
            *command, cwd=cwd, env_variables=env_variables
        )
        return out, error
    LOG.debug('Running %s', ' '.join(command))
    result = subprocess.run(
        command,
        cwd=cwd,
        env=env_variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors='surrogateescape',
    )
    if result.returncode != 0:
        raise processutils.ProcessExecutionError(
            exit_code=result.returncode,
            stdout=result.stdout,
            stderr=result.stderr,
            cmd=' '.join(command),
        )
    return result.stdout, result.stderr
