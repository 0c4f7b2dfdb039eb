"""EXISTS asks whether there is a row, and not for its columns: what it does not need is not read, let alone sent.

EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey) becomes EXISTS (SELECT 1 FROM orders WHERE ...).
"""

from __future__ import annotations

from sqlglot import exp

from coordinator.planner import rewrite

_CLAUSES = ("distinct", "group", "having", "qualify", "windows", "order", "limit", "offset", "with_")
"""With any of these, what is selected may decide whether there is a row, or stand under its name elsewhere."""


def narrowed(query: exp.Query) -> exp.Query:
    """Return the query, altered in place, whose EXISTS select a constant where that says the same."""
    for exists in query.find_all(exp.Exists):
        inner = exists.this
        while isinstance(inner, exp.Subquery) and not any(inner.args.get(key) for key in _CLAUSES):
            inner = inner.this
        if not isinstance(inner, exp.Select) or any(inner.args.get(key) for key in _CLAUSES):
            continue
        # Anything but a column could be an aggregate, which always has a row, or give several rows or none.
        if all(isinstance(projection.unalias(), exp.Column) for projection in inner.expressions):
            inner.set("expressions", [rewrite.aliased(exp.Literal.number(1), "c0")])
    return query
