"""Blocks whose rows may not leave but whose answer may: aggregations of persons inside a query that runs whole.

Each is planned for itself and stands in the query as a derived table over what its nodes released.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from archipel import errors
from coordinator.catalog import Catalog, CatalogTable
from coordinator.planner import rewrite
from coordinator.planner.assembly import Assembly
from coordinator.planner.bind import Describe, bind
from coordinator.planner.outputs import with_types
from coordinator.planner.parse import MAX_NODES
from coordinator.planner.positions import position_of
from coordinator.planner.solve import Solver
from coordinator.planner.tables import is_protected


def cut_out(table: exp.Table, entry: CatalogTable, describe: Describe, assembly: Assembly) -> None:
    """Replace, in place, the innermost block around a protected table that its holders answer.

    Raises:
        ArchipelError: why they answer none; nothing is replaced then.
    """
    first: errors.ArchipelError | None = None
    for block in _blocks_around(table):
        mark = assembly.mark()
        try:
            made = _planned(block, describe, assembly)
        except errors.ArchipelError as problem:
            if problem.code == errors.SQL_TOO_LARGE.name:
                raise
            first = first or problem
            assembly.back(mark)
            continue
        block.replace(made)
        return
    if first is not None:
        raise first


def inline_protected(tree: exp.Query, catalog: Catalog) -> None:
    """Put, in place, the WITH parts that read protected tables where they are used, so that blocks are around them."""
    left = MAX_NODES
    for clause in list(tree.find_all(exp.With)):
        query = clause.parent
        if query is None or clause.args.get("recursive"):
            continue
        for cte in list(clause.expressions):
            if not is_protected(cte.this, catalog):
                continue
            for use in [t for t in query.find_all(exp.Table) if _means(t, cte)]:
                left -= sum(1 for _ in cte.this.walk())
                if left < 0:
                    raise errors.error(
                        errors.SQL_TOO_LARGE, "The query is too large once its WITH parts stand where they are used."
                    )
                use.replace(_in_its_place(use, cte))
            cte.pop()
        if not clause.expressions:
            query.set("with_", None)


def _means(table: exp.Table, cte: exp.CTE) -> bool:
    """Whether a table stands for a WITH part: the innermost of its name that comes before."""
    name = cte.alias_or_name.lower()
    if not isinstance(table.this, exp.Identifier) or table.name.lower() != name:
        return False
    child: exp.Expr = table
    node = table.parent
    while node is not None:
        clause = node if isinstance(node, exp.With) else node.args.get("with_")
        if clause is not None and clause is not child:
            inside = clause is node
            for found in clause.expressions:
                if inside and found is child:
                    break
                if found.alias_or_name.lower() == name:
                    return found is cte
        if isinstance(node, exp.With):
            child, node = node, node.parent
            if node is None:
                return False
        child, node = node, node.parent
    return False


def _in_its_place(table: exp.Table, cte: exp.CTE) -> exp.Subquery:
    alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True))
    given = table.args.get("alias")
    columns = (given.args.get("columns") if given is not None else None) or cte.args["alias"].args.get("columns")
    if columns:
        alias.set("columns", [c.copy() for c in columns])
    derived = exp.Subquery(this=cte.this.copy(), alias=alias)
    for key in ("joins", "pivots"):
        if table.args.get(key):
            derived.set(key, table.args[key])
    return derived


def _planned(block: exp.Query, describe: Describe, assembly: Assembly) -> exp.Query:
    bound = bind(_alone(block), None, assembly.catalog, assembly.permit, describe)
    if bound.tree is None or bound.whole is None:
        raise bound.closed or errors.error(errors.SQL_UNSUPPORTED, "A part of the query cannot be cut.")
    solved = with_types(Solver(assembly).solve(bound.tree, bound.whole), bound, assembly)
    if not isinstance(solved, exp.Select):
        raise errors.error(errors.SQL_UNSUPPORTED, "A set operation of persons' groups cannot stand in this place.")
    for projection, column in zip(list(solved.expressions), bound.columns, strict=True):
        if projection.alias_or_name != column.name:  # others name it as the engine does
            projection.replace(rewrite.aliased(projection.unalias().copy(), column.name))
    return solved


def _blocks_around(table: exp.Table) -> Iterator[exp.Query]:
    """Return the derived tables and WITH parts around a table, from the inside, that do not hold all of the query."""
    node = table.parent
    while node is not None:
        inner = node.this if isinstance(node, exp.Subquery | exp.CTE) else None
        if isinstance(inner, exp.Select | exp.SetOperation) and not isinstance(node.parent, exp.Lateral):
            yield inner
        node = node.parent


def _recursive(block: exp.Query) -> errors.ArchipelError:
    return errors.error(
        errors.SQL_UNSUPPORTED,
        "Groups of persons cannot be asked within, or below, WITH RECURSIVE.",
        hint="Ask for the groups in one query, and send them into the recursion as VALUES in another.",
        position=position_of(block),
    )


def _alone(block: exp.Query) -> exp.Query:
    """Return a copy of a block that has the WITH parts that it can see for its own."""
    visible: list[exp.CTE] = []
    child: exp.Expr = block
    node = block.parent
    while node is not None:
        if isinstance(node, exp.With):
            if node.args.get("recursive"):
                raise _recursive(block)
            before = node.expressions[: next(i for i, cte in enumerate(node.expressions) if cte is child)]
            visible = [*before, *visible]
            child, node = node, node.parent
            if node is not None:
                child, node = node, node.parent
            continue
        ctes = node.args.get("with_")
        if ctes is not None and child is not ctes:
            if ctes.args.get("recursive"):
                raise _recursive(block)
            visible = [*ctes.expressions, *visible]
        child, node = node, node.parent
    copied = block.copy()
    own = copied.args.get("with_")
    parts = [cte.copy() for cte in visible] + (list(own.expressions) if own is not None else [])
    if parts:
        copied.set("with_", exp.With(expressions=parts))
    return copied
