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

"""Attacks by other formats than qcow2 and raw, and by two at once.

They are those that QEMU finds by probing, as its ``block/`` has them. Most
are no more than what a probe looks at, with the name of a file where the
format has one.
"""

from __future__ import annotations

import collections.abc
import functools
import pathlib
import struct
import tempfile

from tests.attacks import attack as attacks
from tests.attacks import qcow2
from tests.fixtures import image_tools

_SECTOR = 512
_MIB = 1 << 20
_Fill = collections.abc.Callable[[attacks.Scene], bytes]


def descriptor(
    scene: attacks.Scene, kind: str = 'monolithicFlat', extent: str = ''
) -> bytes:
    """Return the description of a VMDK image with a file of the host."""
    extent = extent or f'RW 128 FLAT "{scene.secret}" 0'
    return (
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
        f'createType="{kind}"\n{extent}\n'
        'ddb.adapterType = "ide"\nddb.geometry.sectors = "63"\n'
    ).encode()


def _commented(scene: attacks.Scene) -> bytes:
    return b'# x\n' * 200 + b'\r\n' + descriptor(scene)


def _vmdk_parent(scene: attacks.Scene) -> bytes:
    return descriptor(scene).replace(
        b'parentCID=ffffffff',
        f'parentCID=00000001\nparentFileNameHint="{scene.secret}"'.encode(),
    )


def _vmdk_sparse(scene: attacks.Scene) -> bytes:
    """Return a VMDK image with its description inside."""
    inner = descriptor(scene).ljust(20 * _SECTOR, b'\0')
    head = struct.pack(
        '<4sIIQQQQIQQQ?',
        *(b'KDMV', 1, 3, 2 * 2048, 128, 1, 20, 512, 21, 26, 128, False),
    )
    return (head.ljust(_SECTOR, b'\0') + inner).ljust(2 * _MIB, b'\0')


def _cowd(scene: attacks.Scene) -> bytes:
    name = str(scene.secret).encode()
    head = struct.pack('<4sIIIIIII', b'COWD', 1, 3, 4096, 1, 4, 1, 0)
    return (head + bytes(1052 - len(head)) + name).ljust(_MIB, b'\0')


def _summed(data: bytes, at: int) -> bytes:
    """Return a header of VHD with its checksum, which is none so far."""
    total = struct.pack('>I', ~sum(data) & 0xFFFFFFFF)
    return data[:at] + total + data[at + 4 :]


def _vhd_footer(kind: int, at: int) -> bytes:
    size = 4 * _MIB
    data = struct.pack(
        '>8sIIQI4sI4sQQHBBIi16sB427x',
        *(b'conectix', 2, 0x10000, at, 0, b'qemu', 0x50003, b'Wi2k'),
        *(size, size, 120, 4, 17, kind, 0, bytes(16), 0),
    )
    return _summed(data, 64)


def _vhd_parent(scene: attacks.Scene) -> bytes:
    """Return a differencing VHD image, whose parent is a file."""
    name = str(scene.secret).encode('utf-16-be')[:512]
    head = struct.pack(
        '>8sQQIIIi16sII512s',
        *(b'cxsparse', (1 << 64) - 1, 1536, 0x10000, 2, 2 * _MIB, 0),
        *(bytes(16), 0, 0, name),
    )
    footer = _vhd_footer(4, 512)
    table = b'\xff' * _SECTOR
    return footer + _summed(head.ljust(1024, b'\0'), 36) + table + footer


def _vhd_fixed(scene: attacks.Scene) -> bytes:
    return bytes(4 * _MIB) + _vhd_footer(2, (1 << 64) - 1)


def _qed(scene: attacks.Scene) -> bytes:
    name = str(scene.secret).encode()
    head = struct.pack(
        '<4sIIIQQQQQII',
        *(b'QED\0', 65536, 4, 1, 5, 0, 0, 65536, 64 * _MIB),
        *(72, len(name)),
    )
    return (head + name).ljust(512 * 1024, b'\0')


