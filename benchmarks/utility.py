"""How much of an answer is left: the share of cells and of persons that are released under each way to keep few apart.

The same questions over the same rows, asked with thresholds at each node, with these and rounding or noise, with
thresholds over all nodes together, and with differential privacy; what is missing or wrong is counted against one
DuckDB that holds every row.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import archipel
from archipel import Privacy, errors, synthetic
from archipel.demo.layout import NOT_COMPARED, NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import measure

AGGREGATOR = "insurer"
"""Adds up what the hospitals mask; holds none of the rows."""
PERSONS, HOSPITALS, SEED = 20_000, 5, 7

LOCAL: Mapping[str, Any] = {"coordinator": "aggregate", "other_columns": "group", "tell_withheld_count": True}
DEVIATION = 3
"""Of the noise that is the same for the same persons."""
EPSILONS = (0.1, 1.0, 10.0)
PRIVATE: Mapping[str, Any] = {"max_epsilon": 10.0, "groups_per_person": 3, "rows_per_person": 2}
NODE_POLICY: Mapping[str, Any] = {**NOT_COMPARED, "privacy": {"epsilon_per_permit": 1e6, "delta_per_permit": 1e-3}}

MODES: Mapping[str, tuple[Mapping[str, Any], Sequence[float]]] = {
    "each node": (LOCAL, ()),
    "each node, rounded to 5": ({**LOCAL, "rounding": 5}, ()),
    f"each node, noise of {DEVIATION} persons": ({**LOCAL, "noise": {"deviation": DEVIATION}}, ()),
    "all nodes together": ({**LOCAL, "threshold_scope": ["federation"], "peers": {AGGREGATOR: "aggregate"}}, ()),
    "differential privacy": ({**LOCAL, "privacy": PRIVATE}, EPSILONS),
}
"""What the policy says in each, and with which epsilons the same questions are asked; none: without."""


_HEARTS = (
    "SELECT 'HOSPITAL-' || row_number() OVER () AS patient, (10 * floor(age / 10))::INTEGER AS decade, "
    "COLUMNS(c -> c IN ('sex', 'cp', 'num'))::INTEGER FROM shard"
)
_CONDITIONS = (
    "SELECT c.PATIENT AS patient, c.CODE::VARCHAR AS code, year(c.START) AS year FROM conditions c "
    "JOIN encounters e ON e.Id = c.ENCOUNTER JOIN organization_node o ON o.ORGANIZATION = e.ORGANIZATION "
    "WHERE o.node = 'HOSPITAL'"
)
_BY = "SELECT KEYS, count(*) AS n FROM TABLE GROUP BY KEYS"
_ROWS_AND_PERSONS = "SELECT KEYS, count(*), count(DISTINCT PERSON) FROM shard GROUP BY KEYS"


@dataclass(frozen=True, slots=True)
class World:
    """One table of rows about persons, a file at each hospital, and the columns by which it is grouped.

    ``one_row`` says that a person has one, as whoever asks knows, and so asks for less noise.
    """

    name: str
    table: str
    person: str
    shards: Mapping[str, Path]
    groupings: Sequence[tuple[str, ...]]
    one_row: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What was released of one grouping of a world in one mode.

    Persons are counted at each hospital and in each cell where they are. ``error`` is the mean and ``median_error`` the
    median of the relative errors of the counts that were released, what is missing of them counted as an error; None
    where none was.
    """

    world: str
    mode: str
    grouping: str
    cells: int
    released: int
    exact: int
    persons: int
    released_persons: int
    error: float | None
    median_error: float | None


def worlds(directory: Path, shared: Path) -> Iterator[World]:
    """Yield the worlds: made-up stays, and where third-party data is here, heart patients and conditions."""
    made_up = directory / "made-up"
    synthetic.generate(made_up, persons=PERSONS, hospitals=HOSPITALS, seed=SEED)
    hospitals = sorted(path for path in made_up.iterdir() if path.name.startswith("hospital"))
    stays = {path.name: path / "T_MCOaaB.parquet" for path in hospitals}
    groupings = [("SOR_ANN",), ("BDI_DEP",), ("DGN_PAL",), ("BDI_DEP", "SOR_ANN"), ("DGN_PAL", "SOR_ANN")]
    yield World(f"stays of {PERSONS:,} made-up persons", "T_MCOaaB", "NIR_ANO_17", stays, groupings)
    if not shared.is_dir():
        return
    with duckdb.connect() as database:
        hearts = {}
        for path in sorted((shared / "heart_disease").glob("*.parquet")):
            database.read_parquet(str(path)).create_view("shard", replace=True)
            sql = _HEARTS.replace("HOSPITAL", path.stem)
            hearts[path.stem] = _written(database, sql, directory / "hearts" / f"{path.stem}.parquet")
        groupings = [("sex",), ("num",), ("cp", "sex"), ("decade", "sex"), ("cp", "num"), ("decade", "cp", "sex")]
        yield World("heart patients of four hospitals", "patients", "patient", hearts, groupings, one_row=True)
        for name in ("conditions", "encounters", "split/organization_node"):
            database.read_parquet(str(shared / "synthea" / f"{name}.parquet")).create_view(name.rpartition("/")[2])
        care = {}
        for (node,) in database.sql("SELECT DISTINCT node FROM organization_node").fetchall():
            sql = _CONDITIONS.replace("HOSPITAL", node)
            care[node] = _written(database, sql, directory / "synthea" / f"{node}.parquet")
        groupings = [("year",), ("code",), ("code", "year")]
        yield World("conditions of 105 patients", "conditions", "patient", care, groupings)


