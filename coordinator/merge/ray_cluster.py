"""Starting a local Ray or joining a cluster, and leaving it; only in the driver's process (``ray_driver``).

A local Ray is reached with a random token only. Its ports listen on all addresses, whatever it is told; nothing of it
answers without the token.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coordinator.merge.settings import MIB, RayMode, RaySettings

SHARED_MEMORY = Path("/dev/shm")
MINIMUM_STORE_BYTES = 80 * MIB
"""Ray refuses less than 75 MiB."""
_SHARE_OF_MEMORY = 0.3
"""At most this much of the memory becomes object store, as Ray itself has it; what does not fit spills to a file."""
_CONNECT_TIMEOUT_S = 5.0
_JOIN_ATTEMPTS = 3
"""A busy head may fail to start the process that serves a client; it was seen to start the next one."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the driver is connected to. ``note`` is for the operator's log; empty when there is nothing to say."""

    cpus: int
    note: str = ""


def environment(settings: RaySettings, scratch: Path) -> dict[str, str]:
    """Return the variables that Ray reads in this process and those it starts; writes a local Ray's token.

    Ray has no other way to be told these. Nothing secret is among them: only the names of files.
    """
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "0"}
    token_file = settings.token_file
    if settings.mode is RayMode.LOCAL:
        token_file = scratch / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(secrets.token_hex(32), encoding="ascii")
        # The store may lie in a directory where /dev/shm is small; ours is private, and the note says so.
        variables["RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE"] = "1"
    variables["RAY_AUTH_MODE"] = "disabled" if token_file is None else "token"
    if token_file is not None:
        variables["RAY_AUTH_TOKEN_PATH"] = str(token_file)
    if settings.tls_ca_file is not None:
        variables["RAY_USE_TLS"] = "1"
        variables["RAY_TLS_CA_CERT"] = str(settings.tls_ca_file)
        variables["RAY_TLS_SERVER_CERT"] = str(settings.tls_certificate_file)
        variables["RAY_TLS_SERVER_KEY"] = str(settings.tls_key_file)
    return variables


def start(settings: RaySettings, scratch: Path) -> Cluster:
    """Start a local Ray or join the configured cluster. Raises whatever Ray raises, and OSError when it is refused."""
    os.environ.update(environment(settings, scratch))
    if settings.mode is RayMode.EXISTING:
        _reach(settings.address or "")
    import ray  # after the environment is set: Ray reads it when it is imported

    if settings.mode is RayMode.EXISTING:
        _join(ray, settings.address or "")
        return Cluster(_cpus(ray))
    store = _store(settings.object_store_bytes, scratch)
    ray.init(
        "local",
        num_cpus=settings.cpus,
        object_store_memory=store.size_bytes,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        logging_level=logging.ERROR,
        _temp_dir=str(scratch),
        _plasma_directory=str(store.directory),
        _node_ip_address="127.0.0.1",
    )
    return Cluster(_cpus(ray), store.note)


def stop() -> None:
    """Leave the cluster; a local Ray ends with it."""
    import ray

    ray.shutdown()


@dataclass(frozen=True, slots=True)
class Store:
    """Where a local Ray's object store lies, and how large it is."""

    directory: Path
    size_bytes: int
    note: str = ""


def choose_store(wanted_bytes: int, memory_bytes: int, shared_bytes: int, scratch: Path) -> Store:
    """Return the object store for a host with so much memory and so much room in /dev/shm.

    >>> choose_store(2048 * MIB, 16_384 * MIB, 64 * MIB, Path("scratch")).directory
    PosixPath('scratch')
    """
    size = max(MINIMUM_STORE_BYTES, min(wanted_bytes, int(memory_bytes * _SHARE_OF_MEMORY)))
    if shared_bytes >= size:
        return Store(SHARED_MEMORY, size)
    room = int(shared_bytes * 0.9)  # others use it too
    if room >= max(MINIMUM_STORE_BYTES, size // 4):
        return Store(SHARED_MEMORY, room, f"Ray's object store has {room // MIB} MiB: {SHARED_MEMORY} has no more.")
    note = f"Ray's object store is a file, which is slower: {SHARED_MEMORY} has only {shared_bytes // MIB} MiB."
    return Store(scratch, size, note)


def _store(wanted_bytes: int, scratch: Path) -> Store:
    shared = os.statvfs(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
    shared_bytes = shared.f_bavail * shared.f_frsize if shared else 0
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in _CGROUP_LIMITS:
        text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
        if text.isdigit():
            memory_bytes = min(memory_bytes, int(text))
    return choose_store(wanted_bytes, memory_bytes, shared_bytes, scratch)


def _join(ray: Any, address: str) -> None:
    for attempt in range(1, _JOIN_ATTEMPTS + 1):
        try:
            ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
        except ConnectionAbortedError:  # when it is said so at all; mostly it is not, see ``ray_driver``
            if attempt == _JOIN_ATTEMPTS:
                raise
        else:
            return


def _cpus(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _reach(address: str) -> None:
    """Fail at once where nobody listens: Ray would try for a long time."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname is None or parts.port is None:
        raise ValueError("the address of the Ray cluster has no host and port")
    socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_TIMEOUT_S).close()
