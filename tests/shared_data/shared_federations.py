"""Federations over third-party data: its rows are spread over nodes as its README says, in a folder of the test's own.

Nothing of the data stays: shards lie in pytest's temporary folder. The oracle is one DuckDB over all shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comparing
import duckdb
import pyarrow as pa

import archipel
from archipel.demo.layout import NOT_COMPARED, NodeSetup, TableSetup, write_layout
from archipel.demo.oracle import Oracle
from archipel.demo.processes import LocalFederation

OPEN: Mapping[str, Any] = {"protected": False, "coordinator": "rows"}
OPEN_TO_ALL: Mapping[str, Any] = {**OPEN, "peers": {"*": "rows"}}
PROTECTED: Mapping[str, Any] = {
    "protected": True,
    "coordinator": "aggregate",
    "min_persons": 11,
    "tell_withheld_count": True,
    "other_columns": "group",
}


@dataclass(slots=True)
class Builder:
    """Collects which rows of which table lie where, and writes them there."""

    directory: Path
    database: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    _tables: dict[str, list[TableSetup]] = field(default_factory=dict)
    _shards: dict[str, list[tuple[str, Path]]] = field(default_factory=dict)

    def view(self, name: str, path: Path) -> None:
        """Make a file known to the SQL that picks a shard's rows."""
        self.database.read_parquet(str(path)).create_view(name)

    def rows(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Return the rows of a query over the known files."""
        return self.database.sql(sql)

    def add(
        self,
        node: str,
        table: str,
        rows: duckdb.DuckDBPyRelation,
        *,
        person: str | None = None,
        domain: str | None = None,
        site_keys: Mapping[str, Sequence[str]] | None = None,
        policy: Mapping[str, Any] = OPEN,
        everywhere: bool = False,
    ) -> None:
        """Write a table's rows at a node."""
        path = self.directory / "data" / node / f"{table}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(str(path), compression="zstd")
        setup = TableSetup(
            name=table,
            path=path,
            policy=policy,
            person_column=person,
            person_domain=domain,
            site_keys=site_keys or {},
            distribution="replicated" if everywhere else "sharded",
        )
        self._tables.setdefault(node, []).append(setup)
        known = self._shards.setdefault(table, [])
        if not everywhere or not known:
            known.append((node, path))

    def setups(self) -> list[NodeSetup]:
        """Return the nodes with what they hold."""
        return [NodeSetup(node, f"Holder of {node}", tuple(tables)) for node, tables in sorted(self._tables.items())]

    def oracle(self) -> Oracle:
        """Return one DuckDB that holds all shards."""
        return Oracle(self._shards, threads=1)


@dataclass(frozen=True, slots=True)
class Running:
    """A federation that runs, a connection to it, and the one database to compare with."""

    connection: archipel.Connection
    oracle: Oracle

    def ask(self, sql: str) -> archipel.Result:
        """Return the federation's answer."""
        return self.connection.query_and_wait(sql, timeout_s=60)

    def check(self, sql: str, keys: int) -> archipel.Result:
        """Ask, and demand the one database's answer: all of it where the result says it is complete, else a part.

        Of an incomplete answer the first ``keys`` columns must be rows of the one database's, and numbers no larger.
        """
        result = self.ask(sql)
        answer, expected = result.to_arrow(), self.oracle.query(sql)
        if result.complete:
            assert comparing.difference(answer, expected, sql) == ""
        else:
            assert any(notice.kind == "suppression" for notice in result.notices), "a part, and it is not said"
            assert_part(answer, expected, keys)
        return result


def assert_part(answer: pa.Table, expected: pa.Table, keys: int) -> None:
    """Demand that an answer with withheld groups is a part of the whole one."""
    assert answer.schema.names == expected.schema.names
    assert answer.schema.types == expected.schema.types
    whole = {row[:keys]: row[keys:] for row in comparing.rows_of(expected)}
    for row in comparing.rows_of(answer):
        assert row[:keys] in whole, f"a group that the one database has not: {row}"
        for ours, theirs in zip(row[keys:], whole[row[:keys]], strict=True):
            if isinstance(ours, int) and not isinstance(ours, bool):
                assert ours <= theirs, f"more than there is: {row}"


@contextmanager
def running(builder: Builder) -> Iterator[Running]:
    """Start the processes of a federation over what was built; end them."""
    layout = write_layout(builder.directory / "federation", builder.setups(), node_policy=NOT_COMPARED)
    oracle = builder.oracle()
    try:
        with LocalFederation(layout) as federation, federation.connect() as connection:
            yield Running(connection, oracle)
    finally:
        oracle.close()
        builder.database.close()
