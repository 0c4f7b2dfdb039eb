"""Sketches at the border: who lets them leave, and that they are salted for the permit they are asked under."""

from __future__ import annotations

from sqlglot import exp

from archipel import aggregates, schema, sketches
from archipel.border import refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.refusal import refused


def judge(select: exp.Expr, analysis: Analysis) -> None:
    """Refuse a sketch of the outermost SELECT of which a table's policy, or the permit's salt, knows nothing.

    A value that one knows can be tested for in a sketch, so that ``aggregate`` in a policy does not let one leave.
    """
    context = analysis.context
    for unit in syntax.aggregates_in(select):
        call, _ = syntax.split_filter(unit)
        if aggregates.REGISTRY[syntax.aggregate_name(call) or ""].leak is not aggregates.Leak.SKETCH:
            continue
        for table in sorted(analysis.tables.values(), key=lambda t: t.name):
            if _allowed(table, analysis) < schema.Form.SKETCH:
                raise refused(refusal.SKETCH, call, table.name)
        given = syntax.arguments(call)
        if len(given) != 2 or given[1] != exp.Literal.string(sketches.salt(context.permit.permit_id)):
            raise refused(refusal.SKETCH_SALT, call)


def form(analysis: Analysis) -> schema.Form:
    """Return the strongest form in which groups of all tables of the statement may leave: aggregates, or sketches."""
    allowed = [_allowed(table, analysis) for table in analysis.tables.values()]
    return max(schema.Form.AGGREGATE, min([schema.Form.SKETCH, *allowed]))


def _allowed(table: schema.Table, analysis: Analysis) -> schema.Form:
    """Return the form of a table's policy; more than sketches of a protected table is a mistake, and lets out least."""
    found = table.policy.form_to(analysis.context.destination)
    return schema.Form.AGGREGATE if table.policy.protected and found > schema.Form.SKETCH else found
