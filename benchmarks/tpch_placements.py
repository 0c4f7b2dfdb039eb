"""TPC-H's eight tables, made by tpchgen-cli, spread over nodes in the ways that the tests and the figures use.

A placement says for every table at which nodes its rows are: whole at one, copied to all, or cut by a hash of a key.
Site keys are declared only where they are true by the way the rows were cut.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from archipel.demo.layout import NodeSetup, TableSetup

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
QUERIES = tuple(f"q{number:02}" for number in range(1, 23))
OPEN: Mapping[str, Any] = {"protected": False, "coordinator": "rows", "peers": {"*": "rows"}}
GENERATOR_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows cut over nodes by a hash of ``columns``; ``site_keys`` are what never matches across nodes because of it."""

    columns: tuple[str, ...]
    site_keys: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Placement:
    """The nodes, and for every table a node that has all of it, a cut over all nodes, or None: a copy at every node."""

    name: str
    title: str
    nodes: tuple[str, ...]
    tables: Mapping[str, str | Cut | None]


def _by(key: str, *columns: str) -> Cut:
    return Cut(columns, {key: columns})


THREE = ("n1", "n2", "n3")
REPLICATED: Mapping[str, None] = dict.fromkeys(TABLES)

SHARDED = Placement(
    "sharded",
    "lineitem and orders cut over three nodes by order, the rest copied",
    THREE,
    {**REPLICATED, "lineitem": _by("order", "l_orderkey"), "orders": _by("order", "o_orderkey")},
)
HOLDERS = Placement(
    "holders",
    "eight tables over five nodes, nothing copied",
    ("l1", "l2", "l3", "l4", "l5"),
    {
        "customer": "l1",
        "orders": "l1",
        "supplier": "l2",
        "partsupp": "l2",
        "part": "l3",
        "lineitem": "l4",
        "nation": "l5",
        "region": "l5",
    },
)
HASHED = Placement(
    "hashed",
    "every table cut over three nodes by the first column of its key",
    THREE,
    {
        "customer": _by("customer", "c_custkey"),
        "lineitem": _by("order", "l_orderkey"),
        "nation": _by("nation", "n_nationkey"),
        "orders": _by("order", "o_orderkey"),
        "part": _by("part", "p_partkey"),
        "partsupp": _by("part", "ps_partkey"),
        "region": _by("region", "r_regionkey"),
        "supplier": _by("supplier", "s_suppkey"),
    },
)
SCATTERED = Placement(
    "scattered",
    "every table cut over three nodes by its whole key, so that no join stays at a node",
    THREE,
    {
        **HASHED.tables,
        "lineitem": _by("line", "l_orderkey", "l_linenumber"),
        "orders": _by("orders", "o_orderkey"),
        "part": _by("parts", "p_partkey"),
        "partsupp": _by("stock", "ps_partkey", "ps_suppkey"),
    },
)
TOGETHER = Placement("together", "everything at one node", ("n1",), dict.fromkeys(TABLES, "n1"))

PLACEMENTS: Mapping[str, Placement] = {p.name: p for p in (SHARDED, HOLDERS, HASHED, TOGETHER)}
"""The four of the goals. ``SCATTERED`` beside them is for correctness only."""


def generator() -> str | None:
    """Return the path of tpchgen-cli, beside this Python or on the search path; None where it is not installed."""
    beside = Path(sys.executable).with_name("tpchgen-cli")
    return str(beside) if beside.exists() else shutil.which("tpchgen-cli")


def generate(directory: Path, scale: float) -> Path:
    """Write the eight tables at a scale as Parquet into ``directory``, unless they are there; return it.

    Several processes may do so at once: whoever is first puts the tables there.

    Raises:
        FileNotFoundError: tpchgen-cli is not installed.
    """
    if all((directory / f"{table}.parquet").exists() for table in TABLES):
        return directory
    program = generator()
    if program is None:
        raise FileNotFoundError("tpchgen-cli is not installed")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f"{directory.name}.") as made:
        partial = Path(made) / "tables"
        command = [program, "parquet", "-s", str(scale), "--output-dir", str(partial)]
        subprocess.run(command, check=True, capture_output=True, timeout=GENERATOR_TIMEOUT_S)
        try:
            partial.rename(directory)
        except OSError:  # another process was faster
            if not all((directory / f"{table}.parquet").exists() for table in TABLES):
                raise
    return directory


def queries(shared: Path) -> Mapping[str, str]:
    """Return the text of all 22 queries by name, from the folder of third-party data."""
    folder = shared / "tpch" / "queries"
    return {name: (folder / f"{name}.sql").read_text(encoding="utf-8") for name in QUERIES}


def setups(
    placement: Placement,
    data: Path,
    directory: Path,
    *,
    policy: Mapping[str, Any] = OPEN,
    limits: Mapping[str, Any] | None = None,
) -> list[NodeSetup]:
    """Write every node's shards of the tables in ``data`` into ``directory``; return the nodes with what they hold."""
    held: dict[str, list[TableSetup]] = {node: [] for node in placement.nodes}
    with duckdb.connect(config={"threads": 1}) as database:
        for table, where in placement.tables.items():
            source = data / f"{table}.parquet"
            if isinstance(where, str):
                held[where].append(TableSetup(table, _linked(source, directory / where), policy))
                continue
            for index, node in enumerate(placement.nodes):
                if where is None:
                    copied = _linked(source, directory / node)
                    held[node].append(TableSetup(table, copied, policy, distribution="replicated"))
                    continue
                path = directory / node / source.name
                path.parent.mkdir(parents=True, exist_ok=True)
                mine = f"hash({', '.join(where.columns)}) % {len(placement.nodes)} = {index}"
                rows = database.read_parquet(str(source)).filter(mine)
                rows.write_parquet(str(path), compression="snappy")  # as the whole tables: to unpack zstd takes longer
                held[node].append(TableSetup(table, path, policy, site_keys=where.site_keys))
    return [NodeSetup(node, f"Holder {node}", tuple(tables), limits or {}) for node, tables in held.items()]


def _linked(source: Path, folder: Path) -> Path:
    """Return a link to a file in a node's folder: a whole table need not be written again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / source.name
    path.unlink(missing_ok=True)
    path.symlink_to(source.resolve())
    return path


def oracle(data: Path, *, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Return one DuckDB over the whole tables."""
    database = duckdb.connect(config={"threads": threads, "python_enable_replacements": False})
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET parquet_metadata_cache = true")  # as a node's engine
    for table in TABLES:
        database.read_parquet(str(data / f"{table}.parquet")).create_view(table)
    return database
