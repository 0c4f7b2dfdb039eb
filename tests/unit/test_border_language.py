"""The language of the border check: functions, syntax, names, sizes, and the text that runs."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import duckdb
import pytest
import sqlglot
from border_ward import CONTEXT, WARDS, Ward, refusal_of, table, with_table
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel import aggregates, errors, functions, histograms, sketches
from archipel.border import BorderContext, all_rules, check, vocabulary
from archipel.border.parsing import render
from archipel.schema import Column, Form, Role

ARGUMENTS = ("", "a", "a, b", "a, b, c", "'day', b", "'day', b, c")


def _calls(name: str) -> list[exp.Expr]:
    found = []
    for arguments in ARGUMENTS:
        try:
            found.append(sqlglot.parse_one(f"SELECT {name}({arguments})", dialect="duckdb").selects[0])
        except (SqlglotError, TypeError, ValueError):
            continue
    return found


@pytest.mark.parametrize("name", sorted(functions.SCALAR))
def test_a_function_of_the_registry_is_known_under_whatever_class_it_is_parsed_to(name: str) -> None:
    calls = _calls(name)
    assert calls
    for call in calls:
        assert all(type(node) in vocabulary.ALLOWED for node in call.walk() if isinstance(node, exp.Func)), repr(call)


@pytest.mark.parametrize("name", sorted(functions.SCALAR))
def test_some_form_of_a_function_of_the_registry_may_run(name: str) -> None:
    for call in _calls(name):
        tree = exp.Select(expressions=[call], from_=exp.From(this=exp.to_table("t")))
        for column in tree.find_all(exp.Column):
            column.set("table", exp.to_identifier("t"))
        try:
            render(tree)
        except errors.ArchipelError:
            continue
        return
    pytest.fail("no form of it is rendered with known names")


@pytest.mark.parametrize("name", sorted(functions.SCALAR | functions.WINDOW | set(aggregates.REGISTRY)))
def test_a_function_of_the_registries_exists_in_the_engine(name: str) -> None:
    database = duckdb.connect()
    for definition in (sketches.DEFINITION, *histograms.DEFINITIONS, histograms.DESCRIBED):
        database.execute(definition)
    known = {row[0] for row in database.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    grammar = {"coalesce", "if", "ifnull", "nullif", "position", "trim", "unbin", "date", "mean", "array_append"}
    assert name in known | grammar


@pytest.mark.parametrize("name", sorted(aggregates.REGISTRY))
def test_an_aggregate_is_recognised_as_the_one_it_is(name: str) -> None:
    same = {"mean": "avg", "variance": "var_samp", "list": "array_agg"}
    for call in _calls(name):
        bare = call.this if isinstance(call, exp.IgnoreNulls) else call
        if isinstance(bare, exp.Anonymous):
            assert bare.name.lower() == name
        else:
            assert vocabulary.AGGREGATE_CLASSES.get(type(bare)) == same.get(name, name), repr(call)


def test_every_aggregate_class_of_the_parser_is_in_the_table_or_refused() -> None:
    for kind in vars(exp).values():
        if isinstance(kind, type) and issubclass(kind, exp.Expression) and issubclass(kind, exp.AggFunc):
            known = {*vocabulary.AGGREGATE_CLASSES, *vocabulary.WINDOW_CLASSES, exp.Grouping, exp.GroupingId}
            assert kind in known or kind not in vocabulary.ALLOWED, kind


HARMFUL = """
random | uuid | gen_random_uuid | uuidv4 | uuidv7 | nextval('s') | currval('s') | setseed(0.5) | sleep_ms(5)
pg_sleep(1) | error('x') | now | today | current_date | current_timestamp | get_current_timestamp
transaction_timestamp | version | current_user | session_user | user | current_schema | current_database
current_query | getvariable('x') | getenv('H') | current_setting('threads') | in_search_path('a', 'b')
txid_current | pg_typeof(1) | has_table_privilege('t', 'select') | write_log('x') | query('SELECT 1')
enum_range(NULL) | stats(1) | vector_type(1) | json_serialize_sql('SELECT 1') | json_execute_serialized_sql('x')
list_aggregate([1], 'sum') | array_aggregate([1], 'sum') | list_aggr([1], 'max') | read_text('x')
read_blob('x') | glob('*') | can_cast_implicitly(1, 2) | create_sort_key(1, 'x') | ago(INTERVAL 1 DAY)
age(DATE '2020-01-01') | try(error('x')) | current_connection_id | current_transaction_id | get_block_size('x')
"""


@pytest.mark.parametrize("call", [call.strip() for call in HARMFUL.strip().replace("\n", "|").split("|")])
def test_what_reads_or_changes_anything_else_is_no_function(call: str) -> None:
    written = call if "(" in call else f"{call}()"
    for sql in (
        f"SELECT count(*) AS n FROM stays WHERE {written} IS NOT NULL",
        f"SELECT {written} AS x",
        f"SELECT title, {written.upper()} AS x FROM wards",
        f'SELECT "{written.partition("(")[0]}"({written.partition("(")[2]} AS x',
    ):
        assert refusal_of(sql).code.startswith("SQL_"), sql


def test_the_clock_is_not_read_without_parentheses_either() -> None:
    for word in ("current_date", "current_timestamp", "current_time", "localtimestamp", "current_user"):
        assert refusal_of(f"SELECT {word} AS x").code.startswith("SQL_")


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('x.csv')",
        "read_parquet('x')",
        "'x.csv'",
        '"x.parquet"',
        "glob('*')",
        "sniff_csv('x')",
        "duckdb_settings()",
        "duckdb_tables()",
        "pragma_version()",
        "query('SELECT 1')",
        "query_table('wards')",
        "information_schema.tables",
        "main.wards",
        "memory.main.wards",
        "sqlite_master",
        "pg_catalog.pg_class",
        "temp.wards",
        "repeat_row(1)",
        "unknown",
    ],
)
def test_only_tables_of_the_node_and_of_the_task_are_read(source: str) -> None:
    for sql in (f"SELECT * FROM {source}", f"SELECT count(*) AS n FROM stays, {source}", f"FROM {source}"):
        assert refusal_of(sql).code.startswith("SQL_"), sql


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "   ",
        "-- nothing",
        ";",
        "SELECT",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE stays",
        "SELEC 1",
        "SELECT 'x",
        "SELECT 1 +",
        "SELECT x -> , 1",
        "DROP TABLE stays",
        "INSERT INTO stays VALUES (1)",
        "UPDATE stays SET pid = 'x'",
        "DELETE FROM stays",
        "CREATE TABLE x AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "COPY stays TO 'x.csv'",
        "COPY (SELECT 1) TO 'x.csv'",
        "EXPORT DATABASE 'x'",
        "ATTACH 'x.db'",
        "DETACH x",
        "USE x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET threads = 1",
        "RESET threads",
        "CALL pragma_version()",
        "DESCRIBE stays",
        "SHOW TABLES",
        "SUMMARIZE stays",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM stays",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
        "WITH x AS (DELETE FROM stays RETURNING *) SELECT * FROM x",
        "SELECT * INTO x FROM wards",
        "SELECT * FROM wards FOR UPDATE",
        "SELECT ? AS x",
        "SELECT $1 AS x",
        "SELECT $name AS x",
        "SELECT e'\\x41' AS x",
        "SELECT CAST(1 AS unknown_type) AS x",
        "SELECT CAST(title AS STRUCT(a INTEGER)) AS x FROM wards",
        "SELECT count(*) FROM wards USING SAMPLE 10%",
        "SELECT * FROM wards LIMIT 10%",
        "SELECT 1 UNION ALL BY NAME SELECT 2",
        "PIVOT wards ON title USING sum(beds)",
        "UNPIVOT wards ON beds",
        "SELECT wards FROM wards",
        "SELECT unnest([1, 2]) AS x",
        "SELECT struct_pack(a := 1) AS x",
        "SELECT list_transform([1], x -> x) AS x",
        "SELECT [x FOR x IN [1, 2]] AS y",
        "\ufeffSELECT",
        "SELECT '\x00' AS x",
    ],
)
def test_what_is_no_known_query_is_refused(sql: str) -> None:
    assert refusal_of(sql).code.startswith("SQL_")


ALLOWED = [
    "SELECT * FROM wards",
    'SELECT Title AS "The Title", Beds FROM wards ORDER BY beds DESC LIMIT 2 OFFSET 1',
    "SELECT title, beds FROM wards ORDER BY ALL",
    "SELECT max(beds), min(title), list(beds ORDER BY beds) FROM wards GROUP BY ward % 2 HAVING count(*) > 0",
    "SELECT title, rank() OVER (ORDER BY beds) AS r FROM wards QUALIFY r <= 2",
    "SELECT DISTINCT ward % 2 AS k FROM wards",
    "SELECT title FROM wards UNION SELECT k FROM codes ORDER BY title",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) AS s FROM r",
    "SELECT w.title, (SELECT max(c.v) FROM codes c WHERE c.v < w.beds) AS m FROM wards w",
    "SELECT title FROM wards WHERE beds > ALL (SELECT v FROM codes) OR beds = ANY (SELECT v FROM codes)",
    "SELECT * FROM codes",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT v.a FROM (VALUES (1, 2)) AS v(a, b)",
    "SELECT r.i FROM range(3) AS r(i)",
    "SELECT u.x FROM unnest([1, 2]) AS u(x)",
    "SELECT date_trunc('month', DATE '2020-02-03') AS m, date_diff('day', DATE '2020-01-01', DATE '2020-02-01') AS d",
    "SELECT extract(year FROM DATE '2020-02-03') AS y, INTERVAL 3 MONTH AS i, 7 // 2 AS q, 2 ** 3 AS p",
    "SELECT CASE WHEN beds > 15 THEN 'big' ELSE 'small' END AS c, if(beds > 15, 1, 0), beds BETWEEN 1 AND 9 FROM wards",
    "SELECT regexp_extract(title, '[a-z]+') AS r, title LIKE 'o%' AS l, title ILIKE 'O%', title || 'x' FROM wards",
    "SELECT TRY_CAST(title AS INTEGER) AS t, CAST(beds AS DECIMAL(18, 2)) AS d, beds::HUGEINT AS h FROM wards",
    "SELECT a.title FROM wards a SEMI JOIN codes c ON c.v = a.ward",
    "SELECT count(*) FILTER (WHERE beds > 15) AS n FROM wards",
    "FROM wards SELECT title",
    "SELECT * EXCLUDE (beds) REPLACE (upper(title) AS title) FROM wards",
    "SELECT list_sum([1, 2]) AS s, [1, 2][1] AS f, len([1]) AS l",
    "SELECT 'it''s; -- no comment' AS x",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_rows_of_open_tables_leave_as_they_are_asked_for(sql: str) -> None:
    ward = Ward()
    ward.put("wards", [(1, "one", 10), (2, "two", 20), (3, "three", 30)])
    ward.put("codes", [("one", 5), ("k", 2)])
    release = check(sql, CONTEXT)
    assert (release.protected, release.form, release.withheld_column) == (False, Form.ROWS, None)
    bare = sql.replace("SELECT * FROM wards", "SELECT ward, title, beds FROM wards")
    bare = bare.replace("* EXCLUDE (beds) REPLACE (upper(title) AS title)", "ward, upper(title) AS title")
    assert ward.run(release).rows == ward.raw(bare)


@pytest.mark.parametrize("sql", ALLOWED)
def test_checking_twice_gives_the_same(sql: str) -> None:
    once = check(sql, CONTEXT)
    assert check(sql, CONTEXT) == once
    assert check(once.sql, CONTEXT).sql == once.sql


def test_checking_a_protected_statement_twice_gives_the_same() -> None:
    inner = "(SELECT DISTINCT region, ward FROM stays)"
    sql = f"SELECT region, count(*) AS n FROM {inner} s JOIN wards USING (ward) GROUP BY region"
    assert check(sql, CONTEXT) == check(sql, CONTEXT)


def test_open_tables_keep_the_spelling_of_their_outputs() -> None:
    ward = Ward()
    shown = table("wards", {"Ward": ("INTEGER", Role.PUBLIC), "TITLE": ("VARCHAR", Role.PUBLIC)})
    for sql, names in (
        ("SELECT * FROM wards", ["Ward", "TITLE"]),
        ('SELECT title AS "MyTitle", WARD FROM wards', ["MyTitle", "WARD"]),
    ):
        cursor = ward.database.execute(check(sql, with_table(shown)).sql)
        assert [column[0] for column in cursor.description or []] == names


def test_open_tables_of_form_aggregate_show_groups_only() -> None:
    closed = table("wards", {"ward": ("INTEGER", Role.PUBLIC), "beds": ("INTEGER", Role.PUBLIC)}, form=Form.AGGREGATE)
    context = with_table(closed)
    assert refusal_of("SELECT ward, beds FROM wards", context).rule == "row-level-output"
    release = check("SELECT ward, sum(beds) AS b FROM wards GROUP BY ward", context)
    assert (release.form, release.protected) == (Form.AGGREGATE, False)
    for listing in ("list(beds)", "string_agg(ward, ',')", "array_agg(beds ORDER BY ward)"):
        assert refusal_of(f"SELECT ward, {listing} AS b FROM wards GROUP BY ward", context).rule == "rows-aggregate"


# The text that runs


def test_what_runs_is_rendered_anew_with_every_name_quoted() -> None:
    release = check("select /* x */ REGION, count ( * ) n -- y\nfrom Stays group by region", CONTEXT)
    assert "/*" not in release.sql
    assert "--" not in release.sql
    assert '"Stays" AS "stays"' in release.sql
    assert '"stays"."region"' in release.sql


@pytest.mark.parametrize(
    "text",
    ["it's", "a''b", "\\", "\\'", "'; DROP TABLE stays; --", "/* x", "-- x", "é'\u2019\u00a0", "$$", "%s {x}", "\n"],
)
def test_a_literal_stays_a_literal(text: str) -> None:
    ward = Ward()
    quoted = text.replace("'", "''")
    release = check(f"SELECT '{quoted}' AS x, count(*) AS n FROM wards WHERE title <> '{quoted}'", CONTEXT)
    assert ward.run(release).rows == [(text, 0)]


@pytest.mark.parametrize("name", ['a"b', "x; DROP", "SELECT", "border_persons", "Ünïcode", "a.b", "'", "--", "/*"])
def test_a_name_stays_a_name(name: str) -> None:
    ward = Ward()
    ward.stays(range(12))
    quoted = name.replace('"', '""')
    release = check(f'SELECT region AS "{quoted}", count(*) AS n FROM stays AS "{quoted}" GROUP BY region', CONTEXT)
    assert ward.run(release).rows == [("Nord", 12)]


def test_names_are_resolved_as_they_were_analysed() -> None:
    """A table expression that is named like a table, aliases used again, columns named like aliases."""
    ward = Ward()
    ward.stays(range(12))
    ward.put("persons", [(f"p{n}", "f", 1950) for n in range(12)])
    ward.put("wards", [(1, "one", 10)])
    for sql, rows in (
        ("WITH s AS (SELECT region AS s FROM stays) SELECT s.s, count(*) AS n FROM s GROUP BY s.s", [("Nord", 12)]),
        (
            "SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM persons s WHERE s.pid = s.pid)",
            None,
        ),
        (
            "WITH wards AS (SELECT region AS title FROM stays) SELECT w.title, count(*) AS n FROM wards w GROUP BY 1",
            [("Nord", 12)],
        ),
        (
            "WITH c AS (SELECT 1 AS x), d AS (WITH c AS (SELECT region FROM stays) SELECT * FROM c) "
            "SELECT d.region, count(*) AS n FROM d, c GROUP BY d.region",
            [("Nord", 12)],
        ),
        (
            "SELECT region, count(*) AS n FROM (SELECT region, ward AS region FROM stays) GROUP BY region",
            [("Nord", 12)],
        ),
    ):
        if rows is None:
            assert refusal_of(sql).rule == "subquery-across-persons"
        else:
            assert ward.answer(sql).rows == rows


def test_an_input_may_not_have_the_name_of_a_table() -> None:
    context = BorderContext("ward", CONTEXT.tables, {"stays": (Column("x", "INTEGER"),)}, CONTEXT.permit)
    assert refusal_of("SELECT x FROM stays", context).rule == "input-name"


def test_a_column_of_an_input_named_like_an_alias_does_not_capture_it() -> None:
    """``s.pid`` would be the field of a struct s, if the inner table had one: the alias is renamed."""
    context = BorderContext("ward", CONTEXT.tables, {"fake": (Column("s", "STRUCT(pid VARCHAR)"),)}, CONTEXT.permit)
    sql = "SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM persons p, fake f WHERE p.pid = s.pid)"
    assert '"s"."pid"' not in check(sql, context).sql
    ward = Ward()
    ward.stays(range(12))
    ward.put("persons", [("p1", "f", 1950)])
    ward.database.execute("CREATE TABLE fake AS SELECT {'pid': 'p1'} AS s")
    assert ward.answer(sql, context).rows == []


# Sizes


@pytest.mark.parametrize("size", [10, 60, 1_000, 60_000])
@pytest.mark.parametrize(
    "shape",
    [
        lambda n: "SELECT " + "(" * n + "1" + ")" * n,
        lambda n: "SELECT " + "NOT " * n + "true",
        lambda n: "SELECT " + "- " * n + "1",
        lambda n: "SELECT " + "1 + " * n + "1",
        lambda n: "SELECT 1 WHERE " + "1 = 1 AND " * n + "1 = 1",
        lambda n: "SELECT * FROM " + "(SELECT * FROM " * n + "wards" + ")" * n,
        lambda n: "SELECT " + "CASE WHEN true THEN " * n + "1" + " END" * n,
        lambda n: "SELECT " + "abs(" * n + "1" + ")" * n,
        lambda n: "SELECT " + "[" * n + "1" + "]" * n,
        lambda n: "SELECT 1 FROM wards" + " JOIN wards USING (ward)" * n,
        lambda n: "SELECT a" + "[1]" * n,
        lambda n: "SELECT 1" + "::INTEGER" * n,
        lambda n: "SELECT CAST(a AS " + "STRUCT(a " * n + "INT" + ")" * n + ")",
        lambda n: "FROM " * n + "wards",
        lambda n: "SELECT " + "EXISTS (SELECT " * n + "1" + ")" * n,
        lambda n: " UNION ALL ".join(["SELECT 1"] * n),
        lambda n: "WITH a AS (" * n + "SELECT 1" + ") SELECT 1" * n,
        lambda n: ";" * n,
        lambda n: "/*" * n,
        lambda n: "SELECT " + "a." * n + "b",
        lambda n: "SELECT a " + "BETWEEN a AND a " * n,
        lambda n: "SELECT '" + "x" * n * 20 + "'",
    ],
)
def test_large_and_deep_statements_end_in_an_answer_or_a_refusal(shape: object, size: int) -> None:
    sql = shape(size)  # type: ignore[operator]
    with contextlib.suppress(errors.ProgrammingError):  # the code of every SQL_ error; nothing else may be raised
        check(sql, CONTEXT)


@pytest.mark.parametrize(
    "condition",
    [
        " OR ".join(f"t.a = {i}" for i in range(4_000)),
        "CASE " + " ".join(f"WHEN t.a = {i} THEN true" for i in range(4_000)) + " END",
        " + ".join(f"nullif(t.a, {i})" for i in range(4_000)) + " > 0",
    ],
    ids=["connectives", "branches", "calls"],
)
def test_what_would_keep_the_check_busy_is_refused_before_it_is_parsed(condition: str) -> None:
    assert refusal_of(f"SELECT count(*) AS n FROM t WHERE {condition}").rule == "too-large"


def test_a_long_list_of_values_is_no_large_statement() -> None:
    codes = ", ".join(f"'X{number}'" for number in range(8_000))
    ward = Ward()
    ward.stays(range(12), "X7")
    assert ward.answer(f"SELECT count(*) AS n FROM stays WHERE region IN ({codes})").rows == [(12,)]


def test_broken_text_is_only_ever_refused() -> None:
    source = random.Random(5)
    seeds = [
        *ALLOWED,
        "SELECT region, count(*) AS n FROM stays s WHERE s.pid IN (SELECT pid FROM persons) GROUP BY region",
    ]
    letters = "()[]{},.;'\"-+*/<>=:|&^%$#@!?~ \n\t\\aé\u202e\U0001f600\u0130"
    for _ in range(1_500):
        text = source.choice(seeds)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(text) + 1)
            cut = source.choice((0, 0, 1, 3))
            text = text[:at] + source.choice(letters) * source.randint(0, 2) + text[at + cut :]
        with contextlib.suppress(errors.ProgrammingError, errors.NotAllowedError):
            check(text, CONTEXT)


@pytest.mark.parametrize("frame", ["UNBOUNDED PRECEDING", "BETWEEN 2 PRECEDING AND 1 FOLLOWING"])
def test_the_frame_of_a_window_over_one_person_is_part_of_the_language(frame: str) -> None:
    window = f"PARTITION BY pid ORDER BY entered ROWS {frame}"
    assert check(f"SELECT sum(c) AS s FROM (SELECT pid, sum(cost) OVER ({window}) AS c FROM stays)", CONTEXT).protected


def test_the_check_reads_nothing_but_its_arguments() -> None:
    folder = Path(check.__code__.co_filename).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for module in ("duckdb\n", "grpc", "os\n", "time\n", "random\n", "socket", "pathlib"):
        assert f"import {module}" not in text
    assert WARDS.policy.protected is False


def test_the_documentation_lists_every_rule_and_every_function() -> None:
    text = (Path(__file__).parents[2] / "docs" / "border-check.md").read_text(encoding="utf-8")
    rules, _, names = text.partition("### Functions")
    for rule in all_rules():
        assert f"| `{rule.name}` | {rule.code.name} | {rule.text.replace('{name}', '…')} |" in rules
    listed = set(re.findall(r"`([a-z_0-9]+)`", names))
    assert functions.SCALAR | functions.WINDOW | functions.TABLE | set(aggregates.REGISTRY) <= listed
