"""Attempts on a node, past every coordinator: signed orders go to the node's own task runner, and outcomes are kept."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attack_ward as ward
import duckdb
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archipel import errors, frames, identity, permit, receipt, request, tokens
from archipel.demo.layout import NOT_COMPARED, Layout, NodeSetup, TableSetup, write_layout
from archipel.schema import Column
from node_agent import config
from node_agent.assembly import Node, assemble
from node_agent.audit_cli import AUDIT_FOLDER
from node_agent.tasks import TaskOrder, Withheld

FEDERATION = "demo"

INPUTS: Mapping[str, pa.Table] = {
    "suspects": pa.table({"id": pa.array([ward.VIP])}),
    "fill": pa.table({"n": pa.array(range(1000), pa.int64())}),
    "labels": pa.table({"region": ["Nord", "RARE-DIX", "RARE-UN"], "label": ["a", "b", "c"]}),
    "badges": pa.table({"id": pa.array([ward.BADGES[41]], pa.int64())}),
    "weights": pa.table({"person": pa.array(list(ward.PERSONS)), "w": pa.array([1] + [0] * 91, pa.int64())}),
}
"""Tables that a hostile coordinator hands in beside a task."""

_TYPES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A hostile statement: who wants what by it, and how it must end.

    ``code`` is the error's code; ``*`` is any that says that it is not allowed, ``SQL_*`` any about the SQL. ``rule``
    is the border check's rule, where it is stable. In ``sql`` the words @DATA@, @AUDIT@, @PERSON@ and @SURROGATE@ stand
    for a data file, the audit log, the key of a person whom the attacker knows, and half a character.
    """

    id: str
    goal: str
    sql: str
    family: str
    code: str = "*"
    rule: str = ""
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallGroups:
    """A statement that is allowed but would show small groups: those must be missing from what is released.

    ``oracle`` is asked of all rows: the first ``keys`` columns are those of the released groups, the rest are numbers
    of persons, of whom the first must reach the threshold and each other must be 0 or reach it. Each of ``adds`` is
    asked of all rows, too: group, person and what the person adds to a sum. ``degrees`` persons must at least be in a
    group whose moments are told.
    """

    id: str
    goal: str
    sql: str
    oracle: str
    keys: int
    family: str
    min_persons: int = 11
    permit_min_persons: int = 11
    inputs: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    degrees: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: with rows, with an error of the catalogue, or with something that must never come out."""

    released: pa.Table | None = None
    withheld: Withheld | None = None
    receipt: receipt.ReceiptContent | None = None
    error: errors.ArchipelError | None = None
    other: BaseException | None = None
    cpu_s: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether it was said not to be allowed, rather than that something went wrong."""
        faults = {errors.Fault.PERMISSION, errors.Fault.REQUEST}
        return self.error is not None and self.error.info.code.fault in faults

    @property
    def texts(self) -> str:
        """All that the coordinator would be told besides rows."""
        problem = self.error or self.other
        return "" if problem is None else f"{problem} {problem!r} {getattr(problem, 'info', '')!r}"


