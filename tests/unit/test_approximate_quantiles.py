"""Approximate quantiles over nodes: how far off their ranks are, what crosses, and that answers are always alike."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from node_support import engine_of, rows_of
from planning import Answer, Federation, Shard, request

from archipel.request import Request
from archipel.schema import Column, Distribution, Form, Table, TablePolicy
from coordinator.accuracy import told
from coordinator.plan import VALUES, Interval, Plan
from coordinator.planner import ranks

ROWS = {"amiens": 60_000, "brest": 30_000, "caen": 10_000, "dijon": 300}
"""By node; the last has fewer rows than cross as values."""

TABLE = Table(
    "seen",
    tuple(
        Column(*column.split(" ", 1))
        for column in (
            *("k VARCHAR", "even VARCHAR", "lognormal DOUBLE", "uniform DOUBLE", "sorted DOUBLE", "few INTEGER"),
            *("ties INTEGER", "heavy DOUBLE", "cost DECIMAL(12,2)", "day DATE", "at_time TIMESTAMP", "odd DOUBLE"),
            *("nothing DOUBLE", "big HUGEINT"),
        )
    ),
    distribution=Distribution.SHARDED,
    policy=TablePolicy(protected=False, coordinator_form=Form.ROWS),
)
NUMBERS = ("lognormal", "uniform", "sorted", "few", "ties", "heavy")
QUANTILES = (0.001, 0.01, 0.5, 0.99, 0.999)


def _rows(seed: int, count: int) -> pa.Table:
    drawn = np.random.default_rng(seed)
    lognormal = drawn.lognormal(6, 2, count)
    odd: list[float | None] = [[math.nan, -0.0, 0.0, None, 1e16][i % 5] for i in range(count)]
    return pa.table(
        {
            "k": pa.array([("a", "b", None)[i % 3] if i % 7 else "c" for i in range(count)]),
            "even": pa.array(["xy"[i % 2] for i in range(count)]),
            "lognormal": lognormal,
            "uniform": drawn.random(count),
            "sorted": np.arange(count, dtype=float) + seed,
            "few": pa.array(drawn.integers(0, 300, count), pa.int32()),
            "ties": pa.array(drawn.zipf(1.3, count).clip(max=1_000_000), pa.int32()),
            "heavy": np.where(drawn.random(count) < 0.9, 1.5, lognormal),
            "cost": pa.array(np.round(lognormal, 2)).cast(pa.decimal128(12, 2), safe=False),
            "day": pa.array((lognormal % 20_000).astype("int32")).cast(pa.date32()),
            "at_time": pa.array((lognormal * 1e6).astype("int64")).cast(pa.timestamp("us")),
            "odd": pa.array(odd, pa.float64()),
            "nothing": pa.nulls(count, pa.float64()),
            "big": pa.array(lognormal.astype("int64")).cast(pa.decimal128(38, 0)),
        }
    )


SHARDS = {
    node: Shard(replace(TABLE, approximate_rows=count, approximate_bytes=100 * count), _rows(seed, count))
    for seed, (node, count) in enumerate(ROWS.items())
}


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation({node: [shard] for node, shard in SHARDS.items()}) as made:
        yield made


def _tail_of(name: str) -> Request:
    return request("SELECT approx_quantile(value, 0.99) AS q FROM seen".replace("value", name))


def _pooled(name: str) -> np.ndarray:
    """Return all nodes' values of a column, sorted."""
    return np.sort(np.concatenate([shard.rows.column(name).to_numpy() for shard in SHARDS.values()]))


def _delivered(federation: Federation, plan: Plan) -> dict[str, pa.Table]:
    """Return what each node sends for the first stage of a plan."""
    return {node: federation.run_at(node, plan.stages[0].sql, {}) for node in plan.stages[0].sites}


def test_the_rank_is_off_by_no_more_than_the_bound_in_both_tails_whatever_the_values(federation: Federation) -> None:
    asked = [f"approx_quantile({name}, {list(QUANTILES)}) AS {name}" for name in NUMBERS]
    answer = federation.ask(request(" ".join(("SELECT", ", ".join(asked), "FROM seen"))))
    assert ranks.NOTE in answer.plan.notes
    for name, estimates in answer.table.to_pylist()[0].items():
        values = _pooled(name)
        for quantile, estimate in zip(QUANTILES, estimates, strict=True):
            rank = max(1, math.ceil(quantile * len(values)))
            least = np.searchsorted(values, estimate, "left") + 1
            most = np.searchsorted(values, estimate, "right")
            assert most >= least, "an estimate is one of the values"
            off = max(0, least - rank, rank - most)
            assert off <= ranks.RANK_ERROR * min(rank, len(values) - rank + 1), (name, quantile, off)


