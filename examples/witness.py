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

"""Knows what every snapshot, and the volume, must look like.

It trusts nothing that the driver says: it finds the images the way any reader
of Cinder's RemoteFS format does (``.info``, then the backing name in the
overlay's header) and reads them with qemu-img.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
import typing

from tests.fixtures import guest_image
from tests.fixtures import image_tools

BLOCK = guest_image.BLOCK_SIZE
_ZERO = bytes(BLOCK)
# No .info entry, no backing name, no file, or qemu-img failed.
_UNREADABLE = (LookupError, OSError, ValueError, image_tools.ToolError)


@dataclasses.dataclass(frozen=True)
class Area:
    """Where the guest writes its numbered blocks.

    :param offset: where it begins, in bytes
    :param slots: how many blocks it has room for; then they start over
    """

    offset: int
    slots: int

    def __contains__(self, block: int) -> bool:
        first = self.offset // BLOCK
        return first <= block < first + self.slots


class Picture(dict[int, bytes]):
    """What one sees through an image: a digest of every block not zero."""

    def differing(self, other: Picture, leave_out: Area | None = None) -> int:
        """Count the blocks that are not the same in both.

        :param leave_out: an area that is not compared
        """
        return sum(
            self.get(block) != other.get(block)
            for block in self.keys() | other.keys()
            if leave_out is None or block not in leave_out
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a comparison found.

    :param compared: blocks that were compared
    :param lost: blocks that are not what they must be
    :param details: where, in words
    """

    compared: int = 0
    lost: int = 0
    details: tuple[str, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.compared + other.compared,
            self.lost + other.lost,
            self.details + other.details,
        )


def _verdict(where: str, compared: int, lost: int) -> Verdict:
    details = (f'{where}: {lost} blocks lost',) if lost else ()
    return Verdict(compared, lost, details)


def _unreadable(where: str, expected: Picture, error: Exception) -> Verdict:
    """Return that everything is lost of what cannot even be read."""
    found = _verdict(where, len(expected), max(len(expected), 1))
    return found + Verdict(details=(f'{type(error).__name__}: {error}',))


