"""Statements for another node, whoever asks: no identifier, no mixing of persons, nothing without permission."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import attack_cases
import attack_linkage as linked
import attack_ward as ward
import duckdb
import pytest
from attack_attempts import Case, marked

from archipel import schema
from archipel.border import check
from archipel.schema import Column

REFUSED = attack_cases.to_peers()


@dataclass(frozen=True, slots=True)
class Circumstance:
    """A statement that would be allowed, under circumstances in which it is not."""

    id: str
    goal: str
    rule: str
    sql: str = "SELECT DISTINCT person FROM stays"
    changes: dict[str, Any] = field(default_factory=dict)


CIRCUMSTANCES = (
    Circumstance("no-linkage-rows", "rows of persons under an ordinary permit", "linkage-not-in-permit",
                 "SELECT person, cost FROM stays", {"permit": linked.permit(linkage=False)}),
    Circumstance("no-linkage-keys", "persons under an ordinary permit", "linkage-not-in-permit",
                 changes={"permit": linked.permit(linkage=False)}),
    Circumstance("unnamed-node", "a node that the policy does not name", "peer-not-allowed",
                 changes={"destination": "insurer"}),
    Circumstance("similar-node", "a node whose name is like one that is named", "peer-not-allowed",
                 changes={"destination": "chr2"}),
    Circumstance("upper-case-node", "a node that is named in other letters", "peer-not-allowed",
                 changes={"destination": "CHR"}),
    Circumstance("star-node", "a node that is called like every node", "peer-not-allowed",
                 changes={"destination": "*"}),
    Circumstance("no-node", "no node at all", "peer-not-allowed", changes={"destination": ""}),
    Circumstance("own-node", "the node itself, to have raw rows in its exchange", "peer-not-allowed",
                 changes={"destination": ward.NODE}),
    Circumstance("coordinator-rows", "the same rows for the coordinator", "person-output",
                 changes={"destination": schema.COORDINATOR}),
    Circumstance("narrow-permit", "a column that a narrower permit lacks", "permit-column",
                 "SELECT person, cost FROM stays WHERE diagnosis = 'I50'",
                 {"permit": linked.permit(tables=(linked.TableGrant(table="stays", columns=("person", "cost")),))}),
    Circumstance("no-person-in-permit", "persons under a permit that lacks their column", "permit-column",
                 changes={"permit": linked.permit(tables=(linked.TableGrant(table="stays", columns=("cost",)),))}),
    Circumstance("onward", "what came from a third node", "received-onward", "SELECT p, code FROM x1",
                 {"received": {"x1": linked.came()}}),
    Circumstance("onward-keys", "the persons that came from a third node", "received-onward",
                 "SELECT DISTINCT p FROM x1", {"received": {"x1": linked.came()}}),
    Circumstance("onward-back", "what came from the same node, back to it", "received-onward",
                 "SELECT s.person, x1.code FROM stays s JOIN x1 ON x1.p = s.person",
                 {"received": {"x1": linked.came()}}),
    Circumstance("onward-filter", "who is in what came from a third node", "received-onward",
                 "SELECT DISTINCT s.person FROM stays s SEMI JOIN x1 ON x1.p = s.person",
                 {"received": {"x1": linked.came()}}),
    Circumstance("onward-allowed-by-liar", "the same where its sender says that it may go anywhere", "received-onward",
                 "SELECT DISTINCT p FROM x1",
                 {"received": {"x1": linked.came(policy=replace(
                     linked.came().policy, peer_forms=(("chr", schema.Form.ROWS), ("*", schema.Form.ROWS))))}}),
    Circumstance("input-shadows-table", "a table of the coordinator's by the name of the node's", "input-name",
                 changes={"inputs": {"stays": (Column("person", "VARCHAR"),)}}),
    Circumstance("input-shadows-pads", "keys of the coordinator's own choice", "input-name",
                 changes={"inputs": {"archipel_pads": (Column("inner", "BLOB"), Column("outer", "BLOB"))}}),
    Circumstance("received-shadows-table", "a peer's table by the name of the node's", "received-name",
                 changes={"received": {"stays": linked.came()}}),
    Circumstance("received-shadows-pads", "keys of a peer's own choice", "received-name",
                 changes={"received": {"archipel_pads": linked.came()}}),
)  # fmt: skip


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """The ward's rows."""
    made = linked.database()
    yield made
    made.close()


