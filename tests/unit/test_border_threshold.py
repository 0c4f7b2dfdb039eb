"""The threshold inside the statement: it counts persons, those of every table and of every aggregate's contributors.

Every test runs what the border check made of a statement on a DuckDB and compares with what is to be expected by hand.
"""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import pytest
from border_ward import CONTEXT, STAYS, Ward, permit, table, with_permit, with_table

from archipel.border import BorderContext, check
from archipel.schema import Role


@pytest.fixture
def ward() -> Ward:
    """Nord has 12 persons with one stay each, Sud 10 persons with three stays each."""
    made = Ward()
    made.stays(range(12), "Nord")
    for _ in range(3):
        made.stays(range(20, 30), "Sud")
    return made


def test_rows_do_not_count_as_persons(ward: Ward) -> None:
    answer = ward.answer('SELECT region AS "g0", count(*) AS "p0" FROM stays GROUP BY region')
    assert answer.rows == [("Nord", 12)]
    assert (answer.withheld, answer.fewest) == (1, 12)


@pytest.mark.parametrize(("persons", "released"), [(10, 0), (11, 1), (12, 1)])
def test_a_group_leaves_from_eleven_persons_on(persons: int, released: int) -> None:
    ward = Ward()
    ward.stays(range(persons))
    answer = ward.answer("SELECT region, count(*) AS n FROM stays GROUP BY region")
    assert answer.rows == [("Nord", persons)] * released
    assert answer.withheld == 1 - released


@pytest.mark.parametrize("persons", [44, 45, 46, 60, 64, 65, 90, 400])
def test_a_large_group_leaves_without_being_counted_exactly(persons: int) -> None:
    ward = Ward()
    ward.stays(range(persons), "large")
    ward.stays(range(10), "small")
    answer = ward.answer("SELECT region, count(*) AS n, sum(cost) AS s FROM stays GROUP BY region")
    assert answer.rows == [("large", persons, persons * 10.0)]
    assert answer.withheld == 1
    assert answer.fewest is not None
    assert 32 <= answer.fewest <= persons


def test_many_rows_of_few_persons_never_look_like_many_persons() -> None:
    ward = Ward()
    for days in range(30):
        ward.stays(range(10), "few", days=days)
    assert ward.answer("SELECT region, count(*) AS n FROM stays GROUP BY region").rows == []
    assert ward.answer("SELECT count(*) AS n FROM stays, wards").rows == []


def test_nothing_released_and_nothing_there_look_alike(ward: Ward) -> None:
    nobody = ward.answer("SELECT count(*) AS n FROM stays WHERE region = 'Ouest'")
    few = ward.answer("SELECT count(*) AS n FROM stays WHERE region = 'Sud'")
    assert nobody == few
    assert (nobody.rows, nobody.withheld) == ([], 1)


def test_when_no_group_exists_none_is_withheld(ward: Ward) -> None:
    answer = ward.answer("SELECT region, count(*) AS n FROM stays WHERE region = 'Ouest' GROUP BY region")
    assert (answer.rows, answer.withheld) == ([], 0)


def test_the_largest_of_policy_and_permit_holds(ward: Ward) -> None:
    sql = "SELECT region, count(*) AS n FROM stays GROUP BY region"
    assert ward.answer(sql, with_permit(permit(min_persons=12))).rows == [("Nord", 12)]
    assert ward.answer(sql, with_permit(permit(min_persons=13))).rows == []
    columns = {c.name: (c.type, STAYS.policy.role_of(c.name)) for c in STAYS.columns}
    strict = table("stays", columns, person="pid", domain="patient", min_persons=13)
    assert ward.answer(sql, with_table(strict)).rows == []
    assert check(sql, with_table(strict)).min_persons == 13


def test_a_threshold_above_the_quick_count_is_counted_exactly() -> None:
    ward = Ward()
    ward.stays(range(99), "short")
    ward.stays(range(100), "enough")
    answer = ward.answer(
        "SELECT region, count(*) AS n FROM stays GROUP BY region", with_permit(permit(min_persons=100))
    )
    assert answer.rows == [("enough", 100)]
    assert answer.fewest == 100


