"""What stands between a decision of the border check and the engine: hours, how often, and a person's approval.

The border check says what a statement shows; the gate says whether it is answered now, for this researcher. Everything
here is decided before a row is read, and a refusal is a record in the audit log like any other.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from archipel import errors, telemetry, tokens
from archipel.border.decision import Release
from archipel.policy import Policy
from archipel.policy_node import NodeRules, strictest
from node_agent.approval import REFUSED, Approvals, Question, shown
from node_agent.audit import AuditLog
from node_agent.authorise import Asked
from node_agent.engine.base import Engine
from node_agent.order import TaskOrder
from node_agent.rates import Rates
from node_agent.sealed import Received


@dataclass(frozen=True, slots=True)
class Passed:
    """A statement that may run: this one, and no other."""

    sql_sha256: str
    approval: str = ""
    """The digest of the question that a person approved; empty where nobody had to."""

    def facts(self) -> dict[str, str]:
        """Return what the audit log is told."""
        return {"approval": self.approval} if self.approval else {}

    def check(self, sql: str) -> None:
        """Make sure that what is about to run is what was let through.

        Raises:
            ArchipelError: APPROVAL_REFUSED.
        """
        if hashlib.sha256(sql.encode("utf-8", "surrogatepass")).hexdigest() != self.sql_sha256:
            raise errors.error(errors.APPROVAL_REFUSED, "The statement is not the one that was let through.")


class Gate:
    """The policy's rules for the whole node, and a person's decisions. Safe to use from several threads."""

    def __init__(
        self,
        node: str,
        policy: Policy,
        approvals: Approvals | None = None,
        rates: Rates | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._policy = policy
        self._approvals = approvals
        self._rates = rates or Rates(policy.node.rate_limits)
        self._now = now

    @classmethod
    def open(cls) -> Gate:
        """Return a gate that lets everything through: for a policy that says so of the whole node."""
        return cls("", Policy(version=1, node=NodeRules(approval="auto")))

    def enter(self, order: TaskOrder, asked: Asked) -> None:
        """Count a task of a question; before anything is decided.

        Raises:
            ArchipelError: RATE_LIMITED.
        """
        self._rates.take(asked.researcher, asked.permit.permit_id, tokens.digest(order.request), self._now())

    def allow(
        self,
        order: TaskOrder,
        asked: Asked,
        release: Release,
        inputs: Mapping[str, pa.Table],
        received: Mapping[str, Received],
        audit: AuditLog,
    ) -> Passed:
        """Return leave to run the statement of a release.

        Raises:
            ArchipelError: OUTSIDE_HOURS, APPROVAL_PENDING, APPROVAL_REFUSED, or why a question cannot be held.
        """
        digest = hashlib.sha256(release.sql.encode("utf-8", "surrogatepass")).hexdigest()
        question = self._question(order, asked, release, inputs, received)
        timed = release.protected and self._policy.node.working_hours
        if not timed and question is None:
            return Passed(digest)
        with telemetry.span("archipel.gate") as span:
            try:
                if timed:
                    self._check_hours()
                passed = Passed(digest, self._approved(question, audit) if question is not None else "")
            except errors.ArchipelError as problem:
                span.set(telemetry.Attribute.POLICY_DECISION, "refused")
                span.set(telemetry.Attribute.POLICY_RULE, problem.rule or problem.code)
                raise
            span.set(telemetry.Attribute.POLICY_DECISION, "allowed")
        return passed

    def about(self) -> str:
        """Return a line for the operator's log: who decides, and how many questions wait."""
        waiting = self._approvals.waiting() if self._approvals is not None else 0
        return f"approval: {self._policy.node.approval}; {waiting} questions wait for a decision"

    def take_decisions(self, audit: AuditLog) -> None:
        """Read what was decided meanwhile, so that it stands in the audit log soon.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        if self._approvals is not None:
            self._approvals.take(audit, self._now())

    def explained(self, problem: errors.ArchipelError, engine: Engine) -> errors.ArchipelError:
        """Return a clearer error where a table is unknown because its data is not what the policy pins."""
        if problem.rule == "unknown-table":
            for name in engine.unpinned():
                if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", problem.info.message, re.IGNORECASE):
                    text = f"The data of table '{name}' is not the snapshot that the node's policy pins."
                    return errors.error(errors.SNAPSHOT_CHANGED, text, rule="snapshot")
        return problem

    def _check_hours(self) -> None:
        rules, now = self._policy.node, self._now()
        if not rules.open_at(now):
            opens = rules.next_opening(now)
            raise errors.error(
                errors.OUTSIDE_HOURS,
                f"The node answers questions about protected tables at certain hours only; next from {opens:%A} "
                f"{opens:%Y-%m-%d %H:%M} ({opens.tzinfo}).",
                rule="working-hours",
            )

    def _question(
        self,
        order: TaskOrder,
        asked: Asked,
        release: Release,
        inputs: Mapping[str, pa.Table],
        received: Mapping[str, Received],
    ) -> Question | None:
        """Return what a person must decide on; None when nobody must."""
        modes = {name.lower(): self._policy.approval_of(name) for name in release.tables}
        # What other holders sent is about persons, too: what is computed from it is this node's to decide on.
        modes |= {name.lower(): self._policy.node.approval for name, p in received.items() if p.table.policy.protected}
        needed = {name: mode for name, mode in modes.items() if mode != "auto"}
        if not needed:
            return None
        return Question(
            node=self._node,
            covers=strictest(list(needed.values())),
            researcher=asked.researcher,
            project=asked.permit.project,
            purpose=asked.permit.purpose,
            permit_id=asked.permit.permit_id,
            permit_sha256=tokens.digest(order.permit),
            permit_expires=asked.permit.expires,
            researcher_sql=asked.request.sql,
            sql=release.sql,
            destinations=order.destinations,
            form=release.form.name.lower(),
            rule=release.rule,
            min_persons=release.min_persons if release.protected else 0,
            tables=tuple(sorted(needed)),
            columns=release.columns,
            inputs={
                **{name: content_digest(table) for name, table in sorted(inputs.items())},
                **{
                    name: "sealed by " + ", ".join(stream.sender for stream in part.streams)
                    for name, part in sorted(received.items())
                },
            },
        )

    def _approved(self, question: Question, audit: AuditLog) -> str:
        """Return the digest of the question that was approved and covers this one."""
        if self._approvals is None:
            raise errors.error(errors.APPROVAL_PENDING, "A person must decide on this question, and nobody can here.")
        now = self._now()
        self._approvals.take(audit, now)
        standing, missing = self._approvals.standing(question, now)
        if standing is not None and standing.decision.decision == REFUSED:
            because = standing.decision.because
            raise errors.error(
                errors.APPROVAL_REFUSED,
                f"The holder has refused this question{f': {because}' if because else '.'}",
                rule="approval",
            )
        if missing or standing is None:
            self._approvals.ask(question, now)
            what = "statement" if question.covers == "every-query" else "first use of this permit by this researcher"
            raise errors.error(
                errors.APPROVAL_PENDING,
                f"At the node a person decides on each {what}; this one waits there as "
                f"{shown(question)}. Nothing has left.",
                rule="approval",
            )
        return standing.decision.digest


def content_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows, whatever their order and however they are cut into batches."""
    whole = table.combine_chunks()
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError):
        # Nested columns have no order: then the order in which rows came is part of the digest.
        whole = whole.sort_by([(name, "ascending") for name in whole.column_names]).combine_chunks()
    digest = hashlib.sha256(str(whole.schema.remove_metadata()).encode())
    for batch in whole.to_batches(max_chunksize=None):
        digest.update(batch.serialize())
    return "sha256:" + digest.hexdigest()
