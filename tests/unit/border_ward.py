"""A small hospital for tests of the border check: tables with policies, a permit, and a DuckDB that holds the rows."""
# ruff: noqa: S608 - what is put into the SQL by formatting are names of tables and columns in this file

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pytest

from archipel import errors, linkage, sketches
from archipel.border import BorderContext, Release, check
from archipel.permit import Permit, Researcher, TableGrant
from archipel.schema import Column, Form, Role, Table, TablePolicy

GROUP, PUBLIC, MEASURE, HIDDEN = Role.GROUP, Role.PUBLIC, Role.MEASURE, Role.HIDDEN


def table(
    name: str,
    columns: dict[str, tuple[str, Role]],
    *,
    person: str | None = None,
    domain: str | None = None,
    form: Form | None = None,
    min_persons: int = 11,
    tell: bool = True,
) -> Table:
    """Return a table; one with a person column is protected."""
    protected = person is not None
    usual = Form.AGGREGATE if protected else Form.ROWS
    return Table(
        name,
        tuple(Column(column, kind) for column, (kind, _) in columns.items()),
        person_column=person,
        person_domain=domain,
        policy=TablePolicy(
            protected=protected,
            coordinator_form=usual if form is None else form,
            min_persons=min_persons,
            roles=tuple((column, role) for column, (_, role) in columns.items()),
            tell_withheld_count=tell,
        ),
    )


STAYS = table(
    "Stays",
    {
        "pid": ("VARCHAR", HIDDEN),
        "region": ("VARCHAR", GROUP),
        "ward": ("INTEGER", PUBLIC),
        "cost": ("DOUBLE", MEASURE),
        "days": ("INTEGER", GROUP),
        "entered": ("DATE", MEASURE),
        "note": ("VARCHAR", HIDDEN),
    },
    person="pid",
    domain="patient",
)
PERSONS = table(
    "persons",
    {"pid": ("VARCHAR", HIDDEN), "sex": ("VARCHAR", GROUP), "born": ("INTEGER", GROUP)},
    person="pid",
    domain="patient",
)
STAFF = table(
    "staff",
    {"badge": ("INTEGER", HIDDEN), "ward": ("INTEGER", GROUP), "age": ("INTEGER", GROUP)},
    person="badge",
    domain="staff",
)
WARDS = table("wards", {"ward": ("INTEGER", PUBLIC), "title": ("VARCHAR", PUBLIC), "beds": ("INTEGER", PUBLIC)})
SEALED = table("sealed", {"pid": ("VARCHAR", HIDDEN), "x": ("INTEGER", GROUP)}, person="pid", form=Form.NONE)
TABLES = (STAYS, PERSONS, STAFF, WARDS, SEALED)


def permit(*, min_persons: int = 11, grants: dict[str, tuple[str, ...]] | None = None, linked: bool = False) -> Permit:
    """Return a permit for every table and column, or for ``grants``."""
    wanted = grants if grants is not None else {t.name: ("*",) for t in TABLES}
    return Permit(
        permit_id="permit-1",
        federation="test",
        project="test",
        purpose="test",
        researchers=(Researcher(name="alice", key="k"),),
        tables=tuple(TableGrant(table=name, columns=columns) for name, columns in wanted.items()),
        nodes=("ward",),
        not_before=0,
        expires=1,
        min_persons=min_persons,
        linkage=linked,
    )


CONTEXT = BorderContext(
    node="ward",
    tables={t.name.lower(): t for t in TABLES},
    inputs={"codes": (Column("k", "VARCHAR"), Column("v", "INTEGER"))},
    permit=permit(),
)


def with_permit(given: Permit) -> BorderContext:
    """Return the usual context under another permit."""
    return replace(CONTEXT, permit=given)


def with_table(changed: Table) -> BorderContext:
    """Return the usual context with one table in another version."""
    return replace(CONTEXT, tables={**CONTEXT.tables, changed.name.lower(): changed})


PEER = "cnam"
"""The node that tests send to."""

LINKAGE = linkage.Linkage(b"a secret of 32 bytes, for tests.", 1)


def pseudonym(person: str | int, permit_id: str = "permit-1") -> bytes:
    """Return the pseudonym of a person, by Python's own HMAC."""
    return hmac.new(LINKAGE.key(permit_id), str(person).encode(), hashlib.sha256).digest()


def towards(forms: Mapping[str, Form], *, given: Permit | None = None, node: str = PEER) -> BorderContext:
    """Return the context of a statement for a node to which the tables may go as ``forms`` say, by lower-case name."""
    tables = {
        name: replace(t, policy=replace(t.policy, peer_forms=((PEER, forms[name]),))) if name in forms else t
        for name, t in CONTEXT.tables.items()
    }
    return replace(CONTEXT, tables=tables, destination=node, permit=given or permit(linked=True))