class Captured(logging.Handler):
    """Keeps every line that anything logs, tracebacks included, as an operator's log would show it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass(slots=True)
class Attacker:
    """A researcher with a valid permit and key, who controls the coordinator: sends the node whatever they like."""

    layout: Layout
    node: Node
    data_file: Path
    authority: Ed25519PrivateKey
    key: Ed25519PrivateKey
    raw: duckdb.DuckDBPyConnection
    log: Captured = field(default_factory=Captured)

    def permit(self, **changes: Any) -> permit.Permit:
        """Return the attacker's permit, with ``changes`` that only the authority could make."""
        now = int(time.time())
        fields: dict[str, Any] = {
            "permit_id": "permit-of-the-attacker",
            "federation": FEDERATION,
            "project": "attack",
            "purpose": "Attacks on made-up data",
            "researchers": (permit.Researcher(name="mallory", key=tokens.encode_public_key(self.key.public_key())),),
            "tables": tuple(permit.TableGrant(table=t, columns=c) for t, c in ward.GRANTS.items()),
            "nodes": (ward.NODE,),
            "not_before": now - 60,
            "expires": now + 3600,
            **changes,
        }
        return permit.Permit(**fields)

    def request(self, sql: str, **changes: Any) -> request.Request:
        """Return a request for the attacker's permit."""
        fields: dict[str, Any] = {
            "request_id": uuid.uuid4().hex,
            "permit_id": "permit-of-the-attacker",
            "sql": sql,
            "issued": int(time.time()),
            **changes,
        }
        return request.Request(**fields)

    def order(self, query_id: str, sql: str, inputs: Iterable[str] = (), *, min_persons: int = 11) -> TaskOrder:
        """Return a well-formed, well-signed order for a statement."""
        granted = self.permit(min_persons=min_persons)
        # What the researcher signed is something harmless: a node must look at the statement that it is to run.
        asked = self.request("SELECT 1")
        return TaskOrder(
            task_id=query_id,
            query_id=query_id,
            stage_id="n1",
            attempt=1,
            permit=permit.issue(granted, self.authority),
            request=request.sign(asked, self.key),
            sql=self.filled(sql),
            inputs={name: _columns(INPUTS[name]) for name in inputs},
            timeout_s=5,
            max_bytes=0,
        )

    def filled(self, sql: str) -> str:
        """Return a statement with the attacker's knowledge put in."""
        return (
            sql.replace("@DATA@", str(self.data_file))
            .replace("@AUDIT@", str(self.audit_folder / "audit-000001.jsonl"))
            .replace("@PERSON@", ward.VIP)
            .replace("@SURROGATE@", "\ud800")
        )

    @property
    def audit_folder(self) -> Path:
        """Where the node's audit log is."""
        return self.node.config.state_dir / AUDIT_FOLDER

    def send(self, order: TaskOrder, inputs: Iterable[str] = ()) -> Outcome:
        """Give an order to the node and keep how it ended."""
        started = time.thread_time()
        try:
            released = self.node.runner.run(order, {name: INPUTS[name] for name in inputs})
            return Outcome(
                released=frames.decode_table(list(released.frames)),
                withheld=released.withheld,
                receipt=receipt.verify(released.finish(), self.node.runner.signing_key.public_key()),
                cpu_s=time.thread_time() - started,
            )
        except errors.ArchipelError as problem:
            return Outcome(error=problem, cpu_s=time.thread_time() - started)
        except Exception as problem:  # noqa: BLE001 - anything else is a hole, and a test says so
            return Outcome(other=problem, cpu_s=time.thread_time() - started)

    def attempt(self, case: Case | SmallGroups) -> Outcome:
        """Send one case."""
        minimum = case.permit_min_persons if isinstance(case, SmallGroups) else 11
        return self.send(self.order(case.id, case.sql, case.inputs, min_persons=minimum), case.inputs)

    def close(self) -> None:
        """Close node and database."""
        self.node.close()
        self.raw.close()


@dataclass(frozen=True, slots=True)
class Siege:
    """The attacker, and how every attempt ended, by the case's identifier."""

    attacker: Attacker
    outcomes: Mapping[str, Outcome]


def prepare(directory: Path, *, node_policy: Mapping[str, Any] = NOT_COMPARED) -> Attacker:
    """Set up a federation whose node holds the ward, and an attacker with a valid permit.

    Cases that look at one answer alone go to a node that does not compare it with those to other cases.
    """
    setup = ward.write(directory / "hospital")
    other = NodeSetup(ward.OTHER_NODE, "Other made-up hospital", _without_rows(setup))
    layout = write_layout(
        directory / "made", [setup, other], researcher="mallory", project="attack", node_policy=node_policy
    )
    node = assemble(config.load(layout.node_configs[ward.NODE]))
    problems = node.engine.problems()
    if problems:
        node.close()
        raise AssertionError(f"the ward cannot be read: {problems}")
    return Attacker(
        layout=layout,
        node=node,
        data_file=directory / "hospital" / "data" / "stays.parquet",
        authority=identity.load_signing_key(layout.authority_dir / "authority.pem"),
        key=identity.ResearcherIdentity.load(layout.key).signing_key,
        raw=ward.raw(),
    )


def _without_rows(setup: NodeSetup) -> tuple[TableSetup, ...]:
    return tuple(table for table in setup.tables if table.name == "regions")


def _columns(table: pa.Table) -> tuple[Column, ...]:
    return tuple(Column(name, _TYPES[table.schema.field(name).type]) for name in table.column_names)


def cells(table: pa.Table) -> set[str]:
    """Return every value of a released table as text, column names included."""
    found = set(table.column_names)
    for column in table.columns:
        found |= {str(value) for value in column.to_pylist() if value is not None}
    return found


def marked(texts: Iterable[str]) -> list[str]:
    """Return the texts that hold a planted marker. What is printed of them is safe: all data here is made up."""
    return [text for text in texts if any(marker in text for marker in ward.MARKERS)]
