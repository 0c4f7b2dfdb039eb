"""One merge as tasks on Ray, in the driver's process: put the chunks, split each by hash, merge each part.

Partitions go from the splits to the merges by reference; this process sees none of their rows. A task whose worker died
runs again: what a task gives is one object, whoever made it, so it counts once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from archipel import errors
from archipel.errors import ArchipelError
from coordinator.merge import partition
from coordinator.merge.settings import RaySettings

_LOOK_S = 0.1
"""How often a waiting merge looks whether its caller is still there."""
_CANCEL_ATTEMPTS = 4
_CANCEL_WAIT_S = 0.5
"""How long a cancelled task has to end before it is cancelled again."""
_ENGINE_FACTOR = 7
"""Memory of a merge as a multiple of its partials, where no two nodes share a group: 4.9 in
benchmarks/results/merge.md, 6.3 with other columns, and something to spare."""


class ClusterLostError(Exception):
    """Ray has gone; nothing can be merged on it any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """A merge: the statement, the name of its input, the keys by which it may be cut, and how long it may take."""

    sql: str
    name: str
    keys: tuple[str, ...]
    timeout_s: float


def partitions(n_bytes: int, cpus: int, task_memory_bytes: int) -> int:
    """Return into how many parts to cut: one for each CPU, more where a part would not fit a task's memory.

    >>> partitions(100_000, cpus=4, task_memory_bytes=1024**3)
    4
    """
    fitting = -(-n_bytes * _ENGINE_FACTOR // task_memory_bytes)
    return min(partition.MAX_PARTITIONS, max(cpus, fitting))


def merge(
    request: Request, chunks: Sequence[pa.Buffer], parts: int, settings: RaySettings, abandoned: Callable[[], bool]
) -> list[tuple[pa.Buffer, tuple[int, int]]]:
    """Return the merged stream of each partition and when it was merged (Unix time in ns: start, end).

    Raises:
        ArchipelError: TIMEOUT, MERGE_FAILED, SQL_EXECUTION, or INTERRUPTED when the caller has gone.
        ClusterLostError: Ray has gone.
    """
    import ray

    deadline = time.monotonic() + request.timeout_s
    limit, retries = settings.task_memory_bytes, settings.max_retries
    split = ray.remote(partition.split).options(num_returns=parts, max_retries=retries)
    merge_part = ray.remote(partition.merge_part).options(max_retries=retries)
    try:
        cut = [split.remote(ray.put(chunk), request.keys, parts, limit) for chunk in chunks]
        columns = zip(*(pieces if parts > 1 else [pieces] for pieces in cut), strict=True)
        remaining_s = max(0.0, deadline - time.monotonic())
        merging = [merge_part.remote(request.sql, request.name, limit, remaining_s, *pieces) for pieces in columns]
        del cut
        return _collected(ray, merging, deadline, abandoned)
    except (ray.exceptions.RayError, ConnectionError) as cause:
        raise _mapped(ray, cause) from None


def _collected(ray: Any, merging: list[Any], deadline: float, abandoned: Callable[[], bool]) -> list[Any]:
    results: dict[Any, Any] = {}
    waiting = list(merging)
    try:
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1, timeout=_LOOK_S)
            results.update(zip(done, ray.get(done), strict=True))
            if waiting and time.monotonic() > deadline:
                raise errors.error(errors.TIMEOUT, "Merging the partial results took too long.")
            if waiting and abandoned():
                raise errors.error(errors.INTERRUPTED, "The coordinator was stopped.")
    finally:
        _cancel(ray, waiting)
    return [results[task] for task in merging]


def _cancel(ray: Any, tasks: list[Any]) -> None:
    """End tasks whose results nobody waits for.

    A cancellation that reaches a worker just as it takes up the task was seen to be lost, so it is repeated; in the end
    the worker is killed, and Ray starts another one when it needs one.
    """
    with contextlib.suppress(ray.exceptions.RayError, ConnectionError):  # without a cluster there is nothing to end
        for force in (*(False,) * _CANCEL_ATTEMPTS, True):
            if not tasks:
                return
            for task in tasks:
                ray.cancel(task, force=force)
            _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=_CANCEL_WAIT_S)


def _mapped(ray: Any, cause: Exception) -> Exception:
    # Text of Ray's errors holds tracebacks of workers: only ours goes on.
    inner = getattr(cause, "cause", None)
    if isinstance(inner, ArchipelError):
        return inner
    if isinstance(cause, ArchipelError):
        return errors.raised(cause.info)
    if isinstance(cause, ray.exceptions.OutOfMemoryError):
        return errors.error(
            errors.MERGE_FAILED,
            "Merging the partial results needs more memory than the hosts of the workers have.",
            hint="Ask for fewer groups or columns.",
        )
    if isinstance(cause, ray.exceptions.WorkerCrashedError | ray.exceptions.RayTaskError):
        kind = type(inner).__name__ if inner is not None else type(cause).__name__
        return errors.error(errors.MERGE_FAILED, f"The partial results could not be merged ({kind}).")
    return ClusterLostError(type(cause).__name__)
