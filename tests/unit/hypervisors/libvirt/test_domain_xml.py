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

import pathlib

import ddt
from lxml import etree

from tests import base
from tests import data
from volume_driver import exception
from volume_driver.hypervisors.libvirt import domain_xml

VOLUME = 'volume-1b4e28ba-2fa1-41d2-883f-b9a761bde3fb'
BASE, A, B = VOLUME, f'{VOLUME}.a', f'{VOLUME}.b'
FLOWS = ('active-commit', 'intermediate-commit', 'pull', 'pull-all')


def _disk(flow: str, phase: str) -> domain_xml.Disk:
    first, _ = domain_xml.disks(data.domain(flow, phase))
    return first


@ddt.ddt
class RecordedTest(base.TestCase):
    """The chain in each phase of each flow, as libvirt showed it."""

    @ddt.data(
        ('active-commit', '00-before', (BASE, A, B)),
        ('active-commit', '01-copying', (BASE, A, B)),
        ('active-commit', '02-ready', (BASE, A, B)),
        ('active-commit', '09-after', (BASE, A)),
        ('intermediate-commit', '00-before', (BASE, A, B)),
        ('intermediate-commit', '01-copying', (BASE, A, B)),
        ('intermediate-commit', '09-after', (BASE, B)),
        ('pull', '00-before', (BASE, A, B)),
        ('pull', '01-copying', (BASE, A, B)),
        ('pull', '09-after', (BASE, B)),
        ('pull-all', '00-before', (BASE, A, B)),
        ('pull-all', '01-copying', (BASE, A, B)),
        ('pull-all', '09-after', (B,)),
    )
    @ddt.unpack
    def test_chain(
        self, flow: str, phase: str, expected: tuple[str, ...]
    ) -> None:
        self.assertEqual(expected, _disk(flow, phase).names)

    @ddt.data(
        ('00-before', None),
        ('01-copying', ''),
        ('02-ready', 'yes'),
        ('09-after', None),
    )
    @ddt.unpack
    def test_mirror_of_an_active_commit(
        self, phase: str, ready: str | None
    ) -> None:
        mirror = _disk('active-commit', phase).mirror
        if ready is None:
            self.assertIsNone(mirror)
        else:
            self.assertEqual(
                domain_xml.Mirror(f'/volumes/{A}', 'active-commit', ready),
                mirror,
            )

    @ddt.data('intermediate-commit', 'pull', 'pull-all')
    def test_other_jobs_have_no_mirror(self, flow: str) -> None:
        self.assertIsNone(_disk(flow, '01-copying').mirror)

    @ddt.data(*FLOWS)
    def test_shut_off_domain_shows_the_active_image_alone(
        self, flow: str
    ) -> None:
        found = _disk(flow, '00-shut-off')
        self.assertEqual((B,), found.names)
        self.assertIsNone(found.sources[0].index)

    def test_disk_is_told_by_target_and_serial(self) -> None:
        first, second = domain_xml.disks(data.domain('pull', '00-before'))
        self.assertEqual(('vda', 'vdb'), (first.target, second.target))
        self.assertEqual(VOLUME.removeprefix('volume-'), first.serial)
        self.assertIsNone(second.serial)
        self.assertEqual('qcow2', first.format)
        self.assertEqual(('other',), second.names)

    def test_images_have_the_indexes_of_the_live_xml(self) -> None:
        found = _disk('active-commit', '02-ready')
        xml = data.domain('active-commit', '02-ready')
        for source in found.sources:
            self.assertEqual(f'vda[{source.index}]', found.device(source.name))
            self.assertIn(f"index='{source.index}'", xml)
        self.assertEqual(3, len({found.device(name) for name in found.names}))

    def test_index_stays_with_its_image(self) -> None:
        before = _disk('intermediate-commit', '00-before')
        after = _disk('intermediate-commit', '09-after')
        for name in after.names:
            self.assertEqual(before.device(name), after.device(name))

    def test_image_that_left_the_chain_has_no_name(self) -> None:
        found = _disk('pull', '09-after')
        self.assertRaises(KeyError, found.device, A)

    def test_paths_are_those_of_the_host(self) -> None:
        found = _disk('pull', '00-before')
        self.assertEqual(f'/volumes/{B}', found.sources[0].path)

    @ddt.data(*FLOWS)
    def test_targets_are_those_of_all_disks(self, flow: str) -> None:
        self.assertEqual(
            ('vda', 'vdb'), domain_xml.targets(data.domain(flow, '00-before'))
        )


