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

"""The program in this process, with a driver that only remembers calls."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import typing

import ddt
from oslo_config import cfg

from tests import base
from volume_driver import chain
from volume_driver import exception
from volume_driver import opts
from volume_driver.cli import app
from volume_driver.operations import describe
from volume_driver.operations import forecast
from volume_driver.planning import plan

GIB = 1 << 30


class Driver:
    """Knows the volume u with snapshot a, and volume-bad, a broken one."""

    def __init__(self) -> None:
        self.calls: list[tuple[typing.Any, ...]] = []
        self.forecasts: list[forecast.Forecast] = []

    def do_setup(self, context: object) -> None:
        self.calls.append(('do_setup',))

    def check_for_setup_error(self) -> None:
        self.calls.append(('check_for_setup_error',))

    def create_volume(self, volume: typing.Any) -> None:
        self.calls.append(('create_volume', volume.name, volume.size))

    def delete_volume(self, volume: typing.Any) -> None:
        self.calls.append(('delete_volume', volume.name))

    def extend_volume(self, volume: typing.Any, new_size: int) -> None:
        self.calls.append(('extend_volume', volume.name, new_size))

    def create_snapshot(self, snapshot: typing.Any) -> None:
        self.calls.append(
            ('create_snapshot', snapshot.volume.name, snapshot.id)
        )

    def delete_snapshots(self, deleted: list[typing.Any]) -> None:
        self.calls += [
            ('delete_snapshot', snapshot.volume.name, snapshot.id)
            for snapshot in deleted
        ]

    def watch(self, volume: typing.Any) -> object:
        return object()

    def cancel_merge(self, volume: typing.Any) -> None:
        self.calls.append(('cancel_merge', volume.name))

    def limit_merge(self, volume: typing.Any, bandwidth: int) -> None:
        self.calls.append(('limit_merge', volume.name, bandwidth))

    def forecast_deletion(
        self, deleted: list[typing.Any]
    ) -> list[forecast.Forecast]:
        return self.forecasts

    def list_volumes(self) -> list[str]:
        return ['volume-bad', 'volume-u']

    def describe(
        self, volume: typing.Any, guest: bool = True
    ) -> describe.Description:
        if volume.name != 'volume-u':
            raise exception.InfoCorrupt(path='/v/bad.info', reason='a\nb')
        images = (
            chain.Image('volume-u', 'raw', GIB, 4096),
            chain.Image('volume-u.a', 'qcow2', 3 * GIB // 2, 1, 'volume-u'),
        )
        layers = (
            describe.Layer(images[0], 'a', False),
            describe.Layer(images[1], None, True),
        )
        return describe.Description(
            'volume-u',
            3 * GIB // 2,
            layers,
            'demo (running)',
            'qemu:///system (here)',
            (),
            None,
        )


class AppTestCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self._keep_logging()
        self.driver = Driver()
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()
        self.conf: cfg.ConfigOpts | None = None
        self.config_file = self.temp_dir() / 'test.conf'
        self.config_file.write_text('[volume_driver]\nvolume_files_dir = /a\n')

    def _keep_logging(self) -> None:
        root = logging.getLogger()
        self.addCleanup(setattr, root, 'handlers', list(root.handlers))
        self.addCleanup(root.setLevel, root.level)
        self.addCleanup(setattr, sys, 'excepthook', sys.excepthook)

    def run_app(self, *argv: str) -> int:
        def load(conf: cfg.ConfigOpts) -> typing.Any:
            self.conf = conf
            return self.driver

        program = app.App(load, self.stdout, self.stderr)
        return program.run([f'--config-file={self.config_file}', *argv])

    def output(self, *argv: str) -> str:
        self.assertEqual(0, self.run_app(*argv), self.stderr.getvalue())
        return self.stdout.getvalue()


@ddt.ddt
class CommandsTest(AppTestCase):
    def check_call(self, argv: str, *expected: object) -> None:
        self.assertEqual('', self.output(*argv.split()))
        set_up = [('do_setup',), ('check_for_setup_error',)]
        self.assertEqual([*set_up, expected], self.driver.calls)

    def test_volume_create(self) -> None:
        self.check_call(
            'volume create u --size 2', 'create_volume', 'volume-u', 2
        )

    def test_volume_delete(self) -> None:
        self.check_call('volume delete u', 'delete_volume', 'volume-u')

    def test_volume_extend(self) -> None:
        self.check_call(
            'volume extend volume-u --size 4', 'extend_volume', 'volume-u', 4
        )

    def test_snapshot_create(self) -> None:
        self.check_call(
            'snapshot create u a', 'create_snapshot', 'volume-u', 'a'
        )

    def test_snapshot_delete(self) -> None:
        self.check_call(
            'snapshot delete u a', 'delete_snapshot', 'volume-u', 'a'
        )

    def test_volume_list_has_the_error_of_a_broken_volume(self) -> None:
        bad, good = json.loads(self.output('volume', 'list', '-f', 'json'))
        self.assertEqual('volume-bad', bad.pop('volume'))
        self.assertIn('/v/bad.info', bad.pop('error'))
        self.assertEqual({None}, set(bad.values()))
        self.assertEqual(
            {
                'volume': 'volume-u',
                'size_gib': 1.5,
                'images': 2,
                'snapshots': 1,
                'allocated_bytes': 4097,
                'active': 'volume-u.a',
                'error': None,
            },
            good,
        )

    def test_volume_list_shows_no_none(self) -> None:
        self.assertNotIn('None', self.output('volume', 'list'))

    def test_volume_show_draws_a_tree(self) -> None:
        self.assertEqual(
            """\
