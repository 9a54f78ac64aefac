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

"""Make ``tests/fuzz/corpus`` anew: ``python -m tests.fuzz.make_corpus``.

Real images by qemu-img, with clusters so small that they hold tables and data
in a few KiB; ``.info`` and journals as the driver writes them; and what known
attacks on readers of XML look like. Headers alone, and domain XML by libvirt,
are in ``tests/data``. What begins with ``found`` was a finding of the fuzzer
once, and nothing makes it anew.
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile

from tests.fixtures import image_tools
from tests.fuzz import readers
from volume_driver import info
from volume_driver import journal
from volume_driver.hypervisors import base as hypervisor
from volume_driver.planning import plan

_OUT = pathlib.Path(__file__).parent / 'corpus'
_A, _B = f'{readers.VOLUME}.a', f'{readers.VOLUME}.b'
_SMALL = ('-o', 'cluster_size=512')
_KEY = ('--object', 'secret,id=key,data=geheim')
_LUKS = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'
# Behind it come only tables and data, which are of no interest there.
_LUKS_END = 8192

_WRITTEN: dict[str, tuple[str, ...]] = {
    'data': ('write 0 1k', 'write 40k 512'),
    'zeros': ('write 0 4k', 'write -z 1k 1k', 'write -zu 2k 512'),
    'compressed': ('write -c 0 512', 'write 512 512'),
    'discarded': ('write 0 4k', 'discard 0 4k'),
}

_INFOS = {
    'active': info.Info(readers.VOLUME),
    'one': info.Info(_A, {'a': _A}),
    'two': info.Info(_B, {'a': _A, 'b': _B}),
    'pulled': info.Info(_B, {'a': _B}),
}

_V = readers.VOLUME
_STEPS: dict[str, tuple[plan.Step, ...]] = {
    'create': (
        plan.CreateOverlay(_A, _V, 'raw', 1 << 20),
        plan.Switch(_A, _V, 'raw'),
        plan.Record({'active': _A, 'a': _A}),
    ),
    'commit': (
        plan.Commit(_A, _V, _B),
        plan.Point(_B, _V, 'qcow2'),
        plan.StartFrom(_B, 'qcow2'),
        plan.Record({'active': _B, 'b': _B}),
        plan.Remove(_A),
    ),
    'pull': (
        plan.Pull(_A, _V, 'qcow2', None, None),
        plan.Record({'active': _A}),
        plan.Remove(_V),
    ),
    'others': (
        plan.Empty(_A, _V, 'qcow2', 1 << 20),
        plan.Replace(_V, f'{_V}.export-volume', 'raw', 'qcow2'),
        plan.Resize(_A, 'qcow2', 2 << 20),
    ),
}

_DISK = (
    '<domain><devices><disk type="file"><driver type="qcow2"/>'
    '<source file="{file}"/><target dev="vda"/><serial>{serial}</serial>'
    '</disk></devices></domain>'
)
_LAUGHS = ''.join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">'
    for n in range(10)
)
_OUTSIDE = f'file://{readers.OUTSIDE.decode()}'
_ATTACKS = {
    'laughs-text': (_LAUGHS, '', '&e9;'),
    'laughs-attribute': (_LAUGHS, '&e9;', ''),
    'external-text': (f'<!ENTITY e SYSTEM "{_OUTSIDE}">', '', '&e;'),
    'external-attribute': (f'<!ENTITY e SYSTEM "{_OUTSIDE}">', '&e;', ''),
    'external-network': ('<!ENTITY e SYSTEM "http://127.0.0.1/">', '', '&e;'),
    'external-parameter': (f'<!ENTITY % e SYSTEM "{_OUTSIDE}"> %e;', '', ''),
    'default-attribute': ('<!ATTLIST source index CDATA "7">', '/v/x', ''),
}


def _images(directory: pathlib.Path) -> None:
    for name, commands in _WRITTEN.items():
        path = directory / name
        image_tools.qemu_img(
            'create', '-q', '-f', 'qcow2', *_SMALL, path, '65536'
        )
        for command in commands:
            image_tools.qemu_io(path, 'qcow2', command)
    path = directory / 'overlay'
    backing = ('-u', '-b', _A, '-F', 'qcow2')
    image_tools.qemu_img(
        *('create', '-q', '-f', 'qcow2', *_SMALL, *backing, path, '65536')
    )
    path = directory / 'luks'
    image_tools.qemu_img(
        *('create', '-q', '-f', 'qcow2', *_KEY),
        *('-o', f'cluster_size=512,{_LUKS}', path, '65536'),
    )
    path.write_bytes(path.read_bytes()[:_LUKS_END])


def _journals(directory: pathlib.Path) -> None:
    target = hypervisor.Target('u', _V, '/volumes', ('host1',), True)
    for name, steps in _STEPS.items():
        content = plan.Plan(f'{name} snapshot a', _V, steps, 'commit', 'why')
        written = journal.Journal(
            path=str(directory / name),
            plan=content,
            target=target,
            written_by='host1, pid 7',
            written_at='2026-01-01T00:00:00+00:00',
            notes={'guest': 'run'},
        )
        written.write()
        written.step(0).mark()


def _xml(directory: pathlib.Path) -> None:
    for name, (declared, file, serial) in _ATTACKS.items():
        disk = _DISK.format(file=file, serial=serial)
        text = f'<!DOCTYPE domain [{declared}]>{disk}'
        (directory / name).write_text(text)
    (directory / 'disk').write_text(_DISK.format(file=f'/v/{_V}', serial='u'))


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        for name in readers.READERS:
            (root / name).mkdir()
        _images(root / 'header')
        for name, content in _INFOS.items():
            (root / 'info' / name).write_bytes(content.dumps())
        _journals(root / 'journal')
        _xml(root / 'domain_xml')
        # What was found stays.
        shutil.copytree(root, _OUT, dirs_exist_ok=True)


if __name__ == '__main__':
    main()
