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

import unittest

import testtools

from tests import base


class Skips(base.TestCase):
    """Cases that try to be skipped; run by the tests below only."""

    def runTest(self) -> None:
        raise AssertionError('never called')

    def by_method(self) -> None:
        self.skipTest('by method')

    def by_exception(self) -> None:
        raise unittest.SkipTest('by exception')

    @testtools.skip('by decorator of testtools')
    def by_testtools(self) -> None:
        pass

    @unittest.skip('by decorator')
    def by_unittest(self) -> None:
        pass


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str
) -> unittest.TestSuite:
    """Leave ``Skips`` to the tests that run it."""
    cases = (TestSkip, TestRequireProgram, TestTempDir)
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, cases))


class TestSkip(base.TestCase):
    def assert_fails(self, method: str) -> None:
        result = unittest.TestResult()
        Skips(method).run(result)
        self.assertEqual([], result.skipped)
        self.assertEqual([], result.errors)
        ((_, reason),) = result.failures
        self.assertIn('here a skip is a failure', reason)

    def test_skip_test(self) -> None:
        self.assert_fails('by_method')

    def test_exception(self) -> None:
        self.assert_fails('by_exception')

    def test_decorator_of_testtools(self) -> None:
        self.assert_fails('by_testtools')

    def test_decorator_of_unittest(self) -> None:
        self.assert_fails('by_unittest')


class TestRequireProgram(base.TestCase):
    def test_present(self) -> None:
        self.assertTrue(self.require_program('sh', 'dash').endswith('/sh'))

    def test_missing(self) -> None:
        error = self.assertRaises(
            self.failureException,
            self.require_program,
            'no-such-program',
            'its-package',
        )
        self.assertIn('Debian package its-package', str(error))


class TestTempDir(base.TestCase):
    def test_each_is_new(self) -> None:
        first, second = self.temp_dir(), self.temp_dir()
        self.assertNotEqual(first, second)
        self.assertEqual([], list(first.iterdir()))
