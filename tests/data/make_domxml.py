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

"""Make ``tests/data/domxml`` anew: ``python -m tests.data.make_domxml``.

Needs a libvirtd, as the functional tests do. Each flow is made by plain calls
of libvirt on a guest without a system; each phase is what its live XML said
then. Names and paths are replaced, nothing else is.
"""

from __future__ import annotations

import collections.abc
import pathlib
import re
import tempfile

import libvirt

from tests.fixtures import domain_xml
from tests.fixtures import guest
from tests.fixtures import image_tools
from tests.fixtures import processes

VOLUME_ID = '1b4e28ba-2fa1-41d2-883f-b9a761bde3fb'
_GUEST_ID = '6fa459ea-ee8a-4ca4-894e-db77e160355e'
VOLUME = f'volume-{VOLUME_ID}'

_OUT = pathlib.Path(__file__).parent / 'domxml'
_MIB = 1 << 20
_ALL = (VOLUME, f'{VOLUME}.a', f'{VOLUME}.b')

Save = collections.abc.Callable[[str], None]


class _Flow:
    """A guest on ``base <- a <- b^`` and a second, unrelated disk."""

    def __init__(self, directory: str) -> None:
        self.directory = pathlib.Path(directory)
        self._make(_ALL[0], None, 0)
        self._make(_ALL[1], _ALL[0], 8)
        self._make(_ALL[2], _ALL[1], 16)
        self._make('other', None, 0)
        self.guest = guest.Guest(
            [
                domain_xml.Disk(self.directory / _ALL[-1], serial=VOLUME_ID),
                domain_xml.Disk(self.directory / 'other'),
            ]
        )

    def _make(self, name: str, backing: str | None, at: int) -> None:
        path = self.directory / name
        options: tuple[str, ...] = ()
        if backing is not None:
            options = ('-b', backing, '-F', 'qcow2')
        image_tools.qemu_img(
            'create', '-q', '-f', 'qcow2', *options, path, '32M'
        )
        image_tools.qemu_io_write(path, 'qcow2', at * _MIB, 8 * _MIB, 1)

    def index(self, name: str) -> str:
        """Return libvirt's name of an image."""
        found = re.search(
            f"<source file='[^']*/{name}' index='([0-9]+)'/>|"
            f"<backingStore type='file' index='([0-9]+)'>\\s*"
            f"<format type='qcow2'/>\\s*<source file='[^']*/{name}'/>",
            self.guest.live_xml(),
        )
        if found is None:
            raise LookupError(name)
        return f'vda[{found[1] or found[2]}]'

    def unthrottle(self) -> None:
        self.guest.domain.blockJobSetSpeed('vda', 0, 0)

    def wait(self, pattern: str) -> None:
        """Wait until the live XML has, or with ``!`` has not, a pattern."""
        wanted = not pattern.startswith('!')
        processes.wait_until(
            lambda: (pattern.lstrip('!') in self.guest.live_xml()) == wanted,
            pattern,
            30,
        )


def _active_commit(flow: _Flow, save: Save) -> None:
    flags = (
        libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
        | libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE
    )
    flow.guest.domain.blockCommit(
        'vda', flow.index(_ALL[1]), flow.index(_ALL[2]), 1, flags
    )
    save('01-copying')
    flow.unthrottle()
    flow.wait("ready='yes'")
    save('02-ready')
    flow.guest.domain.blockJobAbort(
        'vda', libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
    )
    flow.wait(f"!/{_ALL[2]}'")


def _intermediate_commit(flow: _Flow, save: Save) -> None:
    flow.guest.domain.blockCommit(
        'vda',
        flow.index(_ALL[0]),
        flow.index(_ALL[1]),
        1,
        libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE,
    )
    save('01-copying')
    flow.unthrottle()
    flow.wait(f"!/{_ALL[1]}'")


def _pull(flow: _Flow, save: Save) -> None:
    flow.guest.domain.blockRebase(
        'vda',
        flow.index(_ALL[0]),
        1,
        libvirt.VIR_DOMAIN_BLOCK_REBASE_RELATIVE,
    )
    save('01-copying')
    flow.unthrottle()
    flow.wait(f"!/{_ALL[1]}'")


def _pull_all(flow: _Flow, save: Save) -> None:
    flow.guest.domain.blockRebase('vda', None, 1, 0)
    save('01-copying')
    flow.unthrottle()
    flow.wait(f"!/{_ALL[0]}'")


_FLOWS = {
    'active-commit': _active_commit,
    'intermediate-commit': _intermediate_commit,
    'pull': _pull,
    'pull-all': _pull_all,
}


def _record(
    name: str, run: collections.abc.Callable[[_Flow, Save], None]
) -> None:
    (_OUT / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        flow = _Flow(directory)

        def write(phase: str, xml: str) -> None:
            for found, given in (
                (directory, '/volumes'),
                (flow.guest.name, 'guest'),
                (flow.guest.uuid, _GUEST_ID),
                (r'/tmp/[^/\'<]*/', '/run/guest/'),
            ):
                xml = re.sub(found, given, xml)
            (_OUT / name / f'{phase}.xml').write_text(xml)

        def save(phase: str) -> None:
            write(phase, flow.guest.live_xml())

        with flow.guest:
            write('00-shut-off', flow.guest.inactive_xml())
            flow.guest.start(paused=True)
            save('00-before')
            run(flow, save)
            save('09-after')


def main() -> None:
    for name, run in _FLOWS.items():
        _record(name, run)


if __name__ == '__main__':
    main()
