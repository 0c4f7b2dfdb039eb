"""Random tables and statements: what leaves is exactly every group with enough persons, with the values it has.

The persons of a group are counted here by plain SQL over the same rows, written by hand for each way in which rows are
made; nothing of the border check is used for it.
"""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from border_ward import CONTEXT, Ward, ordered, permit, with_permit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archipel.border import check


@dataclass(frozen=True)
class Rows:
    """A FROM clause: as it is asked, as it is counted (with one column for each table's person), and those columns.

    Columns named in ``optional`` stand for the side that an outer join may leave out; ``present`` is true where it has
    a row, and ``same`` says that the person there is the one whose row it is. ``computed`` says that the columns are
    not as they stand in a table.
    """

    asked: str
    counted: str
    persons: tuple[str, ...]
    optional: tuple[tuple[str, str], ...] = ()
    same: bool = False
    computed: bool = False


BY_PERSON = (
    "SELECT pid, region, min(ward) AS ward, max(days) AS days, sum(cost) AS cost FROM stays GROUP BY pid, region"
)
WINDOW = "SELECT *, sum(cost) OVER (PARTITION BY pid) AS x FROM stays QUALIFY max(days) OVER (PARTITION BY pid) > 2"
OPTIONAL = (
    "SELECT s.*, p.pid AS other, p._node IS NOT NULL AS found "
    "FROM stays s LEFT JOIN persons p ON p.born = 1954 + s.days"
)
SOURCES = (
    Rows("stays AS s", "stays AS s", ("s.pid",)),
    Rows("(SELECT * FROM stays WHERE days < 6) AS s", "(SELECT * FROM stays WHERE days < 6) AS s", ("s.pid",)),
    Rows("stays AS s JOIN wards w ON w.ward = s.ward", "stays AS s JOIN wards w ON w.ward = s.ward", ("s.pid",)),
    Rows("stays AS s, codes AS c", "stays AS s, codes AS c", ("s.pid",)),
    Rows("stays AS s JOIN persons p USING (pid)", "stays AS s JOIN persons p ON p.pid = s.pid", ("s.pid",)),
    Rows(
        "stays AS s JOIN persons p ON p.born = 1950 + s.days",
        "stays AS s JOIN persons p ON p.born = 1950 + s.days",
        ("s.pid", "p.pid"),
    ),
    Rows(
        "stays AS s LEFT JOIN persons p ON p.pid = s.pid AND p.born < 1956",
        "stays AS s LEFT JOIN persons p ON p.pid = s.pid AND p.born < 1956",
        ("s.pid",),
        (("p.pid", "p._node IS NOT NULL"),),
        same=True,
    ),
    Rows(
        "persons p RIGHT JOIN stays AS s ON p.born = 1950 + s.days",
        "persons p RIGHT JOIN stays AS s ON p.born = 1950 + s.days",
        ("s.pid",),
        (("p.pid", "p._node IS NOT NULL"),),
    ),
    Rows(
        "stays AS s LEFT JOIN (SELECT pid, count(*) AS n FROM persons GROUP BY pid) AS p ON p.pid = s.pid",
        "stays AS s LEFT JOIN (SELECT pid, 1 AS n FROM persons GROUP BY pid) AS p ON p.pid = s.pid",
        ("s.pid",),
        (("p.pid", "p.n IS NOT NULL"),),
        same=True,
    ),
    Rows(
        "(SELECT region, ward, days, cost FROM stays UNION ALL SELECT sex, 1, 3, born FROM persons) AS s",
        "(SELECT pid, region, ward, days, cost FROM stays UNION ALL SELECT pid, sex, 1, 3, born FROM persons) AS s",
        ("s.pid",),
        computed=True,
    ),
    Rows(
        f"({BY_PERSON}) AS s",
        f"({BY_PERSON}) AS s",
        ("s.pid",),
        computed=True,
    ),
    Rows(
        f"({WINDOW}) AS s",
        "(SELECT * FROM stays a WHERE (SELECT max(days) FROM stays b WHERE b.pid IS NOT DISTINCT FROM a.pid) > 2) AS s",
        ("s.pid",),
    ),
    Rows(
        f"({OPTIONAL}) AS s",
        f"({OPTIONAL}) AS s",
        ("s.pid",),
        (("s.other", "s.found"),),
    ),
    Rows(
        "stays AS s SEMI JOIN persons p ON p.pid = s.pid",
        "(SELECT * FROM stays WHERE pid IN (SELECT pid FROM persons)) AS s",
        ("s.pid",),
    ),
    Rows(
        "stays AS s JOIN staff f ON f.ward = s.ward", "stays AS s JOIN staff f ON f.ward = s.ward", ("s.pid", "f.badge")
    ),
)

