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

"""Attacks that name what is not theirs, or that have no end."""

from __future__ import annotations

import collections.abc
import functools
import json
import os
import pathlib
import typing

from tests.attacks import attack as attacks
from tests.attacks import qcow2

_Name = collections.abc.Callable[[attacks.Scene], str | bytes]
_LINK, _FOLDER = 'link', 'folder'


def _write_overlay(
    path: pathlib.Path,
    scene: attacks.Scene,
    name: _Name,
    named: str,
    **fields: typing.Any,
) -> None:
    backing = name(scene)
    if isinstance(backing, str):
        backing = os.fsencode(backing)
    image = qcow2.Image(
        backing=backing, backing_format=named.encode(), **fields
    )
    path.write_bytes(image.made())


def _backing(
    label: str, name: _Name, named: str = 'raw', **fields: typing.Any
) -> attacks.Attack:
    write = functools.partial(_write_overlay, name=name, named=named, **fields)
    return attacks.Attack(f'backing: {label}', attacks.BACKING, write)


def _json(scene: attacks.Scene, **node: typing.Any) -> str:
    return f'json:{json.dumps(node)}'


def _json_file(scene: attacks.Scene) -> str:
    file = {'driver': 'file', 'filename': str(scene.secret)}
    return _json(scene, driver='raw', file=file)


def _json_nbd(scene: attacks.Scene) -> str:
    server = {'type': 'inet', 'host': '127.0.0.1', 'port': str(scene.port)}
    return _json(scene, driver='nbd', server=server, export='x')


def _through_folder(path: pathlib.Path, scene: attacks.Scene) -> None:
    """Name a file through a link to a directory, which is there as well."""
    link = path.with_name(_FOLDER)
    link.symlink_to(scene.secret.parent)
    _write_overlay(path, scene, lambda _: f'{_FOLDER}/secret', 'raw')


def _through_link(path: pathlib.Path, scene: attacks.Scene) -> None:
    """Name a file that is a link, by a name that an image could have."""
    name = f'{scene.volume}.{_LINK}'
    path.with_name(name).symlink_to(scene.secret)
    _write_overlay(path, scene, lambda _: name, 'raw')


def _up(scene: attacks.Scene) -> str:
    return f'../{scene.secret.parent.name}/{scene.secret.name}'


def _url(scheme: str) -> _Name:
    return lambda scene: f'{scheme}://127.0.0.1:{scene.port}/x'


NAMES = (
    _backing('an absolute name', lambda scene: str(scene.secret)),
    _backing('without a format', lambda scene: str(scene.secret), ''),
    _backing('version 2', lambda scene: str(scene.secret), version=2),
    _backing('../', _up),
    _backing('./../', lambda scene: f'./{_up(scene)}'),
    _backing('its own name and ../', lambda s: f'{s.volume}/../{_up(s)}'),
    _backing('file:', lambda scene: f'file:{scene.secret}'),
    _backing('file://', lambda scene: f'file://{scene.secret}'),
    _backing('host_device:', lambda scene: f'host_device:{scene.secret}'),
    _backing('blkdebug:', lambda scene: f'blkdebug::{scene.secret}'),
    _backing('fat:', lambda scene: f'fat:{scene.secret.parent}'),
    _backing('json: of a file', _json_file),
    _backing('json: of NBD', _json_nbd),
    _backing('json: of nothing', lambda s: _json(s, driver='null-co')),
    _backing('json: not closed', lambda _: 'json:{'),
    _backing('nbd://', _url('nbd')),
    _backing('nbd+unix://', lambda s: f'nbd+unix:///?socket={s.secret}'),
    _backing('http://', _url('http')),
    _backing('ssh://', _url('ssh')),
    _backing('iscsi://', _url('iscsi')),
    _backing('another volume', lambda scene: scene.other, 'qcow2'),
    _backing('an overlay of another', lambda s: f'{s.other}.a', 'qcow2'),
    _backing('its own .info', lambda scene: f'{scene.volume}.info'),
    _backing('its own .record', lambda scene: f'{scene.volume}.record'),
    _backing('its own lock', lambda s: f'.locks/{s.volume}'),
    _backing('/proc/self/environ', lambda _: '/proc/self/environ'),
    _backing('/proc/self/fd', lambda _: '/proc/self/fd/0'),
    _backing('/dev/fdset', lambda _: '/dev/fdset/0'),
    _backing('/dev/zero', lambda _: '/dev/zero'),
    _backing('a line break', lambda s: f'{s.volume}\n{s.secret}'),
    _backing('a NUL', lambda scene: f'{scene.volume}\0{scene.secret}'),
    _backing('no text', lambda _: b'/\xff\xfe'),
    _backing('%s', lambda _: '%s%n'),
    _backing('its own as VMDK', lambda scene: scene.volume, 'vmdk'),
    _backing('in a format without a name', lambda s: s.volume, '\xff'),
    attacks.Attack(
        'backing: through a link to a directory',
        attacks.BACKING,
        _through_folder,
        guest=False,
    ),
    attacks.Attack(
        'backing: a link', attacks.BACKING, _through_link, guest=False
    ),
)


def _write_data_file(
    path: pathlib.Path,
    scene: attacks.Scene,
    name: _Name,
    incompatible: int = qcow2.EXTERNAL,
    autoclear: int = qcow2.RAW_EXTERNAL,
) -> None:
    text = name(scene)
    data = text if isinstance(text, bytes) else os.fsencode(text)
    image = qcow2.Image(
        incompatible=incompatible,
        autoclear=autoclear,
        extensions=((qcow2.DATA_FILE, data),) if data else (),
    )
    path.write_bytes(image.made())


def _data_file(
    label: str, name: _Name, **fields: typing.Any
) -> attacks.Attack:
    write = functools.partial(_write_data_file, name=name, **fields)
    return attacks.Attack(f'data file: {label}', attacks.DATA_FILE, write)


DATA_FILES = (
    _data_file('raw, by its path', lambda scene: str(scene.secret)),
    _data_file('not raw', lambda scene: str(scene.secret), autoclear=0),
    _data_file('json:', _json_file),
    _data_file('nbd://', _url('nbd')),
    _data_file('../', _up),
    _data_file('its own', lambda scene: scene.volume),
    _data_file('another volume', lambda scene: scene.other),
    _data_file('without a name', lambda _: ''),
    _data_file('named, but not said', lambda s: str(s.secret), incompatible=0),
)


def _write_itself(path: pathlib.Path, scene: attacks.Scene) -> None:
    _write_overlay(path, scene, lambda _: path.name, 'qcow2')


CHAINS = (
    attacks.Attack('chain: on itself', attacks.CHAIN, _write_itself),
    attacks.Attack(
        'chain: on its own overlay',
        attacks.CHAIN,
        functools.partial(
            _write_overlay, name=lambda scene: scene.overlay, named='qcow2'
        ),
    ),
    attacks.Attack(
        'chain: on its own base',
        attacks.CHAIN,
        functools.partial(
            _write_overlay, name=lambda scene: scene.volume, named='raw'
        ),
    ),
    attacks.Attack(
        'chain: on what is not there',
        attacks.CHAIN,
        functools.partial(
            _write_overlay,
            name=lambda scene: f'{scene.volume}.gone',
            named='qcow2',
        ),
    ),
)