def test_the_null_group_is_a_group_like_any_other() -> None:
    ward = Ward()
    ward.stays(range(12), None)
    ward.stays(range(20, 25), "few")
    assert ward.answer("SELECT region, count(*) AS n FROM stays GROUP BY region").rows == [(None, 12)]


def test_rows_without_a_person_count_as_nobody() -> None:
    ward = Ward()
    ward.stays([None] * 50, "unknown")
    ward.stays(range(12), "known")
    ward.stays([None] * 3, "known")
    answer = ward.answer("SELECT region, count(*) AS n FROM stays GROUP BY region")
    assert answer.rows == [("known", 15)]
    assert answer.withheld == 1


def test_rows_without_a_person_do_not_pass_as_no_contributor() -> None:
    ward = Ward()
    ward.stays(range(12), "Nord", days=1)
    ward.stays([None], "Nord", days=366)
    sql = "SELECT region, count(*) AS n, sum(cost) FILTER (WHERE days = 366) AS s FROM stays GROUP BY region"
    assert ward.answer(sql).rows == []


# Grouping sets


def test_every_grouping_set_is_checked_for_itself(ward: Ward) -> None:
    sql = "SELECT region, ward, GROUPING_ID(region, ward) AS g, count(*) AS n FROM stays GROUP BY ROLLUP (region, ward)"
    answer = ward.answer(sql)
    assert answer.rows == [("Nord", 1, 0, 12), ("Nord", None, 1, 12), (None, None, 3, 42)]
    assert answer.withheld == 2


@pytest.mark.parametrize(
    "grouping",
    [
        "GROUPING SETS ((region, days), (region), ())",
        "GROUPING SETS ((region), (days))",
        "CUBE (region, days)",
        "region, ROLLUP (days)",
        "ROLLUP (region, days)",
        "GROUPING SETS ((region), (region), ())",
        "region, ROLLUP (region)",
    ],
)
@pytest.mark.parametrize("persons", [12, 60])
def test_grouping_sets_release_what_groupings_one_by_one_would(grouping: str, persons: int) -> None:
    ward = Ward()
    for region, count in (("Nord", persons), ("Sud", 10), (None, 11)):
        for number in range(count):
            ward.stays([f"{region}{number}"], region, days=number % 2, cost=float(number % 4))
    counted = "SELECT GROUPING(region) AS a, GROUPING(days) AS b, region, days, count(*) AS n, sum(cost) AS s"
    if "days" not in grouping:
        counted = "SELECT 0 AS a, 0 AS b, region, count(*) AS n, sum(cost) AS s"
    if grouping == "GROUPING SETS ((region), (days))":
        counted = counted.replace("GROUPING(region) AS a, GROUPING(days) AS b", "GROUPING(region, days) AS a, 0 AS b")
    expected = [
        row[:-2]
        for row in ward.raw(
            f"{counted}, count(DISTINCT pid) AS p, count(DISTINCT pid) FILTER (WHERE cost <> 0) AS c "
            f"FROM stays GROUP BY {grouping}"
        )
        if row[-2] >= 11 and (row[-1] >= 11 or row[-1] == 0)
    ]
    answer = ward.answer(f"{counted} FROM stays GROUP BY {grouping}")
    assert sorted(map(str, answer.rows)) == sorted(map(str, expected))


# Contributors


def test_few_persons_behind_a_filter_withhold_the_group(ward: Ward) -> None:
    ward.stays(range(3), "Nord", days=366)
    sql = "SELECT region, count(*) AS n, count(*) FILTER (WHERE days = 366) AS long FROM stays GROUP BY region"
    assert ward.answer(sql).rows == []


def test_nobody_behind_a_filter_is_told_as_zero(ward: Ward) -> None:
    sql = "SELECT region, count(*) AS n, count(*) FILTER (WHERE days = 366) AS long FROM stays GROUP BY region"
    assert ward.answer(sql).rows == [("Nord", 12, 0)]


