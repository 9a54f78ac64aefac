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

import dataclasses
import os

import ddt

from tests import base
from tests import data
from volume_driver import exception
from volume_driver.images import header
from volume_driver.images import trust

_PLAIN = header.Header(3, 1 << 20, 65536, None, None)


@ddt.ddt
class CheckTest(base.TestCase):
    def check(self, **changed: object) -> None:
        found = dataclasses.replace(_PLAIN, **changed)  # type: ignore[arg-type]
        trust.check('volume-u', '/volumes/volume-u.b', found)

    def assert_refused(self, reason: str, **changed: object) -> None:
        error = self.assertRaises(
            exception.ImageNotTrusted, self.check, **changed
        )
        self.assertEqual('/volumes/volume-u.b', error.path)
        self.assertIn(reason, str(error.reason))

    def test_base_image(self) -> None:
        self.check()

    @ddt.data('volume-u', 'volume-u.a', './volume-u.a')
    def test_image_of_the_same_volume_by_its_plain_name(
        self, backing: str
    ) -> None:
        for backing_format in ('qcow2', 'raw'):
            self.check(backing=backing, backing_format=backing_format)

    def test_format_of_an_overlay_needs_no_naming(self) -> None:
        self.check(backing='volume-u.a', backing_format=None)

    def test_format_of_the_base_is_never_probed(self) -> None:
        self.assert_refused(
            'which format', backing='volume-u', backing_format=None
        )

    def test_encrypted_image_is_refused(self) -> None:
        self.assert_refused('encrypted', encrypted=True)

    @ddt.data(
        '/etc/passwd',
        '/volumes/volume-u',
        '../volume-u',
        '././volume-u',
        './../volume-u',
        'volume-v',
        'volume-u.info',
        'volume-u.a.part',
        'json:{"driver": "file", "filename": "/etc/passwd"}',
        'nbd://host/export',
        'file:volume-u',
        'volume-u\n',
        '.',
    )
    def test_any_other_backing_name_is_refused(self, backing: str) -> None:
        self.assert_refused(
            'expected an image of volume-u',
            backing=backing,
            backing_format='qcow2',
        )

    @ddt.data('vmdk', 'qed', 'QCOW2', 'raw ', 'file', 'nbd')
    def test_any_other_backing_format_is_refused(self, wrong: str) -> None:
        self.assert_refused(
            'expected qcow2 or raw', backing='volume-u', backing_format=wrong
        )

    def test_data_file_is_refused(self) -> None:
        self.assert_refused('its data is in another file', data_file=True)

    def test_internal_snapshots_without_end_are_refused(self) -> None:
        self.check(snapshots=1024)
        self.assert_refused('1025 internal snapshots', snapshots=1025)

    def test_corrupt_image_is_refused(self) -> None:
        self.assert_refused('marked it as corrupt', corrupt=True)

    @ddt.data('v3-overlay-by-path', 'data-file')
    def test_real_headers_that_lead_outside_are_refused(
        self, name: str
    ) -> None:
        found = header.parse(data.header(name), name)
        self.assertRaises(
            exception.ImageNotTrusted, trust.check, 'volume-u', name, found
        )

    @ddt.data('v2-overlay', 'v3-overlay', 'clusters-2m-overlay', 'v3')
    def test_real_headers_of_a_volume_are_trusted(self, name: str) -> None:
        trust.check('volume-u', name, header.parse(data.header(name), name))


@ddt.ddt
class InspectTest(base.TestCase):
    def inspect(self, *parts: tuple[int, bytes]) -> str:
        """Look at a file of 1 MiB with some bytes at some places."""
        path = self.temp_dir() / 'file'
        with path.open('wb') as stream:
            for offset, content in parts:
                stream.seek(offset)
                stream.write(content)
        os.truncate(path, 1 << 20)
        return trust.inspect(str(path))

    def refused(self, *parts: tuple[int, bytes]) -> str:
        error = self.assertRaises(
            exception.ImageNotTrusted, self.inspect, *parts
        )
        return str(error.reason)

    def test_raw(self) -> None:
        self.assertEqual('raw', self.inspect((0, b'data')))

    def test_boot_sector_of_any_kind_is_raw(self) -> None:
        """Some filesystems have one that is no table of partitions."""
        sector = b'\xeb\x52\x90NTFS    ' + b'\x55' * 499 + b'\x55\xaa'
        self.assertEqual('raw', self.inspect((0, sector)))

    def test_iso_is_raw(self) -> None:
        self.assertEqual('raw', self.inspect((32768, b'\x01CD001\x01')))

    def test_qcow2(self) -> None:
        self.assertEqual('qcow2', self.inspect((0, data.header('v3'))))

    @ddt.data('v3-overlay', 'v3-overlay-by-path', 'data-file')
    def test_qcow2_that_leads_outside_is_refused(self, name: str) -> None:
        self.assertIn('not safe', self.refused((0, data.header(name))))

    def test_what_only_begins_like_qcow2_is_refused(self) -> None:
        for length in (4, 71, 100):
            path = self.temp_dir() / 'cut'
            path.write_bytes(data.header('v3')[:length])
            self.assertRaises(
                exception.ImageNotTrusted, trust.inspect, str(path)
            )

    def test_vmdk_is_refused(self) -> None:
        text = b'# Disk DescriptorFile\nversion=1\nRW 1 FLAT "/etc/x" 0\n'
        self.assertIn('VMDK', self.refused((0, text)))

    def test_other_format_is_refused(self) -> None:
        self.assertIn('qed', self.refused((0, b'QED\0')))

    def test_two_formats_at_once_are_refused(self) -> None:
        self.assertIn(
            'not safe',
            self.refused((0, data.header('v3')), (32768, b'\x01CD001\x01')),
        )


class PlainTest(base.TestCase):
    def test_only_one_leading_dot_slash_is_taken_away(self) -> None:
        self.assertEqual('volume-u', trust.plain('volume-u'))
        self.assertEqual('volume-u', trust.plain('./volume-u'))
        self.assertEqual('./volume-u', trust.plain('././volume-u'))