def _qcow1(scene: attacks.Scene) -> bytes:
    name = str(scene.secret).encode()
    head = struct.pack(
        '>4sIQIIQBBHIQ',
        *(b'QFI\xfb', 1, 4096, len(name), 0, 64 * _MIB, 12, 9, 0, 0, 48),
    )
    return (head.ljust(4096, b'\0') + name).ljust(65536, b'\0')


def _parallels(magic: bytes) -> _Fill:
    def fill(scene: attacks.Scene) -> bytes:
        head = struct.pack(
            *('<16sIIIII', magic, 2, 16, 120, 63, 256),
        )
        return (head + struct.pack('<Q', 1 << 20)).ljust(_MIB, b'\0')

    return fill


def _bochs(scene: attacks.Scene) -> bytes:
    head = struct.pack(
        '<32s16s16sIIIIIIQ',
        *(b'Bochs Virtual HD Image', b'Redolog', b'Growing', 0x20000, 512),
        *(1 << 20, 1, 4096, 0, 1 << 30),
    )
    return head.ljust(_MIB, b'\0')


def _cloop(scene: attacks.Scene) -> bytes:
    start = b'#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r'
    sizes = struct.pack('>II', 64 * _MIB, (1 << 29) - 1)
    return (start.ljust(128, b'\0') + sizes).ljust(65536, b'\xff')


def _dmg(scene: attacks.Scene) -> bytes:
    koly = struct.pack('>4sIII', b'koly', 4, 512, 1).ljust(512, b'\xff')
    return bytes(65536) + koly


def _vdi_parent(scene: attacks.Scene) -> bytes:
    head = struct.pack(
        '<64sIIIII256sIIIIIIIQIIII',
        *(b'<<< QEMU VM Virtual Disk Image >>>\n', 0xBEDA107F, 0x10001, 400),
        *(4, 0, str(scene.secret).encode()[:256], 512, 1024, 0, 0, 0),
        *(512, 0, 1 << 40, _MIB, 0, 1 << 20, 0),
    )
    return head.ljust(_MIB, b'\0')


def _header(scene: attacks.Scene) -> bytes:
    image = qcow2.Image(
        backing=str(scene.secret).encode(), backing_format=b'raw'
    )
    return image.made()


def _over(data: bytes, *pieces: tuple[int, bytes]) -> bytes:
    """Put pieces over data, which grows where that is needed."""
    found = bytearray(data)
    for at, piece in pieces:
        found.extend(bytes(max(0, at + len(piece) - len(found))))
        found[at : at + len(piece)] = piece
    return bytes(found)


_ISO = (32768, b'\x01CD001\x01')
_GPT = (
    (446, struct.pack('<B3sB3sII', 0, b'\0\2\0', 0xEE, b'\xff' * 3, 1, 2047)),
    (510, b'\x55\xaa'),
    (512, b'EFI PART\0\0\1\0\x5c\0\0\0'),
)


def _iso_qcow2(scene: attacks.Scene) -> bytes:
    return _over(_header(scene), _ISO)


def _gpt_qcow2(scene: attacks.Scene) -> bytes:
    return _over(_header(scene), *_GPT)


def _iso_vmdk(scene: attacks.Scene) -> bytes:
    return _over(descriptor(scene), _ISO)


def _gpt_vmdk(scene: attacks.Scene) -> bytes:
    # Comments up to what the partition table has to say.
    text = descriptor(scene)
    return _over(b'#' * 446 + b'\n' + text.ljust(4096, b'\n'), *_GPT)


def _vhd_qcow2(scene: attacks.Scene) -> bytes:
    return _header(scene) + _vhd_footer(2, (1 << 64) - 1)


def _luks_qcow2(scene: attacks.Scene) -> bytes:
    return _over(_header(scene), (8, b'LUKS\xba\xbe\0\1'))


def _iso(scene: attacks.Scene) -> bytes:
    return _over(bytes(_MIB), _ISO)


