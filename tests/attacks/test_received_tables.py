"""Answers from what another node sent: groups of enough persons only, whatever SQL asks and that node claims."""
# ruff: noqa: S608 - what is put into the SQL by formatting stands in this file

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

from archipel import linkage
from archipel.border import Release, check
from archipel.schema import Column, Form, Role

REFUSED = attack_cases.over_received()


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """The ward's rows, and what the other node sent."""
    made = linked.database()
    yield made
    made.close()


def released(database: duckdb.DuckDBPyConnection, release: Release) -> list[tuple[Any, ...]]:
    """Return the groups that leave, without the two leading columns."""
    assert release.withheld_column is not None
    return [row[2:] for row in database.execute(release.sql).fetchall() if row[1] is not None]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_no_answer_shows_a_person_of_another_node(case: Case) -> None:
    problem = linked.refusal_of(case.sql.replace("@PERSON@", ward.VIP), linked.receiving(case.inputs))
    assert problem is not None
    assert problem.code == case.code
    assert case.rule in (problem.rule, "*")
    assert not marked([f"{problem} {problem!r} {problem.hint}"])


@dataclass(frozen=True, slots=True)
class Lie:
    """What a dishonest peer or coordinator brings with a statement that would be allowed."""

    id: str
    goal: str
    rule: str
    changes: dict[str, Any] = field(default_factory=dict)
    sql: str = "SELECT code, count(*) AS n FROM x1 GROUP BY code"


def _received(**changes: Any) -> dict[str, Any]:
    return {"received": {"x1": linked.came(**changes)}}


def _policy(**changes: Any) -> dict[str, Any]:
    return _received(policy=replace(linked.came().policy, **changes))


def _columns(person: str) -> dict[str, Any]:
    return _received(columns=(Column("p", person), Column("code", "VARCHAR"), Column("quantity", "BIGINT")))


LIES = (
    Lie("no-linkage", "compute with another node's persons under an ordinary permit", "linkage-not-in-permit",
        {"permit": linked.permit(linkage=False)}),
    Lie("raw-domain", "raw identifiers of the ward's patients, to be joined with its own", "received-not-linked",
        _received(person_domain="insured")),
    Lie("no-domain", "identifiers of nobody knows whom", "received-not-linked", _received(person_domain=None)),
    Lie("other-project", "pseudonyms of another permit", "received-not-linked",
        _received(person_domain=linkage.project_domain("insured", "another-permit"))),
    Lie("text-persons", "texts in the place of pseudonyms", "received-not-linked", _columns("VARCHAR")),
    Lie("number-persons", "numbers in the place of pseudonyms", "received-not-linked", _columns("BIGINT")),
    Lie("no-person-column", "rows that belong to nobody", "no-person-column", _received(person_column=None)),
    Lie("wrong-person-column", "rows whose person column is not there", "no-person-column",
        _received(person_column="somebody")),
    Lie("measure-as-person", "let a value count as persons", "received-not-linked",
        _received(person_column="quantity")),
    Lie("closed-by-sender", "what its sender lets nobody compute with", "form-none",
        _policy(coordinator_form=Form.NONE)),
    Lie("hidden-by-sender", "a column that its sender hides", "hidden-column",
        _policy(roles=(("p", Role.MEASURE), ("code", Role.HIDDEN)))),
    Lie("no-roles", "a column for which its sender gives no role", "hidden-column", _policy(roles=())),
    Lie("shadow-table", "a table by the name of the node's own", "received-name",
        {"received": {"stays": linked.came()}}, "SELECT region, count(*) AS n FROM stays GROUP BY region"),
    Lie("shadow-unused-table", "a table by the name of one that is not asked", "received-name",
        {"received": {"x1": linked.came(), "registry": linked.came()}}),
    Lie("shadow-input", "a table by the name of the coordinator's input", "received-name",
        {"inputs": {"x1": (Column("p", "VARCHAR"),)}}),
    Lie("shadow-keys", "keys of a peer's own choice", "received-name",
        {"received": {"x1": linked.came(), "archipel_pads": linked.came()}}),
    Lie("input-keys", "keys of the coordinator's own choice", "input-name",
        {"inputs": {"archipel_pads": (Column("inner", "BLOB"), Column("outer", "BLOB"))}}),
    Lie("rows-allowed-by-sender", "rows to the coordinator, which the sender of them would allow", "row-level-output",
        _policy(coordinator_form=Form.ROWS), "SELECT code, quantity FROM x1"),
    Lie("persons-allowed-by-sender", "pseudonyms to the coordinator, which their sender would allow", "person-output",
        _policy(coordinator_form=Form.ROWS, roles=(("p", Role.PUBLIC), ("code", Role.GROUP))), "SELECT p FROM x1"),
)  # fmt: skip


