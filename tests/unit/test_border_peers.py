"""What leaves for another node: rows or keys of open tables, and of protected ones persons under pseudonyms."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import sqlglot
from border_ward import (
    CONTEXT,
    EVERYTHING,
    PEER,
    STAYS,
    WARDS,
    Ward,
    obliged,
    permit,
    pseudonym,
    refusal_of,
    table,
    towards,
    with_received,
)

from archipel.border import check
from archipel.linkage import PADS_TABLE, project_domain
from archipel.schema import Column, Form, Role, TablePolicy

ALL = towards(EVERYTHING)
KEYS = towards({"stays": Form.KEYS, "persons": Form.KEYS, "wards": Form.ROWS})
OPEN = towards({"wards": Form.ROWS}, given=permit())


# Open tables


def test_an_open_table_goes_where_its_holder_lets_rows_go() -> None:
    ward = Ward()
    ward.put("wards", [(1, "one", 10), (2, "two", 20)])
    release = check("SELECT ward, beds + 1 AS more FROM wards WHERE beds > 5", OPEN)
    assert ward.run(release).rows == [(1, 11), (2, 21)]
    assert (release.form, release.protected, release.pseudonymised) == (Form.ROWS, False, False)
    assert release.withheld_column is release.persons_column is None
    assert PADS_TABLE not in release.sql


def test_what_an_open_table_obliges_to_is_what_its_holder_lets_go_further() -> None:
    obliges = check('SELECT ward AS "W", title FROM wards', OPEN).obliges
    assert obliges is not None
    assert [column.name for column in obliges.columns] == ["W", "title"]
    assert obliges.person_column is None
    assert obliges.policy == TablePolicy(
        protected=False, coordinator_form=Form.ROWS, min_persons=0, peer_forms=((PEER, Form.ROWS),)
    )


def test_several_open_tables_oblige_to_what_all_their_holders_allow() -> None:
    one = replace(
        WARDS,
        policy=replace(
            WARDS.policy, coordinator_form=Form.AGGREGATE, peer_forms=(("*", Form.ROWS), ("chu", Form.KEYS))
        ),
    )
    two = table("shops", {"ward": ("INTEGER", Role.PUBLIC)})
    two = replace(two, policy=replace(two.policy, peer_forms=((PEER, Form.ROWS), ("chu", Form.ROWS), ("*", Form.KEYS))))
    here = replace(ALL, tables={"wards": one, "shops": two}, permit=permit(grants={"wards": ("*",), "shops": ("*",)}))
    release = check("SELECT w.title FROM wards w JOIN shops s ON s.ward = w.ward", here)
    assert release.obliges is not None
    policy = release.obliges.policy
    assert policy.coordinator_form is Form.AGGREGATE
    assert {node: policy.form_to(node) for node in (PEER, "chu", "chr")} == {
        PEER: Form.ROWS,
        "chu": Form.KEYS,
        "chr": Form.KEYS,
    }


def test_what_the_coordinator_may_not_have_can_go_to_a_node_and_stays_there() -> None:
    closed = replace(WARDS, policy=replace(WARDS.policy, coordinator_form=Form.NONE, peer_forms=((PEER, Form.ROWS),)))
    here = replace(OPEN, tables={"wards": closed})
    release = check("SELECT title FROM wards", here)
    assert release.obliges is not None
    assert release.obliges.policy.coordinator_form is Form.NONE
    there = with_received(replace(release.obliges, name="x9"))
    assert refusal_of("SELECT title FROM x9", there).rule == "form-none"


def test_constants_and_inputs_go_to_any_node() -> None:
    for sql in ("SELECT 1 AS one", "SELECT k, v FROM codes"):
        release = check(sql, replace(CONTEXT, destination=PEER))
        assert release.obliges is not None
        assert release.obliges.policy.form_to("anybody") is Form.ROWS


def test_every_node_is_named_by_a_star_of_an_open_table_only() -> None:
    starred = {
        name: replace(t, policy=replace(t.policy, peer_forms=(("*", Form.ROWS),))) for name, t in CONTEXT.tables.items()
    }
    here = replace(ALL, tables=starred)
    assert check("SELECT title FROM wards", here).form is Form.ROWS
    assert refusal_of("SELECT pid FROM stays", here).rule == "peer-not-allowed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT ward FROM wards",
        "SELECT DISTINCT ward, title FROM wards WHERE beds > 3",
        "SELECT DISTINCT ward, ward % 7 AS part FROM wards",
        "SELECT ward AS w FROM wards GROUP BY ward",
        "SELECT ward, title FROM wards GROUP BY title, ward",
        "SELECT ward FROM wards GROUP BY ward HAVING count(*) > 1",
        "SELECT DISTINCT w.ward FROM wards w JOIN codes c ON c.v = w.ward",
    ],
)
def test_distinct_values_of_plain_columns_are_keys(sql: str) -> None:
    assert check(sql, towards({"wards": Form.KEYS})).form is Form.KEYS


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ward FROM wards",
        "SELECT DISTINCT ward + 1 AS w FROM wards",
        "SELECT DISTINCT ward, beds + 1 AS w FROM wards",
        "SELECT ward, count(*) AS n FROM wards GROUP BY ward",
        "SELECT DISTINCT count(*) AS n FROM wards",
        "SELECT count(*) AS n FROM wards",
        "SELECT ward FROM wards GROUP BY ward, title",
        "SELECT ward FROM wards GROUP BY ROLLUP (ward)",
        "SELECT ward FROM wards GROUP BY ALL",
        "SELECT DISTINCT ON (ward) ward, title FROM wards",
        "SELECT DISTINCT ward, row_number() OVER (ORDER BY ward) AS n FROM wards",
        "SELECT DISTINCT ward, (SELECT max(beds) FROM wards) AS n FROM wards",
        "SELECT ward FROM wards UNION SELECT beds FROM wards",
        "SELECT ward FROM wards GROUP BY ward ORDER BY count(*)",
    ],
)
def test_anything_else_is_more_than_keys(sql: str) -> None:
    problem = refusal_of(sql, towards({"wards": Form.KEYS}))
    assert (problem.rule, problem.code) == ("peer-keys-only", "POLICY_REFUSED")
    assert "SELECT DISTINCT" in problem.hint


def test_two_outputs_of_one_name_cannot_be_told_apart_by_the_receiver() -> None:
    for sql in ("SELECT ward AS x, title AS X FROM wards", "SELECT pid, cost AS x, days AS x FROM stays"):
        assert refusal_of(sql, ALL).rule == "construct"


# Protected tables: who may have them


@pytest.mark.parametrize("name", ["stays", "persons", "staff"])
def test_nothing_goes_to_a_node_that_policy_does_not_name(name: str) -> None:
    person = "badge" if name == "staff" else "pid"
    for here in (
        replace(CONTEXT, destination=PEER, permit=permit(linked=True)),
        replace(ALL, destination="chu"),
        replace(ALL, destination=ALL.node),
        replace(ALL, destination=PEER.upper()),
    ):
        problem = refusal_of(f"SELECT DISTINCT {person} FROM {name}", here)
        assert (problem.rule, problem.code) == ("peer-not-allowed", "POLICY_REFUSED")
        assert "peers" in problem.hint


@pytest.mark.parametrize("form", [Form.NONE, Form.AGGREGATE, Form.SKETCH])
def test_a_lesser_form_than_keys_lets_nothing_go_to_a_node(form: Form) -> None:
    for sql in ("SELECT DISTINCT pid FROM stays", "SELECT region, count(*) AS n FROM stays GROUP BY region"):
        assert refusal_of(sql, towards({"stays": form})).rule == "peer-not-allowed"


def test_persons_go_to_a_node_only_under_a_permit_for_linkage() -> None:
    for sql in ("SELECT DISTINCT pid FROM stays", "SELECT pid, cost FROM stays"):
        problem = refusal_of(sql, replace(ALL, permit=permit()))
        assert (problem.rule, problem.code) == ("linkage-not-in-permit", "PERMIT_SCOPE")
        assert "linkage" in problem.hint


def test_every_table_of_the_statement_must_be_allowed_to_go() -> None:
    sql = "SELECT s.pid, w.title FROM stays s JOIN wards w ON w.ward = s.ward"
    assert refusal_of(sql, towards({"stays": Form.ROWS})).rule == "peer-not-allowed"
    assert refusal_of(sql, towards({"wards": Form.ROWS})).rule == "peer-not-allowed"
    assert refusal_of(sql, towards({"wards": Form.KEYS, "stays": Form.ROWS})).rule == "peer-keys-only"
    assert check(sql, towards({"wards": Form.ROWS, "stays": Form.ROWS})).form is Form.ROWS


def test_permit_and_hidden_columns_bind_towards_nodes_too() -> None:
    few = permit(grants={"stays": ("pid", "cost")}, linked=True)
    assert refusal_of("SELECT pid, days FROM stays", replace(ALL, permit=few)).rule == "permit-column"
    assert refusal_of("SELECT pid FROM persons", replace(ALL, permit=few)).rule == "permit-table"
    for sql in ("SELECT pid, note FROM stays", "SELECT pid FROM stays WHERE note = 'n'"):
        assert refusal_of(sql, ALL).rule == "hidden-column"


# Protected tables: what they may have


def test_persons_leave_as_the_hmac_of_their_text() -> None:
    ward = Ward()
    ward.stays(range(5))
    ward.stays([None], cost=3.0)
    release = check("SELECT s.pid, s.cost FROM stays AS s", ALL)
    expected = {(pseudonym(f"p{number}"), 10.0) for number in range(5)} | {(None, 3.0)}
    assert set(ward.run(release).rows) == expected
    assert (release.protected, release.pseudonymised, release.form) == (True, True, Form.ROWS)
    assert release.withheld_column is release.persons_column is None
    assert release.tables == ("Stays",)
    assert release.columns == ("Stays.cost", "Stays.pid")


def test_a_number_leaves_as_the_hmac_of_its_text() -> None:
    ward = Ward()
    ward.put("staff", [(number, 1, 40) for number in (7, 12)])
    release = check("SELECT badge FROM staff", ALL)
    assert {row[0] for row in ward.run(release).rows} == {pseudonym(7), pseudonym(12)}


def test_rows_leave_in_the_order_of_their_pseudonyms_and_not_of_their_identifiers() -> None:
    ward = Ward()
    ward.stays(range(40))
    for sql in ("SELECT pid AS who, cost FROM stays", "SELECT DISTINCT pid AS who FROM stays"):
        rows = ward.database.execute(check(sql, ALL).sql).fetchall()
        persons = [row[0] for row in rows]
        assert persons == sorted(persons)
        assert set(persons) == {pseudonym(f"p{number}") for number in range(40)}


ROWS = [
    "SELECT pid, cost FROM stays",
    "SELECT cost, days, pid AS who FROM stays WHERE region = 'Nord' AND days > 2",
    "SELECT (pid) AS who, _node FROM stays",
    "SELECT s.pid, s.cost, p.sex FROM stays s JOIN persons p ON p.pid = s.pid",
    "SELECT pid, cost, sex FROM stays JOIN persons USING (pid)",
    "SELECT p.pid, s.cost FROM stays s, persons p WHERE p.pid = s.pid AND p.born > 1950",
    "SELECT s.pid, p.sex FROM stays s LEFT JOIN persons p ON p.pid = s.pid",
    "SELECT p.pid, s.cost FROM stays s RIGHT JOIN persons p ON p.pid = s.pid",
    "SELECT a.pid, b.cost FROM stays a JOIN stays b ON a.pid = b.pid",
    "SELECT pid, title FROM stays JOIN wards USING (ward)",
    "SELECT pid, v FROM stays JOIN codes ON k = region",
    "SELECT pid, count(*) AS n, sum(cost) AS c, max(days) AS d FROM stays GROUP BY pid",
    "SELECT pid, region, avg(cost) AS c FROM stays GROUP BY pid, region HAVING count(*) > 0",
    "SELECT pid, sum(cost) OVER (PARTITION BY pid ORDER BY entered) AS c FROM stays",
    "SELECT pid, cost FROM stays QUALIFY row_number() OVER (PARTITION BY pid ORDER BY cost) = 1",
    "SELECT pid, cost FROM stays s WHERE EXISTS (SELECT 1 FROM persons p WHERE p.pid = s.pid)",
    "SELECT pid, cost FROM stays WHERE pid IN (SELECT pid FROM persons WHERE sex = 'f')",
    "SELECT pid, cost FROM stays SEMI JOIN persons USING (pid)",
    "SELECT s.pid, (SELECT max(t.cost) FROM stays t WHERE t.pid = s.pid) AS c FROM stays s",
    "SELECT pid, c FROM (SELECT pid, sum(cost) AS c FROM stays GROUP BY pid)",
    "WITH c AS (SELECT pid, cost FROM stays WHERE days > 1) SELECT c.pid, c.cost FROM c",
    "SELECT pid, days FROM (SELECT pid, days FROM stays UNION ALL SELECT pid, born FROM persons)",
    "SELECT DISTINCT pid, region FROM stays",
    "SELECT DISTINCT ON (pid) pid, region FROM stays",
    "SELECT pid, region IN (SELECT k FROM codes) AS known FROM stays",
    "SELECT pid, pid IS NULL AS nobody FROM stays",
    "SELECT pid, days FROM stays WHERE days > (SELECT avg(beds) FROM wards)",
]


@pytest.mark.parametrize("sql", ROWS)
def test_rows_of_one_person_each_leave_as_they_are_with_pseudonyms_in_place_of_persons(sql: str) -> None:
    ward = Ward()
    ward.stays(range(9), days=4)
    ward.stays(range(3, 6), "Sud", cost=5.0)
    ward.put("persons", [(f"p{number}", "f" if number % 2 else "m", 1960) for number in range(2, 8)])
    ward.put("wards", [(1, "one", 3)])
    ward.put("codes", [("Nord", 3)])
    release = check(sql, ALL)
    assert release.obliges is not None
    person = [column.name for column in release.obliges.columns].index(release.obliges.person_column or "")
    rows = ward.database.execute(release.sql).fetchall()
    assert rows
    plain = [list(row) for row in ward.database.execute(sql).fetchall()]
    for row in plain:
        row[person] = pseudonym(str(row[person]))
    if "DISTINCT ON" in sql:
        assert {row[person] for row in rows} == {row[person] for row in plain}
        return
    assert sorted(map(str, map(list, rows))) == sorted(map(str, plain))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT pid FROM stays WHERE days > 3",
        "SELECT pid AS who FROM stays GROUP BY pid",
        "SELECT DISTINCT s.pid FROM stays s JOIN persons p ON s.pid = p.pid AND p.sex = 'f'",
        "SELECT DISTINCT pid FROM stays JOIN persons USING (pid)",
        "SELECT pid FROM stays GROUP BY pid HAVING count(*) > 1",
        "SELECT DISTINCT pid FROM (SELECT pid FROM stays UNION ALL SELECT pid FROM persons)",
    ],
)
def test_distinct_persons_alone_are_keys(sql: str) -> None:
    ward = Ward()
    ward.stays([1, 1, 2, 2, 3], days=5)
    ward.put("persons", [("p1", "f", 1950), ("p2", "f", 1950)])
    release = check(sql, KEYS)
    assert release.form is Form.KEYS
    plain = [(pseudonym(str(row[0])),) for row in ward.raw(sql)]
    assert sorted(ward.run(release).rows) == sorted(plain)
    assert release.obliges is not None
    assert len(release.obliges.columns) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pid FROM stays",
        "SELECT DISTINCT pid, region FROM stays",
        "SELECT DISTINCT pid, 1 AS one FROM stays",
        "SELECT pid, count(*) AS n FROM stays GROUP BY pid",
        "SELECT pid FROM stays GROUP BY pid, region",
        "SELECT DISTINCT ON (pid) pid FROM stays",
        "SELECT pid FROM stays SEMI JOIN persons USING (pid)",
    ],
)
def test_more_than_distinct_persons_is_more_than_keys(sql: str) -> None:
    assert check(sql, ALL).form is Form.ROWS
    assert refusal_of(sql, KEYS).rule == "peer-keys-only"


REFUSED = {
    "peer-rows-person": [
        "SELECT cost FROM stays",
        "SELECT 1 AS one FROM stays",
        "SELECT region, count(*) AS n FROM stays GROUP BY region",
        "SELECT count(*) AS n FROM stays",
        "SELECT count(DISTINCT pid) AS n FROM stays",
        "SELECT pid, pid AS again FROM stays",
        "SELECT s.pid, p.pid AS other FROM stays s JOIN persons p ON p.pid = s.pid",
        "SELECT s.pid, p.born FROM stays s, persons p",
        "SELECT s.pid, p.born FROM stays s JOIN persons p ON p.born = s.days",
        "SELECT s.pid, f.age FROM stays s JOIN staff f ON f.ward = s.ward",
        "SELECT p.pid, s.cost FROM stays s LEFT JOIN persons p ON p.pid = s.pid",
        "SELECT s.pid, p.sex FROM stays s FULL JOIN persons p ON p.pid = s.pid",
        "SELECT pid, sex FROM stays FULL JOIN persons USING (pid)",
        "SELECT s.pid, w.title FROM stays s RIGHT JOIN wards w ON w.ward = s.ward",
        "SELECT s.pid, r.n FROM stays s JOIN (SELECT region, count(*) AS n FROM stays GROUP BY region) r "
        "ON r.region = s.region",
        "SELECT s.pid, r.n FROM stays s, (SELECT count(*) AS n FROM stays) r",
        "SELECT w.ward FROM wards w, stays s",
        "SELECT ward FROM (SELECT ward FROM wards), (SELECT pid FROM stays)",
        "WITH c AS (SELECT pid FROM stays) SELECT ward FROM wards",
    ],
    "peer-clause": [
        "SELECT pid FROM stays ORDER BY pid",
        "SELECT pid FROM stays ORDER BY cost",
        "SELECT pid, cost FROM stays LIMIT 1",
        "SELECT pid, cost FROM stays LIMIT 5 OFFSET 3",
        "SELECT DISTINCT pid FROM stays ORDER BY 1",
    ],
    "limit-below-border": ["SELECT pid FROM (SELECT pid FROM stays LIMIT 3)"],
    "set-operation-output": [
        "SELECT pid FROM stays UNION ALL SELECT pid FROM persons",
        "SELECT pid FROM stays EXCEPT SELECT pid FROM persons",
    ],
    "window-across-persons": [
        "SELECT pid, max(cost) OVER (PARTITION BY region) AS c FROM stays",
        "SELECT pid, row_number() OVER (ORDER BY cost) AS n FROM stays",
        "SELECT pid, cost FROM stays QUALIFY rank() OVER (ORDER BY cost) = 1",
    ],
    "subquery-across-persons": [
        "SELECT s.pid, (SELECT count(*) FROM stays t WHERE t.region = s.region) AS n FROM stays s",
        "SELECT pid FROM stays WHERE cost > (SELECT avg(cost) FROM stays)",
    ],
    "person-expression": [
        "SELECT pid, hash(pid) AS h FROM stays",
        "SELECT md5(pid) AS pid FROM stays",
        "SELECT pid || '' AS pid FROM stays",
        "SELECT CAST(pid AS VARCHAR) AS pid FROM stays",
        "SELECT pid, sha256(pid) AS h FROM stays",
        "SELECT pid, length(pid) AS l FROM stays",
        "SELECT pid FROM stays WHERE pid > 'p1'",
        "SELECT pid, min(pid) OVER (PARTITION BY pid) AS m FROM stays",
        "SELECT pid, row_number() OVER (PARTITION BY pid ORDER BY pid) AS m FROM stays",
    ],
    "person-comparison": [
        "SELECT pid FROM stays WHERE pid = 'p1'",
        "SELECT pid FROM stays WHERE pid IN ('p1', 'p2')",
        "SELECT pid FROM stays JOIN codes ON k = pid",
        "SELECT pid FROM stays WHERE pid IN (SELECT k FROM codes)",
        "SELECT s.pid FROM stays s JOIN staff f ON f.badge = s.pid",
    ],
    "value-across-persons": [
        "SELECT max(cost) AS c FROM stays",
        "SELECT region, list(cost) AS c FROM stays GROUP BY 1",
    ],
    "unknown-table": [f'SELECT "inner" FROM {PADS_TABLE}', f'SELECT s.pid, "outer" FROM stays s, {PADS_TABLE}'],
}


@pytest.mark.parametrize(("rule", "sql"), [(rule, sql) for rule, statements in REFUSED.items() for sql in statements])
def test_no_other_shape_goes_to_a_node(rule: str, sql: str) -> None:
    problem = refusal_of(sql, ALL)
    assert problem.rule == rule
    assert refusal_of(sql, KEYS).rule in (rule, "peer-not-allowed", "peer-keys-only")


# What the receiver owes


def test_protected_rows_oblige_to_the_strictest_of_floor_policies_and_permit() -> None:
    sql = "SELECT s.pid, p.sex FROM stays s JOIN persons p ON p.pid = s.pid"
    for of_stays, of_permit in itertools.product((11, 25), (11, 30)):
        tables = dict(ALL.tables)
        tables["stays"] = replace(
            tables["stays"], policy=replace(tables["stays"].policy, min_persons=of_stays, tell_withheld_count=False)
        )
        here = replace(ALL, tables=tables, permit=permit(min_persons=of_permit, linked=True))
        release = check(sql, here)
        assert release.obliges is not None
        policy = release.obliges.policy
        assert release.min_persons == policy.min_persons == max(of_stays, of_permit)
        assert policy.tell_withheld_count is False
        assert policy.protected
        assert policy.coordinator_form is Form.AGGREGATE
        assert policy.peer_forms == ()


def test_the_person_stands_in_the_domain_of_the_project() -> None:
    obliges = check("SELECT cost, pid AS who FROM stays", ALL).obliges
    assert obliges is not None
    assert obliges.columns == (Column("cost", ""), Column("who", "BLOB"))
    assert (obliges.person_column, obliges.person_domain) == ("who", project_domain("patient", "permit-1"))
    again = check("SELECT pid FROM persons", ALL).obliges
    other = check("SELECT badge FROM staff", ALL).obliges
    assert again is not None
    assert other is not None
    assert again.person_domain == obliges.person_domain != other.person_domain


def test_a_table_without_a_domain_has_that_of_its_person_column() -> None:
    tables = {**ALL.tables, "stays": replace(ALL.tables["stays"], person_domain=None)}
    obliges = check("SELECT pid FROM stays", replace(ALL, tables=tables)).obliges
    assert obliges is not None
    assert obliges.person_domain == project_domain("pid", "permit-1")


def test_a_holder_that_lets_nothing_go_to_the_coordinator_says_so_to_the_receiver() -> None:
    release = check("SELECT pid, x FROM sealed", towards({"sealed": Form.ROWS}))
    assert release.obliges is not None
    assert release.obliges.policy.coordinator_form is Form.NONE
    open_and_closed = towards({**EVERYTHING})
    tables = dict(open_and_closed.tables)
    tables["wards"] = replace(tables["wards"], policy=replace(tables["wards"].policy, coordinator_form=Form.NONE))
    obliges = check("SELECT pid, beds FROM stays JOIN wards USING (ward)", replace(ALL, tables=tables)).obliges
    assert obliges is not None
    assert obliges.policy.coordinator_form is Form.NONE


def test_an_output_has_the_strictest_role_of_what_it_is_computed_from() -> None:
    sql = (
        "SELECT s.pid, s.region, s.ward, s.cost AS c, s.cost + s.days AS sum, s.days + s.ward AS soft, 1 AS one, "
        "CASE WHEN s.cost > 5 THEN 'dear' END AS band, w.title, m.top, m.n "
        "FROM stays s JOIN wards w ON w.ward = s.ward "
        "JOIN (SELECT pid, max(cost) AS top, count(*) AS n FROM stays GROUP BY pid) m ON m.pid = s.pid"
    )
    obliges = check(sql, ALL).obliges
    assert obliges is not None
    assert {name: role.value for name, role in obliges.policy.roles} == {
        "pid": "measure",
        "region": "group",
        "ward": "public",
        "c": "measure",
        "sum": "measure",
        "soft": "group",
        "one": "public",
        "band": "measure",
        "title": "public",
        "top": "measure",
        "n": "public",
    }


@pytest.mark.parametrize(
    "kind", ["DOUBLE", "FLOAT", "DATE", "TIMESTAMP", "BOOLEAN", "BLOB", "DECIMAL(9,2)", "VARCHAR[]"]
)
def test_only_texts_and_whole_numbers_have_pseudonyms(kind: str) -> None:
    columns = tuple(replace(c, type=kind) if c.name == "pid" else c for c in STAYS.columns)
    tables = {**ALL.tables, "stays": replace(ALL.tables["stays"], columns=columns)}
    problem = refusal_of("SELECT pid FROM stays", replace(ALL, tables=tables))
    assert (problem.rule, problem.code) == ("linkage-person-type", "POLICY_REFUSED")


@pytest.mark.parametrize("kind", ["VARCHAR", "TINYINT", "UBIGINT", "HUGEINT", "UINTEGER", "UUID", "DECIMAL(13,0)"])
def test_texts_and_whole_numbers_have_pseudonyms(kind: str) -> None:
    columns = tuple(replace(c, type=kind) if c.name == "pid" else c for c in STAYS.columns)
    tables = {**ALL.tables, "stays": replace(ALL.tables["stays"], columns=columns)}
    assert check("SELECT pid FROM stays", replace(ALL, tables=tables)).pseudonymised


# Keys stay keys


@pytest.mark.parametrize(
    "sql",
    [
        "WITH {pads} AS (SELECT ''::BLOB AS inner, ''::BLOB AS outer) SELECT pid FROM stays",
        "WITH stays2 AS (SELECT pid FROM stays), {pads} AS (SELECT ''::BLOB AS inner, ''::BLOB AS outer) "
        "SELECT stays2.pid FROM stays2 CROSS JOIN {pads}",
        "SELECT {pads}.pid FROM stays AS {pads}",
        "SELECT q.pid FROM (WITH {pads} AS (SELECT 1 AS inner, 2 AS outer) SELECT s.pid FROM stays s, {pads}) AS q",
    ],
)
def test_nobody_puts_keys_of_their_own_in_the_place_of_the_holders(sql: str) -> None:
    ward = Ward()
    ward.stays(range(3))
    release = check(sql.format(pads=PADS_TABLE), ALL)
    assert {row[0] for row in ward.run(release).rows} == {pseudonym(f"p{number}") for number in range(3)}


@pytest.mark.parametrize("place", ["inputs", "received", "tables"])
def test_no_table_has_the_name_of_the_keys_table(place: str) -> None:
    here = {
        "inputs": replace(ALL, inputs={PADS_TABLE: (Column("inner", "BLOB"),)}),
        "received": replace(ALL, received={PADS_TABLE: obliged(PADS_TABLE)}),
        "tables": replace(ALL, tables={**ALL.tables, PADS_TABLE: table(PADS_TABLE, {"x": ("INTEGER", Role.PUBLIC)})}),
    }[place]
    assert refusal_of("SELECT pid FROM stays", here).rule in ("input-name", "received-name")


def test_a_part_of_with_by_the_name_of_a_table_hides_no_person() -> None:
    ward = Ward()
    ward.stays(range(3))
    sql = "WITH Stays AS (SELECT pid FROM stays) SELECT s.pid FROM stays s"
    assert {row[0] for row in ward.run(check(sql, ALL)).rows} == {pseudonym(f"p{number}") for number in range(3)}


def test_a_statement_for_the_coordinator_is_as_before() -> None:
    release = check("SELECT region, count(*) AS n FROM stays GROUP BY region", replace(ALL, destination="@coordinator"))
    assert (release.obliges, release.pseudonymised) == (None, False)
    assert PADS_TABLE not in release.sql


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT DISTINCT pid, region FROM stays", 34),
        ("SELECT pid FROM stays", 17),
        ("SELECT DISTINCT pid FROM sealed", 26),
        ("SELECT cost FROM stays", 8),
    ],
)
def test_a_refusal_points_to_its_place_in_a_researcher_s_own_sql(sql: str, column: int) -> None:
    position = refusal_of(sqlglot.parse_one(sql, read="duckdb"), KEYS).info.position
    assert position is not None
    assert (position.line, position.column) == (1, column)
