"""Merges derived tables that only join, filter and compute into the block around them: then there is one to plan.

SELECT t.y, sum(t.v) FROM (SELECT extract(year FROM d) AS y, p * q AS v FROM a, b WHERE a.k = b.k) t GROUP BY t.y
becomes SELECT extract(year FROM d) AS y, sum(p * q) FROM a, b WHERE a.k = b.k GROUP BY extract(year FROM d).
"""

from __future__ import annotations

from collections import Counter

from sqlglot import exp

from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import conjuncts, subqueries_in


def flattened(query: exp.Query) -> exp.Query:
    """Return the query with its plain derived tables merged; the query itself if it has none."""
    if not any(_is_plain(source) for source in query.find_all(exp.Subquery)):
        return query
    copied = query.copy()
    names = Counter(s.alias_or_name for select in copied.find_all(exp.Select) for s in rewrite.sources_of(select))
    for select in reversed(list(copied.find_all(exp.Select))):  # the innermost first
        if joins_by_conditions(select):
            _merge(select, names)
    return copied


def joins_by_conditions(select: exp.Select) -> bool:
    """Whether a block joins its sources by conditions alone, so that these may be applied in any order."""
    if select.args.get("from_") is None or select.args.get("laterals"):
        return False
    for source in rewrite.sources_of(select):
        if isinstance(source, exp.Lateral | exp.Unnest) or source.args.get("sample") or source.args.get("pivots"):
            return False
        if isinstance(source, exp.Table) and not isinstance(source.this, exp.Identifier):
            return False
    for join in rewrite.joins_of(select):
        kind = str(join.args.get("kind") or "").upper()
        if kind not in {"", "INNER", "CROSS"} or any(join.args.get(key) for key in ("side", "method", "using")):
            return False
    return True


def _is_plain(source: exp.Expr) -> bool:
    """Whether a source is a derived table whose rows are rows of its own sources, with values computed from them."""
    if not isinstance(source, exp.Subquery) or not isinstance(source.parent, exp.From | exp.Join):
        return False
    inner = source.this
    if not isinstance(inner, exp.Select) or not joins_by_conditions(inner):
        return False
    clauses = ("distinct", "group", "having", "qualify", "order", "limit", "offset", "windows", "with_")
    if any(inner.args.get(key) for key in clauses):
        return False
    if aggregation.is_aggregating(inner) or aggregation.has_window(inner):
        return False
    # A constant would be a position in GROUP BY; a subquery would be computed wherever the value is named.
    return all(p.find(exp.Column) is not None and not subqueries_in(p) and not p.is_star for p in inner.expressions)


def _merge(select: exp.Select, names: Counter[str]) -> None:
    sources: list[exp.Expr] = []
    conditions = conjuncts(select.args.get("where"))
    for join in rewrite.joins_of(select):
        conditions += conjuncts(join.args.get("on"))
    merged = False
    values: dict[rewrite.ColumnName, exp.Expr] = {}
    for source in rewrite.sources_of(select):
        if not _is_plain(source):
            sources.append(source)
            continue
        merged = True
        inner = source.this
        _with_names_of_its_own(inner, names)
        alias = source.args["alias"]
        renamed = [c.name for c in alias.args.get("columns") or []]
        for index, projection in enumerate(inner.expressions):
            name = renamed[index] if index < len(renamed) else projection.alias_or_name
            values[(source.alias_or_name, name)] = projection.unalias()
        sources += rewrite.sources_of(inner)
        conditions += conjuncts(inner.args.get("where"))
        for join in rewrite.joins_of(inner):
            conditions += conjuncts(join.args.get("on"))
    if not merged:
        return
    for source in sources:
        source.set("joins", None)
    select.set("from_", exp.From(this=sources[0]))
    select.set("joins", [exp.Join(this=source) for source in sources[1:]] or None)
    select.set("where", exp.Where(this=exp.and_(*conditions, copy=False)) if conditions else None)
    rewrite.map_columns(select, lambda c: _value(c, values), {table for table, _ in values})


def _value(column: exp.Column, values: dict[rewrite.ColumnName, exp.Expr]) -> exp.Expr | None:
    value = values.get((column.table, column.name))
    if value is None:
        return None
    copied = value.copy()
    return copied if isinstance(copied, exp.Column | exp.Func) else exp.paren(copied, copy=False)


def _with_names_of_its_own(inner: exp.Select, names: Counter[str]) -> None:
    """Rename, in place, the sources of a block whose names stand elsewhere in the query, too."""
    for source in rewrite.sources_of(inner):
        old = source.alias_or_name
        if names[old] < 2:
            continue
        number = 2
        while names[f"{old}_{number}"]:
            number += 1
        new = f"{old}_{number}"
        names[old] -= 1
        names[new] += 1
        rewrite.map_columns(inner, lambda c, new=new: rewrite.column(new, c.name), {old})  # type: ignore[misc]
        alias = source.args.get("alias") or exp.TableAlias()
        alias.set("this", rewrite.quoted(new))
        source.set("alias", alias)
