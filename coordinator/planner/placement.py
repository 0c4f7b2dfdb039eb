"""Placement: where the rows of a block are, and whether the block distributes over the nodes that hold them.

A block *distributes* over nodes when its rows over all data are the union of its rows at each node. What is not proved
to distribute is *mixed*; the proof here is by site keys (columns whose values never match across nodes) and nothing is
guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp
from sqlglot.optimizer.scope import find_all_in_scope

from archipel.schema import NODE_COLUMN, Distribution
from coordinator.catalog import Catalog
from coordinator.planner import aggregation, rewrite, sitekeys
from coordinator.planner.conditions import conjuncts, decides_row, is_correlated, subqueries_in, values_left
from coordinator.planner.sitekeys import KeyColumns, Keys


@dataclass(frozen=True, slots=True)
class Placement:
    """Where rows are. ``nodes`` is None for what needs no table and can run anywhere.

    ``replicated``: each of ``nodes`` has all rows, so one of them is enough; otherwise each has a part.
    ``keys``: by name of a site key, the columns that hold it, as (alias, column); alias is empty for a block's outputs.
    ``nullable``: those of them that may be NULL, which equals nothing but groups over nodes.
    ``chosen``: some rows were left out without a rule (LIMIT, DISTINCT ON), so each of the nodes may choose others.
    """

    nodes: tuple[str, ...] | None
    replicated: bool
    keys: Keys = field(default_factory=dict)
    nullable: frozenset[KeyColumns] = frozenset()
    chosen: bool = False

    def at(self, nodes: tuple[str, ...]) -> Placement:
        """Return the same rows as far as they are at ``nodes``."""
        return replace(self, nodes=nodes)

    def called(self, alias: str) -> Placement:
        """Return the same with the outputs of a block as columns of a source."""
        if not self.keys:
            return self
        keys = {n: tuple(tuple((alias, c) for _, c in columns) for columns in k) for n, k in self.keys.items()}
        return replace(self, keys=keys)

    @property
    def single(self) -> bool:
        """Whether all rows can be had at one node."""
        return self.replicated or self.nodes is None or len(self.nodes) == 1


ANYWHERE = Placement(None, True)

Inputs = Iterable[str] | Mapping[str, Placement]
"""Names of tables that every node gets whole; or of tables that nodes get, with where their rows are then."""


class Mixed(Exception):
    """A block does not distribute: the reason in a sentence, the part of the tree that is the cause, what to do."""

    def __init__(self, reason: str, node: exp.Expr, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node
        self.hint = hint


_GROUPS_FIRST = "Aggregate first in a WITH part, and do this to the groups; or ask one node (WHERE _node = '...')."
_REFERENCE_LATER = (
    "Aggregate the other side first in a WITH part, and join the reference table to its groups; or turn the join round."
)
_KEYS = "Group by a site key such as the node (_node), or aggregate first in a WITH part."
_WINDOW = "PARTITION BY a site key such as the node (_node), or aggregate first in a WITH part."
_LIMIT = "A LIMIT chooses among rows of several nodes."
_ONE_NODE = "Ask one node at a time (WHERE _node = '...')."


def place(query: exp.Expr, catalog: Catalog, inputs: Inputs = ()) -> Placement:
    """Return where the rows of ``query`` are, if it distributes.

    ``inputs`` are tables that the nodes get before they begin.

    Raises:
        Mixed: it does not, or it is not proved.
    """
    return _placer(catalog, inputs).query(query)


def place_rows(select: exp.Select, catalog: Catalog, inputs: Inputs = ()) -> Placement:
    """Return where the rows of a SELECT's FROM and WHERE are, before grouping, windows, DISTINCT and LIMIT.

    Raises:
        Mixed: they do not distribute, or it is not proved.
    """
    return _placer(catalog, inputs).rows(select)


def place_sources(select: exp.Select, catalog: Catalog, inputs: Inputs = ()) -> Placement:
    """Return where the joined sources of a SELECT are, whatever subqueries its conditions hold.

    Raises:
        Mixed: they do not distribute, or it is not proved.
    """
    return _placer(catalog, inputs).sources(select)


def check_subqueries(parts: Iterable[exp.Expr], outer: Placement, catalog: Catalog, inputs: Inputs = ()) -> None:
    """Make sure that all subqueries in expressions of a block at ``outer`` have their rows there.

    Raises:
        Mixed: one has not, or it is not proved.
    """
    placer = _placer(catalog, inputs)
    for part in parts:
        placer.subqueries(part, outer)


def subquery_runs_there(subquery: exp.Query, outer: Placement, catalog: Catalog, inputs: Inputs = ()) -> bool:
    """Whether a subquery of a block at ``outer`` has all its rows there."""
    try:
        _placer(catalog, inputs).subquery(subquery, outer)
    except Mixed:
        return False
    return True


def _placer(catalog: Catalog, inputs: Inputs) -> _Placer:
    given = inputs if isinstance(inputs, Mapping) else {}
    found = {name: given.get(name) for name in inputs}
    return _Placer(catalog, {name: p if isinstance(p, Placement) else ANYWHERE for name, p in found.items()})


@dataclass(frozen=True, slots=True)
class _Placer:
    catalog: Catalog
    inputs: Mapping[str, Placement]
    memo: dict[tuple[str, int], Placement | Mixed] = field(default_factory=dict)
    """What was found before, by question and node: nested subqueries ask the same again at every level."""

    def _once(self, question: str, node: exp.Expr, find: Callable[[], Placement]) -> Placement:
        key = (question, id(node))
        if key not in self.memo:
            try:
                self.memo[key] = find()
            except Mixed as mixed:
                self.memo[key] = mixed
        known = self.memo[key]
        if isinstance(known, Mixed):
            raise known
        return known

    def query(self, query: exp.Expr) -> Placement:
        return self._once("query", query, lambda: self._query(query))

    def _query(self, query: exp.Expr) -> Placement:
        if isinstance(query, exp.Subquery):
            if any(query.args.get(k) for k in ("order", "limit", "offset", "joins", "pivots", "sample", "with_")):
                inner = self.query(query.this)
                if inner.single and not query.args.get("joins"):
                    return inner
                raise Mixed(
                    "A query in parentheses has clauses of its own over rows of several nodes.", query, _GROUPS_FIRST
                )
            return self.query(query.this)
        if query.args.get("with_"):
            return self._recursive(query)
        if isinstance(query, exp.SetOperation):
            return self._set_operation(query)
        if isinstance(query, exp.Select):
            return self._select(query)
        raise Mixed(f"{query.key.upper()} cannot be split over nodes in this place.", query)

    def _recursive(self, query: exp.Expr) -> Placement:
        """A recursive query stays whole: all tables at one node, or all replicated."""
        names = {cte.alias_or_name for cte in query.find_all(exp.CTE)}
        if any(self.catalog.find(name) is not None for name in names):
            raise Mixed("A recursive WITH part has the name of a table.", query, "Give the part another name.")
        found = ANYWHERE
        for table in query.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name not in names:
                found = _both(found, self._table(table), query)
        if not found.single:
            raise Mixed("A recursive WITH part reads rows of several nodes.", query, _ONE_NODE)
        return replace(found, keys={}, nullable=frozenset(), chosen=True)

    def _set_operation(self, query: exp.SetOperation) -> Placement:
        left, right = self.query(query.this), self.query(query.expression)
        limited = bool(query.args.get("limit") or query.args.get("offset"))
        if left.single and right.single:
            both = _both(left, right, query)
            return Placement(both.nodes, both.replicated, chosen=both.chosen or limited)
        name = type(query).__name__.upper()
        if not isinstance(query, exp.Union) or query.args.get("distinct"):
            raise Mixed(f"{name} compares rows of several nodes.", query, _GROUPS_FIRST)
        if limited:
            raise Mixed(_LIMIT, query.args.get("limit") or query, _GROUPS_FIRST)
        if left.replicated or right.replicated or left.nodes != right.nodes:
            raise Mixed("UNION ALL of tables that are not at the same nodes.", query, _GROUPS_FIRST)
        return Placement(left.nodes, False, chosen=left.chosen or right.chosen)

    def _select(self, select: exp.Select) -> Placement:
        rows = self.rows(select)
        for part in _expressions_outside_rows(select):
            self.subqueries(part, rows)
        if not rows.single:
            self._check_distributes(select, rows)
        keys, nullable = _outputs(select, rows)
        distinct = select.args.get("distinct")
        chosen = bool(
            select.args.get("limit") or select.args.get("offset") or (distinct is not None and distinct.args.get("on"))
        )
        return Placement(rows.nodes, rows.replicated, keys, nullable, rows.chosen or chosen)

    def _check_distributes(self, select: exp.Select, rows: Placement) -> None:
        if select.args.get("limit") or select.args.get("offset"):
            raise Mixed(_LIMIT, select.args.get("limit") or select, _GROUPS_FIRST)
        group = select.args.get("group")
        if aggregation.is_aggregating(select):
            keys = aggregation.plain_keys(select)
            if keys is None or not covers_key(keys, rows):
                raise Mixed("Groups of this aggregation may have rows at several nodes.", group or select, _KEYS)
        distinct = select.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            parts = list(on.expressions) if on is not None else [p.unalias() for p in select.expressions]
            if not covers_key(parts, rows):
                raise Mixed("DISTINCT compares rows of several nodes.", select, _GROUPS_FIRST)
        for window in _windows(select):
            if not covers_key(window.args.get("partition_by") or [], rows):
                raise Mixed("A window looks at rows of several nodes.", window, _WINDOW)

    def rows(self, select: exp.Select) -> Placement:
        return self._once("rows", select, lambda: self._rows(select))

    def _rows(self, select: exp.Select) -> Placement:
        placed = self.sources(select)
        for part in _expressions_of_rows(select):
            self.subqueries(part, placed)
        return placed

    def sources(self, select: exp.Select) -> Placement:
        source = select.args.get("from_")
        if source is None:
            return ANYWHERE
        chosen = values_left(select)
        placed = self._source(source.this, chosen)
        for join in rewrite.joins_of(select):
            placed = self._join(placed, join, select, chosen)
        for lateral in select.args.get("laterals") or []:
            placed = _both(placed, self._source(lateral, chosen), lateral)
        return placed

    def _source(self, source: exp.Expr, chosen: Mapping[tuple[str, str], frozenset[str]]) -> Placement:
        """Return where a source's rows are, those left out that the conditions ``chosen`` on the node exclude."""
        placed = self._sampled(source)
        if placed.nodes is None or placed.replicated or self.catalog.asks_all:
            return placed
        for key in placed.keys.get(NODE_COLUMN, ()):
            kept = tuple(n for n in placed.nodes if n in chosen.get(key[0], placed.nodes))
            # Where no node is left there is no row: any of them can say so.
            placed = placed.at(kept or placed.nodes[:1])
        return placed

    def _sampled(self, source: exp.Expr) -> Placement:
        if source.args.get("sample"):
            raise Mixed("A sample of the rows of several nodes.", source)
        if source.args.get("pivots"):
            inner = self._unpivoted(source)
            if inner.single:
                return Placement(inner.nodes, inner.replicated)
            raise Mixed("PIVOT over rows of several nodes.", source)
        return self._unpivoted(source)

    def _unpivoted(self, source: exp.Expr) -> Placement:
        if isinstance(source, exp.Table):
            if isinstance(source.this, exp.Identifier):
                return self._table(source)
            if source.find(exp.Query) is None:
                return ANYWHERE
        if isinstance(source, exp.Subquery):
            if isinstance(source.this, exp.Table):
                raise Mixed(
                    "Joins in parentheses cannot be split over nodes.", source, "Write them without parentheses."
                )
            placed = self.query(source.this)
            alias, names = source.alias_or_name, _alias_columns(source)

            def outside(columns: KeyColumns) -> KeyColumns:
                return tuple((alias, names.get(c, c)) for _, c in columns)

            keys = {name: tuple(outside(columns) for columns in found) for name, found in placed.keys.items()}
            nullable = frozenset(map(outside, placed.nullable))
            return Placement(placed.nodes, placed.replicated, keys, nullable, placed.chosen)
        if isinstance(source, exp.Lateral):
            inner = source.this
            return self.query(inner) if isinstance(inner, exp.Query) else ANYWHERE
        if isinstance(source, exp.Values | exp.Unnest) and source.find(exp.Query) is None:
            return ANYWHERE
        raise Mixed(f"{source.key.upper()} is a source that cannot be split over nodes.", source)

    def _table(self, table: exp.Table) -> Placement:
        if table.name in self.inputs:
            return self.inputs[table.name].called(table.alias_or_name)
        entry = self.catalog.find(table.name)
        if entry is None:
            raise Mixed(f"Table '{table.name}' is at no node.", table)
        if entry.table.distribution is Distribution.REPLICATED:
            return Placement(entry.nodes, True)
        alias = table.alias_or_name
        keys = {key.name: (tuple((alias, c.lower()) for c in key.columns),) for key in entry.table.site_keys}
        keys[NODE_COLUMN] = (((alias, NODE_COLUMN),),)
        nullable = frozenset(columns for key in entry.table.site_keys if key.nullable for columns in keys[key.name])
        return Placement(entry.nodes, False, keys, nullable)

    def _join(
        self, left: Placement, join: exp.Join, select: exp.Select, chosen: Mapping[tuple[str, str], frozenset[str]]
    ) -> Placement:
        right = self._source(join.this, chosen)
        side, kind, method = (str(join.args.get(k) or "").upper() for k in ("side", "kind", "method"))
        if left.single and right.single:
            both = _meet(left, right)
            if both is not None:
                return replace(both, nullable=_nullable(left, right, side))
        if left.chosen or right.chosen:
            raise Mixed(
                "This join reads rows that a LIMIT or DISTINCT ON chooses, and every node might choose others.", join
            )
        if isinstance(join.this, exp.Lateral):
            raise Mixed("LATERAL over rows of several nodes.", join)
        if method in {"ASOF", "POSITIONAL", "NATURAL"} and not right.replicated:
            raise Mixed(f"{method} JOIN compares rows of several nodes.", join)
        if right.replicated or right.nodes is None:
            if side in {"RIGHT", "FULL"}:
                raise Mixed(_keeps(side), join, _REFERENCE_LATER)
            if not _within(left.nodes, right.nodes):
                raise Mixed("This join's tables are not at the same nodes.", join)
            return Placement(left.nodes, False, left.keys, left.nullable)
        if left.replicated or left.nodes is None:
            if side in {"LEFT", "FULL"} or kind in {"SEMI", "ANTI"}:
                raise Mixed(_keeps(side or kind), join, _REFERENCE_LATER)
            if not _within(right.nodes, left.nodes):
                raise Mixed("This join's tables are not at the same nodes.", join)
            return Placement(right.nodes, False, right.keys, right.nullable)
        return _local_join(left, right, join, select, side, kind)

    def subqueries(self, part: exp.Expr, outer: Placement) -> None:
        for subquery in subqueries_in(part):
            self.subquery(subquery, outer)

    def subquery(self, subquery: exp.Query, outer: Placement) -> None:
        if _is_local(self, subquery, outer):
            return
        inner = self.query(subquery)
        if inner.nodes is None:
            return
        if inner.chosen and not outer.single and not is_correlated(subquery):
            raise Mixed("A LIMIT chooses rows in a subquery, and every node might choose others.", subquery)
        if inner.replicated and _within(outer.nodes, inner.nodes):
            return
        if outer.nodes is not None and len(outer.nodes) == 1 and inner.single and outer.nodes[0] in inner.nodes:
            return
        if outer.replicated and inner.single and (outer.nodes is None or set(inner.nodes) & set(outer.nodes)):
            raise Mixed("A subquery reads rows of other nodes than the query around it.", subquery)
        raise Mixed("A subquery may need rows of other nodes than the row that it is asked for.", subquery)


