"""Placement: where the rows of a block are, and whether the block distributes over the nodes that hold them.

A block *distributes* over nodes when its rows over all data are the union of its rows at each node. What is not proved
to distribute is *mixed*; the proof here is by site keys (columns whose values never match across nodes) and nothing is
guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.optimizer.scope import find_all_in_scope, traverse_scope

from archipel.schema import NODE_COLUMN, Distribution
from coordinator.catalog import Catalog
from coordinator.planner import aggregation

KeyColumns = tuple[tuple[str, str], ...]
"""Columns of a site key as (source alias, column)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where rows are. ``nodes`` is None for what needs no table and can run anywhere.

    ``replicated``: each of ``nodes`` has all rows, so one of them is enough; otherwise each has a part.
    ``keys``: by name of a site key, the columns that hold it, as (alias, column); alias is empty for a block's outputs.
    """

    nodes: tuple[str, ...] | None
    replicated: bool
    keys: Mapping[str, tuple[KeyColumns, ...]] = field(default_factory=dict)

    @property
    def single(self) -> bool:
        """Whether all rows can be had at one node."""
        return self.replicated or self.nodes is None or len(self.nodes) == 1


ANYWHERE = Placement(None, True)


class Mixed(Exception):
    """A block does not distribute: the reason in words, and the part of the tree that is the cause."""

    def __init__(self, reason: str, node: exp.Expr) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node


def place(query: exp.Expr, catalog: Catalog, inputs: Iterable[str] = ()) -> Placement:
    """Return where the rows of ``query`` are, if it distributes.

    ``inputs`` are names of tables that every node gets from the coordinator.

    Raises:
        Mixed: it does not, or it is not proved.
    """
    return _Placer(catalog, frozenset(inputs)).query(query)


def place_rows(select: exp.Select, catalog: Catalog, inputs: Iterable[str] = ()) -> Placement:
    """Return where the rows of a SELECT's FROM and WHERE are, before grouping, windows, DISTINCT and LIMIT.

    Raises:
        Mixed: they do not distribute, or it is not proved.
    """
    return _Placer(catalog, frozenset(inputs)).rows(select)


def place_sources(select: exp.Select, catalog: Catalog, inputs: Iterable[str] = ()) -> Placement:
    """Return where the joined sources of a SELECT are, whatever subqueries its conditions hold.

    Raises:
        Mixed: they do not distribute, or it is not proved.
    """
    return _Placer(catalog, frozenset(inputs)).sources(select)


def subquery_runs_there(subquery: exp.Query, outer: Placement, catalog: Catalog, inputs: Iterable[str] = ()) -> bool:
    """Whether a subquery of a block at ``outer`` has all its rows there."""
    try:
        _Placer(catalog, frozenset(inputs)).subquery(subquery, outer)
    except Mixed:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Placer:
    catalog: Catalog
    inputs: frozenset[str]

    def query(self, query: exp.Expr) -> Placement:
        if isinstance(query, exp.Subquery):
            if any(query.args.get(k) for k in ("order", "limit", "offset", "joins", "pivots", "sample", "with_")):
                inner = self.query(query.this)
                if inner.single and not query.args.get("joins"):
                    return inner
                raise Mixed("a parenthesised query with clauses of its own", query)
            return self.query(query.this)
        if query.args.get("with_"):
            return self._recursive(query)
        if isinstance(query, exp.SetOperation):
            return self._set_operation(query)
        if isinstance(query, exp.Select):
            return self._select(query)
        raise Mixed(f"{query.key.upper()} in this place", query)

    def _recursive(self, query: exp.Expr) -> Placement:
        """A recursive query stays whole: all tables at one node, or all replicated."""
        names = {cte.alias_or_name for cte in query.args["with_"].expressions}
        found = ANYWHERE
        for table in query.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name not in names:
                found = _both(found, self._table(table), query)
        if not found.single:
            raise Mixed("a recursive WITH over rows of several nodes", query)
        return found

    def _set_operation(self, query: exp.SetOperation) -> Placement:
        left, right = self.query(query.this), self.query(query.expression)
        if left.single and right.single:
            return _both(left, right, query)
        name = type(query).__name__.upper()
        if not isinstance(query, exp.Union) or query.args.get("distinct"):
            raise Mixed(f"{name} over rows of several nodes", query)
        if any(query.args.get(k) for k in ("limit", "offset")):
            raise Mixed("LIMIT over rows of several nodes", query.args.get("limit") or query)
        if left.replicated or right.replicated or left.nodes != right.nodes:
            raise Mixed("UNION ALL of tables that are not at the same nodes", query)
        return Placement(left.nodes, False)

    def _select(self, select: exp.Select) -> Placement:
        rows = self.rows(select)
        for part in _expressions_outside_rows(select):
            self._subqueries(part, rows)
        if rows.single:
            return Placement(rows.nodes, rows.replicated, _outputs(select, rows))
        self._check_distributes(select, rows)
        return Placement(rows.nodes, False, _outputs(select, rows))

    def _check_distributes(self, select: exp.Select, rows: Placement) -> None:
        if select.args.get("limit") or select.args.get("offset"):
            raise Mixed("LIMIT over rows of several nodes", select.args.get("limit") or select)
        group = select.args.get("group")
        if group is not None or aggregation.aggregates_in(select):
            keys = aggregation.plain_keys(select)
            if keys is None or not _covers_key(keys, rows):
                raise Mixed("an aggregation whose groups span nodes", group or select)
        distinct = select.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            parts = list(on.expressions) if on is not None else [p.unalias() for p in select.expressions]
            if not _covers_key(parts, rows):
                raise Mixed("DISTINCT over rows of several nodes", select)
        for window in _windows(select):
            if not _covers_key(window.args.get("partition_by") or [], rows):
                raise Mixed("a window over rows of several nodes", window)

    def rows(self, select: exp.Select) -> Placement:
        placed = self.sources(select)
        for part in _expressions_of_rows(select):
            self._subqueries(part, placed)
        return placed

    def sources(self, select: exp.Select) -> Placement:
        source = select.args.get("from_")
        if source is None:
            placed = ANYWHERE
        else:
            placed = self._source(source.this)
            for join in [*_joins_of(source.this), *(select.args.get("joins") or [])]:
                placed = self._join(placed, join, select)
            for lateral in select.args.get("laterals") or []:
                placed = _both(placed, self._source(lateral), lateral)
        return placed

    def _source(self, source: exp.Expr) -> Placement:
        if source.args.get("sample"):
            raise Mixed("a sample", source)
        if source.args.get("pivots"):
            inner = self._unpivoted(source)
            if inner.single:
                return Placement(inner.nodes, inner.replicated)
            raise Mixed("PIVOT over rows of several nodes", source)
        return self._unpivoted(source)

    def _unpivoted(self, source: exp.Expr) -> Placement:
        if isinstance(source, exp.Table):
            return self._table(source) if isinstance(source.this, exp.Identifier) else ANYWHERE
        if isinstance(source, exp.Subquery):
            if isinstance(source.this, exp.Table):
                raise Mixed("parenthesised joins", source)
            placed = self.query(source.this)
            alias = source.alias_or_name
            renamed = _alias_columns(source)
            keys = {
                name: tuple(tuple((alias, renamed.get(c, c)) for _, c in columns) for columns in found)
                for name, found in placed.keys.items()
            }
            return Placement(placed.nodes, placed.replicated, keys)
        if isinstance(source, exp.Lateral):
            inner = source.this
            return self.query(inner) if isinstance(inner, exp.Query) else ANYWHERE
        if isinstance(source, exp.Values | exp.Unnest):
            return ANYWHERE
        raise Mixed(f"{source.key.upper()} as a source", source)

    def _table(self, table: exp.Table) -> Placement:
        if table.name in self.inputs:
            return ANYWHERE
        entry = self.catalog.find(table.name)
        if entry is None:
            raise Mixed(f"table {table.name}", table)
        if entry.table.distribution is Distribution.REPLICATED:
            return Placement(entry.nodes, True)
        alias = table.alias_or_name
        keys = {key.name: (tuple((alias, c.lower()) for c in key.columns),) for key in entry.table.site_keys}
        keys[NODE_COLUMN] = (((alias, NODE_COLUMN),),)
        return Placement(entry.nodes, False, keys)

    def _join(self, left: Placement, join: exp.Join, select: exp.Select) -> Placement:
        right = self._source(join.this)
        if left.single and right.single:
            both = _meet(left, right)
            if both is not None:
                return both
        side, kind, method = (str(join.args.get(k) or "").upper() for k in ("side", "kind", "method"))
        if method in {"ASOF", "POSITIONAL", "NATURAL"} and not right.replicated:
            raise Mixed(f"{method} JOIN over rows of several nodes", join)
        if right.replicated or right.nodes is None:
            if side in {"RIGHT", "FULL"}:
                raise Mixed(f"{side} JOIN that keeps the rows of a table that every node has", join)
            if not _within(left.nodes, right.nodes):
                raise Mixed("a join with a table that is not at every node of the other", join)
            return Placement(left.nodes, False, left.keys)
        if left.replicated or left.nodes is None:
            if side in {"LEFT", "FULL"} or kind in {"SEMI", "ANTI"}:
                raise Mixed(f"{side or kind} JOIN that keeps the rows of a table that every node has", join)
            if not _within(right.nodes, left.nodes):
                raise Mixed("a join with a table that is not at every node of the other", join)
            return Placement(right.nodes, False, right.keys)
        return _local_join(left, right, join, select, side, kind)

    def _subqueries(self, part: exp.Expr, outer: Placement) -> None:
        for subquery in subqueries_in(part):
            self.subquery(subquery, outer)

    def subquery(self, subquery: exp.Query, outer: Placement) -> None:
        if _is_local(self, subquery, outer):
            return
        inner = self.query(subquery)
        if inner.nodes is None:
            return
        if inner.replicated and _within(outer.nodes, inner.nodes):
            return
        if outer.nodes is not None and len(outer.nodes) == 1 and inner.single and outer.nodes[0] in inner.nodes:
            return
        if outer.replicated and inner.single and (outer.nodes is None or set(inner.nodes) & set(outer.nodes)):
            raise Mixed("a subquery over other nodes", subquery)
        raise Mixed("a subquery over rows of other nodes", subquery)


def _is_local(placer: _Placer, subquery: exp.Query, outer: Placement) -> bool:
    """Whether a correlated subquery equates a site key of its rows with one of the outer row: all it sees is there."""
    if not isinstance(subquery, exp.Select) or outer.nodes is None or outer.replicated:
        return False
    try:
        inner = placer.rows(subquery)
    except Mixed:
        return False
    if inner.nodes is None or inner.replicated or not _within(outer.nodes, inner.nodes):
        return False
    conjuncts = _conjuncts(subquery.args.get("where"))
    parent = subquery.parent
    if isinstance(parent, exp.In) and len(subquery.expressions) == 1:
        conjuncts = [*conjuncts, exp.EQ(this=parent.this.copy(), expression=subquery.expressions[0].unalias().copy())]
    return _equates_key(conjuncts, outer.keys, inner.keys)


def subqueries_in(part: exp.Expr) -> list[exp.Query]:
    """Return the queries that stand directly in an expression, not those within them."""
    found: list[exp.Query] = []

    def walk(node: exp.Expr) -> None:
        if isinstance(node, exp.Subquery):
            inner = node.unnest()
            found.append(inner if isinstance(inner, exp.Query) else node)
            return
        if isinstance(node, exp.Query):
            found.append(node)
            return
        for child in node.iter_expressions():
            walk(child)

    walk(part)
    return found


def is_correlated(query: exp.Query) -> bool:
    """Whether a subquery names columns of the rows around it."""
    scopes = traverse_scope(query.copy())
    return bool(scopes) and any(
        column.table and not _defined(column.table, scope) for scope in scopes for column in scope.columns
    )


def _defined(alias: str, scope: object) -> bool:
    current = scope
    while current is not None:
        if alias in current.sources:  # type: ignore[attr-defined]
            return True
        current = current.parent  # type: ignore[attr-defined]
    return False


def _local_join(
    left: Placement, right: Placement, join: exp.Join, select: exp.Select, side: str, kind: str
) -> Placement:
    assert left.nodes is not None
    assert right.nodes is not None
    inner = side == "" and kind in {"", "INNER", "CROSS"}
    conditions = _conjuncts(join.args.get("on"))
    if inner:
        conditions += _conjuncts(select.args.get("where"))
    if not _equates_key(conditions, left.keys, right.keys):
        raise Mixed("a join of rows of several nodes that does not equate a site key", join)
    shared = tuple(n for n in left.nodes if n in right.nodes)
    if inner or kind == "SEMI":
        nodes = shared
    elif side == "RIGHT":
        nodes = right.nodes
    else:
        nodes = left.nodes
    if nodes != shared or not shared or (side == "FULL" and left.nodes != right.nodes):
        raise Mixed("a join of tables that are not at the same nodes", join)
    keys = dict(left.keys)
    if kind not in {"SEMI", "ANTI"}:
        for name, columns in right.keys.items():
            keys[name] = (*keys.get(name, ()), *columns)
    return Placement(nodes, False, keys)


def _equates_key(
    conditions: list[exp.Expr],
    left: Mapping[str, tuple[KeyColumns, ...]],
    right: Mapping[str, tuple[KeyColumns, ...]],
) -> bool:
    pairs = set()
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            a, b = condition.left, condition.right
            if isinstance(a, exp.Column) and isinstance(b, exp.Column):
                pairs.add(((a.table, a.name), (b.table, b.name)))
                pairs.add(((b.table, b.name), (a.table, a.name)))
    return any(
        len(ours) == len(theirs) and all(pair in pairs for pair in zip(ours, theirs, strict=True))
        for name in left.keys() & right.keys()
        for ours in left[name]
        for theirs in right[name]
    )


def _covers_key(parts: list[exp.Expr], rows: Placement) -> bool:
    """Whether the expressions hold all columns of one site key: rows that agree in them are at one node."""
    columns = {(p.table, p.name) for p in parts if isinstance(p, exp.Column)}
    return any(all(c in columns for c in key) for found in rows.keys.values() for key in found)


def covers_key(parts: list[exp.Expr], rows: Placement) -> bool:
    """Whether rows that agree in ``parts`` are always at one node."""
    return rows.single or _covers_key(parts, rows)


def _outputs(select: exp.Select, rows: Placement) -> dict[str, tuple[KeyColumns, ...]]:
    """Return the site keys that a block's outputs hold."""
    if rows.replicated:
        return {}
    exposed = {
        (p.unalias().table, p.unalias().name): p.alias_or_name
        for p in select.expressions
        if isinstance(p.unalias(), exp.Column)
    }
    found: dict[str, tuple[KeyColumns, ...]] = {}
    for name, keys in rows.keys.items():
        kept = tuple(tuple(("", exposed[c]) for c in key) for key in keys if all(c in exposed for c in key))
        if kept:
            found[name] = kept
    return found


