"""The columns that a query gives: of the types that the engine says it has, whatever way was taken."""

from __future__ import annotations

from sqlglot import exp

from archipel import errors
from coordinator.planner import rewrite
from coordinator.planner.assembly import Assembly
from coordinator.planner.bind import Bound


def with_types(tree: exp.Query, bound: Bound, assembly: Assembly) -> exp.Query:
    """Return the tree with its outputs cast to what the engine describes for the researcher's own query."""
    found = assembly.describe_own(tree)
    if len(found) != len(bound.columns):
        raise errors.error(errors.INTERNAL, "The plan gives other columns than the query.")
    different = [i for i, (f, w) in enumerate(zip(found, bound.columns, strict=True)) if f.type != w.type]
    if not different:
        return tree
    if not isinstance(tree, exp.Select) or tree.args.get("distinct"):
        names = [exp.to_identifier(f"c{i}", quoted=True) for i in range(len(found))]
        alias = exp.TableAlias(this=rewrite.quoted("q"), columns=names)
        outer = exp.select(
            *(rewrite.aliased(rewrite.column("q", n.name), w.name) for n, w in zip(names, bound.columns, strict=True))
        )
        outer.set("from_", exp.From(this=exp.Subquery(this=tree, alias=alias)))
        tree = outer
    for index in different:
        projection = tree.expressions[index]
        cast = exp.cast(projection.unalias().copy(), bound.columns[index].type, dialect="duckdb")
        projection.replace(rewrite.aliased(cast, projection.alias_or_name or bound.columns[index].name))
    return tree
