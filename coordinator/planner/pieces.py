"""The pieces that blocks and what is shipped to them are put together from: names, sources, columns, expressions."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from coordinator.catalog import Catalog
from coordinator.planner import aggregation, rewrite
from coordinator.planner.draft import Shipment
from coordinator.planner.estimate import width_of
from coordinator.planner.outer import clauses_of

_PASSED_ON = "r"
"""Alias of a shipment within the small SELECT that gives its columns their names back."""


def placed_column(name: rewrite.ColumnName, select: exp.Expr) -> exp.Column:
    """Return a column with the place where the researcher wrote it, so that a refusal can point there."""
    made = rewrite.column(*name)
    for found in select.find_all(exp.Column):
        if (found.table, found.name) == name and "line" in found.this.meta:
            made.this.meta.update(found.this.meta)
            break
    return made


def passed_on(shipment: Shipment, names: list[str], given: list[str] | None = None) -> exp.Select:
    """Return a SELECT of columns of a shipment, all of them if ``given`` names none, under other names."""
    given = given or shipment.tree.named_selects
    outputs = [
        rewrite.aliased(rewrite.column(_PASSED_ON, g), names[i] if i < len(names) and names[i] else g)
        for i, g in enumerate(given)
    ]
    return exp.select(*outputs).from_(rewrite.table(shipment.name, _PASSED_ON))


def rows_of_table(tree: exp.Query) -> exp.Expr | None:
    """Return what says which rows of one table a SELECT of plain columns gives; None of any other query."""
    if not isinstance(tree, exp.Select) or any(tree.args.get(k) for k in ("distinct", "group", "limit", "joins")):
        return None
    source = rewrite.sources_of(tree)[0]
    if not isinstance(source, exp.Table) or any(source.args.get(k) for k in ("sample", "pivots", "joins", "laterals")):
        return None
    if not all(isinstance(p.unalias(), exp.Column) and p.alias_or_name == p.unalias().name for p in tree.expressions):
        return None
    plain = exp.select(exp.Star()).from_(rewrite.table(source.name, _PASSED_ON))
    if tree.args.get("where"):
        plain.where(tree.args["where"].this.copy(), copy=False)
        names = rewrite.columns_used([tree.args["where"]], {source.alias_or_name})
        rewrite.renamed(plain, {name: (_PASSED_ON, name[1]) for name in names})
    return plain


def widened(shipment: Shipment, tree: exp.Select, catalog: Catalog) -> Shipment:
    """Return a shipment of rows of one table with the columns of ``tree`` beside its own, each under its own name."""
    alias = shipment.tree.args["from_"].this.alias_or_name
    known = set(shipment.tree.named_selects)
    more = [p.unalias().name for p in tree.expressions if p.alias_or_name not in known]
    if not more:
        return shipment
    made = shipment.tree.copy()
    made.set("expressions", [*made.expressions, *(rewrite.aliased(rewrite.column(alias, c), c) for c in more)])
    size = shipment.size + shipment.rows * sum(width_of_output(p, made, catalog) for p in made.selects[-len(more) :])
    return replace(shipment, tree=made, size=size)


def names_of(
    used: list[rewrite.ColumnName], taken: frozenset[str] | set[str] = frozenset()
) -> dict[rewrite.ColumnName, str]:
    """Return a name for each column among a group's outputs: its own, unless it is taken already."""
    taken = set(taken)
    found = {}
    for index, column in enumerate(used):
        name = column[1]
        while name in taken:
            name = f"{name}_{index}"
        taken.add(name)
        found[column] = name
    return found


def rebuilt(
    work: exp.Select, sources: list[exp.Expr], conditions: list[exp.Expr], originals: dict[str, exp.Expr]
) -> None:
    """Give a block other sources and conditions, in place; the sources in the order of the original ones."""
    order = {alias: i for i, alias in enumerate(originals)}
    sources = sorted(sources, key=lambda s: order.get(s.alias_or_name, len(order)))
    conditions = [c.copy() for c in conditions]
    work.set("from_", exp.From(this=sources[0]))
    work.set("joins", [exp.Join(this=source) for source in sources[1:]] or None)
    work.set("where", exp.Where(this=exp.and_(*conditions, copy=False)) if conditions else None)


def width_of_output(projection: exp.Expr, tree: exp.Query, catalog: Catalog) -> int:
    """Return about how many bytes a value of an output takes."""
    value = projection.unalias()
    if isinstance(value, exp.Column):
        for table in tree.find_all(exp.Table):
            if table.alias_or_name == value.table:
                return width_of(value.name, table.name, catalog)
    return 16 if isinstance(value, exp.AggFunc) else 8


def row_parts(select: exp.Select) -> list[exp.Expr]:
    """Return the expressions of a block that are computed on its rows or within its aggregates."""
    regions = [join.args["on"] for join in rewrite.joins_of(select) if join.args.get("on") is not None]
    return [*regions, *rewrite.parts(select, "where", "group"), *aggregation.aggregates_in(select)]


def expression_parts(select: exp.Select) -> list[exp.Expr]:
    """Return all expressions of a block."""
    regions = [join.args["on"] for join in rewrite.joins_of(select) if join.args.get("on") is not None]
    return [*regions, *rewrite.parts(select, "where"), *clauses_of(select)]