def _is_local(placer: _Placer, subquery: exp.Query, outer: Placement) -> bool:
    """Whether all that a subquery can see of an outer row is at its node: it equates a site key of both."""
    if not isinstance(subquery, exp.Select) or outer.nodes is None or outer.replicated:
        return False
    try:
        inner = placer.rows(subquery)
        if inner.nodes is None or inner.replicated or not _within(outer.nodes, inner.nodes):
            return False
        pairs = sitekeys.equated(conjuncts(subquery.args.get("where")))
        return sitekeys.are_equated(pairs, outer.keys, inner.keys) or _is_local_in(placer, subquery, outer)
    except Mixed:
        return False


def _is_local_in(placer: _Placer, subquery: exp.Select, outer: Placement) -> bool:
    """Whether ``key IN (subquery)`` asks for a site key, which only rows of the same node can hold."""
    parent = subquery.parent
    while isinstance(parent, exp.Subquery):
        parent = parent.parent
    # NOT IN is no equality: any row at another node, and above all NULL, would change what it says of a NULL.
    if not isinstance(parent, exp.In) or not decides_row(parent):
        return False
    asked = parent.this.unnest()
    values = list(asked.expressions) if isinstance(asked, exp.Tuple) else [asked]
    names = subquery.named_selects
    if len(values) != len(names):
        return False
    pairs = {((v.table, v.name), ("", n)) for v, n in zip(values, names, strict=True) if isinstance(v, exp.Column)}
    return sitekeys.are_equated(pairs, outer.keys, placer.query(subquery).keys)


