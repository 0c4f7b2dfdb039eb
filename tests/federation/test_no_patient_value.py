"""After questions good, bad and hostile: no patient's value is in the coordinator's storage, a log or an error text."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from archipel import errors
from archipel.demo.processes import LocalFederation
from archipel.demo.questions import QUESTIONS

pytestmark = pytest.mark.federation

HOSTILE = (
    "SELECT NIR_ANO_17 FROM T_MCOaaB",
    "SELECT max(BEN_IDT_ANO) FROM IR_BEN_R",
    "SELECT CAST(NIR_ANO_17 AS INTEGER), count(*) FROM T_MCOaaB GROUP BY 1",
    "SELECT sum(CAST(DGN_PAL AS INTEGER)) FROM T_MCOaaB",
    "SELECT BEN_IDT_ANO, count(*) FROM IR_BEN_R GROUP BY BEN_IDT_ANO",
    "SELECT string_agg(NIR_ANO_17, ',') FROM T_MCOaaC",
    "SELECT count(*) FROM T_MCOaaB WHERE NIR_ANO_17 = 'x'",
    "SELECT error(NIR_ANO_17) FROM T_MCOaaB",
)


def person_keys(world: Path) -> set[bytes]:
    """Return every person identifier of the world."""
    database = duckdb.connect()
    found: set[bytes] = set()
    for path, column in (
        (world / "cnam" / "IR_BEN_R.parquet", "BEN_IDT_ANO"),
        (world / "cnam" / "IR_BEN_R.parquet", "BEN_NIR_PSA"),
    ):
        rows = duckdb.read_parquet(str(path), connection=database).project(duckdb.ColumnExpression(column)).fetchall()
        found |= {str(row[0]).encode() for row in rows if row[0] is not None and len(str(row[0])) >= 8}
    database.close()
    return found


def test_nothing_of_a_patient_is_stored_or_logged_outside_the_nodes(federation: LocalFederation, world: Path) -> None:
    texts: list[str] = []
    with federation.connect() as connection:
        for sql in (*(q.sql for q in QUESTIONS), *HOSTILE):
            try:
                connection.query_and_wait(sql)
            except errors.ArchipelError as problem:
                texts.append(f"{problem!r} {problem} {problem.hint}")
    assert len(texts) >= len(HOSTILE)
    keys = person_keys(world)
    assert len(keys) > 1000
    directory = federation.layout.directory
    haystacks = {"error texts": "\n".join(texts).encode()}
    for folder in (directory / "coordinator", directory / "logs"):
        haystacks |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any("coordinator.db" in name for name in haystacks)
    width = {len(key) for key in keys}
    for name, haystack in haystacks.items():
        found = {haystack[i : i + size] for size in width for i in range(len(haystack) - size + 1)} & keys
        assert not found, f"{len(found)} person identifiers in {name}"