CONDITIONS = (
    "true",
    "s.days > 2",
    "s.region IS NOT NULL",
    "s.cost <> 0 OR s.ward = 1",
    "s.region IN (SELECT k FROM codes)",
    "s.days < (SELECT max(v) FROM codes)",
)

KEYS = ("s.region", "s.ward", "s.days % 2", "CASE WHEN s.days > 3 THEN 'long' ELSE 'short' END")

# An aggregate, the conditions under which there must be no person or enough, the values that it adds up, and those of
# which it counts the distinct ones.
AGGREGATES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ("count(*)", (), (), ()),
    ("sum(1)", (), (), ()),
    ("count(s.cost)", ("s.cost IS NOT NULL",), (), ()),
    ("sum(s.cost)", ("s.cost IS NOT NULL", "s.cost IS NOT NULL AND s.cost <> 0"), ("s.cost",), ()),
    ("count(*) FILTER (WHERE s.days > 4)", ("s.days > 4", "(s.days > 4) IS NOT TRUE"), (), ()),
    ("count_if(s.days > 4)", ("s.days > 4", "(s.days > 4) IS NOT TRUE"), (), ()),
    (
        "sum(CASE WHEN s.days > 4 THEN s.cost ELSE 1 END)",
        (
            *("s.days > 4", "(s.days > 4) IS NOT TRUE"),
            "CASE WHEN s.days > 4 THEN s.cost ELSE 1 END IS NOT NULL",
            "CASE WHEN s.days > 4 THEN s.cost ELSE 1 END <> 0",
        ),
        ("0 + CASE WHEN s.days > 4 THEN s.cost ELSE 1 END",),
        (),
    ),
    (
        "sum(s.ward) FILTER (WHERE s.days = 5)",
        ("s.days = 5 AND s.ward IS NOT NULL", "s.days = 5", "(s.days = 5) IS NOT TRUE", "s.days = 5 AND s.ward <> 0"),
        ("CASE WHEN s.days = 5 THEN s.ward END",),
        (),
    ),
    ("count(DISTINCT s.ward)", ("s.ward IS NOT NULL",), (), ("s.ward",)),
    ("regr_count(s.cost, s.days)", ("s.cost IS NOT NULL AND s.days IS NOT NULL",), (), ()),
)

GROUPINGS = ("{}", "ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())")


def filled(seed: int, persons: int) -> Ward:
    """Return a ward with about ``persons`` persons, some of them in groups around the threshold."""
    source = random.Random(seed)
    ward = Ward()
    names: list[str | None] = [f"p{number}" for number in range(persons)]
    rows = [
        (
            name if source.random() < 0.95 else None,
            source.choice(("Nord", "Nord", "Sud", "Ouest", None)),
            source.choice((1, 1, 1, 2, None)),
            source.choice((0.0, 1.0, 2.5, 40.0, None)),
            source.randint(0, 5),
            "2023-01-01",
            "n",
        )
        for name in names
        for _ in range(source.randint(0, 3))
    ]
    ward.put("stays", rows)
    kept = [name for name in names if source.random() < 0.6]
    ward.put("persons", [(name, source.choice(("Nord", "f")), source.randint(1950, 1960)) for name in [*kept, None]])
    ward.put("wards", [(1, "one", 10), (2, "two", 20)])
    ward.put("staff", [(number, source.choice((1, 2)), 40) for number in range(source.choice((5, 14, 30)))])
    ward.put("codes", [("Nord", 3), ("Sud", 4)])
    return ward


