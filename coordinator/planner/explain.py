"""EXPLAIN as text: stages, where they run, and what crosses which border by which rule."""

from __future__ import annotations

from coordinator.plan import COORDINATOR, Exchange, Plan, Stage, StageKind


def explain_text(plan: Plan) -> str:
    """Return a plan in words, one stage after the other."""
    lines = [f"Plan with {len(plan.stages)} stages at {len(plan.nodes())} nodes and the coordinator"]
    for stage in plan.stages:
        lines += ["", *_stage(stage, plan)]
    lines += ["", "Result: " + ", ".join(f"{c.name} {c.type}" for c in plan.columns)]
    lines += [f"Note: {note}" for note in plan.notes]
    return "\n".join(lines)


def _stage(stage: Stage, plan: Plan) -> list[str]:
    where = "the coordinator" if stage.sites == (COORDINATOR,) else ", ".join(stage.sites)
    reads = f", over {', '.join(stage.inputs)}" if stage.inputs else ""
    lines = [f"{stage.stage_id} {stage.kind.value} at {where}{reads}", f"    {stage.sql}"]
    if stage.keys:
        lines.append(f"    may be cut by hash of: {', '.join(stage.keys)}")
    return [*lines, *(_exchange(e, stage) for e in plan.exchanges if e.source == stage.stage_id)]


def _exchange(exchange: Exchange, stage: Stage) -> str:
    if stage.kind is not StageKind.NODE:
        return f"    -> {exchange.exchange_id} for {exchange.target}: {exchange.rule}"
    return (
        f"    -> {exchange.exchange_id} for {exchange.target}: crosses as {exchange.form.name.lower()}, about "
        f"{exchange.estimated_rows:,} rows and {exchange.estimated_bytes:,} bytes; allowed by: {exchange.rule}"
    )
