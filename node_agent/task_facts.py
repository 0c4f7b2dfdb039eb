"""What the audit log says of a task: who asked for what, what was decided, what came from other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archipel import tokens
from archipel.border.decision import Release
from node_agent.authorise import Asked
from node_agent.order import TaskOrder
from node_agent.sealed import Received

MAX_SQL_KEPT = 1_000_000
"""Characters of a statement that the audit log keeps."""


def order_facts(order: TaskOrder, now: float) -> dict[str, Any]:
    """Return what the coordinator asks for, before anything of it is believed."""
    return {
        "time": round(now, 3),
        "query": order.query_id,
        "stage": order.stage_id,
        "attempt": order.attempt,
        "destinations": order.destinations,
        "request_sha256": tokens.digest(order.request),
        "permit_sha256": tokens.digest(order.permit),
        "asked_sql": order.sql[:MAX_SQL_KEPT],
    }


def asked_facts(asked: Asked) -> dict[str, Any]:
    """Return who asks, under which permit, and what the researcher wrote."""
    return {
        "researcher": asked.researcher,
        "project": asked.permit.project,
        "purpose": asked.permit.purpose,
        "permit": asked.permit.permit_id,
        "request": asked.request.request_id,
        "researcher_sql": asked.request.sql[:MAX_SQL_KEPT],
    }


def release_facts(release: Release) -> dict[str, Any]:
    """Return what the border decided, and the statement that runs."""
    return {
        "rule": release.rule,
        "form": release.form.name.lower(),
        "tables": release.tables,
        "columns": release.columns,
        "executed_sql": release.sql,
    }


def received_facts(received: Mapping[str, Received]) -> dict[str, Any]:
    """Return what came sealed from other nodes, and what it obliges to."""
    return {
        "received": [
            {
                "exchange": name,
                "from": [stream.sender for stream in part.streams],
                "attempts": [stream.attempt for stream in part.streams],
                "bytes": part.size,
                "protected": part.table.policy.protected,
                "min_persons": part.table.policy.min_persons if part.table.policy.protected else None,
                "key_epochs": sorted(part.epochs),
                "intersected": part.intersected,
            }
            for name, part in received.items()
        ]
    }
