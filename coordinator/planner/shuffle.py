"""Spreading: rows that several nodes hold meet at all of these nodes, each of which gets its share of the keys.

Each site sends each other only the rows whose key falls to that one, by a hash of the key, and keeps its own. The
block then runs at every site over its part, as if all that was spread were cut by that key from the beginning: joins
and groups by the key stay at the site. What has no such column is sent whole to all of them. Where one table is much
larger than the others nothing needs to be spread: it stays as it is cut, and the others are sent to all of its nodes.

Which columns are taken for the key is a guess. That the block then has all its rows is proved by ``placement``, to
which the key is a site key. Equal values must have equal shares: only columns of one type are hashed, or whole numbers
of any width, which are widened first. Doubles are no keys (two zeros), and NULL, which equals nothing and yet is one
group, is the first site's. Engines hash alike because all nodes of a plan run the same version, which the coordinator
checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from archipel.schema import NODE_COLUMN, Distribution
from coordinator.catalog import Catalog, CatalogTable
from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import conjuncts
from coordinator.planner.implied import equalities
from coordinator.planner.placement import Placement
from coordinator.planner.tables import entries_in, is_protected

MOST_KEYS = 2
"""How many keys are considered for spreading, and how many tables for staying where they are: each costs a draft."""

_WHOLE = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_HASHED = re.compile(r"VARCHAR|DATE|TIMESTAMP|UBIGINT|HUGEINT|UUID|DECIMAL\(\d+,\s*\d+\)")

TypeOf = Callable[[rewrite.ColumnName], str | None]


@dataclass(frozen=True, slots=True)
class Spread:
    """How rows are brought together at several sites: by ``key``, columns of the root block that are equal.

    ``kind`` is the type of which they are hashed. It is empty where nothing is spread: then what has a site key among
    these columns stays, and everything else is sent to all.
    """

    key: frozenset[rewrite.ColumnName]
    kind: str = ""


def kind_of(column_type: str | None) -> str:
    """Return the type as which values of a type are hashed; empty if they are not.

    >>> kind_of("SMALLINT"), kind_of("DATE"), kind_of("DOUBLE")
    ('BIGINT', 'DATE', '')
    """
    upper = (column_type or "").upper()
    if upper in _WHOLE:
        return "BIGINT"
    return upper if _HASHED.fullmatch(upper) else ""


def spreads(query: exp.Query, sites: tuple[str, ...], catalog: Catalog) -> Iterator[Spread]:
    """Yield the ways to spread the rows of a query over ``sites``, those first that concern most rows.

    Persons are not spread: their groups would be counted against the threshold at each site by itself.
    """
    if not isinstance(query, exp.Select) or is_protected(query, catalog):
        return
    of_columns = _entries_of_columns(query, catalog)
    classes = _classes(query, of_columns)
    hashed: dict[Spread, float] = {}
    for columns in classes:
        kinds = [kind_of(_type_of(c, of_columns)) for c in sorted(columns)]
        kind = next((k for k in kinds if k), "")
        if kind:
            # What is moved for it is no gain: a key of large tables on both sides is what spreading is for.
            hashed[Spread(columns, kind)] = sum(_rows({c[0] for c in columns}, of_columns))
    yield from sorted(hashed, key=lambda s: (-hashed[s], sorted(s.key)))[:MOST_KEYS]
    staying: dict[Spread, float] = {}
    for alias, entry in sorted(of_columns.items()):
        if entry.table.distribution is Distribution.SHARDED and entry.nodes == sites:
            names = [(alias, c.lower()) for key in entry.table.site_keys for c in key.columns] or [(alias, NODE_COLUMN)]
            whole = frozenset().union(*(next((c for c in classes if n in c), frozenset({n})) for n in names))
            staying.setdefault(Spread(whole), float(entry.table.approximate_rows * len(entry.table.columns)))
    yield from sorted(staying, key=lambda s: (-staying[s], sorted(s.key)))[:MOST_KEYS]


def _entries_of_columns(query: exp.Select, catalog: Catalog) -> dict[str, CatalogTable]:
    """Return the tables that stand behind the sources of a block; behind a derived table, its largest."""
    found = {}
    for source in rewrite.sources_of(query):
        entries = entries_in(source, catalog)
        if entries:
            found[source.alias_or_name] = max(entries, key=lambda e: e.table.approximate_rows)
    return found


def _classes(query: exp.Select, of_columns: dict[str, CatalogTable]) -> list[frozenset[rewrite.ColumnName]]:
    """Return the sets of columns by which rows of a block meet: equal ones, and those that are grouped by."""
    conditions = conjuncts(query.args.get("where"))
    for join in rewrite.joins_of(query):
        conditions += conjuncts(join.args.get("on"))
    equal = equalities(conditions)
    found = {frozenset(columns): None for columns in equal.values()}
    for join in rewrite.joins_of(query):
        for name in join.args.get("using") or []:
            found[frozenset((alias, name.name.lower()) for alias in of_columns)] = None
    for parts in (aggregation.plain_keys(query) or [], *_partitions(query)):
        for part in parts:
            if isinstance(part, exp.Column) and part.table in of_columns:
                name = (part.table, part.name)
                found[frozenset(equal.get(name, {name}))] = None
    return list(found)


def _partitions(query: exp.Select) -> Iterator[list[exp.Expr]]:
    """Yield what the correlated subqueries of a block are tied by, and by what windows are partitioned."""
    for window in query.find_all(exp.Window):
        yield list(window.args.get("partition_by") or [])
    own = rewrite.aliases_of(query)
    for part in rewrite.parts(query, "where"):
        for equality in part.find_all(exp.EQ):
            yield [
                side for side in (equality.left, equality.right) if isinstance(side, exp.Column) and side.table in own
            ]
        for member in part.find_all(exp.In):
            yield [member.this] if member.args.get("query") is not None else []


def _type_of(name: rewrite.ColumnName, of_columns: dict[str, CatalogTable]) -> str | None:
    entry = of_columns.get(name[0])
    column = entry.table.column(name[1]) if entry is not None else None
    return column.type if column is not None else None


def _rows(aliases: Iterable[str], of_columns: dict[str, CatalogTable]) -> Iterator[float]:
    for alias in aliases:
        if alias in of_columns:
            yield float(of_columns[alias].table.approximate_rows)


def within(source: exp.Expr, key: frozenset[rewrite.ColumnName]) -> frozenset[rewrite.ColumnName]:
    """Return the columns within a derived table that become columns of ``key``."""
    inner = source.this
    if not isinstance(inner, exp.Select):
        return frozenset()
    names = [c.name for c in (source.args.get("alias") or exp.TableAlias()).args.get("columns") or []]
    alias = source.alias_or_name
    found = set()
    for index, projection in enumerate(inner.expressions):
        value = projection.unalias()
        name = names[index] if index < len(names) else projection.alias_or_name
        if (alias, name) in key and isinstance(value, exp.Column):
            found.add((value.table, value.name))
    return frozenset(found)


def type_within(source: exp.Expr, name: str, catalog: Catalog) -> str | None:
    """Return the type of a column of a source, if it is that of a table's column."""
    if isinstance(source, exp.Table):
        entry = catalog.find(source.name)
        column = entry.table.column(name) if entry is not None else None
        return column.type if column is not None else None
    if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Select):
        inner = {s.alias_or_name: s for s in rewrite.sources_of(source.this)}
        for table, column_name in within(source, frozenset({(source.alias_or_name, name)})):
            if table in inner:
                return type_within(inner[table], column_name, catalog)
    return None


def placed_by(column: str, kind: str, sites: tuple[str, ...]) -> Placement:
    """Return where rows are that were spread by a column of theirs: as if it were a site key."""
    return Placement(sites, False, {f"/{kind}": ((("", column),),)})


def part_of(key: exp.Expr, kind: str, number: int) -> exp.Expr:
    """Return which of so many sites a value falls to, as UINTEGER: the same for equal values, 0 for NULL.

    The hash takes a second argument since tables may have been cut by the engine's hash of the key alone.
    """
    value = exp.Anonymous(this="hash", expressions=[exp.cast(key.copy(), kind, dialect="duckdb"), _number(number)])
    part = exp.Mod(this=value, expression=_number(number))
    known = exp.case().when(exp.Is(this=key.copy(), expression=exp.Null()), _number(0)).else_(part)
    return exp.cast(known, "UINTEGER", dialect="duckdb")


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)