class Witness:
    """Takes a picture of every snapshot, and compares it later on."""

    def __init__(
        self,
        directory: pathlib.Path,
        volume: str,
        base_format: str,
        area: Area,
        cache: str,
    ) -> None:
        """Begin with an empty volume.

        :param directory: of the volume's images
        :param volume: its name
        :param base_format: format of the image that the volume began with
        :param area: where the guest writes
        :param cache: how to read images, as the guest writes them
        """
        self._directory = directory
        self._volume = volume
        self._base_format = base_format
        self._area = area
        self._cache = cache
        self._snapshots: dict[str, Picture] = {}
        self._active = Picture()
        self._deleted = False

    # -- what must be so from now on -----------------------------------------

    def remember_active(self) -> None:
        """Take the active view as it is for right; it was just written to."""
        with self._copy(*self._active_image()) as copy:
            self._active = _picture(copy)

    def remember_snapshot(self, snapshot: str, acknowledged: int) -> Verdict:
        """Take a picture of a new snapshot, and look whether it is right.

        :param acknowledged: the last block that the guest was told is on
            disk before the snapshot was begun: it must be in it
        """
        self._snapshots[snapshot] = Picture()
        with self._copy(*self._frozen_image(snapshot)) as copy:
            self._snapshots[snapshot] = _picture(copy)
            return self._acknowledged(snapshot, copy, acknowledged)

    def forget_snapshot(self, snapshot: str) -> None:
        """Expect a snapshot to be gone."""
        del self._snapshots[snapshot]

    def expect_revert(self, snapshot: str) -> None:
        """Expect the active view to be that of a snapshot."""
        self._active = self._snapshots[snapshot]

    def expect_deleted(self) -> None:
        """Expect the volume, and every file of it, to be gone."""
        self._deleted = True

    # -- is it so? -----------------------------------------------------------

    def check(self, acknowledged: int, guest_wrote: bool) -> Verdict:
        """Compare every snapshot and the active view with what must be.

        The guest, if there is one, has to be suspended: QEMU then has no
        write under way and has flushed its tables, so that another process
        reads what the guest would.

        :param acknowledged: the last block that the guest was told is on disk
        :param guest_wrote: it may have written to its area since the active
            view was remembered; the rest must be the same even so
        """
        if self._deleted:
            return self._check_deleted()
        found = self._check_active(acknowledged, guest_wrote)
        for snapshot in self._snapshots:
            found += self._check_snapshot(snapshot)
        for stranger in sorted(
            self._info().keys() - self._snapshots.keys() - {'active'}
        ):
            found += _verdict(f'{stranger} in .info, though deleted', 0, 1)
        return found

    def _check_snapshot(self, snapshot: str) -> Verdict:
        expected = self._snapshots[snapshot]
        try:
            with self._copy(*self._frozen_image(snapshot)) as copy:
                lost = expected.differing(_picture(copy))
        except _UNREADABLE as error:
            return _unreadable(snapshot, expected, error)
        return _verdict(snapshot, len(expected), lost)

    def _check_active(self, acknowledged: int, guest_wrote: bool) -> Verdict:
        where = 'the volume'
        leave_out = self._area if guest_wrote else None
        try:
            with self._copy(*self._active_image()) as copy:
                lost = self._active.differing(_picture(copy), leave_out)
                blocks = self._acknowledged(where, copy, acknowledged)
        except _UNREADABLE as error:
            return _unreadable(where, self._active, error)
        return blocks + _verdict(where, len(self._active), lost)

    def _check_deleted(self) -> Verdict:
        left = sorted(self._directory.glob(f'{self._volume}*'))
        names = ', '.join(path.name for path in left)
        return _verdict(f'{names} left of a deleted volume', 0, len(left))

    def _acknowledged(
        self, where: str, copy: pathlib.Path, acknowledged: int
    ) -> Verdict:
        lost = image_tools.verify_acknowledged(
            copy, 'raw', self._area.slots, acknowledged, self._area.offset
        )
        where = f'acknowledged by the guest, in {where}'
        return _verdict(where, self._area.slots, lost)

    # -- reading -------------------------------------------------------------

    def _info(self) -> dict[str, str]:
        path = self._directory / f'{self._volume}.info'
        if not path.exists():
            return {'active': self._volume}
        return typing.cast(dict[str, str], json.loads(path.read_text()))

    def _active_image(self) -> tuple[str, str]:
        name = self._info()['active']
        return name, 'qcow2' if name != self._volume else self._base_format

    def _frozen_image(self, snapshot: str) -> tuple[str, str]:
        """Return the image below a snapshot's overlay, and its format."""
        overlay = self._directory / self._info()[snapshot]
        header = json.loads(
            image_tools.qemu_img(
                'info', '-U', '-f', 'qcow2', '--output=json', overlay
            )
        )
        return header['backing-filename'], header['backing-filename-format']

    def _copy(self, name: str, image_format: str) -> _Copy:
        return _Copy(self._directory / name, image_format, self._cache)


class _Copy:
    """A raw copy of what one sees through an image, gone afterwards."""

    def __init__(
        self, image: pathlib.Path, image_format: str, cache: str
    ) -> None:
        self._convert = ['convert', '-U', '-T', cache, '-f', image_format]
        self._image = image

    def __enter__(self) -> pathlib.Path:
        # Beside the images: a /tmp in memory might be too small.
        self._directory = tempfile.TemporaryDirectory(
            dir=self._image.parent.parent
        )
        copy = pathlib.Path(self._directory.name) / 'copy'
        try:
            image_tools.qemu_img(
                *self._convert, '-O', 'raw', self._image, copy
            )
        except image_tools.ToolError:
            self._directory.cleanup()
            raise
        return copy

    def __exit__(self, *_error: object) -> None:
        self._directory.cleanup()


def _picture(raw: pathlib.Path) -> Picture:
    found = Picture()
    with raw.open('rb') as stream:
        for start, end in _data(stream.fileno()):
            stream.seek(start)
            for offset in range(start, end, BLOCK):
                content = stream.read(BLOCK)
                if content != _ZERO:
                    digest = hashlib.blake2b(content, digest_size=16)
                    found[offset // BLOCK] = digest.digest()
    return found


def _data(descriptor: int) -> collections.abc.Iterator[tuple[int, int]]:
    """Yield where a sparse file has data, in whole blocks."""
    size = os.fstat(descriptor).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:
            # ENXIO: only a hole is left.
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        start -= start % BLOCK
        end += -end % BLOCK
        yield start, end
