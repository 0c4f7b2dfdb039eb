"""Events of a node's audit log for the holder's own collector: that something was decided, never what the data says."""

from __future__ import annotations

from collections.abc import Mapping

from archipel.telemetry.names import AUDIT_EVENT, Attribute
from archipel.telemetry.runtime import active, plain


def emit_audit_event(attributes: Mapping[Attribute, str | int | float | bool]) -> None:
    """Send an event with ``attributes`` and no text; does nothing unless events were asked for."""
    runtime = active()
    if runtime is None or runtime.events is None:
        return
    from opentelemetry._logs import SeverityNumber

    runtime.events.emit(
        event_name=AUDIT_EVENT,
        severity_number=SeverityNumber.INFO,
        attributes=plain(attributes),
    )
