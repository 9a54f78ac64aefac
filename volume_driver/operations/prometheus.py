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

"""The figures that Prometheus gets, and the port where it can fetch them.

No label says anything of a volume: there would be as many series as volumes.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import socket
import socketserver
import sys
import threading
import time
import typing
from wsgiref import simple_server

from oslo_log import log
import prometheus_client

from volume_driver import files
from volume_driver import journal as journals
from volume_driver import opts
from volume_driver.operations import meter as meters
from volume_driver.operations import textfile

LOG = log.getLogger(__name__)

_NAME = 'volume_driver'
# A merge may take from moments to hours, and a pause should be no more than
# moments.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_PAUSES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DEPTHS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200)


class PrometheusMeter(meters.Meter):
    """Counts into a registry of its own.

    :param path: the file for the textfile collector, empty for none
    """

    def __init__(self, path: str = '') -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._file = textfile.TextFile(path, self.registry) if path else None
        self._program = os.path.basename(sys.argv[0])
        self._operations = prometheus_client.Counter(
            'operations',
            'Operations that ended, by what came of them.',
            ('program', 'operation', 'way', 'outcome'),
            namespace=_NAME,
            registry=self.registry,
        )
        self._recoveries = prometheus_client.Counter(
            'recoveries',
            'Attempts to finish an operation that was cut off.',
            ('program', 'operation', 'outcome'),
            namespace=_NAME,
            registry=self.registry,
        )
        self._merged = prometheus_client.Counter(
            'merged_bytes',
            'Bytes that merges copied, as they were planned.',
            ('program', 'way'),
            namespace=_NAME,
            registry=self.registry,
        )
        self._seconds = self._histogram(
            'operation_seconds',
            'Time that operations took that were done.',
            _SECONDS,
            'operation',
            'way',
        )
        self._pauses = self._histogram(
            'guest_pause_seconds',
            'Time for which a guest was suspended by a merge.',
            _PAUSES,
        ).labels(self._program)
        self._depths = self._histogram(
            'chain_depth',
            'Images of a volume after one of its snapshots came or went.',
            _DEPTHS,
        ).labels(self._program)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            name,
            text,
            ('program', *labels),
            namespace=_NAME,
            registry=self.registry,
            buckets=buckets,
        )

    @contextlib.contextmanager
    def operation(
        self, journal: journals.Journal
    ) -> collections.abc.Iterator[None]:
        labels = (
            self._program,
            journal.plan.kind,
            journal.plan.way or 'none',
        )
        started = time.monotonic()
        outcome = 'unfinished'
        try:
            yield
        except Exception:
            if not files.exists(journal.path):
                outcome = 'undone'
            raise
        else:
            outcome = 'done'
            seconds = time.monotonic() - started
            self._seconds.labels(*labels).observe(seconds)
            self._count_done(journal)
        finally:
            self._operations.labels(*labels, outcome).inc()
            self._publish(journal)

    @contextlib.contextmanager
    def recovery(
        self, journal: journals.Journal
    ) -> collections.abc.Iterator[None]:
        outcome = 'unfinished'
        try:
            yield
            outcome = 'done'
            self._count_done(journal)
        finally:
            self._recoveries.labels(
                self._program, journal.plan.kind, outcome
            ).inc()
            self._publish(journal)

    def _count_done(self, journal: journals.Journal) -> None:
        content = journal.plan
        if content.cost:
            self._merged.labels(self._program, content.way).inc(content.cost)
        if content.depth is not None:
            self._depths.observe(content.depth)

    def _publish(self, journal: journals.Journal) -> None:
        for seconds in journal.pauses:
            self._pauses.observe(seconds)
        if self._file is not None:
            self._file.write()


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: typing.Any) -> None:
        """Not every fetch is worth a line on stderr."""


def make(settings: opts.Settings) -> PrometheusMeter:
    """Return a meter whose figures are where the options say.

    A port that cannot be had stops no operation: it is logged.
    """
    meter = PrometheusMeter(settings.metrics_file)
    if settings.metrics_port:
        address, port = settings.metrics_address, settings.metrics_port
        try:
            _serve(meter.registry, address, port)
        except OSError as error:
            LOG.warning(
                'Metrics cannot be read at %(address)s, port %(port)d '
                '(options metrics_address and metrics_port): %(reason)s',
                {'address': address, 'port': port, 'reason': error},
            )
    return meter


def _serve(
    registry: prometheus_client.CollectorRegistry, address: str, port: int
) -> None:
    """Answer on a port, in a thread that ends with the process.

    prometheus_client's own server polls its socket, by what the module
    socketserver found when it was first imported; if that was before eventlet
    patched the process, then no greenlet runs any more. To accept is green.
    """
    server = simple_server.make_server(
        address,
        port,
        prometheus_client.make_wsgi_app(registry),
        _Server6 if ':' in address else _Server,
        _Silent,
    )

    def accept() -> None:
        while True:
            with contextlib.suppress(OSError):
                server.process_request(*server.get_request())

    threading.Thread(target=accept, name='metrics', daemon=True).start()
