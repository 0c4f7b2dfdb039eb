"""What generated queries found, kept small: each was answered wrongly, or not at all, when it was found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from comparing import difference
from planning import Federation, Shard, request
from scattered_worlds import OPEN
from worlds import shard

from archipel.schema import Column, Distribution, SiteKey, Table


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*part.strip().split(" ", 1)) for part in text.split(";"))


VISITS = Table("visits", _columns("v BIGINT; p BIGINT; k VARCHAR; n INTEGER; x DOUBLE"), policy=OPEN)
PERSONS = Table("persons", _columns("p BIGINT; k VARCHAR; z DOUBLE"), policy=OPEN)
CUT = Table("cut", PERSONS.columns, site_keys=(SiteKey("person", ("p",)),), policy=OPEN)
COPIED = Table("copied", VISITS.columns, distribution=Distribution.REPLICATED, policy=OPEN, content_digest="same")
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def federation() -> Iterator[Federation]:
    """Three nodes: visits at all, persons at one, persons cut by key, visits copied to two."""
    visits = [
        (1, 1, "a", 2, -0.0),
        (2, 2, None, 2, 0.0),
        (3, None, "é", 1, NAN),
        (4, 1, "", 1, NAN),
        (5, 2, "e\u0301", None, INF),
        (6, 3, "a", 3, 1e16),
        (7, None, "b", 3, None),
    ]
    persons = [(1, "a", 0.0), (2, "b", NAN), (3, None, -0.0), (4, "", INF)]
    shards: dict[str, list[Shard]] = {
        "n0": [shard(VISITS, visits[:2]), shard(CUT, persons[:2]), shard(COPIED, visits)],
        "n1": [shard(VISITS, visits[2:5]), shard(CUT, persons[2:]), shard(COPIED, visits)],
        "n2": [shard(VISITS, visits[5:]), shard(CUT, []), shard(PERSONS, persons)],
    }
    with Federation(shards) as opened:
        yield opened


CASES = {
    "joins on NaN and on both zeros over what nodes sent": (
        "SELECT a.v AS a, b.v AS b FROM visits a JOIN visits b ON b.x = a.x AND a.n = b.n ORDER BY ALL"
    ),
    "a join on doubles by order": (
        "SELECT a.v, c.p FROM visits a JOIN persons c ON a.x > c.z WHERE c.p IN (2, 4) ORDER BY ALL"
    ),
    "IN over doubles": "SELECT v FROM visits WHERE x IN (SELECT z FROM persons) ORDER BY v",
    "a set operation over a table that is cut and one that is copied": (
        "SELECT z FROM cut WHERE p > 1 INTERSECT SELECT a.x FROM copied a JOIN copied b ON b.v = a.v"
    ),
    "DISTINCT ON where aliases repeat in the statement that a node gets": (
        "SELECT DISTINCT ON (t1.k) t1.k, t2.n FROM visits t1 LEFT JOIN visits t2 ON t2.p = t1.p AND t2.n IS NOT NULL "
        "ORDER BY t1.k, t1.v, t2.v"
    ),
    "two keys that are one expression, by expression": (
        "SELECT n AS a, n AS b, count(*) AS c FROM visits GROUP BY ROLLUP (n, n) ORDER BY ALL"
    ),
    "two keys that are one expression, by alias": (
        "SELECT n AS a, n AS b, count(*) AS c FROM visits GROUP BY ROLLUP (a, b) ORDER BY ALL"
    ),
    "two keys that are one expression, by position": (
        "SELECT n AS a, n AS b, count(*) AS c FROM visits GROUP BY CUBE (1, 2) ORDER BY ALL"
    ),
    "two keys that are one expression, by alias and by name": (
        "SELECT n AS a, n, count(*) AS c FROM visits GROUP BY GROUPING SETS ((a), (a, n), ()) ORDER BY ALL"
    ),
}


@pytest.mark.parametrize("sql", CASES.values(), ids=list(CASES))
def test_what_was_found_is_answered_as_by_one_database(sql: str, federation: Federation) -> None:
    asked = request(sql)
    assert difference(federation.ask(asked).table, federation.oracle(asked), sql) == ""
