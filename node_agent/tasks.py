"""One task from arrival to release: authorise, check at the border, run, audit, only then hand out.

The order is the point of this module: no byte leaves before the audit record that tells of it is on disk.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from archipel import errors, frames, receipt, tokens
from archipel.border import check
from archipel.border.decision import BorderContext, Release
from archipel.schema import Column
from node_agent.audit import AuditLog
from node_agent.authorise import Asked, authorise
from node_agent.engine.base import Engine, Statement

log = logging.getLogger(__name__)


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
    compress: bool = False
    now: Callable[[], float] = time.time
    _running: dict[str, Statement] = field(default_factory=dict)

    def cancel(self, task_id: str) -> None:
        """Stop the statement of a task, if it runs."""
        statement = self._running.get(task_id)
        if statement is not None:
            statement.cancel()

    def run(self, order: TaskOrder, inputs: Mapping[str, pa.Table]) -> Released:
        """Do the task up to the point where its frames may be sent. Blocks: call it in a thread.

        Raises:
            ArchipelError: why nothing leaves; its text holds no value. The refusal is in the audit log.
        """
        audit = self.audit
        if audit is None:
            raise errors.error(errors.AUDIT_UNAVAILABLE, "The node runs without an audit log.", node=self.node)
        asked: Asked | None = None
        try:
            asked = authorise(
                order.permit,
                order.request,
                node=self.node,
                federation=self.federation,
                authority_key=self.authority_key,
                now=self.now(),
            )
            release = check(order.sql, self._context(order, asked))
            self.engine.check_unchanged(release.tables)
            return self._execute(order, inputs, asked, release, audit)
        except errors.ArchipelError as problem:
            audit.append("refused", {**self._who(order, asked), "code": problem.code, "reason": problem.info.message})
            raise errors.with_context(problem, node=self.node) from None

    def _context(self, order: TaskOrder, asked: Asked) -> BorderContext:
        tables = {table.name.lower(): table for table in self.engine.tables()}
        inputs = {name.lower(): columns for name, columns in order.inputs.items()}
        return BorderContext(node=self.node, tables=tables, inputs=inputs, permit=asked.permit)

    def _execute(
        self, order: TaskOrder, inputs: Mapping[str, pa.Table], asked: Asked, release: Release, audit: AuditLog
    ) -> Released:
        timeout_s = min(self.statement_timeout_s, order.timeout_s)
        statement = self.engine.statement(release.sql, inputs, timeout_s=timeout_s)
        self._running[order.task_id] = statement
        started = time.monotonic()
        try:
            # Also what is not protected is read whole before the first frame leaves: the record must name its size.
            table = _read(statement.run(), order.max_bytes)
        finally:
            self._running.pop(order.task_id, None)
            statement.close()
        engine_ms = (time.monotonic() - started) * 1000
        output, withheld, fewest = _strip(table, release)
        content = list(frames.encode_table(output, compress=self.compress))
        size = sum(len(frame) for frame in content)
        record = audit.append(
            "released",
            {
                **self._who(order, asked),
                "rule": release.rule,
                "form": release.form.name.lower(),
                "tables": release.tables,
                "columns": release.columns,
                "min_persons": release.min_persons if release.protected else None,
                "fewest_persons_of_a_group": fewest,
                "rows": output.num_rows,
                "withheld_groups": withheld if release.protected else None,
                "bytes": size,
                "executed_sql": release.sql,
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

    def _who(self, order: TaskOrder, asked: Asked | None) -> dict[str, Any]:
        known = {
            "time": round(self.now(), 3),
            "query": order.query_id,
            "stage": order.stage_id,
            "attempt": order.attempt,
            "request_sha256": tokens.digest(order.request),
            "permit_sha256": tokens.digest(order.permit),
            "asked_sql": order.sql[:100_000],
        }
        if asked is not None:
            known |= {
                "researcher": asked.researcher,
                "project": asked.permit.project,
                "purpose": asked.permit.purpose,
                "permit": asked.permit.permit_id,
                "researcher_sql": asked.request.sql[:100_000],
            }
        return known


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
