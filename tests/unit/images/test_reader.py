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

import os
import struct

import ddt

from tests import base
from tests import data
from tests.unit.images import test_luks
from tests.unit.images import test_secrets
from volume_driver import chain
from volume_driver import exception
from volume_driver import info
from volume_driver.images import reader
from volume_driver.images import record


def overlay(backing: str, backing_format: str | None = 'qcow2') -> bytes:
    """Return the header of an overlay, a real one with other names."""
    name = 'no-backing-format'
    if backing_format is not None:
        name = 'v3-overlay-of-raw'
        if backing_format == 'qcow2':
            name = 'v3-overlay'
    found = bytearray(data.header(name))
    at, _ = struct.unpack_from('>QI', found, 8)
    struct.pack_into('>I', found, 16, len(backing))
    del found[at:]
    return bytes(found) + backing.encode() + bytes(64)


class ReaderTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()

    def put(self, name: str, content: bytes = b'') -> None:
        (self.directory / name).write_bytes(content)

    def read(
        self, active: str = 'volume-u', default_format: str = 'qcow2'
    ) -> chain.Chain:
        return reader.read_chain(
            str(self.directory), 'volume-u', active, default_format
        )


class ReadChainTest(ReaderTestCase):
    def test_base_alone(self) -> None:
        self.put('volume-u', data.header('v3'))
        self.assertEqual(('volume-u',), self.read().names)

    def test_three_images(self) -> None:
        self.put('volume-u', data.header('v3'))
        self.put('volume-u.a', overlay('volume-u'))
        self.put('volume-u.b', overlay('./volume-u.a'))
        found = self.read('volume-u.b')
        self.assertEqual(('volume-u', 'volume-u.a', 'volume-u.b'), found.names)
        self.assertEqual('volume-u.a', found.active.backing)
        self.assertEqual('qcow2', found.active.backing_format)
        self.assertEqual(1 << 20, found.active.size)
        path = self.directory / 'volume-u.b'
        self.assertEqual(path.stat().st_blocks * 512, found.active.allocated)

    def test_raw_base_is_never_parsed(self) -> None:
        self.put('volume-u', overlay('/etc/passwd', 'raw'))
        record.write(str(self.directory), 'volume-u', 'raw')
        self.put('volume-u.a', overlay('volume-u', 'raw'))
        found = self.read('volume-u.a')
        self.assertEqual('raw', found.base.format)
        size = (self.directory / 'volume-u').stat().st_size
        self.assertEqual(size, found.base.size)
        self.assertIsNone(found.base.backing)

    def test_chain_without_the_image_named_like_the_volume(self) -> None:
        self.put('volume-u.a', data.header('v3'))
        self.put('volume-u.b', overlay('volume-u.a'))
        found = self.read('volume-u.b')
        self.assertEqual(('volume-u.a', 'volume-u.b'), found.names)

    def test_cycle(self) -> None:
        self.put('volume-u.a', overlay('volume-u.b'))
        self.put('volume-u.b', overlay('volume-u.a'))
        error = self.assertRaises(
            exception.ChainMismatch, self.read, 'volume-u.b'
        )
        self.assertIn('again', str(error.found))

    def test_image_on_itself(self) -> None:
        self.put('volume-u.a', overlay('volume-u.a'))
        self.assertRaises(exception.ChainMismatch, self.read, 'volume-u.a')

    def test_missing_image(self) -> None:
        self.put('volume-u.a', overlay('volume-u'))
        error = self.assertRaises(
            exception.ImageInvalid, self.read, 'volume-u.a'
        )
        self.assertIn('missing', str(error))

    def test_foreign_image(self) -> None:
        self.put('volume-u.a', overlay('volume-v'))
        self.assertRaises(exception.ImageNotTrusted, self.read, 'volume-u.a')

    def test_overlay_that_names_the_wrong_format(self) -> None:
        self.put('volume-u', data.header('v3'))
        record.write(str(self.directory), 'volume-u', 'qcow2')
        self.put('volume-u.a', overlay('volume-u', 'raw'))
        error = self.assertRaises(
            exception.ChainMismatch, self.read, 'volume-u.a'
        )
        self.assertIn('names raw', str(error.found))

    def test_overlay_that_calls_an_overlay_raw(self) -> None:
        self.put('volume-u.a', data.header('v3'))
        self.put('volume-u.b', overlay('volume-u.a', 'raw'))
        self.assertRaises(exception.ChainMismatch, self.read, 'volume-u.b')

    def test_overlay_without_a_format_is_refused(self) -> None:
        self.put('volume-u', data.header('v3'))
        self.put('volume-u.a', overlay('volume-u', None))
        self.assertRaises(exception.ImageNotTrusted, self.read, 'volume-u.a')


