"""The demo as its user runs it: a process of its own, ended with Ctrl-C, of which nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import archipel

pytestmark = pytest.mark.federation


def _heed_interrupts() -> None:
    """Undo that a shell has what it runs in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``archipel demo --keep`` over a small world, merging in-process."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ["demo", "--persons", "2000", "--keep", "--no-ray"]
    process = subprocess.Popen(
        [sys.executable, "-m", "archipel.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def output_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return the lines up to the one that begins with ``text``."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if text in line:
            return lines
    raise AssertionError("the demo ended early:\n" + "\n".join(lines))


def test_the_kept_demo_answers_and_ctrl_c_leaves_nothing_behind(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    printed = output_until(demo, "archipel.connect(")
    assert any("audit" in line.lower() for line in printed)
    export = next(line for line in printed if "export ARCHIPEL_ADDRESS=" in line)
    settings = dict(part.split("=", 1) for part in export.split()[1:])
    family = psutil.Process(demo.pid).children(recursive=True)
    assert len(family) == 5
    with archipel.connect(
        settings["ARCHIPEL_ADDRESS"], permit=settings["ARCHIPEL_PERMIT"], key=settings["ARCHIPEL_KEY"]
    ) as connection:
        answer = connection.query_and_wait("SELECT count(*) AS n FROM departement").to_arrow()
    assert answer.to_pylist() == [{"n": 101}]
    os.killpg(demo.pid, signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list((tmp_path / "scratch").iterdir())


def test_ctrl_c_in_the_middle_ends_every_process(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    output_until(demo, "run as separate processes")
    family = psutil.Process(demo.pid).children(recursive=True)
    os.killpg(demo.pid, signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list((tmp_path / "scratch").iterdir())
