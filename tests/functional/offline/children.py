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

"""Runs something in a forked child: as another user, or to be killed."""

from __future__ import annotations

import collections.abc
import os
import pickle
import traceback

NOBODY = 65534


class ChildError(Exception):
    """The child failed by itself; the message holds its traceback."""


def run_as_nobody(call: collections.abc.Callable[[], object]) -> object:
    """Call something in a child process of user nobody.

    :returns: what it returned, or the exception that it raised
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(call, writer)
    os.close(writer)
    with os.fdopen(reader, 'rb') as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    if not data:
        raise ChildError('the child ended without a result')
    found: object = pickle.loads(data)  # noqa: S301  our own child's
    return found


def _be_child(call: collections.abc.Callable[[], object], writer: int) -> None:
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            found = call()
        except Exception as error:
            found = error
        os.write(writer, pickle.dumps(found))
    finally:
        os._exit(0)


def runs_to_its_end(call: collections.abc.Callable[[], object]) -> bool:
    """Call something in a child process that may kill itself.

    :returns: False when it was ended by SIGKILL
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:
            os.write(writer, traceback.format_exc()[-4000:].encode())
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, 'rb') as stream:
        text = stream.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code > 0:
        raise ChildError(text)
    return code == 0
