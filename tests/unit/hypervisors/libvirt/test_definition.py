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

from tests import base
from tests import data
from tests.unit.hypervisors.libvirt import fake_libvirt
from volume_driver import exception
from volume_driver.hypervisors.libvirt import definition
from volume_driver.hypervisors.libvirt import domain_xml

VOLUME = 'volume-1b4e28ba-2fa1-41d2-883f-b9a761bde3fb'


class StartFromTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        fake_libvirt.install(self)
        self.domain = fake_libvirt.Domain(
            XMLDesc=data.domain('pull', '00-shut-off')
        )

    def start_from(
        self, active: str, image_format: str = 'qcow2', device: str = 'vda'
    ) -> None:
        disk = definition.LibvirtDefinedDisk('guest', self.domain, device)
        disk.start_from(active, image_format)

    def defined(self) -> tuple[domain_xml.Disk, ...]:
        return domain_xml.disks(self.changed('defineXML'))

    def changed(self, method: str) -> str:
        """Return the XML of the last call of a method."""
        found = [
            str(call[1]) for call in self.domain.calls if call[0] == method
        ]
        return found[-1]

    def test_disk_gets_the_image_beside_the_one_it_had(self) -> None:
        self.start_from(f'{VOLUME}.a')
        first, second = self.defined()
        self.assertEqual(f'/volumes/{VOLUME}.a', first.sources[0].path)
        self.assertEqual(('other',), second.names)

    def test_format_may_change(self) -> None:
        self.start_from(VOLUME, 'raw')
        self.assertEqual('raw', self.defined()[0].format)

    def test_the_whole_inactive_definition_is_asked_for(self) -> None:
        self.start_from(f'{VOLUME}.a')
        self.assertEqual(('XMLDesc', 3), self.domain.calls[0])

    def test_what_is_so_already_is_left_alone(self) -> None:
        self.start_from(f'{VOLUME}.b')
        self.assertNotIn('defineXML', self.domain.called())

    def test_same_name_with_another_format_is_changed(self) -> None:
        self.start_from(f'{VOLUME}.b', 'raw')
        self.assertEqual('raw', self.defined()[0].format)

    def test_disk_that_is_not_there_any_more(self) -> None:
        self.start_from(f'{VOLUME}.a', device='vdz')
        self.assertNotIn('defineXML', self.domain.called())

    def test_what_was_saved_with_the_memory_is_changed_too(self) -> None:
        self.domain.answers['hasManagedSaveImage'] = 1
        self.domain.answers['managedSaveGetXMLDesc'] = data.domain(
            'pull', '00-shut-off'
        )
        self.start_from(f'{VOLUME}.a')
        saved = self.changed('managedSaveDefineXML')
        first, *_ = domain_xml.disks(saved)
        self.assertEqual((f'{VOLUME}.a',), first.names)

    def test_plain_images_below_are_not_named(self) -> None:
        disk = definition.LibvirtDefinedDisk('guest', self.domain, 'vda')
        disk.start_from(f'{VOLUME}.a', 'qcow2', (VOLUME,))
        self.assertEqual((f'{VOLUME}.a',), self.defined()[0].names)

    def test_encrypted_images_below_are_named(self) -> None:
        encryption = "<encryption format='luks'/><target dev='vda'"
        xml = str(self.domain.answers['XMLDesc'])
        self.domain.answers['XMLDesc'] = xml.replace(
            "<target dev='vda'", encryption
        )
        disk = definition.LibvirtDefinedDisk('guest', self.domain, 'vda')
        disk.start_from(f'{VOLUME}.b', 'qcow2', (f'{VOLUME}.a', VOLUME))
        wanted = (VOLUME, f'{VOLUME}.a', f'{VOLUME}.b')
        self.assertEqual(wanted, self.defined()[0].names)
        changed = self.changed('defineXML')
        self.assertEqual(3, changed.count('<encryption format="luks"'))
        self.domain.answers['XMLDesc'] = changed
        self.domain.calls.clear()
        disk.start_from(f'{VOLUME}.b', 'qcow2', (f'{VOLUME}.a', VOLUME))
        self.assertNotIn('defineXML', self.domain.called())

    def test_libvirt_refuses(self) -> None:
        for name in ('XMLDesc', 'defineXML'):
            before = self.domain.answers.get(name)
            self.domain.answers[name] = fake_libvirt.Error('no')
            error = self.assertRaises(
                exception.LiveOperationFailed, self.start_from, VOLUME
            )
            self.assertEqual('no', error.reason)
            self.domain.answers[name] = before