def _local_join(
    left: Placement, right: Placement, join: exp.Join, select: exp.Select, side: str, kind: str
) -> Placement:
    assert left.nodes is not None
    assert right.nodes is not None
    inner = side == "" and kind in {"", "INNER", "CROSS"}
    conditions = conjuncts(join.args.get("on"))
    if inner:
        conditions += conjuncts(select.args.get("where"))
    if not sitekeys.are_equated(sitekeys.equated(conditions), left.keys, right.keys):
        raise Mixed(
            "This join may bring together rows of different nodes: it does not equate a site key.",
            join,
            sitekeys.hint(left.keys, right.keys),
        )
    shared = tuple(n for n in left.nodes if n in right.nodes)
    if inner or kind == "SEMI":
        nodes = shared
    elif side == "RIGHT":
        nodes = right.nodes
    else:
        nodes = left.nodes
    if nodes != shared or not shared or (side == "FULL" and left.nodes != right.nodes):
        raise Mixed("This join's tables are not at the same nodes.", join)
    keys = left.keys if kind in {"SEMI", "ANTI"} else sitekeys.both(left.keys, right.keys)
    return Placement(nodes, False, keys, _nullable(left, right, side))


def _nullable(left: Placement, right: Placement, side: str) -> frozenset[KeyColumns]:
    """Return the keys that may be NULL after a join: an outer join fills the side that matches nothing."""
    found = left.nullable | right.nullable
    if side in {"LEFT", "FULL"}:
        found |= sitekeys.all_columns(right.keys)
    if side in {"RIGHT", "FULL"}:
        found |= sitekeys.all_columns(left.keys)
    return found