class BaseFormatTest(ReaderTestCase):
    def format(self, named: str | None, default_format: str) -> str:
        return reader.base_format(
            str(self.directory), 'volume-u', named, default_format
        )

    def test_record_is_believed_first(self) -> None:
        self.put('volume-u', data.header('v3'))
        record.write(str(self.directory), 'volume-u', 'raw')
        self.assertEqual('raw', self.format('qcow2', 'qcow2'))

    def test_overlay_above_is_believed_next(self) -> None:
        self.put('volume-u', data.header('v3'))
        self.assertEqual('raw', self.format('raw', 'qcow2'))

    def test_what_does_not_begin_like_qcow2_is_raw(self) -> None:
        self.put('volume-u', b'boot sector')
        self.assertEqual('raw', self.format(None, 'qcow2'))
        self.assertEqual('raw', self.format(None, 'raw'))

    def test_first_bytes_and_option_agree(self) -> None:
        self.put('volume-u', data.header('v3'))
        self.assertEqual('qcow2', self.format(None, 'qcow2'))

    def test_first_bytes_alone_are_refused(self) -> None:
        self.put('volume-u', data.header('v3'))
        error = self.assertRaises(
            exception.ImageNotTrusted, self.format, None, 'raw'
        )
        self.assertIn('no record of its format', str(error))


@ddt.ddt
class CheckInfoTest(base.TestCase):
    CHAIN = chain.Chain(
        tuple(
            chain.Image(name, 'qcow2', 1)
            for name in ('volume-u', 'volume-u.a', 'volume-u.b')
        )
    )
    BOTH = {'a': 'volume-u.a', 'b': 'volume-u.b'}

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.temp_dir()

    def check(self, snapshots: dict[str, str], cascade: bool = False) -> None:
        content = info.Info('volume-u.b', snapshots)
        reader.check_info(
            self.CHAIN, content, 'volume-u', str(self.directory), cascade
        )

    def test_agreement(self) -> None:
        self.check(self.BOTH)
        self.check(self.BOTH, cascade=True)

    @ddt.data('volume-u', 'volume-u.c')
    def test_snapshot_without_an_overlay(self, name: str) -> None:
        for cascade in (False, True):
            error = self.assertRaises(
                exception.ChainMismatch,
                self.check,
                {**self.BOTH, 'c': name},
                cascade,
            )
            self.assertIn('snapshot c', str(error.expected))

    def test_overlay_without_a_snapshot(self) -> None:
        error = self.assertRaises(
            exception.ChainMismatch, self.check, {'b': 'volume-u.b'}
        )
        self.assertIn('volume-u.a', str(error.found))

    def test_overlay_that_had_to_keep_its_name(self) -> None:
        record.add_nameless(str(self.directory), 'volume-u', 'volume-u.b')
        self.check({'a': 'volume-u.a'})
        self.assertRaises(
            exception.ChainMismatch, self.check, {'b': 'volume-u.b'}
        )

    def test_volume_that_goes_may_have_overlays_left(self) -> None:
        self.check({}, cascade=True)


class ReferrersTest(ReaderTestCase):
    def referrers(self, name: str) -> list[str]:
        return reader.referrers(str(self.directory), 'volume-u', name)

    def test_all_files_of_the_volume_count(self) -> None:
        self.put('volume-u', data.header('v3'))
        for name in ('a', 'b', 'c'):
            self.put(f'volume-u.{name}', overlay('volume-u'))
        self.put('volume-u.d', overlay('./volume-u'))
        self.put('volume-u.e', overlay('volume-u.a'))
        self.assertEqual(
            [f'volume-u.{name}' for name in 'abcd'],
            self.referrers('volume-u'),
        )
        self.assertEqual(['volume-u.e'], self.referrers('volume-u.a'))
        self.assertEqual([], self.referrers('volume-u.e'))

    def test_other_volumes_and_files_do_not(self) -> None:
        self.put('volume-u2.a', overlay('volume-u'))
        self.put('volume-u.a.part', overlay('volume-u'))
        self.put('volume-u.info', overlay('volume-u'))
        self.assertEqual([], self.referrers('volume-u'))

    def test_what_is_no_image_refers_to_nothing(self) -> None:
        self.put('volume-u.a', b'garbage')
        self.assertEqual([], self.referrers('volume-u'))

    def test_what_cannot_be_looked_at_is_no_excuse(self) -> None:
        os.symlink('/nowhere', self.directory / 'volume-u.a')
        self.assertRaises(
            exception.ImageNotTrusted, self.referrers, 'volume-u'
        )