@pytest.mark.parametrize(
    "aggregate",
    [
        "sum(cost) FILTER (WHERE days = 366)",
        "count(CASE WHEN days = 366 THEN 1 END)",
        "count_if(days = 366)",
        "sum(CASE WHEN days = 366 THEN 1 ELSE 0 END)",
        "sum(CAST(days = 366 AS INTEGER))",
        "avg(CASE WHEN days = 366 THEN 1.0 ELSE 0.0 END)",
        "stddev_pop(CASE WHEN days = 366 THEN cost ELSE 0 END)",
        "regr_count(cost, CASE WHEN days = 366 THEN 1 END)",
        "regr_avgx(cost, CASE WHEN days = 366 THEN 1 ELSE 0 END)",
        "count(DISTINCT CASE WHEN days = 366 THEN ward END)",
        "count(DISTINCT pid) FILTER (WHERE days = 366)",
        "fsum(CASE WHEN days = 366 THEN cost END)",
        "corr(cost, CASE WHEN days = 366 THEN days END)",
    ],
)
def test_an_aggregate_of_few_contributors_withholds_its_group(ward: Ward, aggregate: str) -> None:
    ward.stays(range(2), "Nord", days=366)
    assert ward.answer(f"SELECT region, {aggregate} AS x FROM stays GROUP BY region").rows == []
    ward.stays(range(12), "Nord", days=366)
    assert [row[0] for row in ward.answer(f"SELECT region, {aggregate} AS x FROM stays GROUP BY region").rows] == [
        "Nord"
    ]


def test_one_value_among_zeros_is_few_contributors(ward: Ward) -> None:
    ward.database.execute("UPDATE stays SET cost = 0 WHERE pid <> 'p3'")
    assert ward.answer("SELECT region, sum(cost) AS s FROM stays GROUP BY region").rows == []
    ward.database.execute("UPDATE stays SET cost = 0")
    assert ward.answer("SELECT region, sum(cost) AS s FROM stays GROUP BY region").rows == [("Nord", 0.0)]


def test_sums_of_booleans_and_decimals_are_counted_too(ward: Ward) -> None:
    sql = "SELECT region, sum(days = 3) AS b, sum(CAST(cost AS DECIMAL(18, 2))) AS d FROM stays GROUP BY region"
    assert [row[0] for row in ward.answer(sql).rows] == ["Nord"]


def test_a_constant_may_stand_beside_groups(ward: Ward) -> None:
    answer = ward.answer("SELECT region, 1 AS one, 'x' AS x, NULL AS n, max(1) AS m FROM stays GROUP BY region")
    assert answer.rows == [("Nord", 1, "x", None, 1)]


# Persons through joins


def test_two_tables_of_the_same_persons_count_once(ward: Ward) -> None:
    ward.put("persons", [(f"p{n}", "f" if n < 11 else "m") for n in range(12)])
    sql = "SELECT p.sex, count(*) AS n FROM stays s JOIN persons p ON p.pid = s.pid GROUP BY p.sex"
    assert ward.answer(sql).rows == [("f", 11)]
    for join in ("JOIN persons p USING (pid)", ", persons p WHERE s.pid = p.pid"):
        again = sql.replace("JOIN persons p ON p.pid = s.pid", join)
        assert ward.answer(again).rows == [("f", 11)]
        assert check(again, CONTEXT).sql.count("HASH(") == 1


def test_persons_of_two_domains_must_both_suffice() -> None:
    ward = Ward()
    ward.stays(range(12), "Nord", ward=1)
    ward.stays(range(12), "Nord", ward=2)
    ward.put("staff", [(n, 1, 40) for n in range(12)] + [(n, 2, 40) for n in range(50, 55)])
    sql = "SELECT f.ward, count(*) AS n FROM stays s JOIN staff f ON f.ward = s.ward GROUP BY f.ward"
    assert ward.answer(sql).rows == [(1, 144)]