def test_the_exact_value_lies_in_the_interval_that_the_notice_tells(federation: Federation) -> None:
    for name in NUMBERS:
        answer = federation.ask(_tail_of(name))
        exact = _pooled(name)[math.ceil(0.99 * sum(ROWS.values())) - 1]
        if not answer.notices:
            assert answer.table.column("q")[0].as_py() == exact
            continue
        (notice,) = answer.notices
        assert notice.startswith(f"approx_quantile({name}, 0.99) is an estimate: the exact value lies in the interval")
        low, high = (float(end) for end in notice.rstrip(".").split(" from ")[1].split(" to "))
        assert low * (1 - 1e-9) <= exact <= high * (1 + 1e-9)
        assert low < high
    assert not federation.ask(_tail_of("few")).notices


def test_nodes_send_some_thousand_bytes_in_place_of_every_value(federation: Federation) -> None:
    cells = _delivered(federation, federation.plan(_tail_of("lognormal")))
    values = _delivered(federation, federation.plan(request("SELECT median(lognormal) AS q FROM seen")))
    assert values["amiens"].num_rows == ROWS["amiens"]
    assert cells["amiens"].num_rows < 800
    assert 50 * cells["amiens"].nbytes < values["amiens"].nbytes
    assert cells["dijon"].num_rows == ROWS["dijon"]
    assert {node: sum(table.column("n").to_pylist()) for node, table in cells.items()} == ROWS


def test_a_node_s_locked_engine_sends_the_same_cells(federation: Federation, tmp_path: Path) -> None:
    plan = federation.plan(request("SELECT even, approx_quantile(uniform, 0.9) AS q FROM seen GROUP BY even"))
    pq.write_table(SHARDS["amiens"].rows, tmp_path / "seen.parquet")
    engine = engine_of(tmp_path, [{"name": "seen", "source": "data", "file": "seen.parquet"}])
    try:
        found = rows_of(engine, plan.stages[0].sql)
    finally:
        engine.close()
    expected = _delivered(federation, plan)["amiens"].to_pylist()
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_no_cell_holds_more_than_a_32nd_of_the_rows_beyond_it(federation: Federation) -> None:
    for name in NUMBERS:
        plan = federation.plan(_tail_of(name))
        for node, table in _delivered(federation, plan).items():
            cells = sorted(table.to_pylist(), key=lambda row: (row["g0"], row["w"]))
            before = 0
            for row in cells:
                after = ROWS[node] - before - row["n"]
                assert not row["w"] or row["n"] <= min(before, after) / ranks.STEPS, (name, node, row)
                before += row["n"]
            assert before == ROWS[node]


QUESTION = (
    "SELECT k, count(*) AS n, avg(lognormal) AS m, approx_quantile(lognormal, [0.5, 0.999]) AS l, "
    "approx_quantile(cost, 0.9) AS c, approx_quantile(day, 0.1) AS d, approx_quantile(at_time, 0.01) AS t, "
    "approx_quantile(big, 0.7) AS b, approx_quantile(odd, 0.6) AS o, approx_quantile(nothing, 0.5) AS z, "
    "approx_quantile(uniform, 0.9) FILTER (WHERE few > 100) AS f FROM seen GROUP BY k ORDER BY k"
)


def test_results_have_the_engine_s_types_beside_other_aggregates_and_are_near_the_exact_ones(
    federation: Federation,
) -> None:
    answer = federation.ask(request(QUESTION))
    described = federation.oracle(request(QUESTION + " LIMIT 0"))
    assert answer.table.schema.types == described.schema.types
    exact = federation.oracle(request(QUESTION.replace("approx_quantile", "quantile_disc"))).to_pylist()
    for row, expected in zip(answer.table.to_pylist(), exact, strict=True):
        assert (row["k"], row["n"], row["z"]) == (expected["k"], expected["n"], None)
        assert row["o"] == expected["o"]  # of few different values, NaN the greatest
        assert abs((row["d"] - expected["d"]).days) <= 20
        for name, tolerance in (("c", 0.08), ("b", 0.05), ("f", 0.01)):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=tolerance)
        assert row["l"] == pytest.approx(expected["l"], rel=0.1)
        assert row["t"].timestamp() == pytest.approx(expected["t"].timestamp(), rel=0.05)
    assert len([notice for notice in answer.notices if "4 of 4 groups" in notice]) >= 4


