"""What each optimisation of the planner is worth: telling queries of TPC-H with it and without it, asked in turn.

Two federations over the same files run at once, one of which leaves the optimisation out (``planner.disable`` of the
coordinator's configuration). Every answer is compared with that of one DuckDB before it counts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import archipel
from archipel.demo.layout import NodeSetup, write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import measure, tpch, tpch_placements
from benchmarks.tpch_placements import PLACEMENTS

FIRST_CUSTOMERS = "SELECT c_custkey, c_name, c_acctbal FROM customer ORDER BY c_acctbal DESC, c_custkey LIMIT 10"
AT_ONE_NODE = "SELECT count(*) AS n, sum(l_quantity) AS q FROM lineitem WHERE _node = 'n2'"

CASES: Mapping[str, Sequence[tuple[str, str]]] = {
    "pushdown": (("holders", "q03"), ("holders", "q12")),
    "local_joins": (("sharded", "q04"), ("hashed", "q12")),
    "semijoin": (("holders", "q14"), ("sharded", "q22"), ("hashed", "q17")),
    "bloom": (("holders", "q12"), ("hashed", "q09")),
    "eager": (("sharded", "q13"), ("holders", "q10")),
    "shuffle": (("hashed", "q14"), ("hashed", "q09"), ("hashed", "q19")),
    "topk": (("hashed", FIRST_CUSTOMERS),),
    "pruning": (("hashed", AT_ONE_NODE),),
    "common_subplans": (("hashed", "q15"), ("hashed", "q05")),
}
"""By optimisation: placements, with the names or texts of queries that show it."""

TITLES = {FIRST_CUSTOMERS: "the ten richest customers", AT_ONE_NODE: "a sum at one node"}


@dataclass(frozen=True, slots=True)
class Row:
    """One query with and without one optimisation: medians in milliseconds and bytes over borders."""

    rule: str
    placement: str
    query: str
    ms_with: float
    ms_without: float
    bytes_with: int
    bytes_without: int


def run(directory: Path, data: Path, texts: Mapping[str, str], repeats: int) -> list[Row]:
    """Measure all cases; raises if an answer is wrong."""
    rows = []
    made: dict[str, list[NodeSetup]] = {}
    limits = {"threads": os.cpu_count() or 1, "memory_limit": "4GB"}
    for rule, cases in CASES.items():
        for placement in dict.fromkeys(name for name, _ in cases):
            if placement not in made:
                made[placement] = tpch_placements.setups(
                    PLACEMENTS[placement], data, directory / placement / "data", limits=limits
                )
            queries = {q: texts.get(q, q) for name, q in cases if name == placement}
            rows += _measured(directory / placement, made[placement], data, rule, placement, queries, repeats)
    return rows


def _measured(
    directory: Path,
    setups: Sequence[NodeSetup],
    data: Path,
    rule: str,
    placement: str,
    queries: Mapping[str, str],
    repeats: int,
) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        connections = [stack.enter_context(_running(stack, directory, setups, off)) for off in ((), (rule,))]
        oracle = stack.enter_context(tpch_placements.oracle(data))
        for query, sql in queries.items():
            results = [connection.query_and_wait(sql, timeout_s=tpch.TIMEOUT_S) for connection in connections]
            if query != AT_ONE_NODE:  # one database has no nodes
                expected = oracle.execute(sql).to_arrow_table()
                assert all(tpch.same(result.to_arrow(), expected) for result in results), (rule, placement, query)
            assert tpch.same(results[0].to_arrow(), results[1].to_arrow()), (rule, placement, query)
            works = [lambda c=c, q=sql: c.query_and_wait(q, timeout_s=tpch.TIMEOUT_S) for c in connections]
            times = [measure.median(t) for t in measure.interleaved(works, repeats)]
            crossed = [result.bytes_crossed for result in results]
            rows.append(Row(rule, placement, TITLES.get(query, query), times[0], times[1], crossed[0], crossed[1]))
            print(rows[-1], flush=True)
    return rows


def _running(stack: ExitStack, directory: Path, setups: Sequence[NodeSetup], off: Sequence[str]) -> archipel.Connection:
    """Start a federation without some optimisations; return a connection to it, to be entered."""
    folder = directory / ("without" if off else "with")
    shutil.rmtree(folder, ignore_errors=True)
    settings = {
        "limits": {"max_stage_bytes": 4 << 30, "max_result_rows": 10_000_000},
        "planner": {"disable": list(off)},
    }
    layout = write_layout(folder, setups, coordinator_settings=settings)
    measure.compress_what_leaves(layout)
    return stack.enter_context(LocalFederation(layout)).connect()


def report(rows: Sequence[Row], scale: float, repeats: int) -> str:
    """Return the report in Markdown."""
    header = ["left out", "placement", "query", "ms with", "ms without", "bytes with", "bytes without", "bytes spared"]
    body = [
        [
            row.rule,
            row.placement,
            row.query,
            row.ms_with,
            row.ms_without,
            row.bytes_with,
            row.bytes_without,
            f"{1 - row.bytes_with / row.bytes_without:.0%}" if row.bytes_without else "",
        ]
        for row in rows
    ]
    return (
        f"# Each optimisation on and off, TPC-H scale {scale:g}\n\nTwo federations of processes on one machine "
        f"({measure.machine()}), one of which leaves the optimisation out, asked in turn; medians of {repeats}. Every "
        "answer was compared with that of one DuckDB. Bytes are what left the nodes, compressed (zstd).\n\n"
        f"{measure.markdown_table(header, body)}"
    )


def main(directory: Path, shared: Path, *, scale: float, repeats: int) -> None:
    """Measure and write the table."""
    data = tpch_placements.generate(directory / f"tpch-{scale:g}", scale)
    rows = run(directory / f"rules-{scale:g}", data, tpch_placements.queries(shared), repeats)
    found = {"scale": scale, "rows": [asdict(row) for row in rows]}
    measure.write_results("rules" if scale == 1 else f"rules-scale-{scale:g}", report(rows, scale, repeats), found)
