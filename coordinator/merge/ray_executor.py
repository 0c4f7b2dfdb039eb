"""Merging on Ray: for large partials. Holds the driver process, which starts when the first merge needs it.

A merge is a pure function of its partials: when the driver is lost it is done again, once, by a new driver.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
import threading
import time
from typing import Any

import pyarrow as pa

from archipel import errors, telemetry
from archipel.errors import ArchipelError
from archipel.telemetry import Attribute
from coordinator.merge import channel
from coordinator.merge.executor import MergeInput
from coordinator.merge.partials import prepared
from coordinator.merge.ray_process import RayDriver
from coordinator.merge.settings import MIB, RaySettings
from coordinator.merge.stop import Stop

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 * MIB
"""A node's table is cut into pieces of about this size, so that one large node is split by several workers."""
_START_AGAIN_S = 60.0
"""After a start that failed the next merges are refused at once for so long; each would wait for the same failure."""
_LOOK_S = 0.1
"""How often a merge that waits for Ray's start looks whether it is still wanted."""
_GRACE_S = 2.0
"""The driver notices a deadline itself; only when it does not, the connection's own timeout does."""


class RayExecutor:
    """A ``MergeExecutor`` on Ray. Threads may call it at once."""

    name = "ray"

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._switch = threading.Lock()
        self._driver: RayDriver | None = None
        self._failed: tuple[float, ArchipelError] | None = None
        self._closed = False

    def merge(
        self, sql: str, source: MergeInput, keys: tuple[str, ...], *, timeout_s: float, stop: Stop | None = None
    ) -> pa.Table:
        """Return what ``sql`` gives over the partials; see ``MergeExecutor``."""
        if not keys:
            raise errors.error(errors.INTERNAL, "A merge without keys cannot be cut.")
        deadline = time.monotonic() + timeout_s
        attributes: dict[Attribute, str | int | float | bool] = {
            Attribute.EXCHANGE_ID: source.exchange_id,
            Attribute.MERGE_EXECUTOR: self.name,
        }
        with telemetry.span("merge", attributes=attributes) as span:
            tables = [chunk for table in prepared(source, keys) for chunk in _chunks(table)]
            request = {"sql": sql, "name": source.exchange_id, "keys": list(keys)}
            answer, streams = self._asked(request, tables, deadline, stop or Stop())
            span.set(Attribute.MERGE_PARTITIONS, len(streams))
            _record_parts(answer["times"])
            return pa.concat_tables([channel.unpack(stream) for stream in streams])

    def close(self) -> None:
        """End the driver and a local Ray; merges under way end with INTERRUPTED. Idempotent."""
        with self._switch:
            self._closed = True
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.stop()

    @property
    def driver_pid(self) -> int | None:
        """The process of the driver, or None while there is none."""
        driver = self._driver
        return None if driver is None else driver.pid

    def _asked(
        self, request: dict[str, Any], tables: list[pa.Table], deadline: float, stop: Stop
    ) -> tuple[dict[str, Any], list[pa.Buffer]]:
        for _ in range(2):
            driver = self._ready_driver(deadline, stop)
            answer = self._answered(driver, request, tables, deadline, stop)
            stop.check()
            if answer is not None and channel.CLUSTER_LOST not in answer[0]:
                if "error" in answer[0]:
                    header = answer[0]
                    raise errors.error(errors.code_named(header["error"]), header["message"], hint=header["hint"])
                return answer
            log.warning("the Ray driver or its cluster was lost during a merge")
            self._discard(driver)
        raise errors.error(errors.RAY_UNAVAILABLE, "Ray was lost twice while it merged the partial results.")

    def _answered(
        self, driver: RayDriver, request: dict[str, Any], tables: list[pa.Table], deadline: float, stop: Stop
    ) -> tuple[dict[str, Any], list[pa.Buffer]] | None:
        """Return the driver's answer; None when it is lost, or no longer wanted: the driver sees that we hung up."""
        try:
            with driver.open() as connection, stop.heard_by(lambda: _hang_up(connection)):
                remaining_s = max(0.0, deadline - time.monotonic())
                connection.settimeout(remaining_s + _GRACE_S)
                channel.send(connection, request | {"timeout_s": remaining_s}, tables)
                return channel.receive(connection)
        except TimeoutError:
            raise errors.error(errors.TIMEOUT, "Merging the partial results took too long.") from None
        except ConnectionError:
            return None
        except OSError as cause:  # no memory left for the message
            log.warning("partials could not be handed to the Ray driver: %s", type(cause).__name__)
            raise errors.error(errors.MERGE_FAILED, "The partial results could not be handed to Ray.") from None

    def _ready_driver(self, deadline: float, stop: Stop) -> RayDriver:
        stop.check()
        driver = self._current_driver()
        try:
            _wait_ready(driver, deadline, stop)
        except ArchipelError as cause:
            with self._switch:
                self._failed = (time.monotonic() + _START_AGAIN_S, cause)
            self._discard(driver)
            self._check_open()
            raise errors.raised(cause.info) from None
        except TimeoutError:
            stop.check()
            raise errors.error(errors.TIMEOUT, "Ray was not ready to merge the partial results in time.") from None
        return driver

    def _current_driver(self) -> RayDriver:
        with self._switch:
            self._check_open()
            lost = self._driver if self._driver is not None and self._driver.lost else None
            if lost is None and self._driver is not None:
                return self._driver
            if self._failed is not None and time.monotonic() < self._failed[0]:
                raise errors.raised(self._failed[1].info)
            if importlib.util.find_spec("ray") is None:
                raise errors.error(
                    errors.RAY_UNAVAILABLE,
                    "Ray, which merges large partial results, is not installed at the coordinator.",
                    hint="Its operator installs archipel[coordinator], or sets merge.ray.mode to off.",
                )
            try:
                self._driver = RayDriver(self._settings)
            except OSError as cause:
                log.warning("the Ray driver could not be started: %s", type(cause).__name__)
                raise errors.error(errors.RAY_UNAVAILABLE, "The Ray driver could not be started.") from None
            driver = self._driver
        if lost is not None:
            lost.stop()
        return driver

    def _discard(self, driver: RayDriver) -> None:
        with self._switch:
            if self._driver is driver:
                self._driver = None
        driver.stop()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise errors.error(errors.INTERRUPTED, "The coordinator was stopped.")


def _wait_ready(driver: RayDriver, deadline: float, stop: Stop) -> None:
    """Wait until merges can be sent. Ray's start goes on when this query no longer waits: others will need it."""
    while True:
        left_s = deadline - time.monotonic()
        try:
            driver.wait_ready(max(0.0, min(left_s, _LOOK_S)))
        except TimeoutError:
            if stop.made or left_s <= _LOOK_S:
                raise
        else:
            return


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _chunks(table: pa.Table) -> list[pa.Table]:
    """Cut a table into slices of about ``CHUNK_BYTES``; an empty one stays one."""
    pieces = max(1, -(-table.nbytes // CHUNK_BYTES))
    rows = max(1, -(-table.num_rows // pieces))
    return [table.slice(start, rows) for start in range(0, max(1, table.num_rows), rows)]


def _record_parts(times: list[tuple[int, int]]) -> None:
    """Record a span for each part as its worker timed it: workers export nothing themselves."""
    parent = telemetry.current_traceparent()
    for index, (started, ended) in enumerate(times):
        telemetry.record_span(
            "merge partition",
            started_unix_ns=started,
            ended_unix_ns=ended,
            attributes={Attribute.MERGE_EXECUTOR: RayExecutor.name, Attribute.MERGE_PARTITION: index},
            parent=parent,
        )