class DisksTest(base.TestCase):
    def disks(self, *disks: str) -> tuple[domain_xml.Disk, ...]:
        return domain_xml.disks(self.domain(*disks))

    def domain(self, *disks: str) -> str:
        body = ''.join(disks)
        return f'<domain><devices>{body}</devices></domain>'

    def test_no_disk(self) -> None:
        self.assertEqual((), self.disks())
        self.assertEqual((), domain_xml.disks('<domain/>'))

    def test_what_is_no_file_is_left_out(self) -> None:
        found = self.disks(
            "<disk type='block'><source dev='/x'/><target dev='a'/></disk>",
            "<disk type='network'><source name='x'/><target dev='b'/></disk>",
            "<disk type='file'><target dev='c'/></disk>",
            "<disk type='file'><source file='/x'/></disk>",
            "<disk type='file'><source file='/x'/><target dev='d'/></disk>",
        )
        self.assertEqual(['d'], [disk.target for disk in found])

    def test_they_are_among_the_targets_all_the_same(self) -> None:
        xml = self.domain(
            "<disk type='block'><source dev='/x'/><target dev='a'/></disk>",
            "<disk type='file'><target dev='c'/></disk>",
        )
        self.assertEqual(('a', 'c'), domain_xml.targets(xml))

    def test_disk_without_a_driver_has_no_format(self) -> None:
        (found,) = self.disks(
            "<disk type='file'><source file='/x'/><target dev='a'/></disk>"
        )
        self.assertEqual('', found.format)

    def test_chain_ends_where_no_file_is(self) -> None:
        (found,) = self.disks(
            "<disk type='file'><source file='/b' index='1'/>"
            "<backingStore type='file' index='2'><source file='/a'/>"
            "<backingStore type='network' index='3'><source name='n'/>"
            "<backingStore type='file' index='4'><source file='/z'/>"
            '</backingStore></backingStore></backingStore>'
            "<target dev='a'/></disk>"
        )
        self.assertEqual(('a', 'b'), found.names)

    def test_disk_that_cannot_be_named_is_none(self) -> None:
        self.assertEqual(
            (), self.disks("<disk><source file='/b'/><target bus='x'/></disk>")
        )

    def test_mirror_onto_what_is_no_file(self) -> None:
        (found,) = self.disks(
            "<disk type='file'><source file='/b'/><target dev='a'/>"
            "<mirror type='block' job='copy'/></disk>"
        )
        self.assertEqual(domain_xml.Mirror('', 'copy', ''), found.mirror)


@ddt.ddt
class EntitiesTest(base.TestCase):
    """XML is libvirt's own, and yet nothing but it is ever read."""

    def assert_refused(self, xml: str, reason: str) -> None:
        for read in (
            domain_xml.disks,
            domain_xml.targets,
            lambda xml: domain_xml.with_source(xml, 'vda', '/c', 'raw'),
        ):
            error = self.assertRaises(exception.DomainXmlInvalid, read, xml)
            self.assertRegex(str(error), reason)
            self.assertNotIn('the secret', str(error))

    def domain(self, declared: str, file: str = '', serial: str = '') -> str:
        return (
            f'<!DOCTYPE domain [{declared}]>'
            f"<domain><devices><disk type='file'><source file='{file}'/>"
            f"<target dev='vda'/><serial>{serial}</serial></disk></devices>"
            '</domain>'
        )

    @ddt.data(
        ('<!ENTITY x SYSTEM "{}">', '', '&x;'),
        ('<!ENTITY x SYSTEM "{}">', '&x;', ''),
        ('<!ENTITY % x SYSTEM "{}"> %x;', '', ''),
        ('<!ENTITY x SYSTEM "http://127.0.0.1:1/">', '', '&x;'),
    )
    @ddt.unpack
    def test_external_entity_is_not_read(
        self, declared: str, file: str, serial: str
    ) -> None:
        secret = self.temp_dir() / 'secret'
        secret.write_text('the secret')
        declared = declared.format(secret.as_uri())
        self.assert_refused(
            self.domain(declared, file, serial), 'document type|ntity'
        )

    @ddt.data(('', '&x;'), ('&x;', ''))
    @ddt.unpack
    def test_internal_entity_is_not_expanded(
        self, file: str, serial: str
    ) -> None:
        xml = self.domain('<!ENTITY x "expanded">', file, serial)
        self.assert_refused(xml, 'document type')

    @ddt.data(('', '&e9;'), ('&e9;', ''))
    @ddt.unpack
    def test_billion_laughs(self, file: str, serial: str) -> None:
        laughs = ''.join(
            f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">'
            for n in range(10)
        )
        self.assert_refused(
            self.domain(laughs, file, serial), 'document type|ntity'
        )

    def test_default_of_an_attribute_is_not_taken(self) -> None:
        declared = '<!ATTLIST source index CDATA "7">'
        self.assert_refused(self.domain(declared, '/b'), 'document type')

    def test_external_dtd_is_not_loaded(self) -> None:
        missing = pathlib.Path('/nowhere/domain.dtd').as_uri()
        self.assert_refused(
            f'<!DOCTYPE domain SYSTEM "{missing}"><domain/>', 'document type'
        )

    @ddt.data('', 'text', '<domain>', '<domain/>x', '<a>\0</a>', '\ud800')
    def test_no_xml(self, xml: str) -> None:
        self.assert_refused(xml, 'cannot be read')

    def test_nested_without_end(self) -> None:
        depth = 100000
        self.assert_refused('<a>' * depth + '</a>' * depth, 'depth')

    def test_error_is_one_short_line(self) -> None:
        name = 'x\n' + 'y' * 100000
        error = self.assertRaises(
            exception.DomainXmlInvalid, domain_xml.disks, f'<a>&{name};</a>'
        )
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 1000)


