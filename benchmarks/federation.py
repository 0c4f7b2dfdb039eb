"""Overhead of a tiny aggregate, streaming of a large result, a hundred nodes, and memory of idle processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from archipel import Result
from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import measure

TINY_ROWS = 2_000
WIDE_ROWS = 1_000_000
AGGREGATE = "SELECT g, count(*) AS n, sum(v) AS s FROM tiny GROUP BY g"
NEW_EACH_TIME = "SELECT g, count(*) AS n, sum(v) AS s FROM tiny WHERE v < ? GROUP BY g"
"""With a new value each time: nothing that coordinator or nodes remember of an earlier question helps."""

PROTECTED = {"protected": True, "coordinator": "aggregate", "other_columns": "group", "tell_withheld_count": True}
OPEN = {"protected": False, "coordinator": "rows"}


def tiny_nodes(directory: Path, count: int, *, wide: bool = False) -> list[NodeSetup]:
    """Write ``count`` nodes with a tiny protected table each, and with ``wide`` a large open one at the first."""
    setups = []
    for index in range(count):
        name = f"node_{index:03}"
        folder = directory / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        ids = range(index * TINY_ROWS, (index + 1) * TINY_ROWS)
        tiny = pa.table({"person": list(ids), "g": [i % 10 for i in ids], "v": [i % 97 for i in ids]})
        pq.write_table(tiny, folder / "tiny.parquet")
        tables = [TableSetup("tiny", folder / "tiny.parquet", PROTECTED, person_column="person", person_domain="p")]
        if wide and index == 0:
            rows = range(WIDE_ROWS)
            pq.write_table(pa.table({"a": rows, "b": [float(i) for i in rows]}), folder / "wide.parquet")
            tables.append(TableSetup("wide", folder / "wide.parquet", OPEN))
        setups.append(NodeSetup(name, f"Holder {index}", tuple(tables)))
    return setups


def overhead_and_streaming(directory: Path, repeats: int) -> dict[str, float]:
    """Measure four local nodes: submit to result beyond the slowest node's statement, MB/s, idle memory."""
    layout = write_layout(directory, tiny_nodes(directory, 4, wide=True), coordinator_settings=ROOM_FOR_WIDE)
    with LocalFederation(layout) as federation, federation.connect() as connection:
        idle = {name: measure.resident_mb(federation.process(name).pid) for name in ("coordinator", "node_001")}
        asked_again = _overhead(lambda _: connection.query_and_wait(AGGREGATE), repeats)
        asked_first = _overhead(lambda i: connection.query_and_wait(NEW_EACH_TIME, [1000 + i]), repeats)
        query = connection.query("SELECT a, b FROM wide")
        size = query.result().to_arrow().nbytes
        stream_ms = [measure.timed(lambda: connection.get_query(query.query_id).result().to_arrow()) for _ in range(3)]
    return {
        "a question asked again: submit to result, p50 ms": asked_again[0],
        "a question asked again: beyond the slowest node's statement, p50 ms": asked_again[1],
        "a question asked first: submit to result, p50 ms": asked_first[0],
        "a question asked first: beyond the slowest node's statement, p50 ms": asked_first[1],
        "result streaming, MB/s": size / 1e6 / (measure.median(stream_ms) / 1000),
        "idle node agent, MB": idle["node_001"],
        "idle coordinator without Ray, MB": idle["coordinator"],
    }


def _overhead(ask: Callable[[int], Result], repeats: int) -> tuple[float, float]:
    """Return the medians of the time from submit to result, and of that beyond the slowest node's statement."""
    total, beyond = [], []
    for index in range(repeats + WARM_UP):
        started = time.perf_counter()
        result = ask(index)
        total.append((time.perf_counter() - started) * 1000)
        beyond.append(total[-1] - max(node.engine_ms for node in result.nodes))
    return measure.median(total[WARM_UP:]), measure.median(beyond[WARM_UP:])


WARM_UP = 5

ROOM_FOR_WIDE = {"limits": {"max_result_rows": 5_000_000, "max_result_bytes": 1_000_000_000}}


def many_nodes(directory: Path, count: int, repeats: int) -> dict[str, float]:
    """Measure one aggregate over ``count`` real agents on this machine."""
    layout = write_layout(directory, tiny_nodes(directory, count))
    with LocalFederation(layout) as federation, federation.connect() as connection:
        connection.query_and_wait(AGGREGATE)
        times = [measure.timed(lambda: connection.query_and_wait(AGGREGATE)) for _ in range(repeats)]
        memory = [measure.resident_mb(federation.process(name).pid) for name in layout.node_configs]
    return {
        f"{count} nodes, one aggregate, p50 ms": measure.median(times),
        f"{count} nodes, memory of one agent, median MB": measure.median(memory),
    }


def main(directory: Path, *, nodes: int, repeats: int) -> None:
    """Measure and write the figures."""
    figures = overhead_and_streaming(directory / "four", repeats)
    figures |= many_nodes(directory / "many", nodes, max(5, repeats // 4))
    table = measure.markdown_table(["figure", "value"], [[name, value] for name, value in figures.items()])
    text = f"# Overhead, streaming, many nodes, memory\n\nOne machine ({measure.machine()}), medians.\n\n{table}"
    measure.write_results("federation", text, figures)