def test_the_other_persons_of_a_cross_join_count(ward: Ward) -> None:
    ward.put("persons", [("p1", "f", 1950)])
    sql = "SELECT s.region, count(*) AS n FROM stays s JOIN persons p ON p.born = 1950 GROUP BY s.region"
    assert ward.answer(sql).rows == []


def test_an_outer_join_may_find_nobody_or_enough(ward: Ward) -> None:
    sql = "SELECT s.region, count(*) AS n FROM stays s LEFT JOIN persons p ON p.pid = s.pid GROUP BY s.region"
    assert ward.answer(sql).rows == [("Nord", 12)]
    ward.put("persons", [("p0", "f", 1950)])
    assert ward.answer(sql).rows == []
    ward.put("persons", [(f"p{n}", "f", 1950) for n in range(1, 12)])
    assert ward.answer(sql).rows == [("Nord", 12)]


def test_an_outer_join_inside_a_derived_table_may_find_nobody_or_enough(ward: Ward) -> None:
    inner = "(SELECT s.region, p.sex FROM stays s LEFT JOIN persons p ON p.pid = s.pid)"
    sql = f"SELECT region, count(*) AS n FROM {inner} GROUP BY region"
    assert ward.answer(sql).rows == [("Nord", 12)]
    ward.put("persons", [("p0", "f", 1950)])
    assert ward.answer(sql).rows == []
    union = f"SELECT region, count(*) AS n FROM (SELECT * FROM {inner} UNION ALL SELECT * FROM {inner}) GROUP BY region"
    assert ward.answer(union).rows == []
    ward.put("persons", [(f"p{n}", "f", 1950) for n in range(1, 12)])
    assert ward.answer(sql).rows == [("Nord", 12)]
    assert ward.answer(union).rows == [("Nord", 24)]


def test_an_outer_join_to_rows_without_a_person_did_find_somebody(ward: Ward) -> None:
    ward.put("persons", [(None, "f", 1950)])
    sql = "SELECT s.region, count(*) AS n FROM stays s LEFT JOIN persons p ON p.born = s.days + 1947 GROUP BY s.region"
    assert ward.answer(sql).rows == []


def test_groups_only_of_the_preserved_public_side_are_withheld(ward: Ward) -> None:
    ward.put("wards", [(1, "one", 10), (2, "two", 20)])
    sql = "SELECT w.title, count(s.cost) AS n FROM wards w LEFT JOIN stays s ON s.ward = w.ward GROUP BY w.title"
    answer = ward.answer(sql)
    assert (answer.rows, answer.withheld) == ([("one", 42)], 1)


def test_a_full_join_needs_persons_on_one_side_at_least(ward: Ward) -> None:
    ward.put("persons", [(f"x{n}", "f", 1950) for n in range(11)])
    sql = "SELECT p.sex, count(*) AS n FROM stays s FULL JOIN persons p ON p.pid = s.pid GROUP BY p.sex"
    assert ward.answer(sql).rows == [("f", 11), (None, 42)]


def test_an_input_or_a_public_table_multiplies_nobody(ward: Ward) -> None:
    ward.put("codes", [("Sud", n) for n in range(100)])
    sql = "SELECT s.region, count(*) AS n FROM stays s JOIN codes c ON c.k = s.region GROUP BY s.region"
    assert ward.answer(sql).rows == []


@pytest.mark.parametrize("series", ["range(100) r(i)", "generate_series(1, 100)", "unnest([s.days, 1, 2]) u(x)"])
def test_copies_by_a_series_multiply_nobody(ward: Ward, series: str) -> None:
    answer = ward.answer(f"SELECT region, count(*) AS n FROM stays s, {series} GROUP BY region")
    assert [row[0] for row in answer.rows] == ["Nord"]
    assert answer.withheld == 1


# Persons through derived tables