def test_there_are_enough_of_them_and_each_says_what_it_is_after() -> None:
    assert len(REFUSED) + len(CIRCUMSTANCES) >= 60
    assert all(case.goal for case in (*REFUSED, *CIRCUMSTANCES))
    assert len({case.id for case in (*REFUSED, *CIRCUMSTANCES)}) == len(REFUSED) + len(CIRCUMSTANCES)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_nothing_of_it_goes_to_another_node(case: Case) -> None:
    sql = case.sql.replace("@PERSON@", ward.VIP)
    problem = linked.refusal_of(sql, linked.sending(case.inputs))
    assert problem is not None, f"released: {check(sql, linked.sending(case.inputs)).sql}"
    assert problem.code == case.code
    assert case.rule in (problem.rule, "*")
    assert not marked([f"{problem} {problem!r} {problem.hint}"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_nothing_of_it_goes_there_under_an_ordinary_permit_either(case: Case) -> None:
    sql = case.sql.replace("@PERSON@", ward.VIP)
    assert linked.refusal_of(sql, linked.sending(case.inputs, permit=linked.permit(linkage=False))) is not None


@pytest.mark.parametrize("case", CIRCUMSTANCES, ids=lambda case: case.id)
def test_what_may_go_elsewhere_does_not_go_so(case: Circumstance) -> None:
    problem = linked.refusal_of(case.sql, linked.sending(**case.changes))
    assert problem is not None
    assert problem.rule == case.rule
    assert not marked([f"{problem} {problem!r} {problem.hint}"])


ALLOWED = {
    "plain": ("have rows that are allowed", "SELECT person, cost, diagnosis FROM stays"),
    "keys": ("have persons that are allowed", "SELECT DISTINCT patient FROM drugs WHERE code = 'RARE-DRUG'"),
    "alias": ("call the pseudonym like something else", "SELECT s.person AS cost FROM stays AS s"),
    "cte-by-the-table-s-name": (
        "read the table raw",
        "WITH stays AS (SELECT person FROM stays) SELECT person FROM stays",
    ),
    "cte-of-keys": (
        "hash with keys of one's own",
        "WITH archipel_pads AS (SELECT unhex('00') AS \"inner\", unhex('00') AS \"outer\") SELECT person FROM stays",
    ),
    "cte-of-keys-inside": (
        "hash with keys of one's own",
        'SELECT q.person FROM (WITH archipel_pads AS (SELECT 1 AS "inner") SELECT s.person FROM stays s) AS q',
    ),
    "alias-of-keys": ("take the place of the keys", "SELECT archipel_pads.person FROM stays AS archipel_pads"),
    "alias-of-scan": ("take the place of the scan", "SELECT border_scan.person FROM stays AS border_scan"),
    "column-of-keys": ("take the place of the keys", 'SELECT person, days AS "inner", days AS "outer" FROM stays'),
    "staff": ("a number instead of a text", "SELECT badge FROM staff"),
    "subquery": ("read raw in a subquery", "SELECT q.p FROM (SELECT person AS p FROM stays) AS q"),
    "union-below": (
        "read raw in a branch",
        "SELECT u.p FROM (SELECT person AS p FROM stays UNION ALL SELECT person FROM stays) AS u",
    ),
    "exists": (
        "read raw in a predicate",
        "SELECT s.person FROM stays s WHERE EXISTS (SELECT 1 FROM stays t WHERE t.person = s.person AND t.days = 366)",
    ),
    "semi-join": ("read raw in a semi-join", "SELECT s.person FROM stays s SEMI JOIN stays t ON t.person = s.person"),
    "grouped": ("read raw in a grouping", "SELECT person, sum(cost) AS c FROM stays GROUP BY person"),
    "upper-case": ("read raw by other letters", 'SELECT "PERSON" FROM "STAYS"'),
    "star": ("have every column", "SELECT s.* FROM (SELECT person, cost FROM stays) AS s"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_goes_holds_pseudonyms_and_no_marker(name: str, database: duckdb.DuckDBPyConnection) -> None:
    _, sql = ALLOWED[name]
    release = check(sql, linked.sending())
    assert release.obliges is not None
    assert not marked([release.sql.replace("RARE-DRUG", "")])
    released = database.execute(release.sql).to_arrow_table()
    persons = released.column(release.obliges.person_column or "").to_pylist()
    everybody = {linked.pseudonym(person) for person in (*ward.PERSONS, *ward.BADGES)}
    assert persons
    assert set(persons) <= everybody
    assert persons == sorted(persons), "the order of storage or of identifiers is told"
    shown = {str(value) for column in released.columns for value in column.to_pylist()}
    identifiers = [*ward.PERSONS, *map(str, ward.BADGES), ward.HIDDEN_NOTE]
    assert not [text for text in shown if any(identifier in text for identifier in identifiers)]


def test_two_permits_do_not_meet(database: duckdb.DuckDBPyConnection) -> None:
    """Goal: join what two projects received. Their pseudonyms have nothing in common."""
    release = check("SELECT DISTINCT person FROM stays", linked.sending())
    first = {row[0] for row in database.execute(release.sql).fetchall()}
    other = linked.SECRET.pads("another-permit")
    cursor = duckdb.connect()
    cursor.register("archipel_pads", other)
    cursor.register("Stays", database.execute("SELECT * FROM stays").to_arrow_table())
    second = {row[0] for row in cursor.execute(release.sql).fetchall()}
    cursor.close()
    assert len(first) == len(second) == len(ward.PERSONS)
    assert not first & second


def test_the_holders_secret_is_in_no_statement() -> None:
    """Goal: read the key in SQL text, where logs and plans would show it."""
    keys = linked.SECRET.pads(linked.PERMIT_ID).to_pylist()[0]
    for _, sql in ALLOWED.values():
        text = check(sql, linked.sending()).sql
        assert not any(pad.hex().lower() in text.lower() for pad in keys.values())
        assert "MARKER-SECRET" not in text
