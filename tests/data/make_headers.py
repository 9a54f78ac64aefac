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

"""Make ``tests/data/headers`` anew: ``python -m tests.data.make_headers``.

Each file is the first cluster of an image by qemu-img, without most of the
zeros at its end. QEMU has refused to make a backing name without a format
since 6.1; in ``no-backing-format`` the type of that header extension is
overwritten with one that nobody knows.
"""

from __future__ import annotations

import pathlib
import tempfile

from tests.fixtures import image_tools

_OUT = pathlib.Path(__file__).parent / 'headers'
_BACKING_FORMAT = bytes.fromhex('e2792aca')
_LEAST = 104  # the fields of version 3
_UNKNOWN = bytes.fromhex('0badcafe')
_OVERLAY = ('-u', '-b', 'volume-u.a', '-F')

_OPTIONS: dict[str, tuple[str, ...]] = {
    'v2': ('-o', 'compat=0.10'),
    'v2-overlay': ('-o', 'compat=0.10', *_OVERLAY, 'qcow2'),
    'v3': (),
    'v3-overlay': (*_OVERLAY, 'qcow2'),
    'v3-overlay-of-raw': ('-u', '-b', 'volume-u', '-F', 'raw'),
    'v3-overlay-by-path': ('-u', '-b', '/etc/passwd', '-F', 'raw'),
    'no-backing-format': (*_OVERLAY, 'qcow2'),
    'data-file': ('-o', 'data_file={directory}/data,data_file_raw=on'),
    'bitmaps': (),
    'extended-l2': ('-o', 'extended_l2=on'),
    'lazy-refcounts': ('-o', 'lazy_refcounts=on'),
    'zstd': ('-o', 'compression_type=zstd'),
    'luks': (
        *('--object', 'secret,id=key,data=geheim'),
        *('-o', 'encrypt.format=luks,encrypt.key-secret=key'),
        *('-o', 'encrypt.iter-time=10'),
    ),
    'clusters-512': ('-o', 'cluster_size=512'),
    'clusters-2m-overlay': ('-o', 'cluster_size=2M', *_OVERLAY, 'qcow2'),
}


def _make(directory: str, name: str) -> bytes:
    path = f'{directory}/{name}'
    options = [o.format(directory=directory) for o in _OPTIONS[name]]
    image_tools.qemu_img(
        'create', '-q', '-f', 'qcow2', *options, path, '1048576'
    )
    if name == 'bitmaps':
        for bitmap in ('one', 'two', 'three'):
            image_tools.qemu_img('bitmap', '--add', path, bitmap)
    with open(path, 'rb') as stream:
        data = stream.read(512 if name == 'clusters-512' else 65536)
    if name == 'no-backing-format':
        data = data.replace(_BACKING_FORMAT, _UNKNOWN)
    # Of the same length, as the header says how long it is.
    given = '/tmp/'.ljust(len(directory), 'x')
    data = data.replace(directory.encode(), given.encode()).rstrip(b'\0')
    # Room for the last name of the feature table, and the extensions' end.
    return data.ljust(_LEAST, b'\0') + bytes(56)


def main() -> None:
    _OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        for name in _OPTIONS:
            (_OUT / name).write_bytes(_make(directory, name))


if __name__ == '__main__':
    main()