@ddt.ddt
class SnapshotTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        xml = domain_xml.snapshot('vda', ('vdb', 'sda'), '/volumes/v.new')
        self.root = etree.fromstring(xml)

    @ddt.data('source', 'disk')
    def test_overlay_is_encrypted_as_the_disk_is(self, where: str) -> None:
        encryption = (
            "<encryption format='luks' engine='qemu'>"
            "<secret type='passphrase' uuid='u'/></encryption>"
        )
        source, disk = (
            (encryption, '') if where == 'source' else ('', encryption)
        )
        (found,) = domain_xml.disks(
            "<domain><devices><disk type='file'><driver type='qcow2'/>"
            f"<source file='/v/volume-u'>{source}</source>{disk}"
            "<target dev='vda'/></disk></devices></domain>"
        )
        xml = domain_xml.snapshot('vda', (), '/v/new', found.encryption)
        root = etree.fromstring(xml)
        for path, key, value in (
            ('encryption', 'engine', 'qemu'),
            ('encryption/secret', 'uuid', 'u'),
        ):
            element = root.find(f'./disks/disk/source/{path}')
            assert element is not None
            self.assertEqual(value, element.get(key))

    def test_only_our_disk_takes_part(self) -> None:
        found = {
            disk.get('name'): disk.get('snapshot')
            for disk in self.root.iterfind('./disks/disk')
        }
        self.assertEqual({'vda': 'external', 'vdb': 'no', 'sda': 'no'}, found)

    def test_overlay_is_a_qcow2_file(self) -> None:
        (disk,) = self.root.iterfind("./disks/disk[@name='vda']")
        self.assertEqual('file', disk.get('type'))
        (driver,) = disk.iterfind('driver')
        self.assertEqual('qcow2', driver.get('type'))
        (source,) = disk.iterfind('source')
        self.assertEqual('/volumes/v.new', source.get('file'))

    def test_names_are_quoted(self) -> None:
        path = '/volumes/<&"\'>'
        root = etree.fromstring(domain_xml.snapshot('vda', (), path))
        (source,) = root.iterfind('.//source')
        self.assertEqual(path, source.get('file'))


class WithSourceTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.xml = data.domain('pull', '00-shut-off')
        self.changed = domain_xml.with_source(
            self.xml, 'vda', f'/volumes/{BASE}', 'raw'
        )

    def test_disk_has_the_other_image(self) -> None:
        first, _ = domain_xml.disks(self.changed)
        self.assertEqual((BASE,), first.names)
        self.assertEqual('raw', first.format)

    def test_all_else_stays(self) -> None:
        before = etree.fromstring(self.xml)
        after = etree.fromstring(
            domain_xml.with_source(
                self.changed, 'vda', f'/volumes/{B}', 'qcow2'
            )
        )
        self.assertEqual(
            etree.tostring(before, method='c14n'),
            etree.tostring(after, method='c14n'),
        )
        self.assertEqual(
            domain_xml.disks(self.xml)[1], domain_xml.disks(self.changed)[1]
        )

    def test_backing_images_that_are_written_down_go(self) -> None:
        live = data.domain('pull', '00-before')
        changed = domain_xml.with_source(live, 'vda', '/volumes/x', 'qcow2')
        first, _ = domain_xml.disks(changed)
        self.assertEqual(('x',), first.names)

    def test_unknown_target_changes_nothing(self) -> None:
        changed = domain_xml.with_source(self.xml, 'vdz', '/x', 'raw')
        self.assertEqual(domain_xml.disks(self.xml), domain_xml.disks(changed))
