"""Sketches made of rows as they come are those that the engine makes by grouping them, for any statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from node_support import NOW, PROTECTED, Party, engine_of

from archipel import permit, tokens
from archipel.border import check, populations
from archipel.border.decision import BorderContext
from archipel.border.measures import BUCKETS, PRIME, SEED_COLUMN, Measure, Populations
from node_agent import ledger_reading, ledger_rows
from node_agent.ledger_rows import Gathering, Groups, TooMany

SEED = pa.table({SEED_COLUMN: pa.array([1_234_567_890_123_456_789], pa.uint64())})
TABLES = [
    {"name": "stays", "source": "data", "file": "stays.parquet", "person_column": "person"},
    {"name": "drugs", "source": "data", "file": "drugs.parquet", "person_column": "patient", "person_domain": "person"},
]
POLICY = {
    "stays": {**PROTECTED, "columns": {"cost": "measure", "days": "measure"}},
    "drugs": {**PROTECTED, "columns": {"quantity": "measure"}},
}
STATEMENTS = {
    "everybody": "SELECT count(*) AS n FROM stays",
    "nobody": "SELECT count(*) AS n FROM stays WHERE days > 1000",
    "sums of either sign, keys and values that are missing": "SELECT region, sum(cost) AS c FROM stays GROUP BY region",
    "three keys, conditions": "SELECT region, year, day, avg(days) AS a, sum(cost) FILTER (WHERE ok) AS g, "
    "count(*) FILTER (WHERE cost > 3) AS f, count(DISTINCT days) AS d FROM stays GROUP BY region, year, day",
    "rollup": "SELECT region, year, ok, count(*) AS n, sum(cost) AS s FROM stays GROUP BY ROLLUP (region, year, ok)",
    "cube": "SELECT region, year, count(*) FILTER (WHERE ok) AS n FROM stays GROUP BY CUBE (region, year)",
    "sets": "SELECT region, year, ok, count(*) AS n FROM stays GROUP BY GROUPING SETS ((region, year), (ok), ())",
    "a key and a rollup": "SELECT region, year, ok, count(*) AS n FROM stays GROUP BY region, ROLLUP (year, ok)",
    "keys that are not shown": "SELECT count(*) AS n FROM stays GROUP BY region, year",
    "two tables": "SELECT s.region, count(*) AS n, sum(d.quantity) AS q FROM stays s JOIN drugs d "
    "ON s.person = d.patient GROUP BY s.region",
    "lists of persons": "SELECT n, count(*) AS k FROM (SELECT region AS n, sum(days) AS k FROM stays "
    "GROUP BY region, year) t GROUP BY n",
}


class World:
    """An engine over made-up stays and drugs, and what the border check says of a statement."""

    def __init__(self, directory: Path) -> None:
        chance = np.random.default_rng(5)
        persons, rows, party = 700, 5000, Party()
        ids = [None if v % 97 == 0 else f"P{v}" for v in chance.integers(0, persons, rows).tolist()]
        regions = [None if v == 3 else "ABCDE"[v] for v in chance.integers(0, 5, rows)]
        costs = [None if v % 13 == 0 else (v - 500) * 0.37 for v in chance.integers(0, 1000, rows).tolist()]
        stays = {
            "person": ids,
            "region": regions,
            "year": pa.array(chance.integers(2019, 2022, rows), pa.int32()),
            "day": pa.array(chance.integers(0, 5, rows).astype("int32"), pa.date32()),
            "cost": costs,
            "ok": chance.integers(0, 2, rows) > 0,
            "days": pa.array(chance.integers(1, 30, rows), pa.int32()),
            "share": pa.array([0.0, -0.0] * (rows // 2)),
        }
        drugs = {"patient": [f"P{v}" for v in chance.integers(0, persons, 800)], "quantity": chance.integers(1, 9, 800)}
        pq.write_table(pa.table(stays), directory / "stays.parquet")
        pq.write_table(pa.table(drugs), directory / "drugs.parquet")
        self.engine = engine_of(directory, TABLES, policy=POLICY)
        key = tokens.encode_public_key(party.researcher.public_key())
        self.permit = permit.Permit.model_validate(
            {
                "permit_id": "p1",
                "federation": "dev",
                "project": "readmission",
                "purpose": "test",
                "researchers": [{"name": "alice", "key": key}],
                "tables": [{"table": "*", "columns": ["*"]}],
                "nodes": ["hospital_a"],
                "not_before": int(NOW) - 1000,
                "expires": int(NOW) + 1000,
            }
        )

    def asked(self, sql: str) -> tuple[Populations, ...]:
        tables = {table.name: table for table in self.engine.tables()}
        context = BorderContext("hospital_a", tables, {}, self.permit, for_ledger=True)
        return check(sql, context).populations

    def taken(self, sql: str, asked: Populations, take: Any) -> Groups:
        statement = self.engine.statement(sql, {asked.seed_table: SEED}, timeout_s=30)
        try:
            return take(statement.run())
        finally:
            statement.close()

    def by_rows(self, asked: Populations) -> Groups:
        return self.taken(asked.sql, asked, Gathering(asked).take)

    def by_engine(self, asked: Populations) -> Groups:
        sql = populations.grouped(asked)
        return self.taken(sql, asked, lambda reader: ledger_reading.of_grouped(reader.read_all(), asked))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = World(tmp_path_factory.mktemp("rows"))
    yield made
    made.engine.close()


def told(groups: Groups, asked: Populations) -> dict[tuple[Any, ...], tuple[bytes, tuple[int, ...]]]:
    """Return sketches by grouping set and keys, and persons, which are not counted by values."""
    keys = zip(*(key.to_pylist() for key in groups.keys), strict=True) if groups.keys else [()] * len(groups.sets)
    counted = [place for place, measure in enumerate(asked.measures) if measure is not Measure.VALUES]
    return {
        (int(number), *key): (fine.tobytes(), tuple(persons[counted].tolist()))
        for number, key, fine, persons in zip(groups.sets, keys, groups.fine, groups.persons, strict=True)
    }


@pytest.mark.parametrize("way", ["as they come", "in small parts", "pairs numbered"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_give_the_sketches_that_the_engine_gives(
    world: World, name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "as they come":
        monkeypatch.setattr(ledger_rows, "CHUNK_ROWS", 100)
        monkeypatch.setattr(ledger_rows, "CHUNK_CELLS", 500)
    if way == "pairs numbered":
        monkeypatch.setattr(ledger_rows, "MOST_CELLS", 2000)
    for asked in world.asked(STATEMENTS[name]):
        found = told(world.by_rows(asked), asked)
        assert found == told(world.by_engine(asked), asked)
        assert bool(found) == (name != "nobody")


def test_a_sketch_is_the_sum_of_secret_factors_of_persons(world: World) -> None:
    (asked,) = world.asked("SELECT count(*) AS n FROM stays WHERE year = 2020")
    found = world.by_rows(asked)
    secrets = world.taken(asked.sql, asked, lambda reader: reader.read_all()).column(0).to_pylist()
    persons, rows = [0] * BUCKETS, [0] * BUCKETS
    for secret in secrets:
        rows[secret % BUCKETS] += (secret >> 34) + 1
    for secret in set(secrets):
        persons[secret % BUCKETS] += (secret >> 34) + 1
    assert found.fine[0, 0].tolist() == [total % PRIME for total in persons]
    assert found.fine[0, 1].tolist() == [total % PRIME for total in rows]
    assert found.persons.tolist() == [[len(set(secrets))] * 2]


@pytest.mark.parametrize(
    ("limit", "sql"),
    [
        ("MOST_PERSONS", "SELECT count(*) AS n FROM stays"),
        ("MOST_GROUPS", "SELECT region, count(*) AS n FROM stays GROUP BY region"),
        ("MOST_PAIRS", "SELECT region, count(*) AS n FROM stays GROUP BY region"),
        ("", "SELECT share, count(*) AS n FROM stays GROUP BY share"),  # two zeros are one group
    ],
)
def test_what_does_not_fit_into_memory_or_is_not_equal_bit_by_bit_is_grouped_by_the_engine(
    world: World, limit: str, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit:
        monkeypatch.setattr(ledger_rows, limit, 2)
        monkeypatch.setattr(ledger_rows, "MOST_CELLS", 2)
    (asked,) = world.asked(sql)
    with pytest.raises(TooMany):
        world.by_rows(asked)
    gathered = ledger_reading.gathered(asked, SEED, lambda text, more, take: world.taken(text, asked, take))
    assert told(gathered, asked) == told(world.by_engine(asked), asked)


def test_numbers_of_persons_stay_when_the_table_of_them_grows() -> None:
    chance = np.random.default_rng(3)
    drawn = chance.integers(1, 1 << 63, 30_000, dtype=np.uint64)[chance.integers(0, 30_000, 60_000)]
    numbers = ledger_rows._Numbers()
    found = np.concatenate([numbers.of(drawn[start : start + 700]) for start in range(0, len(drawn), 700)])
    assert (numbers.values[found] == drawn).all()
    assert len(numbers) == len(set(drawn.tolist()))
