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

"""What every test case of this project is made from."""

from __future__ import annotations

import logging
import os
import pathlib
import shutil
import typing
import unittest

import fixtures
import testtools
from testtools import content


class _SkipsFail(testtools.TestResultDecorator):
    """A result that takes a skip, however it came about, for a failure."""

    def addSkip(
        self,
        test: unittest.TestCase,
        reason: str | None = None,
        details: dict[str, content.Content] | None = None,
    ) -> None:
        details = dict(details or {})
        if reason is not None:
            details['reason'] = content.text_content(reason)
        details['skip'] = content.text_content(
            'The test was skipped, and here a skip is a failure.'
        )
        self.addFailure(test, details=details)


class TestCase(testtools.TestCase):
    """A test case in which a skip is a failure.

    A test that does not run proves nothing, however green the gate. What a
    test needs and does not find is named in a failure; see
    :meth:`require_program`.
    """

    def run(self, result: typing.Any = None) -> typing.Any:
        if result is None:
            result = self.defaultTestResult()
        # unittest's own results know no details.
        result = testtools.ExtendedToOriginalDecorator(result)
        decorated: typing.Any = _SkipsFail(result)
        return super().run(decorated)

    def setUp(self) -> None:
        super().setUp()
        timeout = int(os.environ.get('OS_TEST_TIMEOUT', '0'))
        if timeout > 0:
            self.useFixture(fixtures.Timeout(timeout, gentle=True))
        self.log = self.useFixture(
            fixtures.FakeLogger(level=logging.DEBUG, nuke_handlers=False)
        )

    def temp_dir(self) -> pathlib.Path:
        """Return a new, empty directory, removed when the test ends."""
        return pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def require_program(self, name: str, package: str) -> str:
        """Return the path of a program; fail where it is not installed.

        :param name: of the program, such as ``qemu-img``
        :param package: Debian's package that has it
        """
        found = shutil.which(name)
        if found is None:
            self.fail(
                f'The program {name} is missing; install the Debian package '
                f'{package}.'
            )
        return found
