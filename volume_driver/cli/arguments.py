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

"""The arguments that several commands have."""

from __future__ import annotations

import argparse

from volume_driver.cli import records


def add_volume(
    parser: argparse.ArgumentParser, optional: bool = False
) -> None:
    """Add the volume that a command is about, and where its guest is."""
    parser.add_argument(
        'volume',
        nargs='?' if optional else None,
        type=records.volume,
        metavar='VOLUME',
        help='The volume, as its id or as volume-<id>.',
    )
    parser.add_argument(
        '--host',
        metavar='HOST',
        help='The host of the guest that has the volume, where option '
        'libvirt_uri holds %%(host)s.',
    )


def add_snapshot(parser: argparse.ArgumentParser) -> None:
    """Add a volume and one of its snapshots."""
    add_volume(parser)
    parser.add_argument(
        'snapshot', metavar='SNAPSHOT', help='The id of the snapshot.'
    )


def add_snapshots(parser: argparse.ArgumentParser) -> None:
    """Add a volume and one or more of its snapshots."""
    add_volume(parser)
    parser.add_argument(
        'snapshots',
        nargs='+',
        metavar='SNAPSHOT',
        help='The id of a snapshot.',
    )


def bandwidth(text: str) -> int:
    """Read a number of MiB a second.

    :raises ArgumentTypeError: when it is none
    """
    return _whole(text, 'MiB a second')


def seconds(text: str) -> int:
    """Read a number of seconds.

    :raises ArgumentTypeError: when it is none
    """
    return _whole(text, 'seconds')


def gibibytes(text: str) -> int:
    """Read a size in GiB.

    :raises ArgumentTypeError: when it is none, or 0
    """
    return _whole(text, 'GiB', least=1)


def _whole(text: str, unit: str, least: int = 0) -> int:
    # More digits than this are no size of anything.
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no whole number of {unit}'
        )
    if int(text) < least:
        raise argparse.ArgumentTypeError(
            f'{text} is too little: at least {least} {unit}'
        )
    return int(text)


def volume(parsed_args: argparse.Namespace, size: int = 0) -> records.Volume:
    """Return the record of the volume that was named.

    :param size: GiB
    """
    attachments = None
    if parsed_args.host is not None:
        attachments = (records.Attachment(parsed_args.host),)
    return records.Volume(parsed_args.volume.id, size, attachments)


def snapshot(parsed_args: argparse.Namespace) -> records.Snapshot:
    """Return the record of the snapshot that was named."""
    return records.Snapshot(parsed_args.snapshot, volume(parsed_args))


def snapshots(parsed_args: argparse.Namespace) -> list[records.Snapshot]:
    """Return the records of the snapshots that were named."""
    found = volume(parsed_args)
    return [records.Snapshot(each, found) for each in parsed_args.snapshots]
