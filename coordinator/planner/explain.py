"""EXPLAIN as text: stages, where they run, and what crosses which border by which rule."""

from __future__ import annotations

from archipel import explain
from coordinator.plan import Plan
from coordinator.plan_document import plan_document


def explain_text(plan: Plan) -> str:
    """Return a plan in words, one stage after the other."""
    return explain.plan_text(explain.PlanDocument.model_validate(plan_document(plan)))
