"""Site keys: columns whose values never match across nodes. What equates them, covers them, or makes NULL of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot import exp

from archipel.schema import NODE_COLUMN

KeyColumns = tuple[tuple[str, str], ...]
"""Columns of a site key as (source alias, column)."""

Keys = Mapping[str, tuple[KeyColumns, ...]]
"""By name of a site key, the columns that hold it."""


def equated(conditions: Iterable[exp.Expr]) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the pairs of columns that conditions set equal, each pair both ways."""
    pairs = set()
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            a, b = condition.left, condition.right
            if isinstance(a, exp.Column) and isinstance(b, exp.Column):
                pairs.add(((a.table, a.name), (b.table, b.name)))
                pairs.add(((b.table, b.name), (a.table, a.name)))
    return pairs


def are_equated(pairs: set[tuple[tuple[str, str], tuple[str, str]]], left: Keys, right: Keys) -> bool:
    """Whether ``pairs`` equate all columns of one site key that both sides hold."""
    return any(
        len(ours) == len(theirs) and all(pair in pairs for pair in zip(ours, theirs, strict=True))
        for name in left.keys() & right.keys()
        for ours in left[name]
        for theirs in right[name]
    )


def are_covered(parts: Iterable[exp.Expr], keys: Keys, nullable: frozenset[KeyColumns]) -> bool:
    """Whether ``parts`` hold all columns of one site key: rows that agree in them are at one node."""
    columns = {(p.table, p.name) for p in parts if isinstance(p, exp.Column)}
    return any(all(c in columns for c in key) for found in keys.values() for key in found if key not in nullable)


def all_columns(keys: Keys) -> frozenset[KeyColumns]:
    """Return the columns of every key."""
    return frozenset(key for found in keys.values() for key in found)


def both(left: Keys, right: Keys) -> dict[str, tuple[KeyColumns, ...]]:
    """Return the keys of two joined sides."""
    return {**left, **{name: (*left.get(name, ()), *found) for name, found in right.items()}}


def exposed(select: exp.Select, keys: Keys) -> dict[KeyColumns, KeyColumns]:
    """Return, for each key that a SELECT hands out whole, its columns as outputs (with no alias)."""
    outputs = {
        (p.unalias().table, p.unalias().name): p.alias_or_name
        for p in select.expressions
        if isinstance(p.unalias(), exp.Column)
    }
    return {key: tuple(("", outputs[c]) for c in key) for key in all_columns(keys) if all(c in outputs for c in key)}


def hint(left: Keys, right: Keys) -> str:
    """Return what would make a join local."""
    shared = [name for name in left if name in right and name != NODE_COLUMN]
    if not shared:
        return "The two sides share no site key. Aggregate each first in a WITH part, and join the groups."
    ours, theirs = left[shared[-1]][0], right[shared[-1]][0]
    pairs = [f"{a}.{c} = {b}.{d}" for (a, c), (b, d) in zip(ours, theirs, strict=True)]
    return f"Add ON {' AND '.join(pairs)}; or aggregate each side first in a WITH part, and join the groups."
