"""Statements over what came from other nodes: joined under pseudonyms, counted like one's own, and never sent on."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from border_ward import (
    CONTEXT,
    EVERYTHING,
    PEER,
    STAYS,
    Ward,
    obliged,
    permit,
    refusal_of,
    table,
    towards,
    with_received,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_border_properties import AGGREGATES, CONDITIONS, GROUPINGS, KEYS, Rows, expected, filled

from archipel.border import BorderContext, check
from archipel.linkage import PADS_TABLE, project_domain
from archipel.schema import Column, Form, Role, Table

HERE = with_received(obliged())
JOIN = "SELECT x.drug, count(*) AS n, sum(s.cost) AS c FROM x1 x JOIN stays s ON s.pid = x.p GROUP BY x.drug"


def ward_with(persons: int, received: int) -> Ward:
    """Return a ward with stays of ``persons``, and prescriptions of ``received`` persons from another node."""
    ward = Ward()
    ward.stays(range(persons))
    ward.receive([(f"p{number}", "aspirin", 2) for number in range(received)])
    return ward


# Joins under pseudonyms


def test_one_s_own_table_is_joined_with_a_received_one_under_pseudonyms() -> None:
    ward = ward_with(20, 12)
    release = check(JOIN, HERE)
    answer = ward.run(release)
    assert answer.rows == [("aspirin", 12, 120.0)]
    assert answer.fewest == 12
    assert (release.pseudonymised, release.protected, release.obliges) == (True, True, None)
    assert release.tables == ("Stays",)
    assert release.columns == ("Stays.cost", "Stays.pid", "x1.drug", "x1.p")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) AS n FROM stays WHERE pid IN (SELECT p FROM x1)", [(12,)]),
        ("SELECT count(*) AS n FROM stays s WHERE EXISTS (SELECT 1 FROM x1 WHERE x1.p = s.pid)", [(12,)]),
        ("SELECT count(DISTINCT s.pid) AS n FROM stays s SEMI JOIN x1 ON x1.p = s.pid", [(12,)]),
        ("SELECT count(*) AS n FROM stays s ANTI JOIN x1 ON x1.p = s.pid", [(13,)]),
        ("SELECT count(*) AS n, count(dose) AS d FROM stays LEFT JOIN x1 ON p = pid", [(25, 12)]),
        ("SELECT count(*) AS n FROM (SELECT pid FROM stays INTERSECT SELECT p FROM x1)", [(12,)]),
        ("SELECT n, count(*) AS c FROM (SELECT pid, count(*) AS n FROM "
         "(SELECT pid FROM stays UNION ALL SELECT p FROM x1) GROUP BY pid) GROUP BY n", [(1, 13), (2, 12)]),
        ("WITH b AS (SELECT q.pid, q.cost, lag(q.cost) OVER (PARTITION BY q.pid ORDER BY q.cost) AS before FROM "
         "(SELECT pid, cost FROM stays UNION ALL SELECT p, dose FROM x1) AS q) "
         "SELECT sum(cost - before) AS grown FROM b WHERE before IS NOT NULL", [(96.0,)]),
        ("SELECT count(*) AS n FROM x1 a JOIN x1 b ON a.p = b.p", [(12,)]),
        ("SELECT drug, count(DISTINCT p) AS n, count(p) AS m FROM x1 GROUP BY drug", [("aspirin", 12, 12)]),
        ("SELECT w.title, count(*) AS n FROM x1 JOIN stays ON pid = p JOIN wards w USING (ward) GROUP BY 1",
         [("one", 12)]),
        ("SELECT count(*) AS n FROM x1 JOIN stays s ON s.pid = p JOIN persons q ON q.pid = p", []),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_the_same_person_works_across_nodes(sql: str, rows: list[tuple[object, ...]]) -> None:
    ward = ward_with(25, 12)
    ward.put("wards", [(1, "one", 10)])
    answer = ward.answer(sql, HERE)
    assert answer.rows == rows


def test_tables_of_two_nodes_join_with_each_other_and_with_one_s_own() -> None:
    ward = ward_with(20, 15)
    ward.receive([(f"p{number}", "statin", 1) for number in range(3, 30)], "x2")
    here = with_received(obliged(), obliged("x2"))
    sql = "SELECT count(*) AS n FROM x1 JOIN x2 ON x1.p = x2.p JOIN stays s ON s.pid = x2.p"
    assert ward.answer(sql, here).rows == [(12,)]
    release = check("SELECT count(*) AS n FROM x1 JOIN x2 ON x1.p = x2.p", here)
    assert ward.run(release).rows == [(12,)]
    assert not release.pseudonymised
    assert PADS_TABLE not in release.sql


def test_what_one_s_own_persons_are_is_read_raw_where_nothing_received_is_joined() -> None:
    release = check("SELECT count(*) AS n FROM stays JOIN persons USING (pid)", HERE)
    assert not release.pseudonymised
    assert PADS_TABLE not in release.sql


def test_persons_of_another_domain_stay_as_they_are() -> None:
    ward = ward_with(20, 20)
    ward.put("staff", [(number, 1, 40) for number in range(14)])
    joined = "stays s JOIN x1 ON x1.p = s.pid JOIN staff f USING (ward)"
    sql = f"SELECT count(DISTINCT f.badge) AS f, count(*) AS n FROM {joined}"
    assert ward.answer(sql, HERE).rows == [(14, 280)]
    assert refusal_of("SELECT count(*) AS n FROM staff JOIN x1 ON badge = p", HERE).rule == "person-comparison"
    other = with_received(obliged(domain="staff"))
    assert refusal_of("SELECT count(*) AS n FROM stays JOIN x1 ON pid = p", other).rule == "person-comparison"


# The threshold


@pytest.mark.parametrize("persons", [0, 1, 10])
def test_a_group_of_too_few_persons_of_both_nodes_is_withheld(persons: int) -> None:
    ward = ward_with(50, persons)
    answer = ward.answer(JOIN, HERE)
    assert answer.rows == []
    assert answer.withheld == (1 if persons else 0)


def test_the_sender_s_minimum_holds_for_what_is_computed_here() -> None:
    ward = ward_with(50, 19)
    for least in (11, 19, 20):
        here = with_received(obliged(min_persons=least))
        assert check(JOIN, here).min_persons == least
        assert bool(ward.answer(JOIN, here).rows) is (least < 20)


def test_the_largest_minimum_of_all_holds() -> None:
    tables = {**CONTEXT.tables, "stays": replace(STAYS, policy=replace(STAYS.policy, min_persons=15))}
    for received, of_permit, largest in ((11, 11, 15), (17, 11, 17), (17, 18, 18), (1, 11, 15)):
        here = replace(
            with_received(obliged(min_persons=received), given=permit(min_persons=of_permit, linked=True)),
            tables=tables,
        )
        assert check(JOIN, here).min_persons == largest
    lax = with_received(obliged(min_persons=1))
    assert check("SELECT count(*) AS n FROM x1", lax).min_persons == 11


def test_a_count_of_withheld_groups_is_told_where_every_holder_lets_it_be_told() -> None:
    for told in (True, False):
        policy = replace(obliged().policy, tell_withheld_count=told)
        assert check(JOIN, with_received(obliged(policy=policy))).tell_withheld_count is told


def test_received_rows_of_nobody_help_no_group() -> None:
    ward = Ward()
    ward.stays(range(30))
    ward.receive([(None, "aspirin", 1)] * 30 + [(f"p{n}", "aspirin", 1) for n in range(10)])
    assert ward.answer("SELECT drug, count(*) AS n FROM x1 GROUP BY drug", HERE).rows == []


def test_a_join_that_supplies_no_received_row_is_told_from_a_row_of_nobody() -> None:
    ward = Ward()
    ward.stays(range(20))
    ward.receive([("p90", "aspirin", 1)])
    sql = "SELECT s.region, count(*) AS n, count(x1.drug) AS d FROM stays s LEFT JOIN x1 ON x1.dose = s.days GROUP BY 1"
    assert ward.answer(sql, HERE).rows == [("Nord", 20, 0)]
    ward.database.execute("INSERT INTO x1 VALUES (NULL, 'statin', 3)")
    assert ward.answer(sql, HERE).rows == []


def test_a_column_that_pretends_to_be_the_check_s_own_changes_nothing() -> None:
    table_of = obliged()
    liar = replace(
        table_of,
        columns=(*table_of.columns, Column("border_present", "BOOLEAN"), Column("border_persons", "INTEGER")),
        policy=replace(
            table_of.policy,
            roles=(*table_of.policy.roles, ("border_present", Role.GROUP), ("border_persons", Role.GROUP)),
        ),
    )
    ward = Ward()
    ward.stays(range(20))
    ward.receive([("p1", "aspirin", 3)])
    ward.database.execute("ALTER TABLE x1 ADD COLUMN border_present BOOLEAN")
    ward.database.execute("ALTER TABLE x1 ADD COLUMN border_persons INTEGER DEFAULT 5000")
    sql = "SELECT s.region, count(*) AS n, sum(x1.dose) AS d FROM stays s LEFT JOIN x1 ON x1.p = s.pid GROUP BY 1"
    assert ward.answer(sql, with_received(liar)).rows == []


# Received open tables


def open_table(*, form: Form = Form.ROWS, peers: tuple[tuple[str, Form], ...] = ()) -> Table:
    """Return an open table that came from a node."""
    made = table("x2", {"ward": ("INTEGER", Role.PUBLIC), "chief": ("VARCHAR", Role.PUBLIC)}, form=form)
    return replace(made, policy=replace(made.policy, peer_forms=peers, roles=()))


def test_a_received_open_table_is_like_an_open_table_of_one_s_own() -> None:
    ward = Ward()
    ward.stays(range(12))
    ward.database.execute("CREATE TABLE x2 AS SELECT 1 AS ward, 'Ada' AS chief")
    here = with_received(open_table(), given=permit())
    release = check("SELECT ward, chief FROM x2", here)
    assert ward.run(release).rows == [(1, "Ada")]
    assert release.tables == ()
    sql = "SELECT chief, count(*) AS n FROM stays JOIN x2 USING (ward) GROUP BY chief"
    assert ward.answer(sql, here).rows == [("Ada", 12)]
    assert not check(sql, here).pseudonymised


def test_a_received_open_table_goes_where_its_sender_lets_it_go() -> None:
    aggregates = with_received(open_table(form=Form.AGGREGATE))
    assert refusal_of("SELECT ward FROM x2", aggregates).rule == "row-level-output"
    assert check("SELECT count(*) AS n FROM x2", aggregates).form is Form.AGGREGATE
    assert refusal_of("SELECT count(*) AS n FROM x2", with_received(open_table(form=Form.NONE))).rule == "form-none"
    onward = replace(with_received(open_table(peers=((PEER, Form.ROWS),))), destination=PEER)
    assert check("SELECT ward FROM x2", onward).form is Form.ROWS
    assert refusal_of("SELECT ward FROM x2", replace(onward, destination="chr")).rule == "peer-not-allowed"


# What is refused


REFUSED = {
    "SELECT p FROM x1": "person-output",
    "SELECT p, count(*) AS n FROM x1 GROUP BY p": "person-output",
    "SELECT * FROM x1": "person-output",
    "SELECT count(*) AS n FROM x1 GROUP BY p": "person-group-key",
    "SELECT count(*) AS n FROM x1 GROUP BY CUBE (p, drug)": "person-group-key",
    "SELECT drug FROM x1": "row-level-output",
    "SELECT drug, s.cost FROM x1 JOIN stays s ON s.pid = p": "row-level-output",
    "SELECT min(dose) AS m FROM x1": "value-aggregate",
    "SELECT min(p) AS m FROM x1": "value-aggregate",
    "SELECT list(drug) AS d FROM x1": "value-aggregate",
    "SELECT count(DISTINCT hash(p)) AS n FROM x1": "person-expression",
    "SELECT hex(p) AS h, count(*) AS n FROM x1 GROUP BY 1": "person-expression",
    "SELECT count(*) AS n FROM x1 WHERE p > 'a'::BLOB": "person-expression",
    "SELECT count(*) FILTER (WHERE left(hex(p), 1) = 'A') AS n FROM x1": "person-expression",
    "SELECT count(*) AS n FROM x1 WHERE p = unhex('00')": "person-comparison",
    "SELECT count(*) AS n FROM x1 WHERE p IN (unhex('00'), unhex('01'))": "person-comparison",
    "SELECT count(*) AS n FROM x1 JOIN codes ON k = p": "person-comparison",
    "SELECT count(*) AS n FROM x1 WHERE drug IN (SELECT p FROM x1)": "person-comparison",
    "SELECT dose, count(*) AS n FROM x1 GROUP BY dose": "measure-group-key",
    "SELECT dose // 2, count(*) FROM x1 GROUP BY 1": "measure-group-key",
    "SELECT drug, count(*) AS n FROM x1 GROUP BY drug HAVING count(*) > 3": "clause-over-groups",
    "SELECT sum(m) AS s FROM (SELECT max(dose) OVER () AS m FROM x1)": "window-across-persons",
    "SELECT count(*) AS n FROM (SELECT * FROM x1 LIMIT 1)": "limit-below-border",
    "SELECT count(*) AS n FROM stays WHERE days IN (SELECT dose FROM x1)": "subquery-across-persons",
    "SELECT count(*) AS n FROM x1 WHERE dose > (SELECT sum(days) FROM stays)": "subquery-across-persons",
    "SELECT count(*) AS n FROM x1 WHERE x1._node = 'ward'": "unknown-column",
    "SELECT count(note) AS n FROM x1": "unknown-column",
    f'SELECT count("{PADS_TABLE}"."inner") AS n FROM x1 JOIN stays ON pid = p': "unknown-column",
    f'SELECT count(*) AS n FROM x1, "{PADS_TABLE}"': "unknown-table",
}


@pytest.mark.parametrize(("sql", "rule"), REFUSED.items())
def test_a_received_table_is_guarded_like_one_s_own(sql: str, rule: str) -> None:
    assert refusal_of(sql, HERE).rule == rule


def test_a_hidden_column_of_a_received_table_cannot_be_named() -> None:
    table_of = obliged()
    for roles in ((), (("p", Role.MEASURE), ("dose", Role.HIDDEN), ("drug", Role.GROUP))):
        here = with_received(replace(table_of, policy=replace(table_of.policy, roles=roles)))
        assert refusal_of("SELECT sum(dose) AS d FROM x1", here).rule == "hidden-column"
        assert refusal_of("SELECT count(*) AS n FROM x1 WHERE dose > 1", here).rule == "hidden-column"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT p FROM x1",
        "SELECT p, drug FROM x1",
        "SELECT s.pid FROM stays s SEMI JOIN x1 ON x1.p = s.pid",
        "SELECT count(*) AS n FROM x1",
    ],
)
def test_what_came_from_one_node_does_not_go_on_to_another(sql: str) -> None:
    generous = replace(obliged(), policy=replace(obliged().policy, peer_forms=((PEER, Form.ROWS), ("*", Form.ROWS))))
    here = replace(towards(EVERYTHING), received={"x1": generous})
    problem = refusal_of(sql, here)
    assert (problem.rule, problem.code) == ("received-onward", "BORDER_REFUSED")
    assert "Aggregate" in problem.hint


def test_persons_are_not_joined_across_nodes_without_a_permit_for_linkage() -> None:
    for sql in (JOIN, "SELECT drug, count(*) AS n FROM x1 GROUP BY drug"):
        assert refusal_of(sql, with_received(obliged(), given=permit())).rule == "linkage-not-in-permit"


def test_a_sender_that_lets_nothing_go_to_the_coordinator_is_obeyed() -> None:
    closed = obliged(policy=replace(obliged().policy, coordinator_form=Form.NONE))
    assert refusal_of(JOIN, with_received(closed)).rule == "form-none"


@pytest.mark.parametrize(
    "changed",
    [
        {"person_domain": "patient"},
        {"person_domain": None},
        {"person_domain": project_domain("patient", "permit-2")},
        {"person_domain": project_domain("patient", "permit-1").upper()},
        {"columns": (Column("p", "VARCHAR"), Column("drug", "VARCHAR"), Column("dose", "INTEGER"))},
        {"columns": (Column("p", "BLOB[]"), Column("drug", "VARCHAR"), Column("dose", "INTEGER"))},
    ],
)
def test_persons_that_are_no_pseudonyms_of_this_project_are_not_taken(changed: dict[str, object]) -> None:
    problem = refusal_of("SELECT count(*) AS n FROM x1", with_received(replace(obliged(), **changed)))  # type: ignore[arg-type]
    assert problem.rule == "received-not-linked"


def test_a_received_protected_table_names_its_person_column() -> None:
    for person in (None, "nobody"):
        here = with_received(replace(obliged(), person_column=person))
        assert refusal_of("SELECT count(*) AS n FROM x1", here).rule == "no-person-column"


@pytest.mark.parametrize("name", ["stays", "wards", "codes", PADS_TABLE])
def test_a_received_table_takes_no_other_table_s_name(name: str) -> None:
    for sql in (f"SELECT count(*) AS n FROM {name}", "SELECT count(*) AS n FROM persons"):
        problem = refusal_of(sql, with_received(obliged(name)))
        assert (problem.rule, problem.code) == ("received-name", "BAD_REQUEST")


def test_the_permit_does_not_name_exchanges_but_binds_one_s_own_columns() -> None:
    given = permit(grants={"stays": ("pid", "cost")}, linked=True)
    assert check(JOIN, with_received(obliged(), given=given)).pseudonymised
    sql = "SELECT count(*) AS n FROM stays JOIN x1 ON p = pid WHERE days > 1"
    assert refusal_of(sql, with_received(obliged(), given=given)).rule == "permit-column"
    sql = "SELECT count(*) AS n FROM persons JOIN x1 ON p = pid"
    assert refusal_of(sql, with_received(obliged(), given=given)).rule == "permit-table"


def test_one_s_own_persons_need_a_pseudonym_to_be_joined() -> None:
    columns = tuple(replace(c, type="DOUBLE") if c.name == "pid" else c for c in STAYS.columns)
    here = replace(HERE, tables={**CONTEXT.tables, "stays": replace(STAYS, columns=columns)})
    assert refusal_of(JOIN, here).rule == "linkage-person-type"
    assert check("SELECT count(*) AS n FROM stays", here).min_persons == 11


def test_what_a_release_obliges_to_is_what_a_receiver_can_compute_with() -> None:
    sender = replace(towards(EVERYTHING), node="chu", destination=PEER)
    release = check("SELECT pid AS p, region AS drug, sum(days) AS dose FROM stays GROUP BY pid, region", sender)
    assert release.obliges is not None
    ward = Ward()
    ward.stays(range(15))
    rows = ward.database.execute(release.sql).fetchall()
    ward.database.execute("CREATE TABLE x1 (p BLOB, drug VARCHAR, dose HUGEINT)")
    ward.database.executemany("INSERT INTO x1 VALUES (?, ?, ?)", rows)
    here: BorderContext = with_received(replace(release.obliges, name="x1"))
    assert ward.answer("SELECT drug, sum(dose) AS d FROM x1 JOIN stays ON pid = p GROUP BY 1", here).rows == [
        ("Nord", 45)
    ]
    # `days` is a group column of its holder, so its sum may be grouped by here, too; a cost may not.
    assert ward.answer("SELECT dose, count(*) AS n FROM x1 GROUP BY 1", here).rows == [(3, 15)]
    release = check("SELECT pid AS p, region AS drug, sum(cost) AS dose FROM stays GROUP BY pid, region", sender)
    assert release.obliges is not None
    costly = with_received(replace(release.obliges, name="x1"))
    assert refusal_of("SELECT dose, count(*) AS n FROM x1 GROUP BY 1", costly).rule == "measure-group-key"


# Exactly the groups with enough persons


SENT = "SELECT pid, drug AS region, 1 AS ward, dose AS days, 2.5 AS cost FROM sent"
RECEIVED = "SELECT p AS pid, drug AS region, 1 AS ward, dose AS days, 2.5 AS cost FROM x1"
OWN = "SELECT pid, region, ward, days, cost FROM stays"
PRESENT = (("x.pid", "x._node IS NOT NULL"),)
BY_PERSON = "SELECT pid, region, min(ward) AS ward, max(days) AS days, sum(cost) AS cost FROM ({}) GROUP BY pid, region"
WINDOW = (
    "SELECT q.*, sum(cost) OVER (PARTITION BY pid) AS x FROM ({}) AS q QUALIFY max(days) OVER (PARTITION BY pid) > 2"
)
SOURCES = (
    Rows("stays AS s JOIN x1 x ON x.p = s.pid", "stays AS s JOIN sent x ON x.pid = s.pid", ("s.pid",)),
    Rows(
        "(SELECT s.* FROM x1 x, stays s WHERE x.p = s.pid) AS s",
        "(SELECT s.* FROM sent x, stays s WHERE x.pid = s.pid) AS s",
        ("s.pid",),
    ),
    Rows(f"({RECEIVED}) AS s", f"({SENT}) AS s", ("s.pid",)),
    Rows(
        "stays AS s LEFT JOIN x1 x ON x.p = s.pid",
        "stays AS s LEFT JOIN sent x ON x.pid = s.pid",
        ("s.pid",),
        PRESENT,
    ),
    Rows(
        "x1 x RIGHT JOIN stays AS s ON x.dose = s.days",
        "sent x RIGHT JOIN stays AS s ON x.dose = s.days",
        ("s.pid",),
        PRESENT,
    ),
    Rows("stays AS s JOIN x1 x ON x.dose = s.days", "stays AS s JOIN sent x ON x.dose = s.days", ("s.pid", "x.pid")),
    Rows(
        "stays AS s SEMI JOIN x1 x ON x.p = s.pid",
        "(SELECT * FROM stays WHERE pid IN (SELECT pid FROM sent)) AS s",
        ("s.pid",),
    ),
    Rows(
        "(SELECT * FROM stays s WHERE EXISTS (SELECT 1 FROM x1 x WHERE x.p = s.pid AND x.dose > 2)) AS s",
        "(SELECT * FROM stays WHERE pid IN (SELECT pid FROM sent WHERE dose > 2)) AS s",
        ("s.pid",),
    ),
    Rows(f"({OWN} UNION ALL {RECEIVED}) AS s", f"({OWN} UNION ALL {SENT}) AS s", ("s.pid",)),
    Rows(
        f"({BY_PERSON.format(f'{OWN} UNION ALL {RECEIVED}')}) AS s",
        f"({BY_PERSON.format(f'{OWN} UNION ALL {SENT}')}) AS s",
        ("s.pid",),
    ),
    Rows(
        f"({WINDOW.format(f'{OWN} UNION ALL {RECEIVED}')}) AS s",
        f"({WINDOW.format(f'{OWN} UNION ALL {SENT}')}) AS s",
        ("s.pid",),
    ),
)


def both(seed: int, persons: int) -> Ward:
    """Return a ward with random rows, with what another node sent as ``x1``, and the same raw as ``sent``."""
    source = random.Random(seed + 1)
    ward = filled(seed, persons)
    rows = [
        (
            f"p{source.randint(persons // 4, persons + 10)}" if source.random() < 0.95 else None,
            source.choice(("Nord", "Sud", None)),
            source.choice((0, 1, 2, 3, 4, None)),
        )
        for _ in range(source.choice((0, 5, 12, 40, persons)))
    ]
    ward.receive(rows)
    ward.database.execute("CREATE TABLE sent (pid VARCHAR, drug VARCHAR, dose INTEGER, _node VARCHAR DEFAULT 'chu')")
    for row in rows:
        ward.database.execute("INSERT INTO sent (pid, drug, dose) VALUES (?, ?, ?)", row)
    return ward


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    persons=st.sampled_from((0, 8, 14, 25, 60)),
    rows=st.sampled_from(SOURCES),
    where=st.sampled_from(CONDITIONS),
    keys=st.lists(st.sampled_from(KEYS), unique=True, max_size=2),
    chosen=st.lists(st.integers(0, len(AGGREGATES) - 1), min_size=1, max_size=3, unique=True),
    grouping=st.sampled_from(GROUPINGS),
    owed=st.sampled_from((1, 11, 15, 40)),
)
@example(3, 60, SOURCES[3], "true", [KEYS[0]], [0, 3], "ROLLUP ({})", 11)
@example(7, 60, SOURCES[9], "true", [KEYS[0]], [0, 8], "{}", 15)
def test_exactly_the_groups_with_enough_persons_of_all_nodes_leave(
    seed: int, persons: int, rows: Rows, where: str, keys: list[str], chosen: list[int], grouping: str, owed: int
) -> None:
    minimum = max(11, owed)
    groupable = (("p", Role.MEASURE), ("drug", Role.GROUP), ("dose", Role.GROUP))
    came = obliged(min_persons=owed)
    came = replace(came, policy=replace(came.policy, roles=groupable))
    ward = both(seed, persons)
    outputs = [f"{key} AS g{number}" for number, key in enumerate(keys)]
    outputs += [f"{AGGREGATES[number][0]} AS p{number}" for number in chosen]
    group = f" GROUP BY {grouping.format(', '.join(keys))}" if keys else ""
    sql = f"SELECT {', '.join(outputs)} FROM {rows.asked} WHERE {where}{group}"
    release = check(sql, with_received(came))
    assert release.min_persons == minimum
    answer = ward.run(release)
    leaving, kept_back = expected(ward, rows, where, keys, chosen, grouping, minimum)
    assert answer.rows == leaving, sql
    assert answer.withheld == kept_back, sql
    ward.database.close()
