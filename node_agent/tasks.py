"""One task from arrival to release: authorise, check at the border, run, audit, only then hand out.

The order is the point of this module: no byte leaves before the audit record that tells of it is on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from archipel import errors, frames, receipt, telemetry, tokens
from archipel.border.decision import Release
from archipel.schema import Column
from node_agent.audit import AuditLog
from node_agent.authorise import Asked, authorise
from node_agent.decisions import Decisions
from node_agent.engine.base import Engine, Statement

log = logging.getLogger(__name__)

MAX_SQL_KEPT = 1_000_000
"""Characters of a statement that the audit log keeps."""

PROTECTED_FAILURE = "A statement over protected tables failed; why is not told."
PROTECTED_FAILURE_HINT = "Usual causes are a CAST (TRY_CAST gives NULL instead) and arithmetic out of range."
"""Always the same two texts: which failure it was would tell about the values."""

_SAYS_WHY = frozenset({errors.SQL_EXECUTION, errors.NODE_EXECUTION})


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What the coordinator asks of this node. Nothing in it is believed."""

    task_id: str
    query_id: str
    stage_id: str
    attempt: int
    permit: str
    request: str
    sql: str
    inputs: Mapping[str, tuple[Column, ...]]
    timeout_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """What is told about groups kept back. ``groups`` is None where policy does not let it be told."""

    threshold_applied: bool
    min_persons: int
    groups: int | None


@dataclass(slots=True)
class Released:
    """A task's output: frames to be sent once, and what is known when they are."""

    frames: Iterator[bytes]
    withheld: Withheld
    engine_ms: float
    finish: Callable[[], str]
    """Called after the last frame: returns the signed receipt."""


