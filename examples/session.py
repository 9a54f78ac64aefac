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

"""Records a session for the docs: ``python -m examples.session DIRECTORY``.

Below ``tests.fixtures.daemons``. Each command is run on a terminal of 80
columns, for real, on a volume with a real guest, and what it writes is written
down: of a line that is written over and over, a bar, some states. Only the
name of the directory is another one.
"""

from __future__ import annotations

import argparse
import collections.abc
import itertools
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import termios
import textwrap

import fixtures

from tests.fixtures import domain_xml
from tests.fixtures import guest as guests

_PROGRAM = pathlib.Path(sys.executable).with_name('volume-driver')
_SHOWN_DIRECTORY = '/var/lib/volume-driver/volumes'
_NAME = 'volume-demo'
_MIB = 1 << 20
_ESCAPES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')
_COLUMNS = 78
# How many states of a bar are kept, and what tells one.
_STATES = 4
_BAR = '\u2501'

_CONFIGURATION = """\
[volume_driver]
volume_files_dir = {directory}
libvirt_uri = qemu:///system
merge_bandwidth = 24
"""


class Session:
    """Commands, and what they wrote.

    :ivar text: the transcript, in reStructuredText
    """

    def __init__(self, root: pathlib.Path, pictures: pathlib.Path) -> None:
        self.directory = root / 'volumes'
        self.directory.mkdir()
        self._configuration = root / 'volume_driver.conf'
        self._configuration.write_text(
            _CONFIGURATION.format(directory=self.directory)
        )
        self._records = root / 'records.csv'
        self._pictures = pictures
        self.text: list[str] = []

    def say(self, text: str) -> None:
        """Write a paragraph between two commands."""
        self.text += [*textwrap.wrap(text, _COLUMNS), '']

    def run(self, words: str) -> None:
        """Run a command of the program and write down what it says."""
        argv = [
            str(self._pictures / word) if word.endswith('.svg') else word
            for word in words.split()
        ]
        argv = [
            str(self._records) if word == 'records.csv' else word
            for word in argv
        ]
        output = self._on_terminal(
            [str(_PROGRAM), f'--config-file={self._configuration}', *argv]
        )
        self.write(f'volume-driver {words}', output)

    def write(self, command: str, output: str = '') -> None:
        """Write down a command and its output."""
        output = output.replace(str(self.directory), _SHOWN_DIRECTORY)
        self.text += ['.. code-block:: console', '', f'   $ {command}']
        lines = _ESCAPES.sub('', output).replace('\r', '\n').splitlines()
        self.text += [f'   {line}'.rstrip() for line in _seen(lines)]
        self.text.append('')

    def know(self, *snapshots: str) -> None:
        """Write what a service would have in its records."""
        self._records.write_text(
            f'id,size,snapshots\ndemo,1,{" ".join(snapshots)}\n'
        )
        self.write('cat records.csv', self._records.read_text())

    def _on_terminal(self, argv: list[str]) -> str:
        ours, its = pty.openpty()
        termios.tcsetwinsize(its, (24, _COLUMNS))
        environment = {**os.environ, 'TERM': 'linux'}
        process = subprocess.Popen(
            argv, stdin=its, stdout=its, stderr=its, env=environment
        )
        os.close(its)
        written = b''
        with os.fdopen(ours, 'rb', 0) as stream:
            while True:
                try:
                    data = stream.read(65536)
                except OSError:
                    # All have closed it.
                    break
                if not data:
                    break
                written += data
        process.wait()
        return written.decode()


def _seen(lines: list[str]) -> collections.abc.Iterator[str]:
    """Return the lines that stayed, and some states of those of a bar."""
    written = [line for line in lines if line.strip()]
    for is_bar, group in itertools.groupby(written, lambda line: _BAR in line):
        states = list(group)
        if is_bar:
            states = list(dict.fromkeys(states))
            step = max(1.0, (len(states) - 1) / (_STATES - 1))
            count = min(_STATES, len(states))
            states = [states[round(step * each)] for each in range(count)]
        yield from states


def record(session: Session, guest: guests.Guest) -> None:
    """Play the session."""
    session.say(
        'A guest runs on the volume, and has written to it. Before an upgrade '
        'a snapshot is taken; then the guest writes more.'
    )
    guest.write(0, 128 * _MIB, 0x61)
    session.run('snapshot create demo before-upgrade')
    guest.write(0, 72 * _MIB, 0x62)
    session.run('volume show demo')
    session.say('What would its deletion do? Then it is deleted, live.')
    session.run('snapshot delete demo before-upgrade --dry-run')
    session.run('snapshot delete demo before-upgrade')
    session.run('snapshot create demo nightly')
    session.run('volume show demo --svg session.svg')
    session.text += ['.. image:: _generated/session.svg', '']
    session.say(
        'Later a file is emptied by mistake, as by an editor when the '
        'filesystem is full. The files alone do not prove which snapshots '
        'there are; with what the service knows they do.'
    )
    (session.directory / f'{_NAME}.info').write_bytes(b'')
    session.write(f': > {_SHOWN_DIRECTORY}/{_NAME}.info')
    session.run('check demo')
    session.run('repair demo --settle 0')
    session.know('nightly')
    session.run('repair demo --records records.csv --settle 0')
    session.run('repair demo --records records.csv --settle 0 --yes')
    session.run('check demo')
    session.run('snapshot list demo')


def main(arguments: list[str] | None = None) -> int:
    """Record the session into a directory.

    :returns: 0
    """
    parser = argparse.ArgumentParser(description='Record a session.')
    parser.add_argument('directory', type=pathlib.Path)
    options = parser.parse_args(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, fixtures.Fixture() as parts:
        session = Session(pathlib.Path(root), options.directory)
        session.run('volume create demo --size 1')
        disk = domain_xml.Disk(session.directory / _NAME, 'qcow2', 'demo')
        guest = parts.useFixture(guests.Guest([disk]))
        guest.start()
        record(session, guest)
        text = '\n'.join(session.text)
    (options.directory / 'session.inc').write_text(f'{text.rstrip()}\n')
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