volume-u: 1.5 GiB, 4 KiB allocated
guest: demo (running)
+-- volume-u
|   raw, 1 GiB, 4 KiB allocated, data of snapshot a
`-- volume-u.a (active)
    qcow2, 1.5 GiB, 1 B allocated
""",
            self.output('volume', 'show', 'u'),
        )

    def test_volume_show_as_data(self) -> None:
        found = json.loads(self.output('volume', 'show', 'u', '-f', 'json'))
        self.assertEqual('demo (running)', found['guest'])
        self.assertEqual(
            [('volume-u', 'a', False), ('volume-u.a', None, True)],
            [
                (image['name'], image['snapshot'], image['active'])
                for image in found['images']
            ],
        )

    def test_snapshot_list(self) -> None:
        self.assertEqual(
            f'a volume-u volume-u.a {GIB}\n',
            self.output('snapshot', 'list', 'u', '-f', 'value'),
        )

    def test_job_limit(self) -> None:
        self.output('job', 'limit', 'u', '7')
        self.assertIn(('limit_merge', 'volume-u', 7), self.driver.calls)

    @ddt.data('-1', '1.5', 'x')
    def test_job_limit_of_something_else(self, limit: str) -> None:
        self.assertRaises(SystemExit, self.run_app, 'job', 'limit', 'u', limit)
        self.assertEqual([], self.driver.calls)

    def test_dry_run_shows_the_plan(self) -> None:
        made = plan.Plan(
            'delete', 'volume-u', (plan.Remove('x'),), 'commit', 'so', 3 << 20
        )
        self.driver.forecasts = [
            forecast.Forecast(made, 5 << 20, 2 << 20, ('volume-u', 'y')),
            forecast.Forecast(plan.Plan('b', 'v', ()), 0, None, ('v',)),
        ]
        self.assertEqual(
            """\
delete of volume-u
  way: commit (so)
  1. remove x
  needs: 5 MiB at the most
  takes: about 2 s, at 2 MiB a second
  after: volume-u <- y
b of v
  after: v
""",
            self.output('snapshot', 'delete', 'u', 'a', '--dry-run'),
        )

    def test_dry_run_says_what_is_gone(self) -> None:
        self.assertIn(
            'Snapshot a of volume-u is gone already',
            self.output('snapshot', 'delete', 'u', 'a', '--dry-run'),
        )

    def test_looking_sets_nothing_up(self) -> None:
        for argv in (
            'volume list',
            'volume show u',
            'snapshot list u',
            'snapshot delete u a --dry-run',
        ):
            self.driver.calls.clear()
            self.output(*argv.split())
            self.assertEqual([('check_for_setup_error',)], self.driver.calls)


class ErrorsTest(AppTestCase):
    def test_error_is_one_line(self) -> None:
        self.assertEqual(1, self.run_app('volume', 'show', 'bad'))
        self.assertEqual('', self.stdout.getvalue())
        error = exception.InfoCorrupt(path='/v/bad.info', reason='a b')
        self.assertEqual(f'volume-driver: {error}\n', self.stderr.getvalue())

    def test_debug_adds_the_traceback(self) -> None:
        self.assertEqual(1, self.run_app('--debug', 'volume', 'show', 'bad'))
        self.assertIn('Traceback', self.stderr.getvalue())
        self.assertIn('InfoCorrupt', self.stderr.getvalue())

    def test_wrong_usage(self) -> None:
        for argv in (
            '',
            'volume',
            'nothing',
            'volume show',
            'volume create u',
            'volume create u --size 0',
            'volume create volume- --size 1',
            'volume show u -f nothing',
            '--volume_files_dir x volume list',
        ):
            with contextlib.redirect_stderr(self.stderr):
                found = self.assertRaises(
                    SystemExit, self.run_app, *argv.split()
                )
            self.assertEqual(2, found.code, argv)
            self.assertEqual('', self.stdout.getvalue(), argv)
            self.assertEqual([], self.driver.calls)

    def test_unknown_option(self) -> None:
        with contextlib.redirect_stderr(self.stderr):
            self.assertRaises(SystemExit, self.run_app, '--files', 'check')
        self.assertIn('--files is no option', self.stderr.getvalue())

    def test_configuration_file_is_missing(self) -> None:
        self.config_file.unlink()
        self.assertEqual(1, self.run_app('volume', 'list'))
        self.assertIn(str(self.config_file), self.stderr.getvalue())
        self.assertEqual(1, self.stderr.getvalue().count('\n'))


class ConfigurationTest(AppTestCase):
    def found(self, *argv: str) -> opts.Settings:
        self.output(*argv, 'volume', 'list')
        assert self.conf is not None
        return opts.Settings.read(self.conf[opts.GROUP])

    def test_file(self) -> None:
        self.assertEqual('/a', self.found().volume_files_dir)

    def test_last_file_wins(self) -> None:
        other = self.temp_dir() / 'other.conf'
        other.write_text('[volume_driver]\nmerge_direction = pull\n')
        found = self.found('--config-file', str(other))
        self.assertEqual('pull', found.merge_direction)
        self.assertEqual('/a', found.volume_files_dir)

    def test_directory_is_read_after_the_files(self) -> None:
        directory = self.temp_dir()
        text = '[volume_driver]\nvolume_files_dir = /b\n'
        (directory / 'b.conf').write_text(text)
        found = self.found('--config-dir', str(directory))
        self.assertEqual('/b', found.volume_files_dir)

    def test_argument_is_stronger_than_any_file(self) -> None:
        found = self.found('--volume-files-dir', '/c')
        self.assertEqual('/c', found.volume_files_dir)


class LoggingTest(AppTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.driver.delete_volume = self.log_all  # type: ignore[method-assign]

    def log_all(self, volume: object) -> None:
        logger = logging.getLogger('volume_driver.test')
        logger.debug('finest')
        logger.info('finer')
        logger.warning('of\n%s', 'note')

    def logged(self, *argv: str) -> list[str]:
        self.assertEqual('', self.output(*argv, 'volume', 'delete', 'u'))
        return [
            line
            for line in self.stderr.getvalue().splitlines()
            if line.endswith(('finest', 'finer', 'note'))
        ]

    def test_warnings_are_shown(self) -> None:
        self.assertEqual(['volume-driver: of note'], self.logged())

    def test_verbose(self) -> None:
        self.assertEqual(2, len(self.logged('-v')))

    def test_more_verbose(self) -> None:
        self.assertEqual(3, len(self.logged('-vv')))

    def test_log_file_gets_them_too(self) -> None:
        path = self.temp_dir() / 'log'
        self.assertEqual(1, len(self.logged('--log-file', str(path))))
        self.assertIn('WARNING volume_driver.test', path.read_text())