def expected(
    ward: Ward, rows: Rows, where: str, keys: list[str], chosen: list[int], grouping: str, minimum: int
) -> tuple[list[tuple[object, ...]], int]:
    """Return the groups that must leave and how many must not, by plain statements and arithmetic."""
    conditions = [None, *dict.fromkeys(c for number in chosen for c in AGGREGATES[number][1])]
    counts = []
    for condition in conditions:
        for person in rows.persons:
            under = "" if condition is None else f" FILTER (WHERE {condition})"
            counts.append((f"count(*){under}", f"count(DISTINCT {person}){under}", condition is not None))
        for person, present in rows.optional:
            under = f" FILTER (WHERE {present}{'' if condition is None else f' AND ({condition})'})"
            counts.append((f"count(*){under}", f"count(DISTINCT {person}){under}", True))
    shown = [*keys, *(AGGREGATES[number][0] for number in chosen)]
    level = f"GROUPING_ID({', '.join(keys)})" if keys else "0"
    asked = ", ".join([level, *shown, *(f"{n}, {persons}" for n, persons, _ in counts)])
    group = f" GROUP BY {grouping.format(', '.join(keys))}" if keys else ""
    few = uneven(ward, rows, where, keys, chosen, grouping, minimum)
    leaving, kept_back = [], 0
    for level_of, *row in ward.database.execute(f"SELECT {asked} FROM {rows.counted} WHERE {where}{group}").fetchall():
        numbers = row[len(shown) :]
        enough = [
            persons >= minimum or (may_be_none and n == 0)
            for n, persons, (_, _, may_be_none) in zip(numbers[::2], numbers[1::2], counts, strict=True)
        ]
        if all(enough) and any(numbers[1::2]) and (level_of, *row[: len(keys)]) not in few:
            leaving.append(tuple(row[: len(shown)]))
        else:
            kept_back += 1
    return ordered(leaving), kept_back


def uneven(
    ward: Ward, rows: Rows, where: str, keys: list[str], chosen: list[int], grouping: str, minimum: int
) -> set[tuple[object, ...]]:
    """Return the groups (grouping and keys) in which few persons make up too much of a sum, or have rare values."""
    found: set[tuple[object, ...]] = set()
    persons = [(person, "true") for person in rows.persons] + ([] if rows.same else list(rows.optional))
    level = f"GROUPING_ID({', '.join(keys)})" if keys else "0"
    for person, present in persons:
        base = f"FROM {rows.counted} WHERE ({where}) AND {present} AND {person} IS NOT NULL"
        sets = f"{grouping.format(', '.join(keys))}, " if keys else ""
        first = ", ".join([level, *keys])
        for value in {v for number in chosen for v in AGGREGATES[number][2]}:
            sql = (
                f"SELECT {first}, {person}, sum(abs(CAST({value} AS DOUBLE))), min({value}), max({value}) {base} "
                f"AND {value} IS NOT NULL GROUP BY {sets}{person}"
            )
            groups: dict[tuple[object, ...], list[tuple[float, float, float]]] = {}
            for row in ward.database.execute(sql).fetchall():
                groups.setdefault(tuple(row[:-4]), []).append(row[-3:])
            plain = not rows.computed and not value.startswith("0 +")
            found |= {key for key, parts in groups.items() if not is_even(parts, plain=plain, minimum=minimum)}
        for value in {v for number in chosen for v in AGGREGATES[number][3]}:
            # Written otherwise than a key, it has a value in the totals over that key, too.
            sql = f"SELECT {first}, min({value}), {person} {base} AND {value} IS NOT NULL GROUP BY {sets}0 + {value}, "
            sql += person
            having: dict[tuple[object, ...], dict[object, set[object]]] = {}
            for row in ward.database.execute(sql).fetchall():
                having.setdefault(tuple(row[:-2]), {}).setdefault(row[-2], set()).add(row[-1])
            for key, holders in having.items():
                rare = set().union(*(some for some in holders.values() if len(some) < minimum))
                if 0 < len(rare) < minimum:
                    found.add(key)
    return found


