"""What the border check refuses over protected tables, and by which rule."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import pytest
from border_ward import CONTEXT, Ward, refusal_of

from archipel import errors
from archipel.border import all_rules, check

PERSON_OUTPUTS = [
    "SELECT pid FROM stays",
    "SELECT pid, count(*) AS n FROM stays GROUP BY pid",
    "SELECT PID AS region, count(*) AS n FROM stays GROUP BY 1",
    'SELECT s."PiD" AS x, count(*) AS n FROM stays AS s GROUP BY s."PiD"',
    "SELECT * FROM stays",
    "SELECT s.* FROM stays s",
    "FROM stays",
    "TABLE stays",
    "SELECT q FROM (SELECT pid AS q FROM stays)",
    "SELECT q, count(*) AS n FROM (SELECT pid AS q FROM stays) GROUP BY q",
    "WITH c(q) AS (SELECT pid FROM stays) SELECT q, count(*) AS n FROM c GROUP BY q",
    "SELECT pid, count(*) AS n FROM stays s JOIN persons p USING (pid) GROUP BY pid",
    "SELECT pid, count(*) AS n FROM stays s FULL JOIN persons p USING (pid) GROUP BY pid",
    "SELECT pid, count(*) AS n FROM (SELECT pid FROM stays UNION ALL SELECT pid FROM persons) GROUP BY pid",
    "SELECT (pid), count(*) AS n FROM stays GROUP BY ROLLUP (pid)",
]


@pytest.mark.parametrize("sql", PERSON_OUTPUTS)
def test_a_person_is_no_output(sql: str) -> None:
    assert refusal_of(sql).rule == "person-output"


@pytest.mark.parametrize("key", ["pid", "(pid)", "1 + 1, pid", "GROUPING SETS ((pid), ())", "CUBE (pid, region)"])
def test_a_person_is_no_group_key(key: str) -> None:
    problem = refusal_of(f"SELECT count(*) AS n FROM stays GROUP BY {key}")
    assert problem.rule == "person-group-key"
    assert "age band" in problem.hint


DISGUISES = [
    "pid || ''",
    "concat(pid, 'x')",
    "substr(pid, 1, 2)",
    "upper(pid)",
    "CAST(pid AS VARCHAR)",
    "TRY_CAST(pid AS BIGINT)",
    "pid::VARCHAR",
    "hash(pid)",
    "md5(pid)",
    "sha256(pid)",
    "coalesce(pid, 'x')",
    "coalesce(NULL, pid)",
    "ifnull(pid, '')",
    "nullif(pid, '')",
    "CASE WHEN days > 3 THEN pid ELSE 'x' END",
    "CASE pid WHEN 'p1' THEN 1 ELSE 0 END",
    "if(days > 3, pid, '')",
    "greatest(pid, 'a')",
    "length(pid)",
    "ascii(pid)",
    "[pid]",
    "[pid][1]",
    "list_value(pid)",
    "pid IS DISTINCT FROM 'p1'",
    "pid > 'p1'",
    "pid < 'p1'",
    "pid <> 'p1'",
    "pid LIKE 'p1%'",
    "pid ~ 'p1'",
    "regexp_matches(pid, 'p1')",
    "pid BETWEEN 'a' AND 'b'",
    "pid COLLATE nocase",
    "starts_with(pid, 'p1')",
    "pid = region",
    "pid = 'p1'",
    "'p1' = (pid)",
    "pid IN ('p1', 'p2')",
    "pid NOT IN ('p1')",
    "pid IN (SELECT k FROM codes)",
    "region IN (SELECT pid FROM persons)",
    "pid = ANY (SELECT k FROM codes)",
    "pid = (SELECT max(k) FROM codes)",
    "(pid, 1) = ('p1', 1)",
    "(pid, region) IN (('p1', 'Nord'))",
    "EXISTS (SELECT 1 FROM codes c WHERE c.k = pid)",
    "EXISTS (SELECT 1 FROM persons p WHERE p.pid = stays.pid AND p.pid = 'p1')",
    "EXISTS (SELECT 1 FROM wards HAVING count(*) > length(pid))",
    "(SELECT pid)",
    "(SELECT pid || title FROM wards LIMIT 1) = 'x'",
    "stays",
    "stays::VARCHAR",
    "hash(stays)",
    "to_json(stays)",
    "row(pid)",
    "{'a': pid}",
    "struct_pack(a := pid)",
    "json_object('a', pid)",
    "list_transform([pid], x -> x)",
    "list_filter([1], x -> pid = 'p1')",
    "pid.upper()",
    "COLUMNS('p.*')",
    "COLUMNS(*)",
    "unnest([pid])",
    "date_trunc(pid, entered)",
    "strftime(entered, pid)",
    "INTERVAL (length(pid)) DAY",
]


@pytest.mark.parametrize("expression", DISGUISES)
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT {} AS x, count(*) AS n FROM stays GROUP BY 1",
        "SELECT count(*) AS n FROM stays WHERE ({}) IS NOT NULL",
        "SELECT x, count(*) AS n FROM (SELECT {} AS x FROM stays) GROUP BY x",
        "SELECT count({}) AS n FROM stays",
        "SELECT sum(CASE WHEN ({}) IS NULL THEN 1 END) AS n FROM stays",
        "WITH c AS (SELECT region, row_number() OVER (PARTITION BY pid ORDER BY {}) AS r FROM stays) "
        "SELECT r, count(*) AS n FROM c GROUP BY r",
        "SELECT count(*) AS n FROM stays JOIN wards ON ({}) IS NOT NULL",
    ],
)
def test_no_disguise_of_a_person_is_let_through(statement: str, expression: str) -> None:
    if expression == "date_trunc(pid, entered)":
        pytest.skip("the parser takes the first argument for the name of a unit: no column is read")
    assert refusal_of(statement.format(expression)).code != "INTERNAL"


def test_a_unit_of_time_named_like_a_person_column_reads_no_person() -> None:
    assert '"pid"' not in check("SELECT sum(year(date_trunc(pid, entered))) AS x FROM stays", CONTEXT).sql.replace(
        '"stays"."pid"', ""
    ).replace("PID", "")


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT region FROM stays", "row-level-output"),
        ("SELECT region, cost FROM stays LIMIT 5", "row-level-output"),
        ("SELECT count(*) OVER () AS n FROM stays", "row-level-output"),
        ("SELECT 1 AS one FROM stays", "row-level-output"),
        ("SELECT EXISTS (SELECT 1 FROM stays) AS x", "row-level-output"),
        ("SELECT (SELECT max(cost) FROM stays) AS x", "row-level-output"),
        ("SELECT count(*) AS n, (SELECT cost FROM stays) AS x FROM wards", "subquery-across-persons"),
        ("VALUES ((SELECT max(cost) FROM stays))", "row-level-output"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY region HAVING count(*) > 3", "clause-over-groups"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY region ORDER BY n", "clause-over-groups"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY region LIMIT 1", "clause-over-groups"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY region OFFSET 1", "clause-over-groups"),
        ("SELECT DISTINCT count(*) AS n FROM stays", "clause-over-groups"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY region QUALIFY rank() OVER (ORDER BY n) = 1", None),
        ("SELECT region, rank() OVER (ORDER BY count(*)) AS r FROM stays GROUP BY region", "clause-over-groups"),
        ("SELECT region, count(*) + 1 AS n FROM stays GROUP BY region", "output-expression"),
        ("SELECT region, upper(region) AS u, count(*) AS n FROM stays GROUP BY region", "output-expression"),
        ("SELECT region, sum(cost) / count(*) AS m FROM stays GROUP BY region", "output-expression"),
        ("SELECT region, days, count(*) AS n FROM stays GROUP BY region", "output-expression"),
        ("SELECT count(*) AS n FROM stays UNION ALL SELECT count(*) FROM persons", "set-operation-output"),
        ("SELECT count(*) AS n FROM stays EXCEPT SELECT 1", "set-operation-output"),
        ("(SELECT count(*) AS n FROM stays) UNION (SELECT 1)", "set-operation-output"),
    ],
)
def test_only_one_aggregating_select_leaves(sql: str, rule: str | None) -> None:
    problem = refusal_of(sql)
    assert problem.code == "BORDER_REFUSED"
    assert rule is None or problem.rule == rule


@pytest.mark.parametrize(
    "aggregate",
    [
        "min(cost)",
        "max(cost)",
        "max(cost, 3)",
        "arg_max(cost, days)",
        "arg_min(days, cost)",
        "max_by(cost, days)",
        "any_value(cost)",
        "first(cost)",
        "last(cost)",
        "first(1 ORDER BY cost)",
        "median(cost)",
        "mode(cost)",
        "mode() WITHIN GROUP (ORDER BY cost)",
        "quantile_cont(cost, 0.5)",
        "quantile_disc(cost, 1.0)",
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY cost)",
        "percentile_disc(1) WITHIN GROUP (ORDER BY cost)",
        "approx_quantile(cost, 0.5)",
        "mad(cost)",
        "list(cost)",
        "array_agg(cost)",
        "array_agg(DISTINCT cost)",
        "string_agg(region, ',')",
        "group_concat(region)",
        "listagg(region, ',')",
        "histogram(days)",
        "bool_and(days > 3)",
        "bool_or(days > 3)",
        "bit_or(days)",
        "bit_xor(days)",
        "product(days)",
        "kurtosis(cost)",
        "skewness(cost)",
        "entropy(days)",
        "approx_count_distinct(days)",
        "max(CASE WHEN days > 3 THEN 1 END)",
        "max(pid)",
        "min(region)",
    ],
)
def test_an_aggregate_that_shows_single_values_is_refused(aggregate: str) -> None:
    problem = refusal_of(f"SELECT region, {aggregate} AS x FROM stays GROUP BY region")
    assert problem.rule in ("value-aggregate", "function")
    assert problem.code in ("BORDER_REFUSED", "SQL_UNKNOWN_FUNCTION")


@pytest.mark.parametrize("aggregate", ["sum(DISTINCT cost)", "avg(DISTINCT cost)", "stddev(DISTINCT cost)"])
def test_distinct_in_an_aggregate_is_refused_but_for_counting(aggregate: str) -> None:
    assert refusal_of(f"SELECT {aggregate} AS x FROM stays").rule == "distinct-aggregate"
    check("SELECT count(DISTINCT cost) AS x, count(DISTINCT pid) AS y, count(pid) AS z FROM stays", CONTEXT)


@pytest.mark.parametrize(
    "key",
    [
        "cost",
        "round(cost)",
        "cost > 100",
        "CASE WHEN cost > 100 THEN 'high' ELSE 'low' END",
        "year(entered)",
        "(SELECT beds FROM wards w WHERE w.beds = cost)",
        "cost IN (SELECT v FROM codes)",
        "EXISTS (SELECT 1 FROM stays t WHERE t.pid = stays.pid AND t.cost > 100)",
    ],
)
def test_a_measure_is_no_group_key_in_whatever_form(key: str) -> None:
    assert refusal_of(f"SELECT {key} AS k, count(*) AS n FROM stays GROUP BY 1").rule == "measure-group-key"
    inner = f"SELECT k, count(*) AS n FROM (SELECT {key} AS k FROM stays) GROUP BY k"
    assert refusal_of(inner).rule == "measure-group-key"


def test_a_measure_stays_one_through_aggregation_and_unions() -> None:
    for inner in (
        "SELECT pid, sum(cost) AS k FROM stays GROUP BY pid",
        "SELECT pid, count_if(cost > 100) AS k FROM stays GROUP BY pid",
        "SELECT pid, lag(cost) OVER (PARTITION BY pid ORDER BY days) AS k FROM stays",
        "SELECT days AS k FROM stays UNION ALL SELECT cost FROM stays",
        "SELECT DISTINCT cost AS k FROM stays",
    ):
        assert refusal_of(f"SELECT k, count(*) AS n FROM ({inner}) GROUP BY k").rule == "measure-group-key"


def test_counts_and_ranks_of_measures_may_be_group_keys() -> None:
    for inner in (
        "SELECT pid, count(*) AS k FROM stays WHERE cost > 100 GROUP BY pid",
        "SELECT pid, row_number() OVER (PARTITION BY pid ORDER BY cost) AS k FROM stays",
    ):
        check(f"SELECT k, count(*) AS n FROM ({inner}) GROUP BY k", CONTEXT)


@pytest.mark.parametrize(
    "window",
    [
        "sum(cost) OVER ()",
        "sum(cost) OVER (PARTITION BY region)",
        "max(cost) OVER (ORDER BY entered)",
        "rank() OVER (PARTITION BY region ORDER BY cost)",
        "lag(cost) OVER (PARTITION BY ward, region ORDER BY entered)",
        "first_value(cost) OVER w",
        "count(*) OVER (PARTITION BY region)",
        "sum(cost) FILTER (WHERE days = 1) OVER (PARTITION BY region)",
    ],
)
def test_a_window_over_several_persons_is_refused(window: str) -> None:
    clause = " WINDOW w AS (PARTITION BY region)" if window.endswith("OVER w") else ""
    sql = f"SELECT count(*) AS n FROM (SELECT {window} AS x FROM stays{clause}) WHERE x > 1"
    assert refusal_of(sql).rule == "window-across-persons"
    check(
        sql.replace("PARTITION BY ", "PARTITION BY pid, ")
        .replace("OVER ()", "OVER (PARTITION BY pid)")
        .replace("OVER (ORDER", "OVER (PARTITION BY pid ORDER"),
        CONTEXT,
    )


def test_a_window_by_one_person_of_a_join_of_two_is_over_several() -> None:
    sql = """
        SELECT count(*) AS n FROM (
            SELECT max(b.cost) OVER (PARTITION BY a.pid) AS x FROM stays a JOIN stays b ON b.ward = a.ward {}
        ) WHERE x > 1
    """
    assert refusal_of(sql.format("")).rule == "window-across-persons"
    check(sql.format("AND b.pid = a.pid"), CONTEXT)
    check(sql.replace("JOIN stays b", "LEFT JOIN stays b").format("AND b.pid = a.pid"), CONTEXT)
    full = sql.replace("JOIN stays b", "FULL JOIN stays b").format("AND b.pid = a.pid")
    assert refusal_of(full).rule == "window-across-persons"
    either = sql.format("AND (b.pid = a.pid OR b.cost > 5)")
    assert refusal_of(either).rule == "window-across-persons"


@pytest.mark.parametrize(
    "aggregate",
    ["max(cost)", "any_value(cost)", "list(cost)", "median(cost)", "bool_or(days = 366)", "sum(DISTINCT cost)"],
)
def test_a_value_may_not_become_that_of_others_by_an_inner_aggregate(aggregate: str) -> None:
    inner = f"SELECT region, {aggregate} AS x FROM stays GROUP BY region"
    for sql in (
        f"SELECT count(*) AS n FROM ({inner}) WHERE x IS NOT NULL",
        f"SELECT count(*) AS n FROM stays s JOIN ({inner}) d ON d.region = s.region",
        f"WITH d AS ({inner}) SELECT sum(1) AS n FROM d",
        f"SELECT count(*) AS n FROM (SELECT region FROM stays GROUP BY region HAVING {aggregate} IS NOT NULL)",
        f"SELECT count(*) AS n FROM (SELECT {aggregate} AS x FROM stays)",
    ):
        assert refusal_of(sql).rule == "value-across-persons"
    check(
        f"SELECT count(*) AS n FROM (SELECT pid, {aggregate} AS x FROM stays GROUP BY pid) WHERE x IS NOT NULL", CONTEXT
    )


@pytest.mark.parametrize(
    "condition",
    [
        "EXISTS (SELECT 1 FROM persons p)",
        "EXISTS (SELECT 1 FROM persons p WHERE p.born = 1950)",
        "EXISTS (SELECT 1 FROM persons p WHERE p.born = s.days)",
        "EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid OR p.born = 1950)",
        "EXISTS (SELECT 1 FROM persons p WHERE NOT (p.pid = s.pid))",
        "EXISTS (SELECT 1 FROM persons p JOIN stays t ON t.ward = 1 WHERE p.pid = s.pid AND t.cost > 100)",
        "EXISTS (SELECT 1 FROM persons p LEFT JOIN stays t ON t.pid = s.pid AND t.cost > 1)",
        "EXISTS (SELECT 1 FROM staff f WHERE f.ward = s.ward AND f.age > 60)",
        "s.ward IN (SELECT f.ward FROM staff f WHERE f.age > 60)",
        "s.region IN (SELECT region FROM stays WHERE cost > 100)",
        "s.pid IN (SELECT p.pid FROM persons p JOIN stays t ON t.cost > 100)",
        "s.pid IN (SELECT pid FROM persons UNION ALL SELECT p.pid FROM persons p, stays t WHERE t.cost > 1)",
        "s.cost > (SELECT avg(cost) FROM stays)",
        "s.cost > ALL (SELECT cost FROM stays)",
        "s.cost > (SELECT avg(t.cost) FROM stays t WHERE t.region = s.region)",
        "s.region = (SELECT region FROM stays t WHERE t.cost > 100)",
        "EXISTS (SELECT 1 FROM wards w WHERE EXISTS (SELECT 1 FROM persons p WHERE p.born = w.beds))",
        "EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid AND EXISTS (SELECT 1 FROM persons q WHERE q.born > 1))",
    ],
)
def test_a_subquery_over_other_persons_is_refused(condition: str) -> None:
    for sql in (
        f"SELECT region, count(*) AS n FROM stays s WHERE {condition} GROUP BY region",
        f"SELECT count_if({condition}) AS n FROM stays s",
        f"SELECT x, count(*) AS n FROM (SELECT {condition} AS x FROM stays s) GROUP BY x",
        f"SELECT count(*) AS n FROM stays s JOIN wards w ON {condition}",
    ):
        assert refusal_of(sql).rule == "subquery-across-persons"


def test_another_person_s_row_may_not_stand_in_for_one_s_own() -> None:
    sql = "SELECT count(*) AS n FROM stays s {} JOIN persons p ON p.born = s.days"
    for kind in ("SEMI", "ANTI"):
        assert refusal_of(sql.format(kind)).rule == "subquery-across-persons"
    crossed = "SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM staff f WHERE f.badge = s.pid)"
    assert refusal_of(crossed).rule == "person-comparison"


@pytest.mark.parametrize(
    ("derived", "rule"),
    [
        ("SELECT * FROM stays ORDER BY cost DESC LIMIT 12", "limit-below-border"),
        ("SELECT * FROM stays OFFSET 3", "limit-below-border"),
        ("SELECT DISTINCT ON (region) region, cost FROM stays ORDER BY region, cost DESC", "limit-below-border"),
        ("(SELECT region FROM stays LIMIT 1) UNION ALL SELECT region FROM stays", "limit-below-border"),
        ("SELECT region FROM stays EXCEPT SELECT region FROM stays WHERE days = 366", "set-operation-persons"),
        ("SELECT region FROM stays INTERSECT SELECT title FROM wards", "set-operation-persons"),
        ("SELECT pid FROM stays UNION ALL SELECT k FROM codes", "set-operation-persons"),
        ("SELECT pid FROM stays UNION ALL SELECT NULL", "set-operation-persons"),
        ("SELECT pid, region FROM stays UNION ALL SELECT sex, pid FROM persons", "set-operation-persons"),
        ("SELECT pid FROM stays UNION SELECT badge FROM staff", "set-operation-persons"),
        ("SELECT region, count(*) AS n FROM stays GROUP BY ROLLUP (region)", "construct"),
        ("SELECT region FROM stays s, LATERAL (SELECT 1) l", "construct"),
        ("SELECT * FROM stays TABLESAMPLE 10%", "construct"),
        ("SELECT * FROM stays s NATURAL JOIN persons p", "construct"),
        ("SELECT * FROM stays s POSITIONAL JOIN persons p", "construct"),
        ("SELECT * FROM stays s ASOF JOIN persons p ON s.days >= p.born", "construct"),
        ("PIVOT stays ON region USING sum(cost)", "construct"),
        ("SELECT * FROM stays PIVOT (sum(cost) FOR region IN ('Nord'))", "construct"),
    ],
)
def test_what_chooses_or_mixes_rows_of_several_persons_is_refused(derived: str, rule: str) -> None:
    assert refusal_of(f"SELECT count(*) AS n FROM ({derived}) AS d").rule == rule


def test_recursion_over_protected_tables_is_refused() -> None:
    body = "SELECT pid, 1 AS n FROM stays UNION ALL SELECT pid, n + 1 FROM r"
    assert refusal_of(f"WITH RECURSIVE r AS ({body}) SELECT count(*) AS n FROM r").rule == "construct"


def test_an_aggregate_of_an_enclosing_row_is_refused() -> None:
    sql = "SELECT sum(x) AS n FROM (SELECT (SELECT sum(s.cost) FROM wards) AS x FROM stays s)"
    assert refusal_of(sql).rule == "construct"


def test_a_protected_table_that_is_only_named_elsewhere_is_refused() -> None:
    unused = "WITH c AS (SELECT * FROM stays) SELECT count(*) AS n FROM wards"
    assert refusal_of(unused).rule == "no-persons"


def test_no_statement_of_this_file_says_a_value_or_a_literal() -> None:
    for sql in (
        "SELECT count(*) AS n FROM stays WHERE pid = 'SECRET-1'",
        'SELECT count(*) AS n FROM "SECRET-1/x.csv"',
        'SELECT "SECRET-1"(region) AS x FROM stays',
        'SELECT s."SECRET-1" FROM stays s',
        "SELECT CASE WHEN region = 'SECRET-1' THEN pid END AS x FROM stays",
        'SELECT count(*) AS "SECRET-1", \'SECRET-1\' || pid AS "SECRET 2" FROM stays',
        "SELECT 'SECRET-1",
        "SECRET-1",
    ):
        problem = refusal_of(sql)
        assert "SECRET" not in str(problem)
        assert "SECRET" not in repr(problem.info)


def test_every_rule_has_a_name_of_its_own_and_a_code_of_the_catalogue() -> None:
    rules = all_rules()
    assert len({rule.name for rule in rules}) == len(rules) > 30
    codes = errors.all_codes()
    assert all(rule.code in codes for rule in rules)
    assert all(rule.text.endswith(".") for rule in rules)


def test_a_refused_statement_gives_nothing_to_run() -> None:
    ward = Ward()
    ward.stays(range(20))
    with pytest.raises(errors.NotAllowedError):
        ward.answer("SELECT pid FROM stays")
