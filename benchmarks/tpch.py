"""TPC-H over real processes against one DuckDB: for every query and placement, time and bytes over borders.

Both are asked in turn in one run on one machine, and every answer is compared before its time counts.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import archipel
from archipel import errors
from archipel.demo.layout import write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import measure, tpch_placements
from benchmarks.tpch_placements import PLACEMENTS, Placement

TIMEOUT_S = 600.0
RATIO_GOALS: Mapping[str, float] = {"together": 1.1, "sharded": 1.3, "holders": 3.0, "hashed": 3.0}
"""Geometric means of federated over central time that are aimed at."""
BYTE_GOALS: Mapping[str, int] = {"q03": 1_000_000, "q10": 5_000_000, "q12": 500_000, "q14": 1_000_000}
"""Most bytes over borders that are aimed at with the eight tables at five holders, at scale 1."""


@dataclass(frozen=True, slots=True)
class Row:
    """One query at one placement: medians in milliseconds, bytes over borders, or why there is no answer.

    ``sealed_bytes`` are those of the crossed bytes that went from node to node, ``error`` a code or "wrong".
    """

    placement: str
    query: str
    central_ms: float
    federated_ms: float | None
    crossed_bytes: int | None
    sealed_bytes: int | None
    error: str = ""

    @property
    def ratio(self) -> float | None:
        """Federated over central time."""
        return None if self.federated_ms is None else self.federated_ms / self.central_ms


def run(
    directory: Path, data: Path, placement: Placement, queries: Mapping[str, str], repeats: int
) -> tuple[list[Row], dict[str, float]]:
    """Measure queries over one placement; also return the CPU seconds that each process used."""
    threads = os.cpu_count() or 1
    limits = {"threads": threads, "memory_limit": "4GB"}
    setups = tpch_placements.setups(placement, data, directory / placement.name / "data", limits=limits)
    shutil.rmtree(directory / placement.name / "federation", ignore_errors=True)
    layout = write_layout(
        directory / placement.name / "federation",
        setups,
        coordinator_settings={"limits": {"max_stage_bytes": 4 << 30, "max_result_rows": 10_000_000}},
    )
    measure.compress_what_leaves(layout)
    rows = []
    with (
        tpch_placements.oracle(data, threads=threads) as oracle,
        LocalFederation(layout) as federation,
        federation.connect() as connection,
    ):
        for name, sql in queries.items():
            rows.append(_measured(placement.name, name, sql, oracle, connection, repeats))
            print(rows[-1], flush=True)
        names = ["coordinator", *layout.node_configs]
        spent = {name: measure.cpu_seconds(federation.process(name).pid) for name in names}
    return rows, spent


def _measured(
    placement: str,
    name: str,
    sql: str,
    oracle: duckdb.DuckDBPyConnection,
    connection: archipel.Connection,
    repeats: int,
) -> Row:
    def central() -> pa.Table:
        return oracle.execute(sql).to_arrow_table()

    def federated() -> archipel.Result:
        return connection.query_and_wait(sql, timeout_s=TIMEOUT_S)

    expected = central()
    try:
        result = federated()
        error = "" if same(result.to_arrow(), expected) else "wrong"
        times = measure.interleaved([central, federated], repeats)
    except errors.ArchipelError as refused:
        return Row(placement, name, measure.timed(central), None, None, None, refused.code)
    sealed = sum(crossing.bytes or 0 for crossing in result.crossings if crossing.receiver)
    crossed = result.bytes_crossed
    return Row(placement, name, measure.median(times[0]), measure.median(times[1]), crossed, sealed, error)


def same(answer: pa.Table, expected: pa.Table) -> bool:
    """Whether two answers have the same rows, doubles to 1e-9: the tests compare more, here it guards the figures."""
    ours, theirs = (sorted(_rows(table), key=_exact_first) for table in (answer, expected))
    return len(ours) == len(theirs) and all(map(_same_row, ours, theirs))


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _exact_first(row: tuple[Any, ...]) -> tuple[list[str], list[float]]:
    return [repr(v) for v in row if not isinstance(v, float)], [v for v in row if isinstance(v, float)]


def _same_row(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    return all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; NaN of nothing.

    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else math.nan


def report(rows: Sequence[Row], spent: Mapping[str, Mapping[str, float]], scale: float, repeats: int) -> str:
    """Return the report in Markdown."""
    placements = list(dict.fromkeys(row.placement for row in rows))
    queries = list(dict.fromkeys(row.query for row in rows))
    by_case = {(row.placement, row.query): row for row in rows}
    means = []
    for name in placements:
        mine = [row for row in rows if row.placement == name]
        answered = [row for row in mine if not row.error]
        mean = geometric_mean([row.ratio for row in answered if row.ratio is not None])
        crossed = sum(row.crossed_bytes or 0 for row in answered)
        title = {p.name: p.title for p in PLACEMENTS.values()}[name]
        means.append([name, title, f"{len(answered)} of {len(mine)}", mean, RATIO_GOALS[name], crossed])
    header = ["query", "central ms"]
    for name in placements:
        header += [f"{name} ms", "ratio", "bytes"]
    body = []
    for query in queries:
        found = [by_case.get((name, query)) for name in placements]
        central = [row.central_ms for row in found if row is not None]
        cells: list[object] = [query, measure.median(central)]
        for row in found:
            cells += ["", "", ""] if row is None else _cells(row)
        body.append(cells)
    mean_table = measure.markdown_table(
        ["placement", "what it is", "answered", "geometric mean of ratios", "goal", "bytes over borders"], means
    )
    text = (
        f"# TPC-H, scale {scale:g}\n\nOne DuckDB over all files against a coordinator and nodes as separate processes "
        f"with mutual TLS, all on one machine ({measure.machine()}), asked in turn; medians of {repeats}. The nodes of "
        "a placement share the cores that central DuckDB has to itself. Every answer was compared with the central "
        "one. Bytes are what left the nodes, for the coordinator and, sealed, for other nodes, compressed (zstd).\n\n"
        f"{mean_table}\n## Every query\n\n{measure.markdown_table(header, body)}"
    )
    goals = [
        [query, by_case["holders", query].crossed_bytes or "", goal, scale]
        for query, goal in BYTE_GOALS.items()
        if ("holders", query) in by_case
    ]
    if goals:
        table = measure.markdown_table(["query", "bytes over borders", "goal at scale 1", "scale here"], goals)
        text += f"\n## Bytes with the eight tables at five holders\n\n{table}"
    cpu = [[name, process, seconds] for name, by in spent.items() for process, seconds in by.items()]
    text += "\n## CPU seconds by process, over the whole run\n\n"
    return text + measure.markdown_table(["placement", "process", "CPU seconds"], cpu)


def _cells(row: Row) -> list[object]:
    if row.error and row.federated_ms is None:
        return [row.error, "", ""]
    return [row.federated_ms, f"{row.ratio:.2f}{' wrong' if row.error else ''}", row.crossed_bytes]


def main(
    directory: Path, shared: Path, *, scale: float, placements: Sequence[str], queries: Sequence[str], repeats: int
) -> None:
    """Measure every placement and write the table."""
    data = tpch_placements.generate(directory / f"tpch-{scale:g}", scale)
    texts = tpch_placements.queries(shared)
    chosen = {name: texts[name] for name in queries or texts}
    rows: list[Row] = []
    spent: dict[str, dict[str, float]] = {}
    for name in placements:
        more, spent[name] = run(directory / f"tpch-{scale:g}-nodes", data, PLACEMENTS[name], chosen, repeats)
        rows += more
    found = {"scale": scale, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows], "cpu_seconds": spent}
    measure.write_results("tpch" if scale == 1 else f"tpch-scale-{scale:g}", report(rows, spent, scale, repeats), found)
