"""All that a researcher and a coordinator can see of a question, so that two worlds can be compared by it.

What differs between two runs of anything (identifiers, times, durations, signatures) is left out; all else is kept,
down to the number of bytes.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from otlp_receiver import attributes

import archipel
from archipel import errors, receipt

_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # identifiers
    r"|\d+(\.\d+)? ?m?s\b"  # durations
    r"|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?"  # times
)
_VARYING_FACTS = {"query_id", "request_sha256", "audit_record", "time", "checkpoint"}

Seen = dict[str, Any]


def observed(connection: archipel.Connection, sql: str, ids: list[str]) -> Seen:
    """Ask a question and return all that is told of it: rows or error, outcomes, events, receipts, plan, measures.

    The query's identifier is added to ``ids``.
    """
    seen: Seen = {}
    try:
        query = connection.query(sql)
        ids.append(query.query_id)
        seen["events"] = [
            (event.state, event.kind, event.node, event.stage_id, settled(event.text), told(event.error))
            for event in query.watch()
        ]
        result = query.result()
        seen["rows"] = result.to_arrow().to_pylist()
        seen["schema"] = str(result.to_arrow().schema)
        seen["complete"] = result.complete
        seen["merged_by"] = result.merged_by
        seen["nodes"] = [dataclasses.replace(node, engine_ms=0.0) for node in result.nodes]
        seen["notices"] = [(notice.kind, settled(notice.text), notice.node) for notice in result.notices]
        seen["crossings"] = list(result.crossings)
        seen["receipts"] = [
            {name: value for name, value in receipt.read_unverified(token).items() if name not in _VARYING_FACTS}
            for token in result.receipts
        ]
        seen["analysis"] = _plain(json.loads(query.explain().json))
    except errors.ArchipelError as problem:
        seen["error"] = told(problem)
    try:
        seen["plan"] = _plain(json.loads(connection.explain(sql).json))
    except errors.ArchipelError as problem:
        seen["plan"] = told(problem)
    return seen


def told(problem: errors.ArchipelError | None) -> tuple[str, ...] | None:
    """Return all that an error says."""
    if problem is None:
        return None
    info = problem.info
    return (info.code.name, settled(info.message), settled(info.hint), str(info.position), info.node, info.rule)


def settled(text: str) -> str:
    """Return a text without what differs between any two runs."""
    return _VARYING.sub("…", text)


def spans(services: Iterable[tuple[str, Any]], asked: Collection[str]) -> list[tuple[str, str, str]]:
    """Return what nodes measured of the queries ``asked``, without identifiers and times."""
    everything = [(service, span, attributes(span)) for service, span in services]
    traces = {span.trace_id for _, span, facts in everything if facts.get("archipel.query.id") in asked}
    found = []
    for service, span, facts in everything:
        if span.trace_id in traces and service == "archipel-node":
            kept = {name: value for name, value in facts.items() if name != "archipel.query.id"}
            found.append((service, span.name, settled(json.dumps(kept, sort_keys=True))))
    return sorted(found)


def sizes(metrics: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return what a metric of bytes counted, by its attributes."""
    metric = metrics.get("archipel.exchange.bytes")
    if metric is None:
        return []
    return sorted(
        (metric.name, json.dumps(attributes(point), sort_keys=True), point.as_int) for point in metric.sum.data_points
    )


def _plain(value: Any) -> Any:
    """Return a JSON value without durations and identifiers."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not k.endswith("_ms") and k not in _VARYING_FACTS}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return settled(value) if isinstance(value, str) else value