def is_even(parts: list[tuple[float, float, float]], *, plain: bool, minimum: int) -> bool:
    """Whether a sum may leave, given each person's part: sum of absolute values, least and largest value."""
    sizes = sorted((size for size, _, _ in parts), reverse=True)
    if sum(sizes[:2]) > 0.9 * sum(sizes) or sum(sizes[2:]) < 0.1 * sizes[0]:
        return False
    alike = Counter(least for _, least, most in parts if least == most)
    most_alike = max(alike.values(), default=0)
    nearly_all = most_alike > 0.9 * len(parts) and 0 < len(parts) - most_alike < minimum
    return plain or not nearly_all


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    persons=st.sampled_from((0, 8, 11, 14, 25, 60, 130)),
    rows=st.sampled_from(SOURCES),
    where=st.sampled_from(CONDITIONS),
    keys=st.lists(st.sampled_from(KEYS), unique=True, max_size=3),
    chosen=st.lists(st.integers(0, len(AGGREGATES) - 1), min_size=1, max_size=3, unique=True),
    grouping=st.sampled_from(GROUPINGS),
    minimum=st.sampled_from((11, 11, 15, 40)),
)
@example(3, 130, SOURCES[6], "true", [KEYS[0]], [0, 3], "ROLLUP ({})", 11)
@example(0, 25, SOURCES[0], "true", [KEYS[0], KEYS[1]], [8], "ROLLUP ({})", 11)
@example(7, 60, SOURCES[11], "true", [KEYS[0], KEYS[1]], [0, 8], "{}", 11)
def test_exactly_the_groups_with_enough_persons_leave(
    seed: int, persons: int, rows: Rows, where: str, keys: list[str], chosen: list[int], grouping: str, minimum: int
) -> None:
    ward = filled(seed, persons)
    outputs = [f"{key} AS g{number}" for number, key in enumerate(keys)]
    outputs += [f"{AGGREGATES[number][0]} AS p{number}" for number in chosen]
    group = f" GROUP BY {grouping.format(', '.join(keys))}" if keys else ""
    sql = f"SELECT {', '.join(outputs)} FROM {rows.asked} WHERE {where}{group}"
    answer = ward.run(check(sql, with_permit(permit(min_persons=minimum))))
    leaving, kept_back = expected(ward, rows, where, keys, chosen, grouping, minimum)
    assert answer.rows == leaving, sql
    assert answer.withheld == kept_back, sql
    ward.database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    persons=st.sampled_from((8, 11, 14, 25, 60)),
    inner_key=st.sampled_from(("region", "ward", "days")),
    outer_key=st.sampled_from(("k", "n % 2", "true")),
)
def test_groups_of_groups_leave_with_the_persons_of_all_their_parts(
    seed: int, persons: int, inner_key: str, outer_key: str
) -> None:
    ward = filled(seed, persons)
    inner = f"SELECT {inner_key} AS k, count(*) AS n FROM stays GROUP BY {inner_key}"
    sql = f"SELECT {outer_key} AS g, count(*) AS c, sum(n) AS s FROM ({inner}) AS i GROUP BY {outer_key}"
    answer = ward.answer(sql)
    parts = f"SELECT i.*, stays.pid FROM ({inner}) AS i JOIN stays ON stays.{inner_key} IS NOT DISTINCT FROM i.k"
    enough = ward.database.execute(
        f"SELECT {outer_key} AS g FROM ({parts}) GROUP BY g HAVING count(DISTINCT pid) >= 11"
    )
    allowed = {row[0] for row in enough.fetchall()}
    assert answer.rows == [row for row in ward.raw(sql) if row[0] in allowed], sql
    ward.database.close()


def test_the_strategies_reach_released_and_withheld_groups() -> None:
    ward = filled(1, 60)
    found = ward.run(check("SELECT region, days, count(*) AS n FROM stays GROUP BY CUBE (region, days)", CONTEXT))
    assert found.rows
    assert found.withheld
