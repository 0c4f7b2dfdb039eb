"""Rough sizes of what a statement gives: for choosing among ways and for EXPLAIN, never for an answer.

Row counts come from the nodes. Where nodes register statistics of columns these are used, else rules of thumb: an
equality keeps a tenth, a range three tenths, and a join matches each row of the larger table with one of the smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from archipel.schema import Distribution
from coordinator.catalog import Catalog
from coordinator.plan import OutputColumn
from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import conjuncts

DISTINCT_OF_KEY = 20
"""Guessed number of values of a group key that is no join key."""

EQUAL, RANGE, LIKE, MEMBER, OTHER = 0.1, 0.3, 0.1, 0.5, 0.3
"""Guessed shares of rows that conditions keep: `=`, `<`, LIKE, IN or EXISTS over a subquery, and anything else."""

_WIDTH = {"BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "FLOAT": 4, "DATE": 4, "HUGEINT": 16}
DEFAULT_WIDTH = 8
DECIMAL_WIDTH = 16
TEXT_WIDTH = 16

_ORDERED = (exp.LT, exp.LTE, exp.GT, exp.GTE)


def estimate(
    tree: exp.Query,
    catalog: Catalog,
    sites: tuple[str, ...],
    columns: Iterable[OutputColumn],
    known: Mapping[str, int] | None = None,
) -> tuple[int, int]:
    """Return estimated rows and bytes over all ``sites`` together; ``known`` are rows of inputs, by name."""
    rows = rows_of(tree, catalog, sites, known)
    return rows, rows * max(1, sum(width(c.type) for c in columns))


def rows_of(tree: exp.Expr, catalog: Catalog, sites: tuple[str, ...], known: Mapping[str, int] | None = None) -> int:
    """Return estimated rows of a query over all ``sites`` together, at least 1."""
    return max(1, math.ceil(_Estimator(catalog, sites, known or {}).rows(tree)))


def width(kind: str) -> int:
    """Return roughly the bytes of a value of a type, as it crosses a border."""
    upper = kind.upper()
    if upper.startswith("DECIMAL"):
        return DECIMAL_WIDTH
    if upper.startswith(("VARCHAR", "BLOB")):
        return TEXT_WIDTH
    return _WIDTH.get(upper, DEFAULT_WIDTH)


def width_of(name: str, table: str, catalog: Catalog) -> int:
    """Return roughly the bytes of a value of a table's column."""
    entry = catalog.find(table)
    column = entry.table.column(name) if entry is not None else None
    return width(column.type) if column is not None else DEFAULT_WIDTH


@dataclass(slots=True)
class _Side:
    """Joined sources: their rows after filters, and the rows of each one's table before any."""

    rows: float
    base: float