def test_answers_are_alike_bit_by_bit_whatever_the_order_of_nodes_rows_and_runs(federation: Federation) -> None:
    def shown(answer: Answer) -> tuple[object, ...]:
        return repr(answer.table.to_pylist()), answer.notices

    sql = (
        "SELECT k, approx_quantile(lognormal, [0.5, 0.999]) AS l, approx_quantile(cost, 0.9) AS c FROM seen GROUP BY k"
    )
    asked = request(sql + " ORDER BY k")
    plan = federation.plan(asked)
    first = shown(federation.run(plan))
    drawn = random.Random(7)
    orders: list[Callable[[list[str]], list[str]]] = [lambda nodes: nodes[::-1]]
    orders += [lambda nodes: drawn.sample(nodes, len(nodes))] * 2
    assert {shown(federation.run(plan, arrival=order)) for order in orders} == {first}
    mixed = {
        node: [replace(shard, rows=shard.rows.take(np.random.default_rng(5).permutation(shard.rows.num_rows)))]
        for node, shard in SHARDS.items()
    }
    with Federation(mixed) as other:
        assert shown(other.ask(asked)) == first


def test_totals_of_grouping_sets_are_within_the_bound_of_all_their_rows(federation: Federation) -> None:
    sql = "SELECT k, even, approx_quantile(lognormal, 0.99) AS q FROM seen GROUP BY CUBE (k, even)"
    found = federation.ask(request(sql)).table.to_pylist()
    rows = pa.concat_tables([shard.rows for shard in SHARDS.values()])
    assert len(found) == (4 + 1) * (2 + 1)
    shares = []
    for row in found:
        if row["k"] is None:  # a total, or the group of NULL
            continue
        kept = rows.filter(pc.equal(rows["k"], row["k"]))
        if row["even"] is not None:
            kept = kept.filter(pc.equal(kept["even"], row["even"]))
        values = np.sort(kept.column("lognormal").to_numpy())
        rank = math.ceil(0.99 * len(values))
        off = abs(np.searchsorted(values, row["q"], "right") - rank)
        shares.append(off / (len(values) - rank + 1))
    assert len(shares) == 9
    assert max(shares) <= ranks.RANK_ERROR


def test_at_one_node_and_where_all_values_cross_anyway_it_is_exact(federation: Federation) -> None:
    for sql in (
        "SELECT approx_quantile(lognormal, 0.99) AS q FROM seen WHERE _node = 'brest'",
        "SELECT approx_quantile(lognormal, 0.99) AS q, median(lognormal) AS m FROM seen",
        "SELECT _node AS n, approx_quantile(lognormal, 0.99) AS q FROM seen GROUP BY _node ORDER BY _node",
    ):
        answer = federation.ask(request(sql))
        exact = federation.oracle(request(sql.replace("approx_quantile", "quantile_disc")))
        assert answer.table.column("q").to_pylist() == exact.column("q").to_pylist()
        assert (answer.notices, answer.plan.notes) == ((), ())


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        (pa.timestamp("ns"), 1_000_000_000_000_001, 2_000_000_000_000_001, "from 1970-01-12 13:46:40 to 1970-01-24"),
        (pa.time64("us"), 1_000_000, 3_000_000, "from 00:00:01 to 00:00:03"),
        (pa.float64(), 2.0, math.nan, "from 2 to nan"),
        (pa.float64(), -math.inf, 1.0, "from -inf to 1"),
    ],
)
def test_notices_show_ends_of_every_type(kind: pa.DataType, low: object, high: object, expected: str) -> None:
    ends = {"l": pa.array([low, low, None], kind), "u": pa.array([high, low, None], kind)}
    table = pa.table({"t": pa.array([9, 9, 0]), **ends})
    interval = Interval("approx_quantile(x, 0.5)", "x2", "t", "l", "u", VALUES)
    plan = Plan("", (), (), "", (), intervals=(interval,))
    (notice,) = told(plan, {"": table})
    assert notice.startswith("approx_quantile(x, 0.5) is an estimate in 1 of 2 groups")
    assert expected in notice