def _attack(label: str, fill: _Fill, claims: str) -> attacks.Attack:
    def write(path: pathlib.Path, scene: attacks.Scene) -> None:
        path.write_bytes(fill(scene))

    return attacks.Attack(label, attacks.FORMAT, write, claims)


@functools.cache
def _made_by_qemu(kind: str) -> bytes:
    """Return an image by QEMU: with new ids and times at each call."""
    secret: tuple[str, ...] = ()
    if kind == 'luks':
        secret = (
            *('--object', 'secret,id=s,data=geheim'),
            *('-o', 'key-secret=s'),
        )
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'image'
        image_tools.qemu_img('create', '-q', '-f', kind, *secret, path, '1M')
        return path.read_bytes()


def _by_qemu(kind: str, claims: str = '') -> attacks.Attack:
    return _attack(
        f'{kind} by QEMU', lambda scene: _made_by_qemu(kind), claims or kind
    )


@functools.cache
def _with_snapshot() -> bytes:
    """Return a sound image with an internal snapshot."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'image'
        image_tools.qemu_img('create', '-q', '-f', 'qcow2', path, '1G')
        image_tools.qemu_io(path, 'qcow2', 'write -P 0x6d 0 64k')
        image_tools.qemu_img('snapshot', '-c', 'kept', path)
        image_tools.qemu_io(path, 'qcow2', 'write -P 0x6e 0 64k')
        return path.read_bytes()


_SCRIPT = 'twoGbMaxExtentFlat'

FORMATS = (
    _attack('VMDK: a description', descriptor, 'vmdk'),
    _attack('VMDK: comments first', _commented, 'vmdk'),
    _attack(
        'VMDK: a description of parts',
        lambda scene: descriptor(scene, _SCRIPT),
        'vmdk',
    ),
    _attack(
        'VMDK: a device',
        lambda s: descriptor(
            s, 'vmfsRawDeviceMap', f'RW 128 VMFSRDM "{s.secret}"'
        ),
        'vmdk',
    ),
    _attack('VMDK: a parent', _vmdk_parent, 'vmdk'),
    _attack('VMDK: a description inside', _vmdk_sparse, 'vmdk'),
    _attack('VMDK: COWD', _cowd, 'vmdk'),
    _attack('VHD: a parent', _vhd_parent, 'vhd'),
    _attack('VHD: of fixed size', _vhd_fixed, 'vhd'),
    _attack('QED: a backing file', _qed, 'raw'),
    _attack('qcow of version 1', _qcow1, 'qcow2'),
    _attack('VDI: a name', _vdi_parent, 'vdi'),
    _attack('Parallels', _parallels(b'WithoutFreeSpace'), 'ploop'),
    _attack('Parallels, larger', _parallels(b'WithouFreSpacExt'), 'ploop'),
    _attack('Bochs', _bochs, 'raw'),
    _attack('cloop', _cloop, 'raw'),
    _attack('DMG', _dmg, 'raw'),
    _attack('ISO', _iso, 'iso'),
    _attack('ISO and qcow2', _iso_qcow2, 'iso'),
    _attack('GPT and qcow2', _gpt_qcow2, 'raw'),
    _attack('ISO and VMDK', _iso_vmdk, 'iso'),
    _attack('GPT and VMDK', _gpt_vmdk, 'raw'),
    _attack('VHD and qcow2', _vhd_qcow2, 'vhd'),
    _attack('LUKS and qcow2', _luks_qcow2, 'raw'),
    *(_by_qemu(kind) for kind in ('vmdk', 'vdi', 'vhdx')),
    _by_qemu('vpc', 'vhd'),
    _by_qemu('qed', 'raw'),
    _by_qemu('qcow', 'raw'),
    _by_qemu('luks', 'raw'),
    _by_qemu('parallels', 'ploop'),
    _attack('an internal snapshot', lambda scene: _with_snapshot(), 'qcow2'),
)