class Cancellation:
    """Tells a task from any thread that nobody wants it any more. Once cancelled, nothing of it is released."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._cancelled = False
        self._statement: Statement | None = None

    def cancel(self) -> None:
        """Stop the task: its statement now, or before it starts."""
        with self._mutex:
            self._cancelled = True
            if self._statement is not None:
                self._statement.cancel()

    def check(self) -> None:
        """Raise CANCELLED when the task was cancelled."""
        if self._cancelled:
            raise errors.error(errors.CANCELLED, "The query was cancelled.")

    @contextlib.contextmanager
    def reaching(self, statement: Statement) -> Iterator[None]:
        """Let ``cancel`` stop ``statement`` while the block runs."""
        with self._mutex:
            self.check()
            self._statement = statement
        try:
            yield
        finally:
            with self._mutex:
                self._statement = None


@dataclass(slots=True)
class TaskRunner:
    """What all tasks of a node share."""

    node: str
    federation: str
    authority_key: Ed25519PublicKey
    signing_key: Ed25519PrivateKey
    engine: Engine
    audit: AuditLog | None
    statement_timeout_s: float
    max_release_bytes: int
    compress: bool = False
    now: Callable[[], float] = time.time
    _decisions: Decisions = field(init=False)

    def __post_init__(self) -> None:
        self._decisions = Decisions(self.node)

    def run(
        self, order: TaskOrder, inputs: Mapping[str, pa.Table], cancellation: Cancellation | None = None
    ) -> Released:
        """Do the task up to the point where its frames may be sent. Blocks: call it in a thread.

        Raises:
            ArchipelError: why nothing leaves; its text holds no value. The refusal is in the audit log.
        """
        audit = self.audit
        if audit is None:
            raise errors.error(errors.AUDIT_UNAVAILABLE, "The node runs without an audit log.", node=self.node)
        known: dict[str, Any] = self._order_facts(order)
        try:
            return self._run(order, inputs, cancellation or Cancellation(), audit, known)
        except errors.ArchipelError as problem:
            told = errors.with_context(problem, node=self.node)
        except Exception as cause:  # noqa: BLE001 - a fault of ours is an audited refusal too, and its text stays here
            log.error("a task failed with %s", type(cause).__name__)  # no traceback: its lines can hold values
            told = errors.error(errors.INTERNAL, "The node failed.", node=self.node)
        kind = "refused" if told.info.code.fault in {errors.Fault.PERMISSION, errors.Fault.REQUEST} else "failed"
        why = {"code": told.code, "reason": told.info.message, "refused_by": told.rule}
        self._write(audit, kind, {**known, **why})
        raise told

    def _run(
        self,
        order: TaskOrder,
        inputs: Mapping[str, pa.Table],
        cancellation: Cancellation,
        audit: AuditLog,
        known: dict[str, Any],
    ) -> Released:
        """Do the task; what becomes known on the way is added to ``known`` for the audit log."""
        asked = authorise(
            order.permit,
            order.request,
            node=self.node,
            federation=self.federation,
            authority_key=self.authority_key,
            now=self.now(),
        )
        known |= _asked_facts(asked)
        _check_inputs(order, inputs, {table.name.lower() for table in self.engine.tables()})
        release = self._decide(order, asked)
        known |= _release_facts(release)
        self.engine.check_unchanged(release.tables)
        started = time.monotonic()
        table = self._execute(order, inputs, asked, release, cancellation)
        engine_ms = (time.monotonic() - started) * 1000
        self.engine.check_unchanged(release.tables)  # what was read is what was registered, not half of a new file
        cancellation.check()
        return self._release(order, asked, release, table, engine_ms, audit, known)

    def _decide(self, order: TaskOrder, asked: Asked) -> Release:
        """Check at the border; the decision and its rule are all that a span tells of it."""
        with telemetry.span("archipel.border") as span:
            try:
                release = self._decisions.decide(order.sql, self.engine.tables(), order.inputs, asked.permit)
            except errors.ArchipelError as problem:
                span.set(telemetry.Attribute.POLICY_DECISION, "refused")
                span.set(telemetry.Attribute.POLICY_RULE, problem.rule or problem.code)
                raise
            span.set(telemetry.Attribute.POLICY_DECISION, "allowed")
            span.set(telemetry.Attribute.POLICY_RULE, release.rule)
        return release

    def _execute(
        self,
        order: TaskOrder,
        inputs: Mapping[str, pa.Table],
        asked: Asked,
        release: Release,
        cancellation: Cancellation,
    ) -> pa.Table:
        timeout_s = min(self.statement_timeout_s, order.timeout_s, asked.request.timeout_s)
        max_bytes = min(order.max_bytes or self.max_release_bytes, self.max_release_bytes)
        summary = " ".join(("SELECT", *release.tables))
        statement = self.engine.statement(release.sql, inputs, timeout_s=timeout_s)
        started, failed = time.monotonic(), ""
        try:
            with (
                telemetry.span(
                    summary, kind="client", attributes=telemetry.query_attributes(release.sql, summary=summary)
                ),
                cancellation.reaching(statement),
            ):
                # Read whole before the first frame leaves, also what is not protected: the record must name its size.
                return _read(statement.run(), max_bytes)
        except errors.ArchipelError as problem:
            failed = problem.code
            if release.protected and problem.info.code in _SAYS_WHY:
                raise errors.error(errors.NODE_EXECUTION, PROTECTED_FAILURE, hint=PROTECTED_FAILURE_HINT) from None
            raise
        finally:
            statement.close()
            telemetry.record_statement(time.monotonic() - started, error=failed)

    def _release(
        self,
        order: TaskOrder,
        asked: Asked,
        release: Release,
        table: pa.Table,
        engine_ms: float,
        audit: AuditLog,
        known: dict[str, Any],
    ) -> Released:
        output, withheld, fewest = _strip(table, release)
        content = list(frames.encode_table(output, compress=self.compress))
        record = self._write(
            audit,
            "released",
            {
                **known,
                "min_persons": release.min_persons if release.protected else None,
                "fewest_persons_of_a_group": fewest,
                "rows": output.num_rows,
                "withheld_groups": withheld if release.protected else None,
                "bytes": sum(len(frame) for frame in content),
            },
        )
        told = withheld if release.protected and release.tell_withheld_count else None
        signed = self._receipt(order, asked, release, content, record, output.num_rows if told is not None else None)
        return Released(
            iter(content),
            Withheld(release.protected, release.min_persons if release.protected else 0, told),
            engine_ms,
            lambda: signed,
        )

    def _receipt(
        self,
        order: TaskOrder,
        asked: Asked,
        release: Release,
        content: list[bytes],
        record: str,
        groups: int | None,
    ) -> str:
        body = hashlib.sha256()
        for frame in content:
            body.update(frame)
        return receipt.sign(
            receipt.ReceiptContent(
                node=self.node,
                query_id=order.query_id,
                stage_id=order.stage_id,
                attempt=order.attempt,
                permit_id=asked.permit.permit_id,
                request_sha256=tokens.digest(order.request),
                sql_sha256=hashlib.sha256(release.sql.encode()).hexdigest(),
                form=release.form.name.lower(),
                rule=release.rule,
                min_persons=release.min_persons,
                bytes=sum(len(frame) for frame in content),
                content_sha256=body.hexdigest(),
                audit_record=record,
                time=int(self.now()),
                groups=groups,
            ),
            self.signing_key,
        )

    def _write(self, audit: AuditLog, kind: str, content: dict[str, Any]) -> str:
        try:
            return audit.append(kind, content)
        except errors.ArchipelError as problem:
            log.error("nothing is released: %s", problem.info.message)
            raise errors.with_context(problem, node=self.node) from None

    def _order_facts(self, order: TaskOrder) -> dict[str, Any]:
        return {
            "time": round(self.now(), 3),
            "query": order.query_id,
            "stage": order.stage_id,
            "attempt": order.attempt,
            "request_sha256": tokens.digest(order.request),
            "permit_sha256": tokens.digest(order.permit),
            "asked_sql": order.sql[:MAX_SQL_KEPT],
        }


def _asked_facts(asked: Asked) -> dict[str, Any]:
    return {
        "researcher": asked.researcher,
        "project": asked.permit.project,
        "purpose": asked.permit.purpose,
        "permit": asked.permit.permit_id,
        "request": asked.request.request_id,
        "researcher_sql": asked.request.sql[:MAX_SQL_KEPT],
    }


def _release_facts(release: Release) -> dict[str, Any]:
    return {
        "rule": release.rule,
        "form": release.form.name.lower(),
        "tables": release.tables,
        "columns": release.columns,
        "executed_sql": release.sql,
    }


def _check_inputs(order: TaskOrder, inputs: Mapping[str, pa.Table], tables: set[str]) -> None:
    """Make sure that the inputs are what the border check is told they are, and hide no table of this node."""
    names = {name.lower() for name in order.inputs}
    if len(names) < len(order.inputs) or set(order.inputs) != set(inputs) or names & tables:
        raise errors.error(errors.BAD_REQUEST, "The task's inputs are not those that it declares.")
    for name, columns in order.inputs.items():
        if [column.name for column in columns] != inputs[name].column_names:
            raise errors.error(errors.BAD_REQUEST, "An input of the task has other columns than it declares.")


def _read(reader: pa.RecordBatchReader, max_bytes: int) -> pa.Table:
    batches, size = [], 0
    for batch in reader:
        size += batch.nbytes
        if max_bytes and size > max_bytes:
            raise errors.error(errors.RESULT_TOO_LARGE, f"The stage gives more than {max_bytes:,} bytes.")
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _strip(table: pa.Table, release: Release) -> tuple[pa.Table, int, int | None]:
    """Return the rows that leave, the number of withheld groups, and the fewest persons of a released group."""
    if release.withheld_column is None or release.persons_column is None:
        return table, 0, None
    import pyarrow.compute as pc

    withheld = table.column(release.withheld_column)[0].as_py() if table.num_rows else 0
    kept = table.filter(pc.is_valid(table.column(release.persons_column)))
    fewest = pc.min(kept.column(release.persons_column)).as_py() if kept.num_rows else None
    if fewest is not None and fewest < release.min_persons:
        log.critical("a statement passed the border check with a group below the threshold: nothing leaves")
        raise errors.error(errors.BORDER_REFUSED, "The threshold was not met.")
    return kept.drop_columns([release.withheld_column, release.persons_column]), int(withheld or 0), fewest
