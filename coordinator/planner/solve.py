"""Cuts a bound query: what can run at the nodes goes into node stages, the rest runs at the coordinator over them.

``solve`` returns the query with the parts that run elsewhere replaced by exchanges. For every block the ways are tried
from the one that moves least to the plan of last resort; a way is closed when it is not proved right or when a border
refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from sqlglot import exp

from archipel import errors
from coordinator.catalog import CatalogTable
from coordinator.planner import aggregation, rewrite
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.cut import cut_aggregation
from coordinator.planner.placement import (
    Mixed,
    Placement,
    conjuncts,
    is_correlated,
    place,
    place_rows,
    place_sources,
    subqueries_in,
    subquery_runs_there,
)
from coordinator.planner.positions import position_of

Way = Callable[[], exp.Query]

_CLOSED = frozenset(
    {
        errors.BORDER_REFUSED.name,
        errors.POLICY_REFUSED.name,
        errors.PERMIT_SCOPE.name,
        errors.SQL_UNSUPPORTED.name,
        errors.SQL_UNKNOWN_FUNCTION.name,
        errors.NODE_UNAVAILABLE.name,
    }
)
"""Errors that close one way; the next is tried. Any other ends planning."""


class Solver:
    """Cuts queries into the stages of one assembly."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._catalog = assembly.catalog

    def solve(self, query: exp.Query, whole: exp.Query | None = None) -> exp.Query:
        """Return the query as the coordinator runs it. ``whole`` is the same query as its author wrote it.

        Raises:
            ArchipelError: why the best way is closed, when all are.
        """
        if not self._tables(query):
            return query.copy()
        first: errors.ArchipelError | None = None
        for way in self._ways(query, whole or query):
            mark = self._assembly.mark()
            try:
                return way()
            except Mixed as mixed:
                problem = _unsupported(mixed)
            except errors.ArchipelError as refused:
                if refused.code not in _CLOSED:
                    raise
                problem = refused
            self._assembly.back(mark)
            first = first or problem
        assert first is not None
        raise first

    def _ways(self, query: exp.Query, whole: exp.Query) -> Iterator[Way]:
        protected = self._protected(query)
        if not protected:
            yield partial(self._whole, whole)
        if query.args.get("with_"):
            yield partial(_refuse_recursive, query)
            return
        if isinstance(query, exp.Select):
            grouped = _as_grouping(query)
            if aggregation.is_aggregating(grouped):
                yield partial(self._aggregated, grouped, broadcast=False)
                yield partial(self._aggregated, grouped, broadcast=True)
            if not protected or not aggregation.is_aggregating(grouped):
                yield partial(self._rows, query)
        yield partial(self._descended, query)

    def _whole(self, query: exp.Query) -> exp.Query:
        """All of it at one node."""
        placed = place(query, self._catalog)
        if not placed.single:
            raise Mixed("rows of several nodes", query)
        names = query.named_selects
        stage = _with_unique_outputs(query)
        source = self._assembly.node_stage(stage, self._sites(placed), {})
        return _read(source, names)

    def _aggregated(self, select: exp.Select, *, broadcast: bool) -> exp.Query:
        """Partial aggregates at the nodes, merged and finished at the coordinator."""
        work, inputs = self._prepared(select, broadcast=broadcast)
        placed = place_rows(work, self._catalog, inputs)
        outside = cut_aggregation(work, placed, self._sites(placed), inputs, self._assembly)
        return self._solve_subqueries(outside)

    def _rows(self, select: exp.Select) -> exp.Query:
        """The joined and filtered rows from where they are, only the columns needed; the rest at the coordinator."""
        work, inputs = self._prepared(select, broadcast=False)
        placed = place_rows(work, self._catalog, inputs)
        above = rewrite.parts(
            work, "expressions", "distinct", "group", "having", "qualify", "windows", "order", "limit"
        )
        used = rewrite.columns_used(above, rewrite.aliases_of(work))
        outputs = [rewrite.aliased(rewrite.column(*c), f"c{i}") for i, c in enumerate(used)]
        for output, name in zip(outputs, used, strict=True):
            _keep_position(output, name, select)
        stage = exp.select(*(outputs or [rewrite.aliased(exp.Literal.number(1), "c0")]))
        for key in ("from_", "joins", "laterals", "where"):
            stage.set(key, work.args.get(key))
        source = self._assembly.node_stage(stage, self._sites(placed), inputs)
        rest = select.copy()
        names = {c: (source.name, f"c{i}") for i, c in enumerate(used)}
        for key in ("joins", "laterals", "where"):
            rest.set(key, None)
        rest.set("from_", exp.From(this=rewrite.table(source.name)))
        rewrite.renamed(rest, names)
        return self._solve_subqueries(rest)

    def _descended(self, query: exp.Query) -> exp.Query:
        """The block itself at the coordinator, over its sources wherever they are."""
        if isinstance(query, exp.SetOperation):
            return self._descended_set(query)
        if not isinstance(query, exp.Select):
            raise Mixed(f"{query.key.upper()} in this place", query)
        rest = query.copy()
        for original, source in zip(rewrite.sources_of(query), rewrite.sources_of(rest), strict=True):
            if source.args.get("sample") or source.args.get("pivots"):
                if self._tables(source):
                    raise Mixed("a sample or PIVOT over rows of several nodes", original)
                continue
            if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Query):
                source.this.replace(self.solve(original.this))
            elif isinstance(source, exp.Table) and self._catalog.find(source.name) is not None:
                shipped = self._ship(original, query)
                source.replace(_joined_as(shipped, source))
        return self._solve_subqueries(rest)

    def _descended_set(self, query: exp.SetOperation) -> exp.Query:
        rest = query.copy()
        rest.this.replace(self._branch(query.this))
        rest.expression.replace(self._branch(query.expression))
        return rest

    def _branch(self, branch: exp.Expr) -> exp.Expr:
        if isinstance(branch, exp.Subquery):
            copied = branch.copy()
            copied.this.replace(self._branch(branch.this))
            return copied
        if not isinstance(branch, exp.Query):
            raise Mixed(f"{branch.key.upper()} in this place", branch)
        return self.solve(branch)

    def _ship(self, table: exp.Expr, select: exp.Select) -> Source:
        """The rows of one table, filtered and projected, to the coordinator."""
        alias = table.alias_or_name
        entry = self._entry(table.name)
        known = {c.name.lower() for c in entry.table.columns} | {"_node"}
        used = [c for c in rewrite.columns_used([select], {alias}) if c[1] in known]
        used += [c for c in rewrite.columns_used(select.iter_expressions(), {alias}) if c[1] in known and c not in used]
        columns = [rewrite.aliased(rewrite.column(*c), c[1]) for c in used]
        for output, name in zip(columns, used, strict=True):
            _keep_position(output, name, select)
        stage = exp.select(*(columns or [rewrite.aliased(exp.Literal.number(1), "c0")]))
        plain = table.copy()
        for key in ("joins", "laterals"):
            plain.set(key, None)
        stage.set("from_", exp.From(this=plain))
        condition = _pushable(select, alias)
        if condition is not None:
            stage.set("where", exp.Where(this=condition))
        placed = place_rows(stage, self._catalog)
        return self._assembly.node_stage(stage, self._sites(placed), {})

    def _prepared(self, select: exp.Select, *, broadcast: bool) -> tuple[exp.Select, dict[str, Source]]:
        """Return a copy in which what the nodes lack comes as inputs: subqueries over other nodes, and with
        ``broadcast`` unprotected sources that are not where the others are."""
        work = select.copy()
        inputs: dict[str, Source] = {}
        if broadcast:
            self._broadcast(work, inputs)
        placed = place_sources(work, self._catalog, inputs)
        joins = [*rewrite.parts(work, "joins")]
        source = work.args.get("from_")
        if source is not None:
            joins += source.this.args.get("joins") or []
        regions = [join.args["on"] for join in joins if join.args.get("on") is not None]
        for region in [*regions, *rewrite.parts(work, "where")]:
            for subquery in subqueries_in(region):
                if subquery_runs_there(subquery, placed, self._catalog, inputs) or is_correlated(subquery):
                    continue
                names = subquery.named_selects
                given = self._assembly.finished(_with_unique_outputs(self.solve(subquery)))
                inputs[given.name] = given
                subquery.replace(_read(given, names))
        return work, inputs

    def _broadcast(self, work: exp.Select, inputs: dict[str, Source]) -> None:
        sources = rewrite.sources_of(work)
        anchors = [s for s in sources if self._protected(s)] or sources[:1]
        nodes = self._anchored(anchors)
        for source in sources:
            if source in anchors or not self._tables(source) or not isinstance(source, exp.Table | exp.Subquery):
                continue
            try:
                found = place(exp.select("*").from_(source.copy()), self._catalog, inputs)
                if found.replicated and found.nodes is not None and nodes <= set(found.nodes):
                    continue
            except Mixed:
                pass
            alias = source.alias_or_name
            used = rewrite.columns_used([work], {alias}) or rewrite.columns_used(work.iter_expressions(), {alias})
            used += [c for c in rewrite.columns_used(work.iter_expressions(), {alias}) if c not in used]
            picked = exp.select(*(rewrite.aliased(rewrite.column(*c), c[1]) for c in used))
            plain = source.copy()
            plain.set("joins", None)
            picked.set("from_", exp.From(this=plain))
            given = self._assembly.finished(self.solve(picked))
            inputs[given.name] = given
            source.replace(_joined_as(given, source))
        if not inputs:
            raise Mixed("nothing to hand to the nodes", work)

    def _anchored(self, anchors: list[exp.Expr]) -> set[str]:
        nodes: set[str] = set()
        for anchor in anchors:
            for table in anchor.find_all(exp.Table):
                entry = self._catalog.find(table.name)
                if entry is not None and (entry.table.policy.protected or len(anchors) == 1):
                    nodes |= set(entry.nodes)
        return nodes

    def _solve_subqueries(self, query: exp.Query) -> exp.Query:
        """Plan, in place, the subqueries in the expressions of a block that runs at the coordinator."""
        for part in _expression_parts(query):
            for subquery in subqueries_in(part):
                if self._tables(subquery):
                    subquery.replace(self.solve(subquery))
        return query

    def _sites(self, placed: Placement) -> tuple[str, ...]:
        nodes = placed.nodes
        if nodes is None:
            raise errors.error(errors.INTERNAL, "A stage without tables was sent to nodes.")
        if not nodes:
            raise errors.error(errors.NODE_UNAVAILABLE, "No node that holds these tables can be asked.")
        if placed.replicated:
            attached = [n for n in nodes if n in self._catalog.attached]
            return ((attached or list(nodes))[0],)
        return nodes

    def _entry(self, name: str) -> CatalogTable:
        entry = self._catalog.find(name)
        assert entry is not None
        return entry

    def _tables(self, node: exp.Expr) -> list[CatalogTable]:
        found = [self._catalog.find(t.name) for t in node.find_all(exp.Table) if isinstance(t.this, exp.Identifier)]
        return [entry for entry in found if entry is not None]

    def _protected(self, node: exp.Expr) -> bool:
        return any(entry.table.policy.protected for entry in self._tables(node))


