"""Merging in-process against on Ray: 4 x 1,000,000 groups, and a sweep of sizes from which the threshold is taken.

Both executors get the same partials of four nodes, of which every node has every group: three integer sums, one double
folded in the order of the nodes, one key of text and one integer key. Ray is up; its start is a figure of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import psutil
import pyarrow as pa
from sqlglot import exp

from benchmarks import measure
from coordinator.merge.engine import Engine
from coordinator.merge.executor import MergeExecutor, MergeInput
from coordinator.merge.in_process import InProcessExecutor
from coordinator.merge.ray_executor import RayExecutor
from coordinator.merge.settings import MIB, THRESHOLD_BYTES, MergeSettings, RaySettings

NODES = 4
GROUPS = (1_000, 10_000, 100_000, 400_000, 1_000_000, 1_600_000)
LARGE = 1_000_000
REPEATS = 5
KEYS = ("g0", "g1")
TIMEOUT_S = 120.0
PEAK_ARGUMENT = "--peak-of-in-process"


def partials(groups: int, *, shared: bool = True) -> MergeInput:
    """The partials of four nodes; each has every group, in an order of its own, or groups of its own."""
    tables = []
    for shard in range(NODES):
        rng = np.random.default_rng(shard)
        g0 = rng.permutation(groups) + (0 if shared else shard * groups)
        columns = {
            "g0": pa.array(g0),
            "g1": pa.array(g0 % 997).cast(pa.string()),
            "p0": pa.array(rng.integers(1, 1000, groups)),
            "p1": pa.array(rng.integers(1, 10**9, groups)).cast(pa.decimal128(38, 0)),
            "p2": pa.array(rng.integers(1, 10**6, groups)),
            "p3": pa.array(rng.normal(size=groups)),
        }
        tables.append(pa.table(columns))
    return MergeInput("x1", tables[0].schema, tuple(tables), tuple(range(NODES)))


def statement() -> str:
    """The merge as the planner writes it: sums, and the double folded node by node."""

    def column(name: str) -> exp.Expression:
        return exp.column(exp.to_identifier(name, quoted=True))

    def of_shard(shard: int) -> exp.Expression:
        condition = exp.EQ(this=column("_shard"), expression=exp.Literal.number(shard))
        value = exp.Filter(this=exp.Max(this=column("p3")), expression=exp.Where(this=condition))
        return exp.func("coalesce", value, exp.cast(exp.Literal.number(0), "DOUBLE"))

    folded = of_shard(0)
    for shard in range(1, NODES):
        folded = exp.Add(this=folded, expression=of_shard(shard))
    sums = [exp.alias_(exp.Sum(this=column(p)), p, quoted=True) for p in ("p0", "p1", "p2")]
    keys = [column(key) for key in KEYS]
    table = exp.Table(this=exp.to_identifier("x1", quoted=True))
    merged = exp.select(*keys, *sums, exp.alias_(folded, "p3", quoted=True)).from_(table)
    return merged.group_by(*(k.copy() for k in keys)).sql("duckdb")


def run(executor: MergeExecutor, source: MergeInput) -> pa.Table:
    """One merge."""
    return executor.merge(statement(), source, KEYS, timeout_s=TIMEOUT_S)


def sweep(in_process: MergeExecutor, on_ray: MergeExecutor, repeats: int) -> list[dict[str, float]]:
    """Measure every size on both, interleaved; the answers must be the same."""
    rows = []
    for groups in GROUPS:
        source = partials(groups)
        order = [(key, "ascending") for key in KEYS]
        one, two = (run(e, source).sort_by(order).combine_chunks() for e in (in_process, on_ray))
        if not one.equals(two):
            raise AssertionError("the two executors differ")
        works: list[Callable[[], Any]] = [lambda s=source: run(in_process, s), lambda s=source: run(on_ray, s)]
        times = measure.interleaved(works, repeats)
        here, there = (measure.median(t) for t in times)
        rows.append(
            {
                "groups": groups,
                "bytes": source.bytes,
                "in_process_ms": here,
                "ray_ms": there,
                "spread_ms": max(times[0]) - min(times[0]),
            }
        )
    return rows


def peak_factor(groups: int, *, shared: bool) -> float:
    """Return what a merge in-process adds to a process's memory at its highest, as a multiple of the partials."""
    with tempfile.TemporaryDirectory() as folder:
        for index, table in enumerate(partials(groups, shared=shared).tables):
            with pa.OSFile(f"{folder}/{index}", "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        command = [sys.executable, "-m", "benchmarks.merge", PEAK_ARGUMENT, folder]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _print_peak(folder: Path) -> None:
    tables = [pa.ipc.open_stream(path.read_bytes()).read_all() for path in sorted(folder.iterdir())]
    source = MergeInput("x1", tables[0].schema, tuple(tables), tuple(range(len(tables))))
    executor = InProcessExecutor(engine=Engine(memory_limit_bytes=MergeSettings().memory_limit_bytes))
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far: reading the partials took memory too
    merged = run(executor, source)
    print((_highest_bytes() - before) / source.bytes)
    del merged
    executor.close()


def _highest_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def proportional_mb(pid: int) -> float:
    """Return the memory of a process and its children, in MB; what several share counts once."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(member.memory_full_info().pss for member in family)) / 1e6


def plot(rows: list[dict[str, float]]) -> None:
    """Draw time against bytes, with the threshold."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    size = [row["bytes"] / MIB for row in rows]
    axes.plot(size, [row["in_process_ms"] for row in rows], marker="o", label="in-process")
    axes.plot(size, [row["ray_ms"] for row in rows], marker="s", label="on Ray, same host")
    axes.axvline(THRESHOLD_BYTES / MIB, color="grey", linestyle="--", label="threshold")
    axes.set(xscale="log", yscale="log", xlabel="partials, MiB", ylabel="merge, ms (median)")
    axes.legend()
    figure.tight_layout()
    measure.RESULTS.mkdir(exist_ok=True)
    figure.savefig(measure.RESULTS / "merge.png", dpi=120)
    pyplot.close(figure)


def main(repeats: int = REPEATS) -> None:
    """Measure and write the figures."""
    load = os.getloadavg()[0]
    in_process = InProcessExecutor(engine=Engine(memory_limit_bytes=MergeSettings().memory_limit_bytes))
    on_ray = RayExecutor(RaySettings())
    try:
        tiny = partials(10)
        began = time.perf_counter()
        run(on_ray, tiny)
        start_s = time.perf_counter() - began
        idle_mb = proportional_mb(on_ray.driver_pid or 0)
        rows = sweep(in_process, on_ray, repeats)
    finally:
        on_ray.close()
        in_process.close()
    figures: dict[str, Any] = {
        "machine": measure.machine(),
        "load_before": load,
        "repeats": repeats,
        "threshold_bytes": THRESHOLD_BYTES,
        "sweep": rows,
        "ray_start_s": start_s,
        "ray_idle_mb": idle_mb,
        "in_process_peak_factors": [peak_factor(LARGE, shared=shared) for shared in (True, False)],
    }
    plot(rows)
    measure.write_results("merge", _text(figures), figures)


def _text(figures: dict[str, Any]) -> str:
    rows, peaks = figures["sweep"], figures["in_process_peak_factors"]
    table = measure.markdown_table(
        ("groups at each of 4 nodes", "partials, MiB", "in-process, ms", "Ray, ms", "Ray / in-process"),
        [
            (
                int(r["groups"]),
                r["bytes"] / MIB,
                r["in_process_ms"],
                r["ray_ms"],
                round(r["ray_ms"] / r["in_process_ms"], 2),
            )
            for r in rows
        ],
    )
    large = next(r for r in rows if r["groups"] == LARGE)
    return (
        "# Merging in-process and on Ray\n\n"
        f"{figures['machine']}, load average {figures['load_before']:.1f} before; Ray on the same host, already up. "
        f"Medians of {figures['repeats']} interleaved runs after a warm-up; the answers were compared bit for bit.\n\n"
        f"{table}\n"
        f"- 4 x 1,000,000 groups: {large['in_process_ms']:,.0f} ms in-process, {large['ray_ms']:,.0f} ms on Ray.\n"
        f"- The first merge on Ray waits {figures['ray_start_s']:.1f} s for Ray to start; idle, Ray holds "
        f"{figures['ray_idle_mb']:,.0f} MB.\n"
        f"- A merge in-process takes {peaks[0]:.1f} times its partials in memory at its highest, beside the partials; "
        f"{peaks[1]:.1f} times where no two nodes share a group.\n\n"
        f"Threshold: {THRESHOLD_BYTES // MIB} MiB, where a merge in-process takes up to "
        f"{max(peaks) * THRESHOLD_BYTES / MIB:,.0f} MiB of memory. {_compared(rows)} What Ray takes, it takes beside "
        "the coordinator's process, whose memory and CPU stay for other queries; and its workers may be more and "
        "elsewhere.\n\n"
        "![merge times](merge.png)\n"
    )


def _compared(rows: list[dict[str, float]]) -> str:
    def ratios(of: Iterable[dict[str, float]]) -> str:
        found = sorted(row["ray_ms"] / row["in_process_ms"] for row in of)
        return f"{found[0]:.1f} to {found[-1]:.1f} times"

    below = ratios(row for row in rows if row["bytes"] < THRESHOLD_BYTES)
    above = ratios(row for row in rows if row["bytes"] >= THRESHOLD_BYTES)
    return (
        f"Ray took {below} as long as in-process below the threshold, and {above} as long above it, on the same CPUs."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [PEAK_ARGUMENT]:
        _print_peak(Path(sys.argv[2]))
    else:
        main()
