"""What is shipped of subqueries and outer joins: what the rows around them can meet, summed where sums do; right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from comparing import difference
from planning import Answer, Federation, Shard, request

from archipel.schema import EVERY_PEER, Column, Distribution, Form, Table, TablePolicy

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS, peer_forms=((EVERY_PEER, Form.ROWS),))
NODES = ("a", "b", "c", "d")
CUSTOMERS, ORDERS, ITEMS = 400, 9_000, 300

Rows = list[tuple[object, ...]]


def _shard(table: Table, rows: Rows) -> Shard:
    values = {
        c.name: pa.array([None if row[i] is None else str(row[i]) for row in rows], pa.string())
        for i, c in enumerate(table.columns)
    }
    return Shard(replace(table, approximate_rows=len(rows)), pa.table(values))


def _table(name: str, columns: str, *, copied: bool = False) -> Table:
    kinds = tuple(Column(*part.strip().split(" ", 1)) for part in columns.split(";"))
    if copied:
        return Table(name, kinds, policy=OPEN, distribution=Distribution.REPLICATED, content_digest="same")
    return Table(name, kinds, policy=OPEN)


def _customers() -> Rows:
    return [
        (None if n % 97 == 0 else n, f"zone {n % 20}", None if n % 7 == 0 else n % 50, f"{n % 90}.25")
        for n in range(CUSTOMERS)
    ]


def _orders() -> Rows:
    # Some of no customer, some of a customer that is not there, some twice; customers above 300 have none.
    return [
        (
            n % (ORDERS - 40),
            None if n % 31 == 0 else (n * 7) % 300 if n % 29 else 5_000 + n,
            None if n % 11 == 0 else n % 60,
            f"{n % 700}.{n % 100:02d}",
            (n * 13) % ITEMS,
            f"note {n % 900}",
        )
        for n in range(ORDERS)
    ]


def _items() -> Rows:
    return [(n, f"kind {n % 30}", None if n % 9 == 0 else n % 40) for n in range(ITEMS)]


def _shards() -> dict[str, list[Shard]]:
    """Orders lie over three nodes without any rule, at a fourth none; customers are copied, items at one node."""
    orders = _table("orders", "o INT; cust INTEGER; qty INT; price DECIMAL(12,2); item INT; note VARCHAR")
    customers = _table("customers", "cust INTEGER; zone VARCHAR; rank INTEGER; credit DECIMAL(10,2)", copied=True)
    clients = _table("clients", "cust INTEGER; zone VARCHAR; rank INTEGER; credit DECIMAL(10,2)")
    items = _table("items", "item INT; kind VARCHAR; size INT")
    made: dict[str, list[Shard]] = {node: [_shard(customers, _customers())] for node in NODES}
    for number, node in enumerate(NODES[:3]):
        made[node].append(_shard(orders, [row for i, row in enumerate(_orders()) if i * 7 % 3 == number]))
        made[node].append(_shard(clients, [row for i, row in enumerate(_customers()) if i % 3 == number]))
    made["d"] += [_shard(orders, []), _shard(items, _items())]
    return made


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    with Federation(_shards()) as made:
        yield made


def _answered(federation: Federation, sql: str) -> Answer:
    answer = federation.ask(request(sql))
    assert difference(answer.table, federation.oracle(request(sql)), sql) == ""
    return answer


def _sealed_rows(answer: Answer) -> int:
    return sum(rows.num_rows for rows in answer.sealed.values())


FEW = "c.zone = 'zone 3' AND c.rank > 10"
REDUCED = {
    "not exists": "SELECT c.rank, count(*) AS n FROM customers c WHERE FEW AND NOT EXISTS "
    "(SELECT * FROM orders o WHERE o.cust = c.cust) GROUP BY c.rank",
    "not exists over a table that is cut": "SELECT c.rank, count(*) AS n FROM clients c WHERE FEW AND NOT EXISTS "
    "(SELECT * FROM orders o WHERE o.cust = c.cust) GROUP BY c.rank",
    "exists with a condition of both": "SELECT count(*) AS n FROM customers c WHERE FEW AND EXISTS "
    "(SELECT 1 FROM orders o WHERE o.cust = c.cust AND o.qty > c.rank)",
    "exists or a condition": "SELECT c.cust FROM customers c WHERE FEW AND (c.rank = 23 OR EXISTS "
    "(SELECT 1 FROM orders o WHERE o.cust = c.cust))",
    "a mean by key": "SELECT sum(o.price) AS s FROM orders o, items i WHERE i.item = o.item AND i.kind = 'kind 4' "
    "AND o.qty < (SELECT 0.7 * avg(p.qty) FROM orders p WHERE p.item = i.item)",
    "a count by key, which is zero and not nothing": "SELECT c.cust, (SELECT count(*) FROM orders o "
    "WHERE o.cust = c.cust AND o.qty > 55) AS n FROM customers c WHERE FEW",
    "in groups": "SELECT c.cust FROM customers c WHERE FEW AND c.cust IN "
    "(SELECT o.cust FROM orders o GROUP BY o.cust HAVING sum(o.qty) > 800)",
    "two keys": "SELECT count(*) AS n FROM customers c WHERE FEW AND EXISTS "
    "(SELECT 1 FROM orders o WHERE o.cust = c.cust AND o.qty = c.rank + 1)",
    "within a subquery": "SELECT i.item FROM items i WHERE i.kind = 'kind 4' AND i.item IN (SELECT o.item "
    "FROM orders o WHERE o.item = i.item AND o.qty > (SELECT 0.5 * avg(p.qty) FROM orders p WHERE p.item = o.item))",
}


@pytest.mark.parametrize("name", REDUCED)
def test_of_a_subquery_only_what_the_rows_around_it_ask_for_is_shipped(federation: Federation, name: str) -> None:
    answer = _answered(federation, REDUCED[name].replace("FEW", FEW))
    assert answer.sealed
    assert _sealed_rows(answer) < ORDERS / 8


def _sent(answer: Answer) -> list[str]:
    return [answer.plan.stage(e.source).sql for e in answer.plan.exchanges if answer.plan.is_sealed(e)]


TWICE = {
    "with columns that travel anyway": "SELECT sum(o.price) AS s FROM orders o, customers c WHERE c.cust = o.cust "
    "AND FEW AND o.qty < (SELECT 0.7 * avg(p.qty) FROM orders p WHERE p.cust = c.cust)",
    "with a column more": "SELECT sum(o.price) AS s FROM orders o, customers c WHERE c.cust = o.cust "
    "AND FEW AND o.qty < (SELECT median(p.item) FROM orders p WHERE p.cust = c.cust)",
    "in one block": "SELECT count(*) AS n FROM orders o, orders p WHERE o.o = p.item AND o.qty > 55 AND p.qty > 55",
}


@pytest.mark.parametrize("name", TWICE)
def test_rows_that_a_query_reads_twice_travel_once(federation: Federation, name: str) -> None:
    answer = _answered(federation, TWICE[name].replace("FEW", FEW))
    assert len(_sent(answer)) == 1


def test_rows_under_other_conditions_travel_apart(federation: Federation) -> None:
    sql = "SELECT count(*) AS n FROM orders o, orders p WHERE o.o = p.item AND o.qty > 55 AND p.qty > 56"
    assert len(_sent(_answered(federation, sql))) == 2


def test_keys_filter_what_travels_and_not_what_stays(federation: Federation) -> None:
    answer = _answered(federation, REDUCED["not exists"].replace("FEW", FEW))
    assert [" IN (SELECT " in sql for sql in _sent(answer)] == [True]
    at_site = next(s for s in reversed(answer.plan.stages) if s.sites)
    assert " IN (SELECT " not in at_site.sql


@pytest.mark.parametrize("condition", ["c.cust < 40", "c.cust IN (SELECT d.rank FROM customers d WHERE d.rank > 40)"])
def test_a_table_of_which_only_the_key_is_asked_something_is_not_read_to_filter(
    federation: Federation, condition: str
) -> None:
    sql = "SELECT c.rank FROM customers c WHERE ASKED AND NOT EXISTS (SELECT * FROM orders o WHERE o.cust = c.cust)"
    sql = sql.replace("ASKED", condition)
    (sent,) = _sent(_answered(federation, sql))
    assert 'FROM "customers" AS "c"' not in sent
    assert '"o"."cust" <' in sent or '"o"."cust" IN (SELECT "d"."rank"' in sent


FIRST_OF_GROUPS = (
    "SELECT c.cust, c.zone, c.rank, c.credit, sum(o.VALUE) AS s FROM orders o, customers c WHERE o.cust = c.cust "
    "GROUP BY c.cust, c.zone, c.rank, c.credit HAVING count(*) > 2 ORDER BY s DESC, c.cust LIMIT 7"
)


def test_what_a_copied_table_says_of_a_key_is_looked_up_where_sums_by_the_key_have_met(federation: Federation) -> None:
    answer = _answered(federation, FIRST_OF_GROUPS.replace("VALUE", "price"))
    (sent,) = _sent(answer)
    assert "zone" not in sent
    assert 'GROUP BY "o"."cust"' in sent
    assert [a.description for a in answer.plan.alternatives][:1] == [
        "aggregate at every node, and merge at the coordinator"
    ]


@pytest.mark.parametrize(
    "sql",
    [
        FIRST_OF_GROUPS.replace("VALUE", "price").replace("LIMIT 7", ""),
        FIRST_OF_GROUPS.replace("sum(o.VALUE)", "sum(o.qty::DOUBLE / 3)"),
        "SELECT c.zone, sum(o.price) AS s FROM orders o, customers c WHERE o.cust = c.cust GROUP BY c.zone "
        "ORDER BY s DESC LIMIT 3",
    ],
)
def test_groups_are_merged_by_the_coordinator_where_sums_by_a_key_would_spare_nothing(
    federation: Federation, sql: str
) -> None:
    assert not _sent(_answered(federation, sql))


RIGHT_WITHOUT_REDUCTION = (
    # NULL among the values of NOT IN, which must not be lost, and none.
    "SELECT c.cust FROM customers c WHERE FEW AND c.cust NOT IN (SELECT o.cust FROM orders o)",
    "SELECT c.cust FROM customers c WHERE FEW AND c.cust NOT IN (SELECT o.cust FROM orders o WHERE o.cust > 0)",
    "SELECT c.cust, c.cust IN (SELECT o.cust FROM orders o) AS known FROM customers c WHERE FEW",
    "SELECT c.cust FROM customers c WHERE FEW AND (c.cust IN (SELECT o.cust FROM orders o)) IS NULL",
    "SELECT c.cust FROM customers c WHERE FEW AND c.cust IN (SELECT o.cust FROM orders o ORDER BY o.o LIMIT 50)",
    # A name that the subquery uses for a source of its own is not that of the rows around it.
    "SELECT count(*) AS n FROM customers o WHERE o.zone = 'zone 3' AND EXISTS "
    "(SELECT 1 FROM orders o WHERE o.cust = o.qty)",
    # EXISTS over an aggregate always has a row; over a list as many as it is long.
    "SELECT count(*) AS n FROM customers c WHERE FEW AND EXISTS (SELECT max(o.qty) FROM orders o "
    "WHERE o.cust = c.cust AND o.qty > 1000)",
    "SELECT count(*) AS n FROM customers c WHERE FEW AND EXISTS (SELECT unnest(CASE WHEN o.qty > 3 THEN [1] "
    "ELSE [] END) FROM orders o WHERE o.cust = c.cust)",
    "SELECT c.cust, o.n FROM customers c LEFT JOIN (SELECT cust, count(*) AS n FROM orders GROUP BY cust) o "
    "ON o.cust = c.cust AND o.n > (SELECT avg(p.qty) FROM orders p WHERE p.cust = c.cust)",
)


@pytest.mark.parametrize("sql", RIGHT_WITHOUT_REDUCTION)
def test_subqueries_that_need_all_rows_are_answered_as_by_one_database(federation: Federation, sql: str) -> None:
    _answered(federation, sql.replace("FEW", FEW))


OUTER = {
    "a count of the side that may be missing": "count(o.o)",
    "all rows": "count(*)",
    "a sum": "sum(o.price)",
    "a sum of the other side": "sum(c.credit)",
    "a sum of both": "sum(CASE WHEN c.rank > 20 THEN o.qty ELSE 0 END)",
    "a sum of the other side where this one says so": "sum(CASE WHEN o.item < 3 THEN c.rank ELSE 0 END)",
    "a mean": "avg(o.qty)",
    "extremes": "min(o.price), max(o.qty), max(c.rank)",
    "several": "count(*), count(o.qty), sum(o.qty), count(c.rank), min(o.price)",
}


@pytest.mark.parametrize("name", OUTER)
@pytest.mark.parametrize("side", ["LEFT", "RIGHT", "FULL"])
def test_the_large_side_of_an_outer_join_is_aggregated_before_it_is_shipped(
    federation: Federation, name: str, side: str
) -> None:
    sql = (
        f"SELECT c.cust, {OUTER[name]} FROM clients c {side} JOIN orders o ON o.cust = c.cust "  # noqa: S608
        "AND o.note NOT LIKE '%9%' GROUP BY c.cust"
    )
    answer = _answered(federation, sql)
    if side == "LEFT":  # a condition in ON tells nothing of what is kept
        assert "note" not in {c for rows in answer.sealed.values() for c in rows.column_names}
        assert _sealed_rows(answer) < ORDERS / 2 or "item" in sql


NOT_BEFORE = (
    "coalesce(o.qty, 7)",  # of a row that is missing it is 7
    "CASE WHEN o.qty IS NULL THEN 1 END",
)


@pytest.mark.parametrize("value", NOT_BEFORE)
@pytest.mark.parametrize("function", ["sum", "count", "max"])
def test_what_a_missing_row_has_a_value_of_is_not_aggregated_below_an_outer_join(
    federation: Federation, value: str, function: str
) -> None:
    _answered(
        federation,
        f"SELECT c.cust, {function}({value}) AS v FROM clients c LEFT JOIN orders o ON o.cust = c.cust "  # noqa: S608
        "AND o.qty > 50 GROUP BY c.cust",
    )
