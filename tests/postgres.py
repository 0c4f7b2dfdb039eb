"""A PostgreSQL server of the tests' own: a new cluster in a folder, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVER_USER = "postgres"
"""PostgreSQL does not run as root: there its package's own user runs it."""

START_TIMEOUT_S = 60


def program(name: str) -> Path:
    """Return a program of PostgreSQL's server; skips where there is none."""
    found = shutil.which(name)
    candidates = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not candidates:
        pytest.skip("no PostgreSQL server on this machine (scripts/test_dependencies.sh installs one for root)")
    return candidates[-1]


@contextmanager
def server() -> Iterator[str]:
    """Run a server and give the SQLAlchemy URL of its database."""
    initdb, control = program("initdb"), program("pg_ctl")
    as_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="archipel-pg-") as folder:
        directory = Path(folder)
        run = ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--init-groups"] if as_root else []
        if as_root:
            try:
                owner = pwd.getpwnam(SERVER_USER)
            except KeyError:
                pytest.skip(f"no user '{SERVER_USER}' to run PostgreSQL as")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        data = directory / "data"
        options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off"
        call([*run, str(initdb), "-D", str(data), "-U", "archipel", "-A", "trust", "-E", "UTF8", "--locale=C"], folder)
        waiting = ["-w", "-t", str(START_TIMEOUT_S)]
        call([*run, str(control), "-D", str(data), "-o", options, "-l", f"{folder}/log", *waiting, "start"], folder)
        try:
            yield f"postgresql+psycopg://archipel@/postgres?host={directory}"
        finally:
            call([*run, str(control), "-D", str(data), "-m", "immediate", "-w", "stop"], folder)


def call(command: list[str], folder: str) -> None:
    subprocess.run(command, check=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