def _both(left: Placement, right: Placement, node: exp.Expr) -> Placement:
    met = _meet(left, right)
    if met is None:
        raise Mixed("tables that are not at one node together", node)
    return met


def _meet(left: Placement, right: Placement) -> Placement | None:
    """Return where both can be had together, each of them being whole at one node."""
    if not (left.single and right.single):
        return None
    if left.nodes is None:
        return right
    if right.nodes is None:
        return left
    nodes = tuple(n for n in left.nodes if n in right.nodes)
    if not nodes:
        return None
    keys = {**left.keys, **{n: (*left.keys.get(n, ()), *k) for n, k in right.keys.items()}}
    return Placement(nodes, left.replicated and right.replicated, keys)


def _within(inner: tuple[str, ...] | None, outer: tuple[str, ...] | None) -> bool:
    if outer is None:
        return True
    return inner is not None and set(inner) <= set(outer)


def _conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    if node is None:
        return []
    if isinstance(node, exp.Where):
        node = node.this
    node = node.unnest()
    if isinstance(node, exp.And):
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    """Return the parts that AND ties together."""
    return _conjuncts(node)


def _windows(select: exp.Select) -> Iterator[exp.Window]:
    named = {w.name: w for w in select.args.get("windows") or []}
    for part in [*select.expressions, select.args.get("qualify"), select.args.get("order")]:
        if part is None:
            continue
        for window in find_all_in_scope(part, exp.Window):
            base = named.get(window.alias) if window.alias else None
            yield base if base is not None and not window.args.get("partition_by") else window


def _joins_of(source: exp.Expr) -> list[exp.Join]:
    return list(source.args.get("joins") or [])


def _expressions_of_rows(select: exp.Select) -> list[exp.Expr]:
    parts: list[exp.Expr] = []
    source = select.args.get("from_")
    joins = [*(_joins_of(source.this) if source is not None else []), *(select.args.get("joins") or [])]
    parts += [join.args["on"] for join in joins if join.args.get("on") is not None]
    where = select.args.get("where")
    return [*parts, where.this] if where is not None else parts


def _expressions_outside_rows(select: exp.Select) -> list[exp.Expr]:
    parts = list(select.expressions)
    parts += [select.args[k] for k in ("group", "having", "qualify", "order", "limit") if select.args.get(k)]
    return parts


def _alias_columns(source: exp.Expr) -> dict[str, str]:
    """Return old to new column names where a derived table renames its columns."""
    alias = source.args.get("alias")
    names = [c.name for c in alias.args.get("columns") or []] if alias is not None else []
    inner = source.this
    outputs = inner.named_selects if isinstance(inner, exp.Query) else []
    return dict(zip(outputs, names, strict=False))
