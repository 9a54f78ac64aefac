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

"""What can be told a merge while it runs; holds no lock."""

from __future__ import annotations

from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisor
from volume_driver.operations import context as contexts


def limit(
    context: contexts.Context, target: hypervisor.Target, bandwidth: int
) -> None:
    """Limit the merge that runs under a volume's guest.

    :param bandwidth: in MiB/s, 0 for no limit
    :raises MergeNotRunning: when no merge of ours runs under a guest
    :raises LiveOperationFailed: when libvirt refuses
    """
    journal = journals.find(context.directory, target.name)
    if journal is None or not journal.plan.way:
        raise exception.MergeNotRunning(
            volume=target.name, reason='no merge of it is under way'
        )
    found = context.hypervisor.find(target)
    if found.live is None:
        raise exception.MergeNotRunning(
            volume=target.name,
            reason='no guest runs on it, and qemu-img keeps to the limit that '
            'it was started with',
        )
    if not found.live.limit_job(bandwidth):
        raise exception.MergeNotRunning(
            volume=target.name, reason='its block job has not begun or is over'
        )