def test_there_are_enough_of_them_and_each_says_what_it_is_after() -> None:
    assert len(REFUSED) + len(LIES) >= 40
    assert all(case.goal for case in (*REFUSED, *LIES))
    assert len({case.id for case in (*REFUSED, *LIES)}) == len(REFUSED) + len(LIES)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.id)
def test_no_lie_opens_anything(lie: Lie) -> None:
    problem = linked.refusal_of(lie.sql, linked.receiving(**lie.changes))
    assert problem is not None
    assert problem.rule == lie.rule
    assert not marked([f"{problem} {problem!r} {problem.hint}"])


@dataclass(frozen=True, slots=True)
class Small:
    """A statement that may run and must show large groups only: those of ``shown``."""

    id: str
    goal: str
    sql: str
    shown: frozenset[str | int | None]


def _shown(*keys: str | int | None) -> frozenset[str | int | None]:
    return frozenset(keys)


SMALL = (
    Small("rare-drug", "five persons with a rare drug",
          "SELECT code, count(*) AS n FROM x1 GROUP BY code", _shown("A10", "C07")),
    Small("rare-drug-rows", "their hundred rows instead of five persons",
          "SELECT code, sum(quantity) AS n FROM x1 GROUP BY 1", _shown("A10", "C07")),
    Small("rare-drug-filter", "five persons in a filter",
          "SELECT count(*) AS n FROM x1 WHERE code = 'RARE-DRUG'", _shown()),
    Small("rare-drug-contributors", "five persons in a number of a large group",
          "SELECT count(*) FILTER (WHERE code = 'RARE-DRUG') AS n FROM x1", _shown()),
    Small("rare-drug-case", "five persons in a sum over a large group",
          "SELECT sum(CASE WHEN code = 'RARE-DRUG' THEN 1 ELSE 0 END) AS n FROM x1", _shown()),
    Small("rare-drug-joined", "five persons by joining one's own rows",
          "SELECT x1.code, count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p GROUP BY x1.code",
          _shown("A10", "C07")),
    Small("rare-drug-union", "five persons by adding one's own rows, which have other labels",
          "SELECT r, count(*) AS n FROM (SELECT p, code AS r FROM x1 UNION ALL SELECT person, region FROM stays) AS u "
          "GROUP BY r", _shown("A10", "C07", "Nord", "Sud", "Onze")),
    Small("rare-region-joined", "ten persons of a region by a join that gives each many rows",
          "SELECT s.region, count(*) AS n FROM stays s JOIN stays t ON t.person = s.person "
          "LEFT JOIN x1 ON x1.p = s.person GROUP BY s.region", _shown("Nord", "Sud", "Onze")),
    Small("rare-rollup", "five persons in a subtotal",
          "SELECT code, count(*) AS n FROM x1 GROUP BY ROLLUP (code)", _shown("A10", "C07", None)),
    Small("rare-multiplied", "five persons, many times over by a list of the coordinator's",
          "SELECT code, count(*) AS n FROM x1 CROSS JOIN fill GROUP BY code", _shown("A10", "C07")),
    Small("vip", "the one person with 366 days",
          "SELECT count(*) AS n FROM x1 JOIN stays s ON s.person = x1.p WHERE s.days = 366", _shown()),
    Small("vip-exists", "the one person with 366 days by EXISTS",
          "SELECT x1.code, count(*) AS n FROM x1 WHERE EXISTS "
          "(SELECT 1 FROM stays s WHERE s.person = x1.p AND s.days = 366) GROUP BY x1.code", _shown()),
    Small("vip-optional", "the one person with 366 days on the side that may be missing",
          "SELECT x1.code, count(s.days) AS n FROM x1 LEFT JOIN stays s ON s.person = x1.p AND s.days = 366 "
          "GROUP BY x1.code", _shown("A10")),
    Small("by-person", "how many rows the five with most rows have",
          "SELECT n, count(*) AS c FROM (SELECT p, count(*) AS n FROM x1 GROUP BY p) AS q GROUP BY n", _shown(2)),
)  # fmt: skip


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.id)
def test_small_groups_of_two_nodes_together_are_withheld(small: Small, database: duckdb.DuckDBPyConnection) -> None:
    rows = released(database, check(small.sql, linked.receiving(("fill",))))
    assert not marked(str(value) for row in rows for value in row)
    assert {row[0] for row in rows} == small.shown


