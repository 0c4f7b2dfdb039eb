"""The tasks of one query at nodes: what is sent to them, and what of them is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from archipel import certificate_wire, errors, telemetry, wire
from archipel.schema import Column, Form
from archipel.v1 import common_pb2, gateway_pb2
from coordinator.asked import Asked
from coordinator.config import LimitsSection
from coordinator.deliveries import Deliveries, Delivery, Expected, Route
from coordinator.events import TaskRef
from coordinator.plan import Plan, Stage
from coordinator.registry import Registry
from coordinator.relay import Spool

LEAST_TIMEOUT_S = 0.05

ATTACHED_BYTES = 32 * 1024
"""A delivery up to this size comes on the node's stream, and is decoded on the loop's thread: a call of its own, as a
hop to another thread, takes longer. (A call took 1.0 ms from the node's hands to the coordinator's, the stream 0.4.)"""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a task gets: ``tables`` of the coordinator by exchange, and what ``senders`` sealed for its node.

    ``sealed`` are the streams by exchange and sender.
    """

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    senders: tuple[TaskRef, ...] = ()
    sealed: Mapping[Route, Spool] = field(default_factory=dict)


class Dispatch:
    """Sends and withdraws the tasks of one query. Each has a span, which the node's spans continue."""

    def __init__(
        self,
        registry: Registry,
        deliveries: Deliveries,
        query_id: str,
        asked: Asked,
        limits: LimitsSection,
        trace: str,
        *,
        max_sealed_bytes: int,
    ) -> None:
        self._registry = registry
        self._deliveries = deliveries
        self._query_id = query_id
        self._asked = asked
        self._max_bytes = limits.max_stage_bytes
        self._max_sealed_bytes = max_sealed_bytes
        self._trace = trace
        self._spans: dict[TaskRef, telemetry.ActiveSpan] = {}

    def send(
        self,
        plan: Plan,
        task: TaskRef,
        inputs: Inputs,
        *,
        left_s: float,
        on_delivery: Callable[[Delivery], None],
        on_refusal: Callable[[errors.ErrorInfo], None],
    ) -> bool:
        """Send a task with ``inputs`` for its node to collect; False when the node takes no tasks now."""
        session = self._registry.session(task.node)
        if session is None:
            return False
        stage = plan.stage(task.stage_id)
        outputs = _outputs_of(plan, task.stage_id)
        max_bytes = self._max_sealed_bytes if outputs else self._max_bytes
        attributes: dict[telemetry.Attribute, str | int | float | bool] = {
            telemetry.Attribute.QUERY_ID: self._query_id,
            telemetry.Attribute.STAGE_ID: task.stage_id,
            telemetry.Attribute.STAGE_KIND: stage.kind.value,
            telemetry.Attribute.NODE: task.node,
            telemetry.Attribute.ATTEMPT: task.attempt,
        }
        span = telemetry.open_span(
            "archipel.node_stage", kind="producer", attributes=attributes, parent=self._trace or None
        )
        self._spans[task] = span
        self._deliveries.expect(
            Expected(
                task_id=self._task_id(task),
                query_id=self._query_id,
                task=task,
                max_bytes=max_bytes,
                inputs=inputs.tables,
                sealed_inputs=inputs.sealed,
                routes=tuple((output.exchange_id, node) for output in outputs for node in output.nodes),
                on_delivery=on_delivery,
                on_refusal=on_refusal,
            )
        )
        message = gateway_pb2.Task(
            task_id=self._task_id(task),
            query_id=self._query_id,
            stage_id=task.stage_id,
            attempt=task.attempt,
            permit=self._asked.permit_token,
            request=self._asked.request_token,
            sql=stage.sql,
            inputs=[_input_of(plan, exchange_id, inputs.senders) for exchange_id in stage.inputs],
            outputs=outputs,
            form=wire.form_to_wire(form_of(plan, task.stage_id)),
            timeout_ms=int(max(left_s, LEAST_TIMEOUT_S) * 1000),
            traceparent=span.traceparent or self._trace,
            max_bytes=max_bytes,
            certificates=_certificates(plan, task),
            takes_whole=True,
            attached_bytes=ATTACHED_BYTES,
            round=_round(stage),
            intersection=_intersection(stage),
        )
        session.send(gateway_pb2.AttachResponse(task=message))
        return True

    def withdraw(self, task: TaskRef) -> None:
        """Cancel a task at its node and take nothing of it any more."""
        task_id = self._task_id(task)
        self._deliveries.withdraw(task_id)
        self.ended(task, "CANCELLED")
        session = self._registry.open_session(task.node)
        if session is not None:
            session.send(gateway_pb2.AttachResponse(cancel_task=gateway_pb2.CancelTask(task_id=task_id)))

    def ended(self, task: TaskRef, error: str = "") -> None:
        """Note that a task has ended, well or with the code ``error``."""
        span = self._spans.pop(task, None)
        if span is not None:
            if error:
                span.fail(error)
            span.end()

    def close(self) -> None:
        """End what is left of spans."""
        for task in list(self._spans):
            self.ended(task, "CANCELLED")

    def _task_id(self, task: TaskRef) -> str:
        return f"{self._query_id}.{task.stage_id}.{task.node}.{task.attempt}"


def form_of(plan: Plan, stage_id: str) -> Form:
    """Return the form in which a stage's output crosses; what is the result itself crosses as rows."""
    return max((e.form for e in plan.exchanges if e.source == stage_id), default=Form.ROWS)


def _outputs_of(plan: Plan, stage_id: str) -> list[gateway_pb2.SealedOutput]:
    """Return the exchanges that a stage's output is sealed for; none when it is for the coordinator."""
    return [
        gateway_pb2.SealedOutput(exchange_id=e.exchange_id, nodes=plan.stage(e.target).sites, part_column=e.part_column)
        for e in plan.exchanges
        if e.source == stage_id and plan.is_sealed(e)
    ]


def _input_of(plan: Plan, exchange_id: str, senders: tuple[TaskRef, ...]) -> gateway_pb2.TaskInput:
    exchange = next(e for e in plan.exchanges if e.exchange_id == exchange_id)
    columns = [
        wire.column_to_wire(Column(c.name, c.type))
        for c in plan.stage(exchange.source).columns
        if c.name != exchange.part_column
    ]
    message = gateway_pb2.TaskInput(name=exchange_id, exchange_id=exchange_id, columns=columns)
    if plan.is_sealed(exchange):
        told = {(sender.stage_id, sender.node): sender for sender in senders}
        for node in plan.stage(exchange.source).sites:
            sender = told[exchange.source, node]
            message.senders.add(node=sender.node, stage_id=sender.stage_id, attempt=sender.attempt)
    return message


def _round(stage: Stage) -> gateway_pb2.RoundStep | None:
    step = stage.round
    if step is None:
        return None
    return gateway_pb2.RoundStep(
        step=step.step.value, contributors=step.contributors, aggregator=step.aggregator, bitmaps=step.bitmaps
    )


def _intersection(stage: Stage) -> gateway_pb2.IntersectionStep | None:
    step = stage.intersection
    if step is None:
        return None
    return gateway_pb2.IntersectionStep(step=step.step.value, senders=step.senders, receivers=step.receivers)


def _certificates(plan: Plan, task: TaskRef) -> list[common_pb2.Certificate]:
    """Return what a task's node is told of its exchanges, in their order."""
    sent = [e.certificate for e in plan.exchanges if e.source == task.stage_id]
    return [certificate_wire.to_wire(certificate, task.node) for certificate in sent if certificate is not None]
