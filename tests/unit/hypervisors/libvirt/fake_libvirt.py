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

"""As much of libvirt as its callers need to be told apart."""

from __future__ import annotations

import typing

from volume_driver.hypervisors.libvirt import connection


class Error(Exception):
    """Stands for libvirtError."""


class Module:
    libvirtError = Error
    VIR_DOMAIN_XML_INACTIVE = 2
    VIR_DOMAIN_XML_SECURE = 1
    VIR_DOMAIN_SAVE_IMAGE_XML_SECURE = 1
    VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2 = 16


class Domain:
    """A domain that takes calls down; also its own connection.

    :param answers: what a call returns, or the error that it raises
    """

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.calls: list[tuple[object, ...]] = []

    def name(self) -> str:
        return 'guest'

    def connect(self) -> Domain:
        return self

    def called(self) -> list[object]:
        return [call[0] for call in self.calls]

    def __getattr__(self, name: str) -> typing.Any:
        def call(*arguments: object) -> object:
            self.calls.append((name, *arguments))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def install(test: typing.Any) -> None:
    """Put it in the place of libvirt for one test."""
    test.patch(connection, 'module', Module)
