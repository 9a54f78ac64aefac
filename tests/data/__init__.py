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

"""Recorded data: headers of images by qemu-img, domain XML by libvirt."""

import pathlib

_HERE = pathlib.Path(__file__).parent


def header(name: str) -> bytes:
    """Return the beginning of an image, see ``make_headers``."""
    return (_HERE / 'headers' / name).read_bytes()


def headers() -> dict[str, bytes]:
    """Return the beginnings of all images by their names."""
    paths = sorted((_HERE / 'headers').iterdir())
    return {path.name: path.read_bytes() for path in paths}


def domain(flow: str, phase: str) -> str:
    """Return the XML of a domain in one phase, see ``make_domxml``."""
    return (_HERE / 'domxml' / flow / f'{phase}.xml').read_text()
