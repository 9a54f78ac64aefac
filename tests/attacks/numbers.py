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

"""Attacks whose numbers are too large, too small, or lead nowhere."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import struct
import typing

from tests.attacks import attack as attacks
from tests.attacks import qcow2

_MIB = 1 << 20
_ALL = (1 << 32) - 1
_FAR = (1 << 63) - 512
_LUKS_MAGIC = b'LUKS\xba\xbe'
_ACTIVE = 0x00AC71F3


def _write(
    path: pathlib.Path, scene: attacks.Scene, **fields: typing.Any
) -> None:
    path.write_bytes(qcow2.Image(**fields).made())


def _made(
    label: str, kind: str = attacks.BOMB, **fields: typing.Any
) -> attacks.Attack:
    return attacks.Attack(label, kind, functools.partial(_write, **fields))


def _write_named(
    path: pathlib.Path, scene: attacks.Scene, **fields: typing.Any
) -> None:
    name = str(scene.secret).encode()
    path.write_bytes(
        qcow2.Image(backing=name, backing_format=b'raw', **fields).made()
    )


def _named(label: str, **fields: typing.Any) -> attacks.Attack:
    write = functools.partial(_write_named, **fields)
    return attacks.Attack(label, attacks.FORGED, write)


def _write_cut(path: pathlib.Path, scene: attacks.Scene, at: int) -> None:
    path.write_bytes(qcow2.Image().made()[:at])


def _cut(at: int) -> attacks.Attack:
    write = functools.partial(_write_cut, at=at)
    return attacks.Attack(
        f'a header of {at} bytes', attacks.FORGED, write, guest=at > 0
    )


HEADERS = (
    _made('a header of an empty image', attacks.FORGED),
    _made('a header of version 2', attacks.FORGED, version=2),
    _made('a header with a dirty mark', attacks.FORGED, incompatible=1),
    _named('a header of a larger image on a file', size=50 * qcow2.GIB),
    _named('a header that names, but is corrupt', incompatible=qcow2.CORRUPT),
    _made('a header of version 4', attacks.FORGED, version=4),
    _made('a header of version 0', attacks.FORGED, version=0),
    _made('an unknown feature', attacks.FORGED, incompatible=1 << 40),
    _made('all features', attacks.FORGED, incompatible=(1 << 64) - 1),
    _made('an unknown compression', incompatible=8, tail=b'\xff' * 8),
    _made('extended L2 entries', attacks.FORGED, incompatible=16, l1_size=4),
    _made('extended L2 entries too small', incompatible=16, bits=9),
    *(_cut(at) for at in (0, 4, 71, 100)),
)


def shared(l1: int) -> dict[str, typing.Any]:
    """Let every part of an image be the same cluster.

    :param l1: how many entries the L1 table has, 2^15 for a whole GiB
    """
    shape = qcow2.Image(bits=9, l1=(0,) * (1 << 15))
    at = shape.first_free
    return {
        'bits': 9,
        'l1': (qcow2.standard(at),) * l1 + (0,) * ((1 << 15) - l1),
        'clusters': (
            qcow2.table(qcow2.standard(at + shape.cluster), 64),
            b'\x6d' * shape.cluster,
        ),
    }


def _compressed() -> dict[str, typing.Any]:
    """Let every cluster of an image be the same few compressed bytes."""
    shape = qcow2.Image()
    at = shape.first_free + shape.cluster
    data = qcow2.deflated(b'\x6d' * shape.cluster)
    entry = qcow2.compressed(at, len(data), shape.bits)
    return {
        'l1': (qcow2.standard(shape.first_free), 0),
        'clusters': (qcow2.table(entry, 512), data),
    }


def _broken() -> dict[str, typing.Any]:
    """Let a cluster be compressed in a way that cannot be."""
    fields = _compressed()
    return {**fields, 'clusters': (fields['clusters'][0], b'\xff' * 512)}


def repeated() -> bytes:
    """Return an image that says the same 2^22 times, for a check to read."""
    count, bits = 1 << 22, 16
    shape = qcow2.Image(l1_size=count, bits=bits)
    at = (3 << bits) + 8 * count
    table = qcow2.table(qcow2.standard(at + (1 << bits)), 1 << (bits - 3))
    return dataclasses.replace(
        shape, l1=(qcow2.standard(at),) * count, clusters=(table, b'x')
    ).made()


_SNAPSHOT = struct.pack(
    *('>QIHHIIQII', 3 << 16, 2, 1, 1, 0, 0, 0, _ALL, _ALL),
)

BOMBS = (
    _made('one compressed cluster for all', **_compressed()),
    _made('a compressed cluster of nonsense', **_broken()),
    _made('one L2 table for all', **shared(256)),
    _made('an L2 table that is the L1 table', l1=(qcow2.standard(3 << 16),)),
    _made('an L2 table that is the header', l1=(1 << 63,)),
    _made('an L2 table behind the end', l1=(qcow2.standard(1 << 50),)),
    _made('an L2 table between clusters', l1=(qcow2.standard(0x3_0200),)),
    _made('a huge L1 table', l1_size=_ALL),
    _made('the largest L1 table', l1_size=_MIB * 4),
    _made('an L1 table of nothing', l1_size=0),
    _made('an L1 table behind the end', l1_at=1 << 50),
    _made('an L1 table at the end of all', l1_at=_FAR),
    _made('a huge table of counts', refcount_clusters=_ALL),
    _made('counts behind the end', refcounts_at=1 << 50),
    _made('no counts', counted=False),
    _made('counts of 2^63 bits', order=63),
    _made('clusters of one byte', bits=16, tail=b'', length=0),
    _made('a header length of 2^32', length=_ALL - 7),
    _made('extensions without end', extensions=((0x1234, b''),) * 4000),
    _made('an extension of 4 GiB', tail=struct.pack('>II', 0x1234, _ALL)),
    _made('bitmaps without end', extensions=((qcow2.BITMAPS, b'\xff' * 24),)),
    _made('a backing name of 4 GiB', name_at=4096, name_length=_ALL),
    _made('a backing name at the end of all', name_at=_FAR, name_length=8),
    _made('a backing name of 2000 bytes', name_at=4096, name_length=2000),
    _made('a backing name of nothing', name_at=4096, name_length=0),
    _made('2^32 internal snapshots', snapshots=_ALL, snapshots_at=1 << 18),
    _made('8192 internal snapshots', snapshots=8192, snapshots_at=1 << 18),
    _made(
        'an internal snapshot of nonsense',
        snapshots=1,
        snapshots_at=qcow2.Image().first_free,
        clusters=(_SNAPSHOT,),
    ),
)


def _bits(bits: int) -> attacks.Attack:
    def write(path: pathlib.Path, scene: attacks.Scene) -> None:
        data = bytearray(qcow2.Image().made())
        data[20:24] = struct.pack('>I', bits)
        path.write_bytes(data)

    return attacks.Attack(f'clusters of 2^{bits}', attacks.BOMB, write)


CLUSTERS = tuple(_bits(bits) for bits in (0, 8, 22, 64, _ALL))

SIZES = (
    _made('a size of 0', attacks.SIZE, size=0),
    _made('a size of 1', attacks.SIZE, size=1),
    _made('an odd size', attacks.SIZE, size=qcow2.GIB - 1),
    _made('twice the size', attacks.SIZE, size=2 * qcow2.GIB),
    _made('16 TiB', attacks.SIZE, size=1 << 44, bits=21),
    _made('8 EiB', attacks.SIZE, size=_FAR),
    _made('16 EiB', attacks.SIZE, size=(1 << 64) - 512),
)


def luks(iterations: int, payload: int = 4096) -> bytes:
    """Return a LUKS header that nothing opens.

    :param iterations: how often a passphrase is hashed
    :param payload: the sector where its data begins
    """
    fields = struct.pack(
        '>6sH32s32s32sII20s32sI40s',
        *(_LUKS_MAGIC, 1, b'aes', b'xts-plain64', b'sha256', payload, 64),
        *(bytes(20), bytes(32), iterations, b'0' * 36),
    )
    slots = [
        struct.pack('>II32sII', _ACTIVE, iterations, bytes(32), at, 4000)
        for at in range(8, 4096, 504)
    ]
    return fields + b''.join(slots[:8])


def _luks_at(at: int) -> tuple[tuple[int, bytes], ...]:
    return ((qcow2.LUKS, struct.pack('>QQ', at, 1 << 16)),)


def _write_luks(
    path: pathlib.Path, scene: attacks.Scene, iterations: int, payload: int
) -> None:
    path.write_bytes(luks(iterations, payload).ljust(8 * _MIB, b'\0'))


def _alone(label: str, iterations: int, payload: int = 4096) -> attacks.Attack:
    write = functools.partial(
        _write_luks, iterations=iterations, payload=payload
    )
    return attacks.Attack(label, attacks.CRYPT, write, 'raw')


CRYPTS = (
    _made('AES of the old kind', attacks.CRYPT, crypt=1),
    _made('an unknown encryption', attacks.CRYPT, crypt=7),
    _made('LUKS without a header', attacks.CRYPT, crypt=2),
    _made(
        'LUKS with a header behind the end',
        *(attacks.CRYPT,),
        crypt=2,
        extensions=_luks_at(1 << 50),
    ),
    _made(
        'LUKS in the qcow2 header',
        *(attacks.CRYPT,),
        crypt=2,
        extensions=_luks_at(0),
    ),
    _made(
        'LUKS that takes hours, inside of qcow2',
        *(attacks.CRYPT,),
        crypt=2,
        extensions=_luks_at(qcow2.Image().first_free),
        clusters=(luks(_ALL),),
    ),
    _alone('LUKS that takes hours', _ALL),
    _alone('LUKS that nothing opens', 1000),
    _alone('LUKS that ends in its header', 1000, 1 << 31),
)