def _keeps(kind: str) -> str:
    return f"This {kind} JOIN keeps rows of a table that every node has: every node would add those that match nothing."


def covers_key(parts: list[exp.Expr], rows: Placement) -> bool:
    """Whether rows that agree in ``parts`` are always at one node."""
    return rows.single or sitekeys.are_covered(parts, rows.keys, rows.nullable)


def _outputs(select: exp.Select, rows: Placement) -> tuple[Keys, frozenset[KeyColumns]]:
    """Return the site keys that a block's outputs hold, and which of them may be NULL."""
    if rows.replicated or _drops_keys(select):
        return {}, frozenset()
    exposed = sitekeys.exposed(select, rows.keys)
    kept = {name: tuple(exposed[key] for key in found if key in exposed) for name, found in rows.keys.items()}
    nullable = frozenset(outside for key, outside in exposed.items() if key in rows.nullable)
    return {name: found for name, found in kept.items() if found}, nullable


def _drops_keys(select: exp.Select) -> bool:
    """Whether a block makes NULL of keys in some of its groups: grouping sets."""
    return select.args.get("group") is not None and aggregation.plain_keys(select) is None


def _both(left: Placement, right: Placement, node: exp.Expr) -> Placement:
    met = _meet(left, right)
    if met is None:
        raise Mixed("These tables are not at one node together.", node)
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
    keys = sitekeys.both(left.keys, right.keys)
    nullable = left.nullable | right.nullable
    return Placement(nodes, left.replicated and right.replicated, keys, nullable, left.chosen or right.chosen)


