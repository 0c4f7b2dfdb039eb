"""What nodes lack and get from the coordinator before they begin: subqueries and sources of other nodes."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from coordinator.catalog import Catalog
from coordinator.planner import aggregation, rewrite
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.conditions import is_correlated, subqueries_in
from coordinator.planner.placement import Mixed, Placement, place, place_sources, subquery_runs_there
from coordinator.planner.tables import entries_in, is_protected

Solve = Callable[[exp.Query], exp.Query]


def prepared(
    select: exp.Select, assembly: Assembly, solve: Solve, *, grouped: bool, broadcast: bool
) -> tuple[exp.Select, dict[str, Source]]:
    """Return a copy of a block in which what the nodes lack comes as inputs, and the inputs by name.

    With ``grouped`` its group keys and aggregates are computed at the nodes, not only its joins and WHERE. With
    ``broadcast`` open sources that are not where the others are become inputs, too.

    Raises:
        Mixed: the sources are not at nodes together even so.
    """
    work = select.copy()
    inputs: dict[str, Source] = {}
    if broadcast:
        _broadcast(work, inputs, assembly, solve)
    placed = place_sources(work, assembly.catalog, inputs)
    _hand_out_subqueries(work, placed, inputs, assembly, solve, grouped=grouped)
    return work, inputs


def _hand_out_subqueries(
    work: exp.Select, placed: Placement, inputs: dict[str, Source], assembly: Assembly, solve: Solve, *, grouped: bool
) -> None:
    handed: dict[str, exp.Query] = {}
    for region in _regions_at_nodes(work, grouped=grouped):
        for subquery in subqueries_in(region):
            if subquery_runs_there(subquery, placed, assembly.catalog, inputs) or is_correlated(subquery):
                continue
            spelled = subquery.sql("duckdb")
            given = assembly.finished(rewrite.with_unique_outputs(solve(subquery)))
            inputs[given.name] = given
            handed[spelled] = read(given, subquery.named_selects)
            subquery.replace(handed[spelled].copy())
    # A group key that holds a subquery stands among the outputs, too: there it must stay the same expression.
    for part in work.expressions:
        for subquery in subqueries_in(part):
            if subquery.sql("duckdb") in handed:
                subquery.replace(handed[subquery.sql("duckdb")].copy())


def _regions_at_nodes(work: exp.Select, *, grouped: bool) -> list[exp.Expr]:
    """Return the expressions of a block that are computed at the nodes."""
    regions = [join.args["on"] for join in rewrite.joins_of(work) if join.args.get("on") is not None]
    regions += rewrite.parts(work, "where")
    return [*regions, *rewrite.parts(work, "group"), *aggregation.aggregates_in(work)] if grouped else regions


def _broadcast(work: exp.Select, inputs: dict[str, Source], assembly: Assembly, solve: Solve) -> None:
    sources = rewrite.sources_of(work)
    anchors = [s for s in sources if is_protected(s, assembly.catalog)] or sources[:1]
    nodes = _nodes_of(anchors, assembly.catalog)
    for source in sources:
        if source in anchors or not isinstance(source, exp.Table | exp.Subquery):
            continue
        if not entries_in(source, assembly.catalog) or _is_at(source, nodes, inputs, assembly.catalog):
            continue
        used = rewrite.columns_used(work.iter_expressions(), {source.alias_or_name})
        columns = [rewrite.aliased(rewrite.column(*c), c[1]) for c in used]
        picked = exp.select(*(columns or [one()]))
        plain = source.copy()
        plain.set("joins", None)
        picked.set("from_", exp.From(this=plain))
        given = assembly.finished(solve(picked))
        inputs[given.name] = given
        source.replace(joined_as(given, source))
    if not inputs:
        raise Mixed("Its tables are not at the same nodes.", work)


def _is_at(source: exp.Expr, nodes: set[str], inputs: dict[str, Source], catalog: Catalog) -> bool:
    """Whether every one of ``nodes`` has all rows of a source."""
    try:
        found = place(exp.select("*").from_(source.copy()), catalog, inputs)
    except Mixed:
        return False
    return found.replicated and found.nodes is not None and nodes <= set(found.nodes)


def _nodes_of(anchors: list[exp.Expr], catalog: Catalog) -> set[str]:
    nodes: set[str] = set()
    for anchor in anchors:
        for entry in entries_in(anchor, catalog):
            if entry.table.policy.protected or len(anchors) == 1:
                nodes |= set(entry.nodes)
    return nodes


def one() -> exp.Alias:
    """Return an output for a block of which no column is needed."""
    return rewrite.aliased(exp.Literal.number(1), "c0")


def read(source: Source, names: list[str]) -> exp.Select:
    """Return a SELECT of all columns of an exchange, under the names given."""
    outputs = [
        rewrite.aliased(rewrite.column(source.name, c.name), names[i] if i < len(names) and names[i] else c.name)
        for i, c in enumerate(source.columns)
    ]
    return exp.select(*outputs).from_(rewrite.table(source.name))


def joined_as(source: Source, replaced: exp.Expr) -> exp.Table:
    """Return the exchange in the place of a source: under its alias, with the joins that hang on it."""
    made = rewrite.table(source.name, replaced.alias_or_name)
    for key in ("joins", "laterals"):
        if replaced.args.get(key):
            made.set(key, replaced.args[key])
    return made
