"""What of an audit record is sent to the holder's own collector, where its operator has switched that on.

A list of what may be, not of what may not: kind, decision, rule, identifiers, form, bytes, duration. Never SQL, names
of columns, group keys, names of researchers, numbers of rows, groups or persons, or the text of an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archipel.telemetry import Attribute

Event = dict[Attribute, str | int | float | bool]

_PLAIN = {
    "query": Attribute.QUERY_ID,
    "stage": Attribute.STAGE_ID,
    "attempt": Attribute.ATTEMPT,
    "permit": Attribute.PERMIT_ID,
    "project": Attribute.PROJECT,
    "form": Attribute.EXCHANGE_FORM,
    "code": Attribute.ERROR_TYPE,
}

_TASKS = frozenset({"released", "refused", "failed"})


def event_of(node: str, kind: str, record: Mapping[str, Any], digest: str, now: float) -> Event:
    """Return the attributes of the event for a record."""
    event: Event = {Attribute.NODE: node, Attribute.AUDIT_KIND: kind, Attribute.AUDIT_RECORD: digest}
    if kind not in _TASKS:
        return event
    for name, attribute in _PLAIN.items():
        if isinstance(record.get(name), str | int):
            event[attribute] = record[name]
    event[Attribute.POLICY_DECISION] = "allowed" if kind == "released" else "refused"
    rule = record.get("refused_by") or (record.get("rule") if kind == "released" else record.get("code"))
    if isinstance(rule, str) and rule:
        event[Attribute.POLICY_RULE] = rule
    destinations = [name for name in record.get("destinations", ()) if isinstance(name, str)]
    if destinations:
        event[Attribute.DESTINATION] = ",".join(destinations)
    sent = record.get("sent", ())
    if kind == "released" and sent and all(part.get("size_told") for part in sent):
        event[Attribute.RELEASED_BYTES] = sum(int(part["bytes"]) for part in sent)
    if isinstance(record.get("time"), int | float):
        event[Attribute.AUDIT_DURATION] = round(max(0.0, now - record["time"]), 3)
    return event