@pytest.mark.parametrize(
    "derived",
    [
        "(SELECT region, cost FROM stays)",
        "(SELECT * FROM stays)",
        "(SELECT region, cost FROM stays UNION ALL SELECT region, cost FROM stays WHERE false)",
        "(SELECT region, cost FROM (SELECT * FROM (SELECT * FROM stays)))",
        "(SELECT region, cost FROM stays WHERE days > 0 ORDER BY cost)",
        "(SELECT s.region, s.cost FROM stays s LEFT JOIN wards w ON w.ward = s.ward)",
    ],
)
def test_persons_travel_through_derived_tables(ward: Ward, derived: str) -> None:
    sql = f"SELECT region, count(*) AS n FROM {derived} AS d GROUP BY region"
    assert ward.answer(sql).rows == [("Nord", 12)]
    named = f"WITH d AS {derived} SELECT region, count(*) AS n FROM d GROUP BY region"
    assert ward.answer(named).rows == [("Nord", 12)]


def test_a_table_expression_used_twice_carries_each_use_s_persons(ward: Ward) -> None:
    sql = """
        WITH c AS (SELECT region, days FROM stays)
        SELECT a.region, count(*) AS n FROM c a JOIN c b ON b.days = a.days AND b.region = 'Sud' GROUP BY a.region
    """
    assert ward.answer(sql).rows == []
    assert ward.answer(sql.replace("'Sud'", "'Nord'")).rows == [("Nord", 144)]


def test_an_inner_grouping_by_person_keeps_the_person(ward: Ward) -> None:
    sql = """
        SELECT region, count(*) AS persons, avg(n) AS mean, sum(longest) AS longest
        FROM (SELECT pid, region, count(*) AS n, max(days) AS longest FROM stays GROUP BY pid, region) GROUP BY region
    """
    assert ward.answer(sql).rows == [("Nord", 12, 1.0, 36)]


def test_an_inner_grouping_without_person_carries_the_list_of_persons(ward: Ward) -> None:
    inner = "(SELECT region, ward, count(*) AS n FROM stays GROUP BY ALL)"
    by_region = f"SELECT region, sum(n) AS n, count(*) AS g FROM {inner} GROUP BY region"
    assert ward.answer(by_region).rows == [("Nord", 12, 1)]
    assert ward.answer(f"SELECT count(*) AS g, sum(n) AS n FROM {inner}").rows == [(2, 42)]
    twice = f"SELECT sum(g) AS g FROM (SELECT ward, count(*) AS g FROM {inner} GROUP BY ward)"
    assert ward.answer(twice).rows == [(2,)]


def test_few_contributors_of_an_inner_aggregate_are_few_persons(ward: Ward) -> None:
    ward.stays(["p3"], "Nord", days=366, cost=5000.0)
    inner = "SELECT region, avg(cost) FILTER (WHERE days = 366) AS a, count(*) AS n FROM stays GROUP BY region"
    sql = f"SELECT s.region, sum(d.a) AS x FROM stays s JOIN ({inner}) AS d ON d.region = s.region GROUP BY s.region"
    assert ward.answer(sql).rows == []
    ward.stays(range(12), "Nord", days=366)
    assert [row[0] for row in ward.answer(sql).rows] == ["Nord"]


def test_distinct_is_a_grouping(ward: Ward) -> None:
    assert ward.answer("SELECT count(*) AS n FROM (SELECT DISTINCT region FROM stays)").rows == [(2,)]
    sql = "SELECT region, count(*) AS n FROM (SELECT DISTINCT region, ward FROM stays) GROUP BY region"
    assert ward.answer(sql).rows == [("Nord", 1)]
    same = "SELECT region, count(*) AS n FROM (SELECT DISTINCT pid, region FROM stays) GROUP BY region"
    assert ward.answer(same).rows == [("Nord", 12)]


def test_distinct_on_a_person_takes_one_row_of_each(ward: Ward) -> None:
    sql = """
        SELECT region, count(*) AS n
        FROM (SELECT DISTINCT ON (pid) pid, region FROM stays ORDER BY pid, entered DESC) GROUP BY region
    """
    assert ward.answer(sql).rows == [("Nord", 12)]


