"""Small rewrites of trees that several planning rules share: functions return new trees, or say that they alter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlglot import exp

ColumnName = tuple[str, str]
"""(source alias, column), both lower case as qualification leaves them."""


def quoted(name: str) -> exp.Identifier:
    """Return a quoted identifier."""
    return exp.to_identifier(name, quoted=True)


def column(table: str, name: str) -> exp.Column:
    """Return a reference to a column of a source."""
    return exp.column(quoted(name), table=quoted(table))


def table(name: str, alias: str | None = None) -> exp.Table:
    """Return a table, under an alias or its own name."""
    return exp.Table(this=quoted(name), alias=exp.TableAlias(this=quoted(alias or name)))


def aliased(node: exp.Expr, name: str) -> exp.Alias:
    """Return ``node AS "name"``."""
    return exp.Alias(this=node, alias=quoted(name))


def sources_of(select: exp.Select) -> list[exp.Expr]:
    """Return what stands in FROM and the joins, in order."""
    source = select.args.get("from_")
    if source is None:
        return []
    joins = [*(source.this.args.get("joins") or []), *(select.args.get("joins") or [])]
    return [source.this, *(join.this for join in joins), *(select.args.get("laterals") or [])]


def joins_of(select: exp.Select) -> list[exp.Join]:
    """Return the joins of a SELECT, in order."""
    source = select.args.get("from_")
    hanging = source.this.args.get("joins") or [] if source is not None else []
    return [*hanging, *(select.args.get("joins") or [])]


def with_unique_outputs(query: exp.Query) -> exp.Query:
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
            projection.replace(aliased(projection.unalias().copy(), name))
        seen.add(name.lower())
    return copied


def aliases_of(query: exp.Expr) -> set[str]:
    """Return the names by which a SELECT calls its sources."""
    return {s.alias_or_name for s in sources_of(query)} if isinstance(query, exp.Select) else set()


def map_columns(node: exp.Expr, change: Callable[[exp.Column], exp.Expr | None], names: set[str]) -> None:
    """Replace, in place, the columns of sources ``names`` below ``node``.

    A query within that uses one of the names anew keeps its own.
    """
    for child in list(node.iter_expressions()):
        if isinstance(child, exp.Column):
            if child.table in names:
                changed = change(child)
                if changed is not None:
                    child.replace(changed)
            continue
        inner = names - aliases_of(child) if isinstance(child, exp.Select) else names
        map_columns(child, change, inner)


def renamed(node: exp.Expr, names: Mapping[ColumnName, ColumnName]) -> None:
    """Rename columns below ``node``, in place."""
    map_columns(
        node,
        lambda c: column(*names[(c.table, c.name)]) if (c.table, c.name) in names else None,
        {source for source, _ in names},
    )


def columns_used(nodes: Iterable[exp.Expr], sources: set[str]) -> list[ColumnName]:
    """Return the columns of ``sources`` that appear in ``nodes``, in order of appearance, each once."""
    found: dict[ColumnName, None] = {}

    def note(used: exp.Column) -> None:
        found[(used.table, used.name)] = None

    for node in nodes:
        if isinstance(node, exp.Column):
            if node.table in sources:
                note(node)
        else:
            map_columns(node, note, sources - aliases_of(node))
    return list(found)


def parts(select: exp.Select, *keys: str) -> list[exp.Expr]:
    """Return the named clauses of a SELECT as a list of nodes."""
    found: list[exp.Expr] = []
    for key in keys:
        value = select.args.get(key)
        found += value if isinstance(value, list) else [value] if isinstance(value, exp.Expr) else []
    return found


def replace_below(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr | None]) -> exp.Expr:
    """Return ``node`` with every topmost match replaced; ``change`` returns None for what stays. Alters in place."""
    changed = change(node)
    if changed is not None:
        return changed
    for child in list(node.iter_expressions()):
        new = replace_below(child, change)
        if new is not child:
            child.replace(new)
    return node


def in_source(node: exp.Expr, source: str) -> exp.Expr:
    """Return a copy whose bare columns belong to ``source``."""
    copied = node.copy()

    def change(part: exp.Expr) -> exp.Expr | None:
        if isinstance(part, exp.Column) and not part.table:
            return column(source, part.name)
        return part if isinstance(part, exp.Column) else None

    return replace_below(copied, change)