@dataclass(frozen=True, slots=True)
class _Estimator:
    catalog: Catalog
    sites: tuple[str, ...]
    known: Mapping[str, int]
    tables: dict[str, str] = field(default_factory=dict)
    """By alias, the table that it stands for."""

    def rows(self, query: exp.Expr) -> float:
        if isinstance(query, exp.Subquery):
            return self.rows(query.this)
        if isinstance(query, exp.SetOperation):
            left, right = self.rows(query.this), self.rows(query.expression)
            return self._limited(query, left + right if isinstance(query, exp.Union) else left)
        if not isinstance(query, exp.Select):
            return max((self._table(t) for t in query.find_all(exp.Table)), default=1.0)
        return self._limited(query, self._grouped(query, self._joined(query)))

    def _limited(self, query: exp.Expr, rows: float) -> float:
        limit = query.args.get("limit")
        value = limit.expression if isinstance(limit, exp.Limit) else None
        if isinstance(value, exp.Literal) and not value.is_string:
            return min(rows, float(value.name) * len(self.sites))
        return rows

    def _grouped(self, select: exp.Select, rows: float) -> float:
        if aggregation.is_aggregating(select):
            groups = sum(self._values(keys, rows) for keys in aggregation.grouping_sets(select))
            having = conjuncts(select.args.get("having"))
            kept = math.prod(self.selectivity(c) for c in having)
            return max(1.0, min(max(rows, len(self.sites)), groups * len(self.sites)) * kept)
        if select.args.get("distinct") is not None:
            return min(rows, self._values([p.unalias() for p in select.expressions], rows) * len(self.sites))
        return rows

    def _values(self, keys: list[exp.Expr], rows: float) -> float:
        found = 1.0
        for key in keys:
            found *= self.distinct(key)
            if found >= rows:
                return max(1.0, rows)
        return found

    def distinct(self, key: exp.Expr) -> float:
        """Return the guessed number of values of a group key."""
        if isinstance(key, exp.Column):
            entry = self.catalog.find(self.tables.get(key.table, ""))
            column = entry.table.column(key.name) if entry is not None else None
            stated = getattr(column, "distinct", 0)
            if stated:
                return float(stated)
            is_person = entry is not None and key.name == (entry.table.person_column or "").lower()
            if entry is not None and (is_person or _is_joined_on(key)):
                return max(float(DISTINCT_OF_KEY), self._table_rows(self.tables[key.table]))
        return float(DISTINCT_OF_KEY)

    def _joined(self, select: exp.Select) -> float:
        sides: dict[str, _Side] = {}
        for source in rewrite.sources_of(select):
            rows = self._source(source)
            sides[source.alias_or_name] = _Side(rows, rows)
        conditions = conjuncts(select.args.get("where"))
        outer = 0.0
        for join in rewrite.joins_of(select):
            conditions += conjuncts(join.args.get("on"))
            if str(join.args.get("side") or "").upper() in {"LEFT", "FULL"} and sides:
                outer = max(outer, next(iter(sides.values())).rows)
        joins = []
        shared = 1.0
        for condition in conditions:
            used = {c.table for c in condition.find_all(exp.Column) if c.table in sides}
            if len(used) == 2 and isinstance(condition, exp.EQ):
                joins.append(sorted(used))
            elif len(used) == 1:
                sides[used.pop()].rows *= self.selectivity(condition)
            else:
                shared *= self.selectivity(condition)
        rows = _connected(sides, joins)
        return max(rows * shared, outer)

    def _source(self, source: exp.Expr) -> float:
        if isinstance(source, exp.Table):
            self.tables[source.alias_or_name] = source.name
            return self._table(source)
        if isinstance(source, exp.Subquery):
            return self.rows(source.this)
        return 1.0

    def _table(self, table: exp.Table) -> float:
        if table.name in self.known:
            return float(self.known[table.name])
        return self._table_rows(table.name)

    def _table_rows(self, name: str) -> float:
        entry = self.catalog.find(name)
        if entry is None:
            return 1.0
        shards = [entry.shards[s].approximate_rows for s in self.sites if s in entry.shards]
        replicated = entry.table.distribution is Distribution.REPLICATED
        return float(max(1, max(shards, default=0) if replicated else sum(shards)))

    def selectivity(self, condition: exp.Expr) -> float:
        """Return the guessed share of rows that a condition keeps."""
        node = condition.unnest()
        if isinstance(node, exp.And):
            return self.selectivity(node.left) * self.selectivity(node.right)
        if isinstance(node, exp.Or):
            return min(1.0, self.selectivity(node.left) + self.selectivity(node.right))
        if isinstance(node, exp.Not):
            return max(EQUAL, 1.0 - self.selectivity(node.this))
        if node.args.get("negate"):  # NOT LIKE
            return 1.0 - LIKE
        if isinstance(node, exp.EQ):
            return self._equal(node.left, node.right)
        if isinstance(node, exp.NEQ):
            return 1.0 - self._equal(node.left, node.right)
        if isinstance(node, _ORDERED):
            return RANGE
        if isinstance(node, exp.Between):
            return RANGE * RANGE
        if isinstance(node, exp.In):
            if node.args.get("query") is not None:
                return MEMBER
            one = self._equal(node.this, exp.Literal.number(0))
            return min(MEMBER, one * max(1, len(node.expressions)))
        if isinstance(node, exp.Exists):
            return MEMBER
        if isinstance(node, exp.Like | exp.ILike | exp.Is):
            return LIKE
        return 1.0 if isinstance(node, exp.Boolean | exp.Literal) else OTHER

    def _equal(self, left: exp.Expr, right: exp.Expr) -> float:
        for side in (left.unnest(), right.unnest()):
            if isinstance(side, exp.Column):
                entry = self.catalog.find(self.tables.get(side.table, ""))
                column = entry.table.column(side.name) if entry is not None else None
                stated = getattr(column, "distinct", 0)
                if stated:
                    return 1.0 / float(stated)
        return EQUAL


def _connected(sides: Mapping[str, _Side], joins: list[list[str]]) -> float:
    """Return the rows of joined sources, each join matching rows of the larger table with one of the smaller."""
    part = dict(sides)
    for left, right in joins:
        a, b = part[left], part[right]
        if a is b:
            continue
        merged = _Side(max(1.0, a.rows * b.rows / max(1.0, min(a.base, b.base))), max(a.base, b.base))
        for alias, side in list(part.items()):
            if side is a or side is b:
                part[alias] = merged
    distinct = {id(side): side for side in part.values()}
    return math.prod(side.rows for side in distinct.values())


def _is_joined_on(key: exp.Column) -> bool:
    """Whether a column is equated with a column of another source in the SELECT around it."""
    select = key.find_ancestor(exp.Select)
    if not isinstance(select, exp.Select):
        return False
    conditions = conjuncts(select.args.get("where"))
    for join in rewrite.joins_of(select):
        conditions += conjuncts(join.args.get("on"))
    return any(
        isinstance(c, exp.EQ)
        and key in (c.left, c.right)
        and isinstance(c.left, exp.Column)
        and isinstance(c.right, exp.Column)
        for c in conditions
    )