def _within(inner: tuple[str, ...] | None, outer: tuple[str, ...] | None) -> bool:
    if outer is None:
        return True
    return inner is not None and set(inner) <= set(outer)


def _windows(select: exp.Select) -> Iterator[exp.Window]:
    named = {w.name: w for w in select.args.get("windows") or []}
    for part in [*select.expressions, select.args.get("qualify"), select.args.get("order")]:
        if part is None:
            continue
        for window in find_all_in_scope(part, exp.Window):
            base = named.get(window.alias) if window.alias else None
            yield base if base is not None and not window.args.get("partition_by") else window


def _expressions_of_rows(select: exp.Select) -> list[exp.Expr]:
    parts = [join.args["on"] for join in rewrite.joins_of(select) if join.args.get("on") is not None]
    where = select.args.get("where")
    return [*parts, where.this] if where is not None else parts


def _expressions_outside_rows(select: exp.Select) -> list[exp.Expr]:
    return rewrite.parts(
        select, "expressions", "distinct", "group", "having", "qualify", "windows", "order", "limit", "offset"
    )


def _alias_columns(source: exp.Expr) -> dict[str, str]:
    """Return old to new column names where a derived table renames its columns."""
    alias = source.args.get("alias")
    names = [c.name for c in alias.args.get("columns") or []] if alias is not None else []
    inner = source.this
    outputs = inner.named_selects if isinstance(inner, exp.Query) else []
    return dict(zip(outputs, names, strict=False))