@pytest.mark.parametrize("claimed", [0, 1, 2, 10])
def test_a_peer_that_asks_for_fewer_persons_gets_eleven(claimed: int, database: duckdb.DuckDBPyConnection) -> None:
    """Goal: weaken the obligation. What is smaller than the floor does not count."""
    lax = linked.came(policy=replace(linked.came().policy, min_persons=claimed))
    release = check("SELECT code, count(*) AS n FROM x1 GROUP BY code", linked.receiving(received={"x1": lax}))
    assert release.min_persons == 11
    assert {row[0] for row in released(database, release)} == {"A10", "C07"}


def test_a_peer_s_smaller_number_does_not_weaken_the_node_s_own(database: duckdb.DuckDBPyConnection) -> None:
    """Goal: read the registry, of which 20 persons make a group, through a peer that asks for 11."""
    sql = "SELECT r.illness, count(*) AS n FROM registry r LEFT JOIN x1 ON x1.p = r.person GROUP BY r.illness"
    release = check(sql, linked.receiving())
    assert release.min_persons == 20
    assert not release.tell_withheld_count
    assert {row[0] for row in released(database, release)} == {"common"}


def test_a_peer_s_larger_number_holds_for_the_node_s_own_rows(database: duckdb.DuckDBPyConnection) -> None:
    """Goal: read a peer's small groups through a node that asks for fewer persons."""
    strict = linked.came(policy=replace(linked.came().policy, min_persons=36))
    sql = "SELECT s.region, count(*) AS n FROM stays s JOIN x1 ON x1.p = s.person GROUP BY s.region"
    assert {r[0] for r in released(database, check(sql, linked.receiving()))} == {"Nord", "Sud"}
    assert {r[0] for r in released(database, check(sql, linked.receiving(received={"x1": strict})))} == {"Nord"}


def test_columns_that_a_peer_names_like_the_check_s_own_change_nothing(database: duckdb.DuckDBPyConnection) -> None:
    """Goal: have the check count a column of one's own in place of the persons."""
    names = ("border_present", "border_persons", "border_withheld", "border_scan", "_node")
    columns = (*linked.came().columns, *(Column(name, "BIGINT") for name in names))
    roles = (*linked.came().policy.roles, *((name, Role.GROUP) for name in names))
    liar = linked.came(columns=columns, policy=replace(linked.came().policy, roles=roles))
    forged = database.execute(
        "SELECT *" + "".join(f', 5000 AS "{name}"' for name in names) + " FROM x1"
    ).to_arrow_table()
    cursor = database.cursor()
    cursor.register("x1", forged)
    cursor.register(linkage.PADS_TABLE, linked.SECRET.pads(linked.PERMIT_ID))
    for sql in (
        "SELECT code, count(*) AS n FROM x1 GROUP BY code",
        "SELECT x1.code, count(*) AS n FROM stays s LEFT JOIN x1 ON x1.p = s.person GROUP BY x1.code",
    ):
        rows = released(cursor, check(sql, linked.receiving(received={"x1": liar})))
        assert {row[0] for row in rows} <= {"A10", "C07", None}
    cursor.close()