def _written(database: duckdb.DuckDBPyConnection, sql: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(database.execute(sql).to_arrow_table(), path)
    return path


def run(directory: Path, world: World) -> Iterator[Row]:
    """Ask every grouping of a world in every mode."""
    truth = {grouping: _truth(world, grouping) for grouping in world.groupings}
    for mode, (policy, epsilons) in MODES.items():
        layout = write_layout(
            directory / mode.replace(" ", "-"), _setups(directory, world, policy), node_policy=NODE_POLICY
        )
        with LocalFederation(layout) as federation, federation.connect() as connection:
            for epsilon in epsilons or (None,):
                called = mode if epsilon is None else f"{mode}, epsilon {epsilon:g}"
                for grouping in world.groupings:
                    yield _row(world, called, grouping, truth[grouping], connection, epsilon)


def _setups(directory: Path, world: World, policy: Mapping[str, Any]) -> list[NodeSetup]:
    setups = []
    for node, path in world.shards.items():
        table = TableSetup(world.table, path, policy, person_column=world.person, person_domain="patient")
        setups.append(NodeSetup(node, f"Hospital {node}", (table,)))
    codes = directory / "codes.parquet"
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"code": ["a"]}), codes)
    open_table = TableSetup("codes", codes, {"protected": False, "coordinator": "rows"})
    return [*setups, NodeSetup(AGGREGATOR, "Insurer", (open_table,))]


Cell = tuple[Any, ...]

_EXPLAINED = """Counts by ever finer groups, with a threshold of 11 persons: held by each node for itself, the same
with numbers rounded to multiples of 5, the same with noise that depends on who is counted, and held over all nodes
together (`threshold_scope = federation`), where moreover no node may make up more than 90 % of a group. Then with
differential privacy (docs/privacy.md): each person in at most 3 groups with at most 2 rows in each at each node
(heart patients, who have one row: 1 and 1), delta 1e-8; epsilon is that of one question at one node, and half of it
goes into the choice of groups. Against one DuckDB with all rows. A count of which one node withheld its part, or that
lacks rows of persons who have many, is released, not exact, and its error is what is missing. Persons are counted in
each cell and at each hospital where they are."""


def _truth(world: World, grouping: tuple[str, ...]) -> dict[Cell, dict[str, tuple[int, int]]]:
    """Return by cell and node how many rows and persons there are."""
    found: dict[Cell, dict[str, tuple[int, int]]] = {}
    keys = ", ".join(grouping)
    with duckdb.connect() as database:
        for node, path in world.shards.items():
            database.read_parquet(str(path)).create_view("shard", replace=True)
            sql = _ROWS_AND_PERSONS.replace("KEYS", keys).replace("PERSON", world.person)
            for *cell, rows, persons in database.execute(sql).fetchall():
                found.setdefault(tuple(cell), {})[node] = (rows, persons)
    return found


def _row(
    world: World,
    mode: str,
    grouping: tuple[str, ...],
    truth: Mapping[Cell, Mapping[str, tuple[int, int]]],
    connection: archipel.Connection,
    epsilon: float | None,
) -> Row:
    keys = ", ".join(grouping)
    together = "together" in mode
    scope = "federation" if together else "node"
    counted = _BY.replace("TABLE", world.table)
    most = 1 if world.one_row else None
    privacy = Privacy(epsilon=epsilon, groups_per_person=most, rows_per_person=most) if epsilon is not None else None
    try:
        asked = connection.query_and_wait(counted.replace("KEYS", keys), threshold_scope=scope, privacy=privacy)
        answer = _cells(asked)
    except errors.ArchipelError as refused:
        raise SystemExit(f"{world.name}, {mode}: {refused}") from refused
    if together:
        persons = sum(p for cell in answer for _, p in truth[cell].values())
    else:
        by_node = connection.query_and_wait(counted.replace("KEYS", f"{keys}, _node"), privacy=privacy)
        parts = _cells(by_node)
        persons = sum(truth[cell[:-1]][cell[-1]][1] for cell in parts)
    whole = {cell: sum(rows for rows, _ in nodes.values()) for cell, nodes in truth.items()}
    wrong = [abs(n - whole[cell]) / whole[cell] for cell, n in answer.items()]
    return Row(
        world=world.name,
        mode=mode,
        grouping=", ".join(grouping),
        cells=len(truth),
        released=len(answer),
        exact=sum(n == whole[cell] for cell, n in answer.items()),
        persons=sum(p for nodes in truth.values() for _, p in nodes.values()),
        released_persons=persons,
        error=statistics.mean(wrong) if wrong else None,
        median_error=statistics.median(wrong) if wrong else None,
    )


def _cells(result: archipel.Result) -> dict[Cell, int]:
    columns = [column.to_pylist() for column in result.to_arrow().columns]
    return {tuple(cell): int(n) for *cell, n in zip(*columns, strict=True)}


def report(rows: Sequence[Row]) -> str:
    """Return the report in Markdown."""
    header = ["rows", "by", "cells", "thresholds of", "cells released", "cells exact", "persons released"]
    header += ["mean error of released counts", "median"]
    body = [
        [
            *(row.world, row.grouping, row.cells, row.mode, _share(row.released, row.cells)),
            *(_share(row.exact, row.cells), _share(row.released_persons, row.persons)),
            *("" if wrong is None else f"{wrong:.1%}" for wrong in (row.error, row.median_error)),
        ]
        for row in rows
    ]
    table = measure.markdown_table(header, body)
    return f"# What is left of an answer\n\n{_EXPLAINED}\n\n{table}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def main(directory: Path, shared: Path) -> None:
    """Ask all worlds and write the table."""
    rows = []
    for number, world in enumerate(worlds(directory, shared)):
        for row in run(directory / f"world-{number}", world):
            print(row, flush=True)
            rows.append(row)
    measure.write_results("utility", report(rows), {"rows": [asdict(row) for row in rows]})
