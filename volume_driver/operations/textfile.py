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

"""The file of metrics that the textfile collector of the node exporter reads.

One file serves all processes of a host, and lasts longer than they do. Each
adds what it counted since it last wrote, so that a command that lives for a
moment counts as well, and no figure ever falls. Nobody sees half a file: it is
replaced as a whole, by one process at a time.
"""

from __future__ import annotations

import collections.abc
import contextlib
import fcntl
import os

from oslo_log import log
import prometheus_client
from prometheus_client import metrics_core
from prometheus_client import parser
from prometheus_client import registry as registries
from prometheus_client import samples
import tenacity

from volume_driver import exception
from volume_driver import files
from volume_driver import native

LOG = log.getLogger(__name__)

# The collector is another user.
_MODE = 0o644
_LOCK_SECONDS = 2.0

_Key = tuple[str, frozenset[tuple[str, str]]]
_Families = collections.abc.Iterable[metrics_core.Metric]


class TextFile:
    """Where a registry is added to.

    :param registry: with counters and histograms, nothing that can fall
    """

    def __init__(
        self, path: str, registry: prometheus_client.CollectorRegistry
    ) -> None:
        self._path = path
        self._registry = registry
        self._written: dict[_Key, float] = {}

    def write(self) -> None:
        """Add to the file what was counted since this was last done.

        No operation fails for its figures: what is in the way is logged, and
        they are added with the next ones.
        """
        try:
            with _alone(os.path.dirname(self._path)):
                counted = list(self._registry.collect())
                native.call(_add, self._path, counted, self._written)
                self._written = _values(counted)
        except (OSError, exception.VolumeDriverError) as error:
            LOG.warning(
                'The metrics are not in %(path)s (option metrics_file) yet: '
                '%(reason)s',
                {'path': self._path, 'reason': error},
            )


@contextlib.contextmanager
def _alone(directory: str) -> collections.abc.Iterator[None]:
    """Let no other process, or thread, of ours write there meanwhile.

    The directory itself is locked: the file is another one each time.

    :raises OSError: when somebody else has the lock for long
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(BlockingIOError),
    stop=tenacity.stop_after_delay(_LOCK_SECONDS),
    wait=tenacity.wait_fixed(0.01),
    reraise=True,
)
def _lock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Sum(registries.Collector):
    """What the file is to say."""

    def __init__(self, families: _Families) -> None:
        self._families = families

    def collect(self) -> _Families:
        return self._families


def _add(path: str, counted: _Families, written: dict[_Key, float]) -> None:
    """Replace the file by what it says and what was counted since.

    :param written: what of that it has already
    """
    families = {each.name: each for each in _read(path)}
    for family in counted:
        known = families.setdefault(
            family.name,
            metrics_core.Metric(
                family.name, family.documentation, family.type
            ),
        )
        sums = {_key(each): each for each in known.samples}
        for key, sample in _by_key(family).items():
            value = sample.value - written.get(key, 0.0)
            if key in sums:
                value += sums[key].value
            sums[key] = sample._replace(value=value)
        known.samples = list(sums.values())
    new = not files.exists(path)
    files.replace(
        path, prometheus_client.generate_latest(_Sum(families.values()))
    )
    if new:
        os.chmod(path, _MODE)


def _read(path: str) -> list[metrics_core.Metric]:
    """Return what a file says; what makes no sense is begun anew."""
    try:
        with open(path, encoding='utf-8') as stream:
            text = stream.read()
        return list(parser.text_string_to_metric_families(text))
    except (FileNotFoundError, IndexError, ValueError):
        return []


def _by_key(family: metrics_core.Metric) -> dict[_Key, samples.Sample]:
    """Return the figures of a metric, without when each was begun."""
    return {
        _key(each): each
        for each in family.samples
        if not each.name.endswith('_created')
    }


def _values(families: _Families) -> dict[_Key, float]:
    return {
        key: sample.value
        for family in families
        for key, sample in _by_key(family).items()
    }


def _key(sample: samples.Sample) -> _Key:
    return sample.name, frozenset(sample.labels.items())
