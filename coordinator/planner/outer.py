"""Blocks with outer joins: which conditions are of one source alone, and what taking them out of the block leaves."""

from __future__ import annotations

from sqlglot import exp

from coordinator.planner import rewrite
from coordinator.planner.conditions import conjuncts, subqueries_in
from coordinator.planner.group import tables_in


def clauses_of(select: exp.Select) -> list[exp.Expr]:
    """Return what stands in a block besides its sources and the conditions on its rows."""
    return rewrite.parts(
        select, "expressions", "group", "having", "qualify", "windows", "order", "distinct", "limit", "offset"
    )


def pushable(select: exp.Select, alias: str) -> list[exp.Expr]:
    """Return conditions that all rows of a source must satisfy to matter, whatever outer joins there are."""
    joins = rewrite.joins_of(select)
    first = rewrite.sources_of(select)[0].alias_or_name
    own = next((j for j in joins if j.this.alias_or_name == alias), None)
    sides = {str(j.args.get("side") or "").upper() for j in joins}
    if sides & {"RIGHT", "FULL"} or any(j.args.get("method") for j in joins):
        return []
    found: list[exp.Expr] = []
    preserved = alias == first or (own is not None and not own.args.get("side"))
    if preserved:
        found += conjuncts(select.args.get("where"))
    if own is not None:
        found += conjuncts(own.args.get("on"))
    return [c for c in found if not subqueries_in(c) and tables_in(c) == {alias}]


def drop(select: exp.Select, conditions: list[exp.Expr]) -> None:
    """Take conditions, which are applied already, out of WHERE and ON, in place."""
    dropped = {id(c) for c in conditions}
    for join in rewrite.joins_of(select):
        found = conjuncts(join.args.get("on"))
        if any(id(c) in dropped for c in found):
            kept = [c.copy() for c in found if id(c) not in dropped]
            join.set("on", exp.and_(*kept, copy=False) if kept else exp.true())
    found = conjuncts(select.args.get("where"))
    if any(id(c) in dropped for c in found):
        kept = [c.copy() for c in found if id(c) not in dropped]
        select.set("where", exp.Where(this=exp.and_(*kept, copy=False)) if kept else None)


def joins_expand(select: exp.Select) -> bool:
    """Whether each row of a source stands in as many joined rows as its columns in the conditions say."""
    if select.args.get("laterals"):
        return False
    for join in rewrite.joins_of(select):
        if any(join.args.get(key) for key in ("method", "using")) or join.args.get("kind") in {"SEMI", "ANTI"}:
            return False
    return True


def conditions_and_clauses(select: exp.Select) -> list[exp.Expr]:
    """Return all expressions of a block but its FROM, conditions one by one."""
    conditions = [c for join in rewrite.joins_of(select) for c in conjuncts(join.args.get("on"))]
    return [*conditions, *conjuncts(select.args.get("where")), *clauses_of(select)]
