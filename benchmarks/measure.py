"""Small measuring tools: medians over interleaved runs, memory and CPU seconds of processes, tables in Markdown."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from archipel.demo.layout import Layout

RESULTS = Path(__file__).parent / "results"


def timed(work: Callable[[], Any]) -> float:
    """Return how long ``work`` took, in milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def interleaved(works: Sequence[Callable[[], Any]], repeats: int) -> list[list[float]]:
    """Run the works in turn, after one warm-up of each; return each one's times in milliseconds."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for index, work in enumerate(works):
            times[index].append(timed(work))
    return times


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(member.memory_info().rss for member in family)) / 1e6


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, user and system."""
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def compress_what_leaves(layout: Layout) -> None:
    """Set every node of a layout to compress what it sends, as is right between institutions."""
    for path in layout.node_configs.values():
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump({**config, "compress": True}, sort_keys=False), encoding="utf-8")


def machine() -> str:
    """Return what the figures were taken on, without its name."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; numbers are right-aligned by their column's first row."""
    align = ["---:" if rows and isinstance(cell, int | float) else "---" for cell in (rows[0] if rows else header)]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(align) + " |"]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write_results(name: str, text: str, data: Any) -> None:
    """Write ``results/NAME.md`` and ``results/NAME.json`` and print the text."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(text)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
