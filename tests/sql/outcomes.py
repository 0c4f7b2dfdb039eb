"""What the planner makes of a golden case, as text: the plan that EXPLAIN shows, or the error that is told."""

from __future__ import annotations

import golden
from planning import LocalFederation, away, permit_for, request

from archipel.errors import ArchipelError
from coordinator.planner import explain_text, plan


def outcome(federation: LocalFederation, case: golden.Case) -> str:
    """Return the plan of a case, or its error with place, rule and hint."""
    asked = request(case.sql, dialect=case.dialect, parameters=case.parameters)
    try:
        permit = permit_for(federation.catalog, case.grants)
        return explain_text(
            plan(asked, away(federation, *case.away), permit, federation.shadow.describe, federation.rules)
        )
    except ArchipelError as problem:
        info = problem.info
        place = f" at {info.position}" if info.position else ""
        rule = f" by rule {info.rule}" if info.rule else ""
        node = f" of node {info.node}" if info.node else ""
        hint = [f"Hint: {info.hint}"] if info.hint else []
        return "\n".join([f"{problem.code}{place}{rule}{node}", info.message, *hint])
