"""A plan as text: stages, where they run, what crosses which border by which rule; and measured beside estimated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archipel.explain.document import (
    AlternativeDocument,
    ExchangeDocument,
    IntersectionDocument,
    PlanDocument,
    StageDocument,
    StageMeasureDocument,
)
from archipel.schema import COORDINATOR

NOT_TOLD = "not told"
_HEADINGS = ("node", "rows", "bytes", "engine ms", "waiting ms", "total ms", "attempts")


def plan_text(plan: PlanDocument) -> str:
    """Return a plan in words, one stage after the other."""
    lines = [f"Plan with {len(plan.stages)} stages at {len(plan.nodes())} nodes and the coordinator"]
    lines += _query(plan)
    for stage in plan.stages:
        lines += ["", *_stage(stage, plan)]
    lines += ["", "Result: " + ", ".join(f"{c.name} {c.type}" for c in plan.columns)]
    return "\n".join([*lines, *remarks(plan), *_untold(plan)])


def remarks(plan: PlanDocument) -> list[str]:
    """Return what is to be said of a plan as a whole: what was not pushed down, ways not taken, notes."""
    lines = [f"Not pushed down: {sentence}" for sentence in plan.not_pushed]
    lines += [_alternative(alternative) for alternative in plan.alternatives]
    return [*lines, *(f"Note: {note}" for note in plan.notes)]


def milliseconds(value: float) -> str:
    """Return a time for reading.

    >>> milliseconds(1.26), milliseconds(12345.6)
    ('1.3 ms', '12.3 s')
    """
    return f"{value:,.1f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _query(plan: PlanDocument) -> Iterator[str]:
    query = plan.query
    if query is None:
        return
    after = f" after {milliseconds(query.elapsed_ms)}" if query.elapsed_ms is not None else ""
    gave = f" with {_count(query.result_rows, 'row')}" if query.result_rows is not None else ""
    why = f": {query.error}" if query.error else ""
    yield f"Query {query.query_id} {query.state}{after}{gave}{why}"


def _stage(stage: StageDocument, plan: PlanDocument) -> list[str]:
    where = "the coordinator" if stage.sites == (COORDINATOR,) else ", ".join(stage.sites)
    reads = f", over {', '.join(stage.inputs)}" if stage.inputs else ""
    lines = [f"{stage.stage_id} {stage.kind} at {where}{reads}", f"    {_does(stage)}"]
    if stage.keys:
        lines.append(f"    may be cut by hash of: {', '.join(stage.keys)}")
    sent = [exchange for exchange in plan.exchanges if exchange.source == stage.stage_id]
    for exchange in sent:
        lines += [_exchange(exchange, plan), *(f"       {sentence}" for sentence in exchange.learns)]
    measure = plan.measure(stage.stage_id)
    return lines if measure is None else [*lines, *_measured(measure, sent if stage.kind == "node" else [])]


def _does(stage: StageDocument) -> str:
    """Return a stage's statement; of a step of a round, which runs it once, only what the step is."""
    if stage.intersection is not None:
        return _matches(stage, stage.intersection)
    step = stage.round
    if step is None or step.step == "labels":
        return stage.sql
    return f"step '{step.step}' of a total over {', '.join(step.contributors)}, which {step.aggregator} adds up"


def _matches(stage: StageDocument, step: IntersectionDocument) -> str:
    """Return what a step of a private set intersection does, and with which statement."""
    does = {"ask": "asks, blinded, about the persons of", "answer": "answers with the persons of", "send": "sends of"}
    kept = " the rows of persons whom the receiver has, too" if step.step == "send" else ""
    return f"private set intersection, {does.get(step.step, step.step)}{kept}: {stage.sql}"


def _exchange(exchange: ExchangeDocument, plan: PlanDocument) -> str:
    begins = f"    -> {exchange.exchange_id} for {exchange.target}: "
    if plan.stage(exchange.source).kind != "node":
        return begins + exchange.rule
    sealed = "sealed, " if exchange.sealed else ""
    cut = f" cut by {exchange.part_column}" if exchange.part_column else ""
    return (
        f"{begins}{sealed}crosses as {exchange.form}{cut}, about {exchange.estimated_rows:,} rows and "
        f"{exchange.estimated_bytes:,} bytes; allowed by: {exchange.rule}"
    )


def _alternative(alternative: AlternativeDocument) -> str:
    known = alternative.estimated_bytes is not None
    size = f", about {alternative.estimated_bytes:,} bytes" if known else ""
    return f"Not taken: {alternative.description}{size}: {alternative.reason}"


def _measured(measure: StageMeasureDocument, sent: list[ExchangeDocument]) -> Iterator[str]:
    """Yield what was measured of a stage, beside what was estimated of its exchanges ``sent`` over borders."""
    rows = _told(measure.rows, "row") + _about(e.estimated_rows for e in sent)
    parts = [rows, milliseconds(measure.total_ms)]
    if sent or measure.bytes is not None:
        parts.insert(1, _told(measure.bytes, "byte") + _about(e.estimated_bytes for e in sent))
    if measure.executor:
        parts.append(measure.executor)
    yield f"    measured: {', '.join(parts)}"
    if len(sent) > 1:
        yield from (f"        {e.exchange_id}: {_told(e.measured_bytes, 'byte')}" for e in sent)
    if measure.sites:
        yield from (f"        {line}" for line in _table(measure))


def _table(measure: StageMeasureDocument) -> Iterator[str]:
    table = [
        _HEADINGS,
        *(
            (
                site.node,
                _number(site.rows),
                _number(site.bytes),
                *(f"{value:,.1f}" for value in (site.engine_ms, site.waiting_ms, site.total_ms)),
                str(site.attempts),
            )
            for site in measure.sites
        ),
    ]
    widths = [max(len(row[i]) for row in table) for i in range(len(_HEADINGS))]
    for row in table:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((row[0].ljust(widths[0]), *cells))


def _untold(plan: PlanDocument) -> Iterator[str]:
    if any(measure.rows is None for measure in plan.measured or ()):
        yield (
            f"Rows and bytes are {NOT_TOLD} (-) where they are sealed, or would say how many groups a node withheld or "
            "how many persons were linked between nodes."
        )


def _about(estimates: Iterable[int]) -> str:
    estimated = sum(estimates)
    return f" (estimated {estimated:,})" if estimated else ""


def _told(value: int | None, unit: str) -> str:
    return f"{unit}s {NOT_TOLD}" if value is None else _count(value, unit)


def _count(value: int, unit: str) -> str:
    return f"{value:,} {unit}" if value == 1 else f"{value:,} {unit}s"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
