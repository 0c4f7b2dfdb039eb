"""Puts common table expressions where they are used, so that a query is one tree of SELECTs and set operations.

A recursive one stays: such a query runs whole at one site or not at all.
"""

from __future__ import annotations

from sqlglot import exp

from archipel import errors
from coordinator.planner.parse import MAX_NODES


def inline(tree: exp.Query) -> exp.Query:
    """Return the tree without ``WITH``; it is altered in place.

    Raises:
        ArchipelError: SQL_TOO_LARGE when the query grows too much by it.
    """
    budget = _Budget(MAX_NODES)
    _inline(tree, {}, budget)
    return tree


class _Budget:
    """How many expressions may still be copied."""

    def __init__(self, left: int) -> None:
        self._left = left

    def copy(self, query: exp.Expr) -> exp.Expr:
        self._left -= sum(1 for _ in query.walk())
        if self._left < 0:
            raise errors.error(
                errors.SQL_TOO_LARGE, "The query is too large once its WITH parts stand where they are used."
            )
        return query.copy()


def _inline(node: exp.Expr, visible: dict[str, exp.Expr], budget: _Budget) -> None:
    if isinstance(node, exp.Table) and not node.args.get("db"):
        body = visible.get(node.name)
        if body is not None:
            alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
            derived = exp.Subquery(this=budget.copy(body), alias=alias.copy())
            for key in ("joins", "laterals", "pivots", "sample"):
                if node.args.get(key):
                    derived.set(key, [part.copy() for part in _many(node.args[key])])
            node.replace(derived)
        return
    ctes = node.args.get("with_")
    if ctes is not None:
        if ctes.args.get("recursive"):
            return  # left as it is, with all that it sees
        visible = dict(visible)
        for cte in ctes.expressions:
            _inline(cte.this, visible, budget)
            visible[cte.alias_or_name] = cte.this
        node.set("with_", None)
    for child in list(node.iter_expressions()):
        _inline(child, visible, budget)


def _many(value: object) -> list[exp.Expr]:
    return list(value) if isinstance(value, list) else [value]  # type: ignore[list-item]
