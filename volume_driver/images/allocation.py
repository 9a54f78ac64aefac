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

"""What merging some adjacent images would copy, in bytes, either way.

::

    ... <- B <- O1 <- ... <- On <- ...      a commit copies what O1 to On show,
                                            into B; a pull copies what B to
                                            On-1 show and On does not have,
                                            into On
"""

from __future__ import annotations

import collections.abc
import dataclasses
import os

from volume_driver import chain
from volume_driver.images import clusters
from volume_driver.images import header
from volume_driver.images import trust

# L2 tables of an image, or extents of a raw one, that are looked at before
# the size of the file has to do: some 64 GiB, or a tenth of a second.
LIMIT = 128

_CLUSTER_SIZE = 64 << 10


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a merge would copy, in bytes; zeros are written as metadata.

    :param commit: if the overlays are committed down into the image below
    :param pull: if the images below are pulled up into the last overlay
    :param exact: ways whose figure is counted; any other is what the files
        take on their filesystem, and so the most that it can be
    """

    commit: int
    pull: int
    exact: frozenset[str] = frozenset()

    def of(self, way: str) -> int:
        """Return the bytes that a way, ``commit`` or ``pull``, copies."""
        return {'commit': self.commit, 'pull': self.pull}[way]

    def committing(self, other: Costs) -> Costs:
        """Return these, but for a commit those of another merge."""
        exact = (self.exact - {'commit'}) | (other.exact - {'pull'})
        return Costs(other.commit, self.pull, exact)


def estimate(images: collections.abc.Sequence[chain.Image]) -> Costs:
    """Return the most that a merge can copy, from the sizes of the files.

    :param images: B and the overlays above it, the lowest first
    """
    return Costs(
        commit=sum(image.allocated for image in images[1:]),
        pull=sum(image.allocated for image in images[:-1]),
    )


def measure(
    directory: str,
    images: collections.abc.Sequence[chain.Image],
    limit: int | None = LIMIT,
) -> Costs:
    """Count what a merge would copy, where that is cheaply told.

    :param directory: that holds the images
    :param images: B and the overlays above it, the lowest first
    :param limit: L2 tables, or extents, that are looked at in one image
    :raises ImageInvalid, ImageNotTrusted: when an image is not what it was
    """
    most = estimate(images)
    overlays = [
        clusters.read(os.path.join(directory, image.name), limit)
        for image in reversed(images[1:])
    ]
    known = [layer for layer in overlays if layer is not None]
    if len(known) < len(overlays) or not _alike(known):
        return most
    commit = clusters.seen(known)
    base = _read_base(directory, images[0], known[0].cluster_size, limit)
    if base is None or not _alike([*known, base]):
        return Costs(commit, most.pull, frozenset({'commit'}))
    return Costs(
        commit=commit,
        # What is hidden by the last overlay stays where it is.
        pull=clusters.seen([*known, base]) - clusters.seen(known[:1]),
        exact=frozenset({'commit', 'pull'}),
    )


def _read_base(
    directory: str, image: chain.Image, cluster_size: int, limit: int | None
) -> clusters.Clusters | None:
    path = os.path.join(directory, image.name)
    if image.format == 'raw':
        return clusters.read_raw(path, cluster_size, limit)
    return clusters.read(path, limit)


def _alike(layers: collections.abc.Sequence[clusters.Clusters]) -> bool:
    return len({layer.cluster_size for layer in layers}) == 1


def adds_nothing(directory: str, top: str, base: str) -> bool:
    """Tell whether one surely sees the same through an image as below it.

    That is so when nothing is allocated from it down to just above the other
    one, not even a cluster that is known to be zero, and all are of one size.

    :param directory: that holds the images
    :param top: name of the image
    :param base: name of one below it
    :raises ImageInvalid, ImageNotTrusted: when an image is not what it was
    """
    name, image_format, sizes = top, 'qcow2', set()
    while name != base:
        path = os.path.join(directory, name)
        found = header.read(path)
        if found.backing is None or not clusters.is_blank(path):
            return False
        sizes.add(found.size)
        name = trust.plain(found.backing)
        image_format = found.backing_format or ''
    path = os.path.join(directory, base)
    if image_format == 'raw':
        sizes.add(os.stat(path).st_size)
    else:
        sizes.add(header.read(path).size)
    return len(sizes) == 1


def is_whole_data(directory: str, top: str) -> bool:
    """Tell whether an overlay has nothing but whole clusters of data.

    Then a commit reads nothing of what is below the image that it goes into,
    and that need not be opened, so that the cost does not grow with the depth
    of the chain: as long as both have clusters of one size, no larger than
    the pieces that QEMU's mirror copies (64 KiB), are of version 3, and of
    one size that ends with a cluster. With a cluster that is known to be zero
    it is otherwise: what is below could be taken for zero as well, and be
    left out.

    :param directory: that holds the images
    :param top: name of the overlay
    :raises ImageInvalid, ImageNotTrusted: when an image is not what it was
    """
    path = os.path.join(directory, top)
    overlay = header.read(path)
    if overlay.backing is None or overlay.backing_format != 'qcow2':
        return False
    base = header.read(os.path.join(directory, trust.plain(overlay.backing)))
    if base.backing is None or base.size != overlay.size:
        return False
    for each in (overlay, base):
        if (
            each.version != 3
            or each.cluster_size != _CLUSTER_SIZE
            or each.size % _CLUSTER_SIZE
            or each.extended_l2
            or each.data_file
            or each.encrypted
        ):
            return False
    held = clusters.read(path, LIMIT)
    return held is not None and not held.zeros
