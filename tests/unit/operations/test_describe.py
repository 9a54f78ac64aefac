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
from tests.unit import fakes
from volume_driver import exception
from volume_driver import journal as journals
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import describe
from volume_driver.planning import plan


class DescribeTest(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        self.images = fakes.make_volume(self.directory, 'ab')
        self.hypervisor = fakes.Hypervisor()
        self.context = fakes.context(self.directory, self.hypervisor)
        self.target = fakes.target(self.directory)

    def describe(self) -> describe.Description:
        return describe.describe(self.context, self.target)

    def test_layers_from_the_base_up(self) -> None:
        found = self.describe()
        self.assertEqual(
            list(self.images), [layer.image.name for layer in found.layers]
        )
        self.assertEqual(
            [False, False, True], [layer.active for layer in found.layers]
        )

    def test_an_image_holds_the_data_of_the_snapshot_above_it(self) -> None:
        self.assertEqual(
            ['a', 'b', None],
            [layer.snapshot for layer in self.describe().layers],
        )

    def test_sizes(self) -> None:
        found = self.describe()
        self.assertEqual(fakes.SIZE, found.size)
        self.assertEqual(
            sum(
                (self.directory / name).stat().st_blocks * 512
                for name in self.images
            ),
            found.allocated,
        )

    def test_no_guest(self) -> None:
        self.assertIsNone(self.describe().guest)

    def test_guest_that_runs(self) -> None:
        self.hypervisor.found = hypervisors.Found(fakes.Disk(*self.images))
        self.assertEqual('guest on host (running)', self.describe().guest)

    def test_guests_that_are_off(self) -> None:
        self.hypervisor.found = hypervisors.Found(
            None, (fakes.Defined(), fakes.Defined())
        )
        self.assertEqual(
            'guest that is off (shut off), guest that is off (shut off)',
            self.describe().guest,
        )

    def test_hypervisor_that_cannot_be_asked(self) -> None:
        self.hypervisor.errors['find'] = fakes.refusal()
        self.assertRegex(str(self.describe().guest), '^unknown: .*in use')

    def test_unfinished_operation(self) -> None:
        self.assertIsNone(self.describe().unfinished)
        journals.begin(
            str(self.directory),
            plan.Plan('revert to snapshot b', 'volume-u', ()),
            self.target,
            {},
        )
        self.assertRegex(
            str(self.describe().unfinished), '^revert to snapshot b by '
        )

    def test_no_volume(self) -> None:
        self.target = fakes.target(self.directory, 'volume-v')
        self.assertRaises(exception.VolumeNotFound, self.describe)

    def test_no_lock_is_taken(self) -> None:
        self.describe()
        locks = self.context.locks
        assert isinstance(locks, fakes.Locks)
        self.assertEqual([], locks.taken)