EVERYTHING = dict.fromkeys(CONTEXT.tables, Form.ROWS)
"""All tables may go as rows."""


def obliged(name: str = "x1", *, min_persons: int = 11, domain: str = "patient", **changes: Any) -> Table:
    """Return what a node obliges to that sent prescriptions of persons: ``p``, ``drug``, ``dose``."""
    columns = {"p": ("BLOB", MEASURE), "drug": ("VARCHAR", GROUP), "dose": ("INTEGER", MEASURE)}
    of_project = linkage.project_domain(domain, "permit-1")
    return replace(table(name, columns, person="p", domain=of_project, min_persons=min_persons), **changes)


def with_received(*tables: Table, given: Permit | None = None) -> BorderContext:
    """Return the usual context with tables that came from other nodes."""
    return replace(CONTEXT, received={t.name: t for t in tables}, permit=given or permit(linked=True))


@dataclass(frozen=True)
class Answer:
    """What left: rows without the two leading columns, sorted; how many groups were withheld; the fewest persons."""

    rows: list[tuple[Any, ...]]
    withheld: int
    fewest: int | None


class Ward:
    """A database in which tests put rows and run what the border check lets through."""

    def __init__(self) -> None:
        self.database = duckdb.connect(config={"threads": 2})
        for given in TABLES:
            columns = ", ".join(f'"{c.name}" {c.type}' for c in given.columns)
            self.database.execute(f"CREATE TABLE {given.name} ({columns}, _node VARCHAR DEFAULT 'ward')")
        self.database.execute("CREATE TABLE codes (k VARCHAR, v INTEGER)")
        self.database.execute(sketches.DEFINITION)
        self.database.register(linkage.PADS_TABLE, LINKAGE.pads("permit-1"))

    def put(self, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table; ``_node`` is filled in."""
        columns = self.database.execute(f"SELECT * FROM {name} LIMIT 0").description or []
        names = [c[0] for c in columns if c[0] != "_node"]
        marks = ", ".join("?" for _ in names)
        for row in rows:
            padded = (*row, *(None for _ in range(len(names) - len(row))))
            self.database.execute(f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})", padded)

    def stays(self, persons: range | Sequence[str | None], region: str | None = "Nord", **values: Any) -> None:
        """Add one stay for each person; persons given as numbers are called ``p0``, ``p1`` and so on."""
        for person in persons:
            name = f"p{person}" if isinstance(person, int) else person
            row = {"ward": 1, "cost": 10.0, "days": 3, "entered": "2023-01-01", "note": "n", **values}
            self.put("stays", [(name, region, *(row[c] for c in ("ward", "cost", "days", "entered", "note")))])

    def receive(self, rows: Sequence[tuple[Any, ...]], name: str = "x1") -> None:
        """Put the rows of an ``obliged`` table where a node puts them; persons are given as texts."""
        self.database.execute(f"CREATE TABLE {name} (p BLOB, drug VARCHAR, dose INTEGER)")
        for person, *values in rows:
            hidden = None if person is None else pseudonym(person)
            padded = (*values, *(None for _ in range(2 - len(values))))
            self.database.execute(f"INSERT INTO {name} VALUES (?, ?, ?)", (hidden, *padded))

    def raw(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the answer over all rows, sorted."""
        return ordered(self.database.execute(sql).fetchall())

    def run(self, release: Release) -> Answer:
        """Return what leaves, as the node does it, but for what it withholds because of totals."""
        cursor = self.database.execute(release.sql)
        names = [column[0] for column in cursor.description or []]
        rows = cursor.fetchall()
        if release.withheld_column is None:
            return Answer(ordered(rows), 0, None)
        assert names[:2] == [release.withheld_column, release.persons_column]
        kept = [row for row in rows if row[1] is not None]
        assert all(row[1] >= release.min_persons for row in kept)
        assert len({row[0] for row in rows}) == 1
        lattice = release.lattice
        telltale = {lattice.grouping, lattice.rows, *lattice.keys} if lattice is not None else set()
        shown = [number for number, name in enumerate(names) if number > 1 and name not in telltale]
        told = [tuple(row[number] for number in shown) for row in kept]
        return Answer(ordered(told), rows[0][0], min((row[1] for row in kept), default=None))

    def answer(self, sql: str, context: BorderContext = CONTEXT) -> Answer:
        """Check a statement and return what leaves."""
        return self.run(check(sql, context))


def ordered(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows in an order that mixes types and NULL."""
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row])


def refusal_of(sql: Any, context: BorderContext = CONTEXT) -> errors.ArchipelError:
    """Return the error by which a statement is refused."""
    with pytest.raises(errors.ArchipelError) as caught:
        check(sql, context)
    assert caught.value.rule, caught.value
    return caught.value