def test_unions_pair_the_persons_of_their_branches(ward: Ward) -> None:
    ward.put("persons", [(f"p{n}", "Nord") for n in range(12)] + [(f"q{n}", "Sud") for n in range(20, 21)])
    sql = "SELECT r, count(*) AS n FROM (SELECT region AS r FROM stays {all} SELECT sex FROM persons) GROUP BY r"
    assert ward.answer(sql.format(all="UNION ALL")).rows == [("Nord", 24), ("Sud", 31)]
    assert ward.answer(sql.format(all="UNION")).rows == [("Nord", 1), ("Sud", 1)]
    ward.database.execute("DELETE FROM persons WHERE sex = 'Sud'")
    assert ward.answer(sql.format(all="UNION ALL")).rows == [("Nord", 24)]
    assert ward.answer(sql.format(all="UNION")).rows == [("Nord", 1)]


def test_persons_that_only_one_branch_has_are_asked_for_only_there(ward: Ward) -> None:
    ward.put("staff", [(n, 1, 40) for n in range(5)])
    both = "SELECT 'staff' AS k FROM stays s JOIN staff f ON f.ward = s.ward UNION ALL SELECT region FROM stays"
    sql = f"SELECT k, count(*) AS n FROM ({both}) GROUP BY k"
    assert ward.answer(sql).rows == [("Nord", 12)]
    ward.put("staff", [(n, 1, 40) for n in range(10, 16)])
    assert ward.answer(sql).rows == [("Nord", 12), ("staff", 42 * 11)]


def test_public_rows_in_a_union_are_no_persons(ward: Ward) -> None:
    ward.put("codes", [("Sud", 1), ("Ouest", 2)])
    sql = "SELECT r, count(*) AS n FROM (SELECT region AS r FROM stays UNION ALL SELECT k FROM codes) GROUP BY r"
    answer = ward.answer(sql)
    assert (answer.rows, answer.withheld) == ([("Nord", 12)], 2)


def test_persons_of_one_table_and_not_of_another(ward: Ward) -> None:
    ward.put("persons", [(f"p{n}",) for n in range(11)] + [(f"z{n}",) for n in range(11)])
    sql = "SELECT count(*) AS n FROM (SELECT pid FROM persons {op} SELECT pid FROM stays)"
    assert ward.answer(sql.format(op="EXCEPT")).rows == [(11,)]
    assert ward.answer(sql.format(op="INTERSECT")).rows == [(11,)]
    ward.database.execute("DELETE FROM persons WHERE pid = 'z0'")
    assert ward.answer(sql.format(op="EXCEPT")).rows == []


# Persons in subqueries and windows


@pytest.mark.parametrize(
    "condition",
    [
        "EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid AND p.sex = 'f')",
        "s.pid IN (SELECT pid FROM persons WHERE sex = 'f')",
        "s.pid IN (SELECT pid FROM persons WHERE sex = 'f' GROUP BY pid HAVING count(*) = 1)",
        "(s.pid, s.ward) IN (SELECT p.pid, 1 FROM persons p WHERE p.sex = 'f')",
        "EXISTS (SELECT 1 FROM persons p JOIN stays t ON t.pid = p.pid WHERE t.pid = s.pid AND p.sex = 'f')",
        "EXISTS (SELECT 1 FROM persons p LEFT JOIN stays t ON t.pid = p.pid AND t.days > 99 "
        "WHERE p.pid = s.pid AND p.sex = 'f')",
        "EXISTS (SELECT 1 FROM (SELECT pid FROM persons WHERE sex = 'f') d WHERE d.pid = s.pid)",
        "NOT EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid AND p.sex = 'm')",
        "s.pid NOT IN (SELECT pid FROM persons WHERE sex = 'm')",
        "(SELECT count(*) FROM persons p WHERE p.pid = s.pid AND p.sex = 'f') = 1",
    ],
)
def test_a_person_s_own_rows_elsewhere_may_decide(condition: str) -> None:
    ward = Ward()
    ward.stays(range(23), "Nord")
    ward.put("persons", [(f"p{n}", "f" if n < 11 else "m", 1950) for n in range(23)])
    sql = f"SELECT region, count(*) AS n FROM stays s WHERE {condition} GROUP BY region"
    assert ward.answer(sql).rows == [("Nord", 11)]
    ward.database.execute("UPDATE persons SET sex = 'm' WHERE pid = 'p0'")
    assert ward.answer(sql).rows == []