class ReadFlatTest(ReaderTestCase):
    def read_flat(self, image_format: str) -> chain.Image:
        path = str(self.directory / 'volume-u.export-image')
        return reader.read_flat(path, image_format)

    def test_raw_is_never_parsed(self) -> None:
        self.put('volume-u.export-image', data.header('v3-overlay'))
        found = self.read_flat('raw')
        self.assertEqual('volume-u.export-image', found.name)
        self.assertEqual('raw', found.format)

    def test_qcow2(self) -> None:
        self.put('volume-u.export-image', data.header('v3'))
        found = self.read_flat('qcow2')
        self.assertEqual(('qcow2', 1 << 20), (found.format, found.size))

    def test_backing_image_is_refused(self) -> None:
        for backing in ('volume-u', 'volume-u.export-image', '/etc/passwd'):
            self.put('volume-u.export-image', overlay(backing))
            self.assertRaises(
                exception.ImageNotTrusted, self.read_flat, 'qcow2'
            )

    def test_data_file_is_refused(self) -> None:
        self.put('volume-u.export-image', data.header('data-file'))
        self.assertRaises(exception.ImageNotTrusted, self.read_flat, 'qcow2')

    def test_link_is_refused(self) -> None:
        self.put('volume-u', data.header('v3'))
        (self.directory / 'volume-u.export-image').symlink_to('volume-u')
        for image_format in ('raw', 'qcow2'):
            self.assertRaises(
                exception.ImageNotTrusted, self.read_flat, image_format
            )

    def test_missing(self) -> None:
        self.assertRaises(exception.ImageInvalid, self.read_flat, 'raw')


class ReadContainerTest(ReaderTestCase):
    def read_container(self, content: bytes) -> chain.Image:
        self.put('volume-u.export-volume', content)
        path = str(self.directory / 'volume-u.export-volume')
        return reader.read_container(path)

    def test_qcow2_with_luks_inside(self) -> None:
        content = test_secrets.encrypted_header().ljust(8192, b'\0')
        found = self.read_container(content)
        self.assertEqual(('qcow2', 1 << 20), (found.format, found.size))
        self.assertTrue(found.encrypted)

    def test_luks_alone(self) -> None:
        content = test_luks.luks_header().ljust(8 << 20, b'\0')
        found = self.read_container(content)
        size = (8 << 20) - 4040 * 512
        self.assertEqual(('luks', size), (found.format, found.size))
        self.assertTrue(found.encrypted)

    def test_plain_one_is_refused(self) -> None:
        for name in ('v3', 'data-file'):
            self.assertRaises(
                *(exception.ImageNotTrusted, self.read_container),
                data.header(name),
            )
        self.assertRaises(
            exception.ImageInvalid, self.read_container, bytes(8192)
        )

    def test_backing_image_is_refused(self) -> None:
        content = test_secrets.encrypted_header('volume-u').ljust(8192, b'\0')
        self.assertRaises(
            exception.ImageNotTrusted, self.read_container, content
        )

    def test_what_takes_hours_to_be_opened_is_refused(self) -> None:
        slow = test_luks.luks_header() + struct.pack('>52xI', 1 << 31)
        self.assertRaises(
            *(exception.ImageNotTrusted, self.read_container),
            slow.ljust(8192, b'\0'),
        )
        head = test_secrets.encrypted_header()[:4096]
        self.assertRaises(
            *(exception.ImageNotTrusted, self.read_container),
            (head + slow).ljust(8192, b'\0'),
        )


class ExportsTest(ReaderTestCase):
    def test_finished_or_not(self) -> None:
        for name in (
            *('volume-u', 'volume-u.a', 'volume-u2.export-a'),
            *('volume-u.export-b', 'volume-u.export-a.part'),
        ):
            self.put(name)
        self.assertEqual(
            ['volume-u.export-a.part', 'volume-u.export-b'],
            reader.exports_of(str(self.directory), 'volume-u'),
        )
