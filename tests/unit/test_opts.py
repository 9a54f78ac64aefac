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
import types
import typing

from oslo_config import cfg

from tests import base
from volume_driver import opts


class Appending:
    """Has options only once they were appended, as Cinder's configuration."""

    def __init__(self, **values: object) -> None:
        self._conf = cfg.ConfigOpts()
        self._conf([], default_config_files=[])
        self._values = values

    def append_config_values(self, found: list[cfg.Opt]) -> None:
        self._conf.register_opts(found, group='backend')
        for name, value in self._values.items():
            self._conf.set_override(name, value, group='backend')

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._conf.backend, name)


class ReadTest(base.TestCase):
    def conf(self, **values: object) -> typing.Any:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        group = opts.register(conf)
        for name, value in values.items():
            conf.set_override(name, value, group=opts.GROUP)
        return group

    def test_defaults_are_those_of_the_options(self) -> None:
        self.assertEqual(opts.Settings(), opts.Settings.read(self.conf()))

    def test_no_configuration_gives_defaults(self) -> None:
        self.assertEqual(opts.Settings(), opts.Settings.read(None))

    def test_group_of_oslo_config(self) -> None:
        group = self.conf(volume_files_dir='/volumes', merge_bandwidth=3)
        found = opts.Settings.read(group)
        self.assertEqual(
            opts.Settings(volume_files_dir='/volumes', merge_bandwidth=3),
            found,
        )

    def test_plain_object_keeps_other_defaults(self) -> None:
        found = opts.Settings.read(types.SimpleNamespace(quiesce='never'))
        self.assertEqual(opts.Settings(quiesce='never'), found)

    def test_configuration_that_has_to_be_given_the_options(self) -> None:
        found = opts.Settings.read(Appending(merge_direction='pull'))
        self.assertEqual(opts.Settings(merge_direction='pull'), found)

    def test_host_in_the_uri_stays_as_it_is(self) -> None:
        uri = 'qemu+tls://%(host)s/system'
        found = opts.Settings.read(self.conf(libvirt_uri=uri))
        self.assertEqual(uri, found.libvirt_uri)

    def test_unknown_choices_are_refused(self) -> None:
        self.assertRaises(ValueError, self.conf, merge_direction='both')
        self.assertRaises(ValueError, self.conf, volume_format='vmdk')
        self.assertRaises(ValueError, self.conf, max_chain_depth=0)
        self.assertRaises(ValueError, self.conf, metrics_port=1 << 16)


class ListTest(base.TestCase):
    def test_there_is_an_option_for_each_setting(self) -> None:
        ((group, found),) = opts.list_opts()
        self.assertEqual('volume_driver', group)
        self.assertEqual(
            [field.name for field in dataclasses.fields(opts.Settings)],
            [option.name for option in found],
        )

    def test_each_option_has_a_help_text(self) -> None:
        for option in opts.list_opts()[0][1]:
            self.assertTrue(option.help, option.name)

    def test_cinders_own_name_is_not_taken(self) -> None:
        found = [option.name for option in opts.list_opts()[0][1]]
        self.assertNotIn('volumes_dir', found)
