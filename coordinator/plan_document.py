"""A plan in the JSON form that ``archipel.explain`` describes, alone or with what was measured of a query. Pure."""

from __future__ import annotations

import json
from typing import Any

from archipel import explain
from archipel.v1 import query_pb2
from coordinator.events import State
from coordinator.learning import learned
from coordinator.plan import Plan
from coordinator.store import QueryRecord, ResultHead


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan that was not run."""
    known = {e.exchange_id: {"sealed": plan.is_sealed(e), "learns": learned(plan, e)} for e in plan.exchanges}
    data = plan.to_dict()
    exchanges = [exchange | known[exchange["exchange_id"]] for exchange in data["exchanges"]]
    return {"format": explain.FORMAT, "version": explain.VERSION, **data, "exchanges": exchanges}


def explained_query(record: QueryRecord, state: State, head: ResultHead | None) -> tuple[str, str]:
    """Return text and JSON of the plan of a query as it ran, with what was measured once it has finished."""
    info = query_pb2.ResultInfo.FromString(head.info) if head is not None else None
    query: dict[str, Any] = {
        "query_id": record.query_id,
        "state": state.value,
        "error": record.error.code.name if record.error is not None else "",
        "elapsed_ms": _ms(info.elapsed_ms) if info is not None else None,
        "result_rows": head.rows if head is not None else None,
    }
    plan = json.loads(record.plan)
    measured = None
    if info is not None:
        measured = [_stage(stage) for stage in info.stages]
        plan["exchanges"] = [e | {"measured_bytes": _crossed(e["exchange_id"], info)} for e in plan["exchanges"]]
    text = json.dumps(plan | {"query": query, "measured": measured})
    return explain.plan_text(explain.read(text)), text


def _crossed(exchange_id: str, info: query_pb2.ResultInfo) -> int | None:
    """Return the bytes of an exchange that left nodes; None where they are not told or none left."""
    found = [c for c in info.crossings if c.exchange_id == exchange_id and c.receiver != c.sender]
    return sum(c.bytes for c in found) if found and all(c.HasField("bytes") for c in found) else None


def _stage(message: query_pb2.StageMeasure) -> dict[str, Any]:
    sites = [_site(site) for site in message.sites]
    sizes = [site["bytes"] for site in sites]
    return {
        "stage_id": message.stage_id,
        "rows": message.rows if message.HasField("rows") else None,
        "bytes": sum(sizes) if sizes and None not in sizes else None,
        "total_ms": _ms(message.total_ms),
        "executor": message.executor,
        "sites": sites,
    }


def _site(message: query_pb2.SiteMeasure) -> dict[str, Any]:
    return {
        "node": message.node,
        "rows": message.rows if message.HasField("rows") else None,
        "bytes": message.bytes if message.HasField("bytes") else None,
        "engine_ms": _ms(message.engine_ms),
        "waiting_ms": _ms(max(0.0, message.total_ms - message.engine_ms)),
        "total_ms": _ms(message.total_ms),
        "attempts": message.attempts,
    }


def _ms(value: float) -> float:
    return round(value, 3)  # what is finer than a microsecond is noise
