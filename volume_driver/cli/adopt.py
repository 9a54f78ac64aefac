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

"""The command that takes over the volumes of another driver."""

from __future__ import annotations

import argparse

from volume_driver.checking import findings
from volume_driver.cli import app
from volume_driver.cli import check
from volume_driver.operations import take_over


class Adopt(check.Looking):
    """Take over volumes that Cinder's NFS driver, or one like it, made.

    Checks each volume first, and refuses those with errors. Without --yes it
    only says what it would do: record the format of each base beside it.
    Option volume_format says what the other driver made where nothing else
    tells (nfs_qcow2_volumes). The other driver can go on afterwards.

    The exit code is 0 when all volumes are taken over, 1 when some are not
    (without --yes: are to be), and 2 when it could not look.
    """

    EXAMPLE = 'adopt --records records.json --yes'
    COLUMNS = ('volume', 'outcome', 'text')
    DEEP = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        check.add_yes(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        driver = app.of(self).reading()
        volume, hosts = self.about(parsed_args)
        found = driver.take_over(
            volume, parsed_args.yes, hosts, parsed_args.records
        )
        if any(
            each.outcome in (take_over.REFUSED, take_over.PROPOSED)
            for each in found
        ):
            self._code = check.BROKEN
        return self.COLUMNS, [
            (
                findings.printable(each.volume),
                each.outcome,
                findings.printable(each.text),
            )
            for each in found
        ]