def test_semi_and_anti_joins_by_person_are_exists_and_not_exists() -> None:
    ward = Ward()
    ward.stays(range(23), "Nord")
    ward.put("persons", [(f"p{n}", "f", 1950) for n in range(12)])
    sql = "SELECT region, count(*) AS n FROM stays s {kind} JOIN persons p ON p.pid = s.pid GROUP BY region"
    assert ward.answer(sql.format(kind="SEMI")).rows == [("Nord", 12)]
    assert ward.answer(sql.format(kind="ANTI")).rows == [("Nord", 11)]


def test_windows_over_one_person_s_rows_may_be_used(ward: Ward) -> None:
    for entered in ("2023-02-01", "2023-05-01"):
        ward.stays(range(12), "Nord", entered=entered)
    sql = """
        WITH ordered AS (
            SELECT *, lead(entered) OVER (PARTITION BY pid ORDER BY entered) AS following,
                   row_number() OVER w AS number
            FROM stays WINDOW w AS (PARTITION BY pid ORDER BY entered)
        )
        SELECT region, count(*) AS n, count(*) FILTER (WHERE following - entered <= 31) AS again, sum(number) AS s
        FROM ordered GROUP BY region
    """
    assert ward.answer(sql).rows == [("Nord", 36, 12, 72)]


def test_group_keys_may_be_computed_and_come_from_subqueries(ward: Ward) -> None:
    ward.put("persons", [(f"p{n}", "f", 1950) for n in range(12)])
    ward.stays(range(12), "Nord", days=400)
    sql = """
        SELECT CASE WHEN days > 30 THEN 'long' ELSE 'short' END AS band,
               EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid) AS known, count(*) AS n
        FROM stays s GROUP BY 1, 2
    """
    assert ward.answer(sql).rows == [("long", True, 12), ("short", True, 12)]


def test_the_answer_does_not_hang_on_which_of_equal_rows_comes_first() -> None:
    """Both readings of the rows must see the same: what depends on the engine's order is computed once."""
    release = check(
        "SELECT region, count(*) AS n FROM (SELECT region, row_number() OVER (PARTITION BY pid ORDER BY days) AS r "
        "FROM stays) WHERE r = 1 GROUP BY region",
        CONTEXT,
    )
    assert release.sql.count("ROW_NUMBER") == 1
    shared = check(
        "WITH c AS (SELECT pid, any_value(region) AS region FROM stays GROUP BY pid) "
        "SELECT region, count(*) AS n FROM c GROUP BY region",
        CONTEXT,
    )
    assert '"c" AS MATERIALIZED' in shared.sql
    sql = "SELECT region, count(*) AS n FROM stays WHERE {} GROUP BY region"
    twice = check(sql.format("pid IN (SELECT pid FROM persons WHERE born > 1950)"), CONTEXT)
    once = check(sql.format("pid IN (SELECT pid FROM persons GROUP BY pid HAVING sum(born) > 3000)"), CONTEXT)
    assert "border_doubtful" in twice.sql
    assert once.sql.count("HAVING") == 1


def test_a_person_column_of_any_type_can_be_counted() -> None:
    visits = table("visits", {"who": ("BIGINT", Role.HIDDEN), "x": ("INTEGER", Role.GROUP)}, person="who")
    context = BorderContext("ward", {"visits": visits}, {}, permit(grants={"visits": ("*",)}))
    ward = Ward()
    ward.database.execute("CREATE TABLE visits AS SELECT i % 11 AS who, 1 AS x, 'ward' AS _node FROM range(100) t(i)")
    assert ward.answer("SELECT x, count(*) AS n FROM visits GROUP BY x", context).rows == [(1, 100)]
    ward.database.execute("DELETE FROM visits WHERE who = 3")
    assert ward.answer("SELECT x, count(*) AS n FROM visits GROUP BY x", context).rows == []
