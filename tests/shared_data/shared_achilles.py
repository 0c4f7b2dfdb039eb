"""OHDSI's Achilles queries with OHDSI's own answers, and the federation of the data they were asked of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from shared_federations import OPEN_TO_ALL, Builder

PERSON_TABLES = (
    *("person", "observation_period", "visit_occurrence", "condition_occurrence", "condition_era", "drug_exposure"),
    *("drug_era", "procedure_occurrence", "measurement", "observation", "death"),
)
REFERENCE_TABLES = ("provider", "concept", "vocabulary")

Answer = set[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Analysis:
    """One query and the rows that OHDSI published for it, as text; NULL is the empty text."""

    id: str
    name: str
    sql: str
    published: frozenset[tuple[str, ...]]


def analyses(shared: Path) -> list[Analysis]:
    """Return all queries that have a published answer."""
    folder = shared / "achilles_gibleed"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    rows: dict[str, set[tuple[str, ...]]] = {}
    for row in as_text(pq.read_table(folder / "achilles_results.parquet")):
        rows.setdefault(row[0], set()).add(row)
    return [
        Analysis(
            id=entry["analysis_id"],
            name=entry["name"],
            sql=(folder / "sql" / f"{entry['analysis_id']}.sql").read_text(encoding="utf-8"),
            published=frozenset(rows.get(entry["analysis_id"], ())),
        )
        for entry in index
    ]


def as_text(table: pa.Table) -> list[tuple[str, ...]]:
    """Return rows with numbers as their text, as the published answers have them."""
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


def _text(value: Any) -> str:
    """Return a value's text; a fraction to six digits: it was a REAL, of which OHDSI published twenty."""
    text = "" if value is None else str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else f"{number:.6g}"


DRUG_TABLES = ("drug_exposure", "drug_era")


def build(builder: Builder, shared: Path, policy: Mapping[str, Any], *, drugs_at_cnam: bool = False) -> None:
    """Spread the data over four hospitals by person; persons never match across them, and the catalogue says so.

    With ``drugs_at_cnam`` the drug tables of all persons are at the insurer.
    """
    folder = shared / "omop_gibleed"
    for table in (*PERSON_TABLES, *REFERENCE_TABLES):
        builder.view(table, folder / f"{table}.parquet")
    builder.view("person_node", folder / "split" / "person_node.parquet")
    for node in nodes(builder.database):
        for table in PERSON_TABLES:
            if drugs_at_cnam and table in DRUG_TABLES:
                continue
            # Observation periods also name persons whom neither person nor the split has: they follow its rule.
            query = (
                "SELECT t.* FROM TABLE t LEFT JOIN person_node n USING (person_id) "
                "WHERE coalesce(n.node, 'hospital_' || (t.person_id % 4)) = 'NODE'"
            )
            rows = builder.rows(query.replace("TABLE", table).replace("NODE", node))
            keys = {"person": ["person_id"]}
            if "visit_occurrence_id" in rows.columns:
                keys["visit"] = ["visit_occurrence_id"]
            builder.add(node, table, rows, person="person_id", site_keys=keys, policy=policy)
        for table in REFERENCE_TABLES:
            builder.add(node, table, builder.database.view(table), policy=OPEN_TO_ALL, everywhere=True)
    if drugs_at_cnam:
        for table in DRUG_TABLES:
            builder.add("cnam", table, builder.database.view(table), person="person_id", policy=policy)
        for table in REFERENCE_TABLES:
            builder.add("cnam", table, builder.database.view(table), policy=OPEN_TO_ALL, everywhere=True)


def nodes(database: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the hospitals, sorted."""
    return [row[0] for row in database.sql("SELECT DISTINCT node FROM person_node ORDER BY node").fetchall()]
