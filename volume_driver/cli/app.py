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

"""The program ``volume-driver``; its commands are entry points."""

from __future__ import annotations

import argparse
import collections.abc
from importlib import metadata
import logging
import sys
import typing

from cliff import app
from cliff import command as cliff_command
from cliff import commandmanager
from oslo_config import cfg
from stevedore import driver as stevedore_driver

from volume_driver import driver as volume_drivers
from volume_driver import opts
from volume_driver.cli import configuration
from volume_driver.cli import logs

_NAME = 'volume-driver'

# The exit code after Ctrl-C: 128 and the number of SIGINT, as of a shell.
INTERRUPTED = 130

Load = collections.abc.Callable[[cfg.ConfigOpts], volume_drivers.Qcow2Driver]


def load_driver(conf: cfg.ConfigOpts) -> volume_drivers.Qcow2Driver:
    """Make the driver that the entry point ``qcow2`` names."""
    # Not invoke_on_load: stevedore would hide what is wrong with an option.
    manager: typing.Any = stevedore_driver.DriverManager(
        'volume_driver.drivers', 'qcow2'
    )
    made = manager.driver(configuration=conf[opts.GROUP])
    return typing.cast(volume_drivers.Qcow2Driver, made)


class App(app.App):
    """The program.

    Results go to stdout and nothing else does; each warning and error is one
    line on stderr.

    :param load: how the driver is made
    """

    NAME = _NAME
    LOG = logging.getLogger(_NAME)
    # Warnings and errors only; cliff counts each -v on top of it.
    DEFAULT_VERBOSE_LEVEL = 0

    def __init__(
        self,
        load: Load = load_driver,
        stdout: typing.TextIO | None = None,
        stderr: typing.TextIO | None = None,
    ) -> None:
        super().__init__(
            description='Work on the volumes of a directory.',
            version=metadata.version('volume-driver'),
            command_manager=commandmanager.CommandManager('volume_driver.cli'),
            stdout=stdout,
            stderr=stderr,
            # --help behind a command is that command's.
            deferred_help=True,
        )
        self._load = load

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, typing.Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of what stands before a command."""
        kwargs = {'prog': _NAME, **(argparse_kwargs or {})}
        parser = super().build_option_parser(description, version, kwargs)
        configuration.add_arguments(parser)
        return parser

    def configure_logging(self) -> None:
        """Log to stderr; the rest follows with the configuration."""
        self._stderr_handler = logs.console(
            _NAME, self.stderr, self.options.verbose_level
        )
        logging.getLogger().addHandler(self._stderr_handler)

    def initialize_app(self, argv: list[str]) -> None:
        """Refuse what is no command, as a wrong usage.

        cliff would take no command for a wish to type many, and would print
        its guesses at an unknown one on stdout.
        """
        if not argv:
            self.print_help_if_requested()
            self.parser.error(f'a command is missing; see {_NAME} --help')
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            if argv[0].startswith('-'):
                self.parser.error(
                    f'{argv[0]} is no option; see {_NAME} --help'
                )
            guesses = ', '.join(self.get_fuzzy_matches(argv[0]))
            self.parser.error(
                f'{" ".join(argv)!r} is no command; see {_NAME} --help'
                + (f' (near: {guesses})' if guesses else '')
            )

    def run_subcommand(self, argv: list[str]) -> int:
        """Run a command; say what is left when it is interrupted."""
        try:
            return int(super().run_subcommand(argv))
        except KeyboardInterrupt:
            self.LOG.error(
                'interrupted; what was begun is finished by "recover", or by '
                'the next operation on the volume'
            )
            return INTERRUPTED

    def reading(self) -> volume_drivers.Qcow2Driver:
        """Return a driver that is only looked at.

        It is checked and not set up: setting up finishes what was cut off,
        for which it waits for locks and writes, and looking does neither.
        """
        driver = self._make()
        driver.check_for_setup_error()
        return driver

    def changing(self) -> volume_drivers.Qcow2Driver:
        """Return a driver that may change volumes, set up and checked."""
        driver = self._make()
        driver.do_setup(None)
        driver.check_for_setup_error()
        return driver

    def _make(self) -> volume_drivers.Qcow2Driver:
        conf = configuration.load(self.options)
        logs.set_up(
            conf,
            configuration.PROJECT,
            self._stderr_handler,
            self.options.log_file,
        )
        return self._load(conf)


class Exemplified(cliff_command.Command):
    """A command whose help ends with an example.

    :cvar EXAMPLE: what stands behind the program's name
    """

    EXAMPLE: str

    def get_epilog(self) -> str:
        """Return what its help ends with."""
        return f'Example: {_NAME} {self.EXAMPLE}'


def of(command: cliff_command.Command) -> App:
    """Return the program that runs a command."""
    return typing.cast(App, command.app)


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code.

    0 is done, 1 an error that was reported on stderr, 2 a wrong usage, 130
    that it was interrupted.
    """
    return App().run(sys.argv[1:] if argv is None else argv)
