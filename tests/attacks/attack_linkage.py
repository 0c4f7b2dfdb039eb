"""The ward between two nodes: what its border check lets go to a peer, and what it computes with what a peer sent.

The statements meet the border check as a node would ask it, and what it lets through runs over the ward's rows: there
is no coordinator whose good will would count.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import attack_ward as ward
import duckdb
import pyarrow as pa
from attack_attempts import INPUTS

from archipel import errors, linkage, policy, schema
from archipel.border import BorderContext, Release, check
from archipel.permit import Permit, Researcher, TableGrant
from archipel.schema import Column, Table

PERMIT_ID = "permit-of-the-attacker"
SECRET = linkage.Linkage(b"MARKER-SECRET of the two holders", 1)

_PEERS: Mapping[str, Mapping[str, str]] = {
    "stays": {ward.OTHER_NODE: "rows"},
    "staff": {ward.OTHER_NODE: "rows"},
    "drugs": {ward.OTHER_NODE: "keys"},
    "regions": {"*": "rows"},
    "codes": {"*": "rows"},
    "suppliers": {"*": "rows"},
}
_TYPES = {pa.int64(): "BIGINT", pa.int32(): "INTEGER", pa.float64(): "DOUBLE", pa.date32(): "DATE"}


def permit(**changes: Any) -> Permit:
    """Return the attacker's permit, for linkage unless ``changes`` say otherwise."""
    fields: dict[str, Any] = {
        "permit_id": PERMIT_ID,
        "federation": "demo",
        "project": "attack",
        "purpose": "Attacks on made-up data",
        "researchers": (Researcher(name="mallory", key="k"),),
        "tables": tuple(TableGrant(table=t, columns=c) for t, c in ward.GRANTS.items()),
        "nodes": (ward.NODE, ward.OTHER_NODE),
        "not_before": 0,
        "expires": 1,
        "linkage": True,
        **changes,
    }
    return Permit(**fields)


def _table(name: str, rows: pa.Table, **changes: Any) -> Table:
    person, domain = ward.PERSON_COLUMNS.get(name, (None, None))
    rules = policy.TableRules.model_validate({**ward.POLICIES[name], "peers": _PEERS.get(name, {}), **changes})
    return Table(
        name,
        tuple(Column(field.name, _TYPES.get(field.type, "VARCHAR")) for field in rows.schema),
        person_column=person,
        person_domain=domain,
        policy=rules.for_columns(tuple(rows.column_names)),
    )


TABLES = {name: _table(name, rows) for name, rows in ward.tables().items()}
_INPUT_COLUMNS = {
    name: tuple(Column(field.name, _TYPES.get(field.type, "VARCHAR")) for field in rows.schema)
    for name, rows in INPUTS.items()
}


def sending(handed_in: tuple[str, ...] = (), **changes: Any) -> BorderContext:
    """Return what the ward's node knows when it is asked for something for the other node."""
    fields: dict[str, Any] = {
        "node": ward.NODE,
        "tables": TABLES,
        "inputs": {name: _INPUT_COLUMNS[name] for name in handed_in},
        "permit": permit(),
        "destination": ward.OTHER_NODE,
        **changes,
    }
    return BorderContext(**fields)


def sent_by_peer() -> Release:
    """Return what an honest other node releases of prescriptions that it holds of the ward's patients."""
    rows = ward.tables()["drugs"]
    theirs = {"drugs": _table("drugs", rows, peers={ward.NODE: "rows"})}
    here = sending(node=ward.OTHER_NODE, tables=theirs, destination=ward.NODE)
    return check("SELECT patient AS p, code, quantity FROM drugs", here)


def came(**changes: Any) -> Table:
    """Return what the ward owes for the table ``x1`` of the other node; ``changes`` are lies of that node."""
    obliges = sent_by_peer().obliges
    if obliges is None:
        raise AssertionError("nothing was sent")
    return replace(obliges, name="x1", **changes)


def receiving(handed_in: tuple[str, ...] = (), **changes: Any) -> BorderContext:
    """Return what the ward's node knows when it computes with ``x1`` for the coordinator."""
    return sending(handed_in, **{"received": {"x1": came()}, "destination": schema.COORDINATOR, **changes})


def database() -> duckdb.DuckDBPyConnection:
    """Return the ward's rows, the attacker's inputs, the holders' keys and what the other node sent."""
    made = ward.raw()
    for name, rows in INPUTS.items():
        made.register(name, rows)
    made.register(linkage.PADS_TABLE, SECRET.pads(PERMIT_ID))
    made.register("x1", made.execute(sent_by_peer().sql).to_arrow_table())
    return made


def pseudonym(person: str | int) -> bytes:
    """Return the pseudonym of a person, by Python's own HMAC."""
    return hmac.new(SECRET.key(PERMIT_ID), str(person).encode(), hashlib.sha256).digest()


def refusal_of(sql: str, context: BorderContext) -> errors.ArchipelError | None:
    """Return the error by which a statement is refused, None when it may run."""
    try:
        check(sql, context)
    except errors.ArchipelError as problem:
        return problem
    return None