def _unsupported(mixed: Mixed) -> errors.ArchipelError:
    return errors.error(
        errors.SQL_UNSUPPORTED,
        f"This cannot be split over the nodes yet: {mixed.reason}.",
        hint="Join on a site key or on reference tables, aggregate each side first in a WITH part, or ask one node.",
        position=position_of(mixed.node),
    )


def _refuse_recursive(query: exp.Query) -> exp.Query:
    raise Mixed("a recursive WITH over rows of several nodes or of persons", query)


def _as_grouping(select: exp.Select) -> exp.Select:
    """Return SELECT DISTINCT a, b as SELECT a, b GROUP BY a, b; anything else as it is."""
    distinct = select.args.get("distinct")
    plain = distinct is not None and distinct.args.get("on") is None
    if not plain or aggregation.is_aggregating(select) or aggregation.has_window(select):
        return select
    if any(subqueries_in(p) for p in select.expressions):
        return select
    grouped = select.copy()
    grouped.set("distinct", None)
    keys = [p.unalias().copy() for p in select.expressions]
    grouped.set(
        "group", exp.Group(expressions=[k for k in keys if not isinstance(k, exp.Literal | exp.Null | exp.Boolean)])
    )
    return grouped


def _with_unique_outputs(query: exp.Query) -> exp.Query:
    """Return a copy whose outputs have different names."""
    copied = query.copy()
    select: exp.Expr = copied
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this
    if not isinstance(select, exp.Select):
        return copied
    seen: set[str] = set()
    for index, projection in enumerate(list(select.expressions)):
        name = projection.alias_or_name
        if not name or name.lower() in seen:
            name = f"c{index}"
            while name in seen:
                name += "_"
            projection.replace(rewrite.aliased(projection.unalias().copy(), name))
        seen.add(name.lower())
    return copied


