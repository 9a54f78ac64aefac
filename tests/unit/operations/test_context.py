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
import fcntl
import os
import struct

from tests import base
from tests.unit import fakes
from volume_driver import exception
from volume_driver import info
from volume_driver.executors import live
from volume_driver.executors import offline
from volume_driver.hypervisors import base as hypervisors
from volume_driver.operations import context as contexts


class ContextTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_program('qemu-img', 'qemu-utils')
        self.directory = self.temp_dir()
        self.images = fakes.make_volume(self.directory, 'ab')
        self.hypervisor = fakes.Hypervisor()
        self.context = fakes.context(
            self.directory, self.hypervisor, merge_bandwidth=7
        )
        self.target = fakes.target(self.directory)
        self.disk = fakes.Disk(*self.images, size=12345)

    def read(self, cascade: bool = False) -> contexts.State:
        return contexts.read(self.context, self.target, cascade)

    def start_guest(self) -> None:
        self.hypervisor.found = hypervisors.Found(self.disk)


class KeyTest(ContextTestCase):
    def key(self, passphrase: contexts.Passphrases | None) -> str:
        context = dataclasses.replace(self.context, passphrase=passphrase)
        return context.key(self.target).passphrase

    def test_provider_is_asked_for_the_volume(self) -> None:
        self.assertEqual('u', self.key(lambda target: target.volume_id))

    def test_volume_without_a_key(self) -> None:
        for provider in (None, lambda target: None, lambda target: ''):
            error = self.assertRaises(
                exception.PassphraseMissing, self.key, provider
            )
            self.assertIn(self.target.name, str(error))

    def test_plain_image_needs_none(self) -> None:
        image = self.read().chain.active
        self.assertIsNone(self.context.key_of(self.target, image))


class ExecutorTest(ContextTestCase):
    def test_without_a_guest(self) -> None:
        defined = fakes.Defined()
        found = self.context.executor(
            self.target, hypervisors.Found(None, (defined,))
        )
        self.assertIs(offline.OfflineExecutor, type(found))
        assert isinstance(found, offline.OfflineExecutor)
        self.assertEqual((defined,), found.defined)
        self.assertEqual(7, found.bandwidth)
        self.assertEqual(fakes.VOLUME, found.volume)

    def test_with_a_guest(self) -> None:
        found = self.context.executor(
            self.target, hypervisors.Found(self.disk)
        )
        assert isinstance(found, live.LiveExecutor)
        self.assertIs(self.disk, found.disk)


class ReadTest(ContextTestCase):
    def test_offline(self) -> None:
        state = self.read()
        self.assertEqual(self.images, state.chain.names)
        self.assertEqual({'a', 'b'}, set(state.info.snapshots))
        self.assertFalse(state.live)
        self.assertEqual(fakes.SIZE, state.size)
        state.refuse_live('volume-u', 'a revert')

    def test_live(self) -> None:
        self.start_guest()
        state = self.read()
        self.assertTrue(state.live)
        self.assertEqual(12345, state.size)
        error = self.assertRaises(
            exception.VolumeInUse, state.refuse_live, 'volume-u', 'a revert'
        )
        self.assertEqual('guest on host', error.holder)

    def test_volume_without_snapshots_needs_no_info(self) -> None:
        fakes.make_volume(self.directory, name='volume-v')
        self.target = fakes.target(self.directory, 'volume-v')
        self.assertEqual(info.Info('volume-v'), self.read().info)

    def test_missing_volume(self) -> None:
        self.target = fakes.target(self.directory, 'volume-v')
        error = self.assertRaises(exception.VolumeNotFound, self.read)
        self.assertEqual(str(self.directory), error.directory)

    def test_volume_whose_base_was_pulled_is_there(self) -> None:
        (self.directory / 'volume-u').unlink()
        self.assertTrue(contexts.exists(self.context, 'volume-u'))

    def test_guest_on_another_chain(self) -> None:
        self.start_guest()
        self.disk.images.pop()
        error = self.assertRaises(exception.GuestMismatch, self.read)
        self.assertEqual('volume-u <- volume-u.a', error.found)

    def test_guest_with_a_job_that_is_not_ours(self) -> None:
        self.start_guest()
        self.disk.running_job = 'copy, 1 of 2 bytes'
        error = self.assertRaises(exception.JobConflict, self.read)
        self.assertEqual('copy, 1 of 2 bytes', error.job)

    def test_image_that_somebody_writes_to(self) -> None:
        stream = (self.directory / 'volume-u.b').open('rb')
        self.addCleanup(stream.close)
        fcntl.fcntl(
            stream.fileno(),
            fcntl.F_OFD_SETLK,
            struct.pack('hhqqi', fcntl.F_RDLCK, os.SEEK_SET, 101, 1, 0),
        )
        error = self.assertRaises(exception.ImageOpenElsewhere, self.read)
        self.assertEqual('fake', error.looked_at)
        self.start_guest()
        self.read()

    def test_info_and_chain_disagree(self) -> None:
        info.write(
            str(self.directory),
            fakes.VOLUME,
            info.Info('volume-u.b', {'b': 'volume-u.b'}),
        )
        self.assertRaises(exception.ChainMismatch, self.read)
        self.assertEqual(self.images, self.read(cascade=True).chain.names)

    def test_untrusted_files_are_read_before_any_guest_is_asked(self) -> None:
        (self.directory / 'volume-u.info').write_text('{')
        self.assertRaises(exception.InfoCorrupt, self.read)
        self.assertEqual([], self.hypervisor.calls)
