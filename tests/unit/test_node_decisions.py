"""What a node remembers of its decisions: never more than the same question under the same permit and tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archipel import errors
from archipel.permit import Permit, Researcher, TableGrant
from archipel.schema import Column, Form, Role, Table, TablePolicy
from node_agent.decisions import MAX_SQL_CHARS, Decisions

SQL = 'SELECT "g" AS "g0", count(*) AS "p0" FROM "t" GROUP BY "g"'
PERMIT = Permit(
    permit_id="p1",
    federation="f",
    project="x",
    purpose="y",
    researchers=(Researcher(name="alice", key="k"),),
    tables=(TableGrant(table="t", columns=("*",)),),
    nodes=("n",),
    not_before=0,
    expires=1,
)
ROLES = (("person", Role.GROUP), ("g", Role.GROUP))
TABLE = Table(
    name="t",
    columns=(Column("person", "BIGINT"), Column("g", "VARCHAR")),
    person_column="person",
    person_domain="p",
    policy=TablePolicy(coordinator_form=Form.AGGREGATE, roles=ROLES),
)


def test_the_same_question_has_the_same_decision() -> None:
    decisions = Decisions("n")
    first = decisions.decide(SQL, (TABLE,), {}, PERMIT)
    assert decisions.decide(SQL, (TABLE,), {}, PERMIT) is first


def test_another_permit_is_another_question() -> None:
    decisions = Decisions("n")
    assert decisions.decide(SQL, (TABLE,), {}, PERMIT).min_persons == 11
    stricter = PERMIT.model_copy(update={"min_persons": 50})
    assert decisions.decide(SQL, (TABLE,), {}, stricter).min_persons == 50
    narrower = PERMIT.model_copy(update={"tables": (TableGrant(table="t", columns=("person",)),)})
    with pytest.raises(errors.ArchipelError) as refused:
        decisions.decide(SQL, (TABLE,), {}, narrower)
    assert refused.value.code == "PERMIT_SCOPE"


def test_tables_opened_anew_with_another_policy_end_what_was_remembered() -> None:
    decisions = Decisions("n")
    decisions.decide(SQL, (TABLE,), {}, PERMIT)
    closed = replace(TABLE, policy=replace(TABLE.policy, coordinator_form=Form.NONE))
    with pytest.raises(errors.ArchipelError) as refused:
        decisions.decide(SQL, (closed,), {}, PERMIT)
    assert refused.value.code == "POLICY_REFUSED"
    assert decisions.decide(SQL, (TABLE,), {}, PERMIT).min_persons == 11


def test_inputs_of_other_columns_are_another_question() -> None:
    decisions = Decisions("n")
    sql = 'SELECT "g" AS "g0", count(*) AS "p0" FROM "t" JOIN "x1" ON "x1"."k" = "t"."g" GROUP BY "g"'
    decisions.decide(sql, (TABLE,), {"x1": (Column("k", "VARCHAR"),)}, PERMIT)
    with pytest.raises(errors.ArchipelError):
        decisions.decide(sql, (TABLE,), {"x1": (Column("other", "VARCHAR"),)}, PERMIT)


def test_long_statements_are_decided_but_not_kept() -> None:
    decisions = Decisions("n")
    long = SQL.replace("GROUP BY", 'WHERE "g" <> \'' + "x" * MAX_SQL_CHARS + "' GROUP BY")
    first = decisions.decide(long, (TABLE,), {}, PERMIT)
    again = decisions.decide(long, (TABLE,), {}, PERMIT)
    assert first == again
    assert first is not again