def _read(source: Source, names: list[str]) -> exp.Select:
    """Return a SELECT of all columns of an exchange, under the names given."""
    outputs = [
        rewrite.aliased(rewrite.column(source.name, c.name), names[i] if i < len(names) and names[i] else c.name)
        for i, c in enumerate(source.columns)
    ]
    return exp.select(*outputs).from_(rewrite.table(source.name))


def _joined_as(source: Source, replaced: exp.Expr) -> exp.Table:
    """Return the exchange in the place of a source: under its alias, with the joins that hang on it."""
    made = rewrite.table(source.name, replaced.alias_or_name)
    for key in ("joins", "laterals"):
        if replaced.args.get(key):
            made.set(key, replaced.args[key])
    return made


def _expression_parts(query: exp.Query) -> list[exp.Expr]:
    if not isinstance(query, exp.Select):
        return []
    found = rewrite.parts(query, "expressions", "where", "group", "having", "qualify", "order", "limit")
    joins = rewrite.parts(query, "joins")
    source = query.args.get("from_")
    if source is not None:
        joins += source.this.args.get("joins") or []
    return [*found, *(join.args["on"] for join in joins if join.args.get("on") is not None)]


def _pushable(select: exp.Select, alias: str) -> exp.Expr | None:
    """Return what of WHERE may be applied to a source alone before the joins: nothing when there is an outer join."""
    joins = rewrite.parts(select, "joins")
    if any(join.args.get("side") or join.args.get("kind") in {"SEMI", "ANTI"} for join in joins):
        return None
    where = select.args.get("where")
    kept = [
        c.copy()
        for c in conjuncts(where)
        if not subqueries_in(c) and (used := {column.table for column in c.find_all(exp.Column)}) <= {alias} and used
    ]
    return exp.and_(*kept) if kept else None


def _keep_position(output: exp.Alias, name: rewrite.ColumnName, select: exp.Select) -> None:
    """Give a made column the place where the researcher wrote it, so that a refusal can point there."""
    for found in select.find_all(exp.Column):
        if (found.table, found.name) == name and "line" in found.this.meta:
            output.this.this.meta.update(found.this.meta)
            return
