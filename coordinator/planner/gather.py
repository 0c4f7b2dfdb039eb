"""Gathering: a block runs at the nodes of its choice, and what it reads of other nodes is shipped there first.

Of each source that is not at the site only the columns needed travel, filtered by what its rows must satisfy anyway.
Sources that are together elsewhere and joined there travel as one; a query within that is whole at another node travels
as its result, if that is smaller. The block itself stays as its author wrote it, less the conditions that have been
applied. This holds for any SELECT: where nothing better is known, every table is shipped and the block runs unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlglot import exp

from archipel.schema import NODE_COLUMN
from coordinator.catalog import Catalog
from coordinator.planner import aggregation, rewrite
from coordinator.planner.conditions import conjuncts, is_correlated, subqueries_in
from coordinator.planner.draft import Draft, Shipment, size_of
from coordinator.planner.estimate import rows_of, width_of
from coordinator.planner.flatten import joins_by_conditions
from coordinator.planner.implied import TypeOf, equalities, implied
from coordinator.planner.placement import Mixed, Placement, place, place_rows, subquery_runs_there
from coordinator.planner.tables import entries_in, is_protected

_SAME_WHATEVER_REPEATED = frozenset({"min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "any_value"})
"""Aggregates that are the same whether a row comes once or several times."""

_PASSED_ON = "r"
"""Alias of a shipment within the small SELECT that gives its columns their names back."""


def gather(query: exp.Query, sites: tuple[str, ...], catalog: Catalog, *, above: bool) -> Draft:
    """Return how ``query`` would run at ``sites``.

    With several sites the rows that they hold of sharded tables stay in parts, which the caller must prove to be right.
    With ``above`` what stands over an aggregation is left to another place, and its subqueries with it.

    Raises:
        Mixed: a source can be brought nowhere.
    """
    names = _Names()
    work = _Gatherer(sites, catalog, names)
    tree = work.root(query, above=above)
    return Draft(tree, sites, tuple(work.shipments))


@dataclass(slots=True)
class _Names:
    """Names of shipments until they are exchanges: no table can be called so."""

    used: int = 0

    def next(self) -> str:
        self.used += 1
        return f"/{self.used}"


@dataclass(slots=True)
class _Group:
    """Sources of one block that are together somewhere else, and the conditions that are applied there."""

    sources: list[exp.Expr]
    placed: Placement
    conditions: list[exp.Expr] = field(default_factory=list)
    inputs: list[Shipment] = field(default_factory=list)

    @property
    def aliases(self) -> set[str]:
        return {source.alias_or_name for source in self.sources}

    def select(self, outputs: list[exp.Expr]) -> exp.Select:
        """Return the group's joined and filtered rows."""
        return joined(outputs, [source.copy() for source in self.sources], [c.copy() for c in self.conditions])


def joined(outputs: list[exp.Expr], sources: list[exp.Expr], conditions: list[exp.Expr]) -> exp.Select:
    """Return a SELECT of sources joined by what WHERE says."""
    made = exp.select(*(outputs or [rewrite.aliased(exp.Literal.number(1), "c0")]))
    plain = [without_joins(source) for source in sources]
    made.set("from_", exp.From(this=plain[0]))
    if plain[1:]:
        made.set("joins", [exp.Join(this=source) for source in plain[1:]])
    if conditions:
        made.set("where", exp.Where(this=exp.and_(*conditions, copy=False)))
    return made


def without_joins(source: exp.Expr) -> exp.Expr:
    """Return the source without the joins that hang on it; it is altered in place."""
    for key in ("joins", "laterals"):
        source.set(key, None)
    return source


@dataclass(slots=True)
class _Gatherer:
    sites: tuple[str, ...]
    catalog: Catalog
    names: _Names
    shipments: list[Shipment] = field(default_factory=list)

    def root(self, query: exp.Query, *, above: bool) -> exp.Query:
        if above and isinstance(query, exp.Select):
            return self._block(query, once=False, above=True)
        return self._query(query, once=False)

    def _query(self, query: exp.Query, *, once: bool) -> exp.Query:
        """Return a query over what is at the sites and what is shipped there. With ``once`` repeated rows are one."""
        if not entries_in(query, self.catalog) or self._is_here(placement_of(query, self.catalog)):
            return query.copy()
        kept = len(self.shipments)
        made = self._taken_apart(query, once=once)
        result = self._as_result(query, once=once)
        if result is not None and result.size < size_of(self.shipments[kept:], len(self.sites)):
            del self.shipments[kept:]
            self.shipments.append(result)
            return _passed_on(result, query.named_selects)
        return made

    def _taken_apart(self, query: exp.Query, *, once: bool) -> exp.Query:
        if isinstance(query, exp.Subquery):
            copied = query.copy()
            copied.set("this", self._query(query.this, once=once))
            return copied
        if query.args.get("with_"):
            return self._leaves(query)
        if isinstance(query, exp.SetOperation):
            return self._set_operation(query)
        if isinstance(query, exp.Select):
            return self._block(query, once=once, above=False)
        raise Mixed(f"{query.key.upper()} cannot be brought to one place.", query)

    def _set_operation(self, query: exp.SetOperation) -> exp.Query:
        once = bool(query.args.get("distinct"))
        copied = query.copy()
        operation: exp.Expr = copied
        while isinstance(operation, exp.SetOperation):
            branch = operation.expression
            branch.replace(self._query(branch, once=once))
            if not isinstance(operation.this, exp.SetOperation):
                operation.this.replace(self._query(operation.this, once=once))
            operation = operation.this
            once = once and isinstance(operation, exp.SetOperation) and bool(operation.args.get("distinct"))
        return copied

    def _leaves(self, query: exp.Query) -> exp.Query:
        """Ship every table of a query as it stands there: of recursive queries nothing else is proved."""
        copied = query.copy()
        common = {cte.alias_or_name for cte in copied.find_all(exp.CTE)}
        for select in list(copied.find_all(exp.Select)):
            for source in rewrite.sources_of(select):
                if isinstance(source, exp.Table) and source.name not in common and self.catalog.find(source.name):
                    self._replace_alone(source, select, [])
        return copied

    def _as_result(self, query: exp.Query, *, once: bool) -> Shipment | None:
        """Return the shipment of a query's result from the nodes where it is whole or distributes, if there are any."""
        if is_correlated(query) or is_protected(query, self.catalog):
            return None  # of persons only rows cross to another node, each with its person
        placed = placement_of(query, self.catalog)
        if placed is None or placed.nodes is None or (placed.chosen and not placed.single):
            return None
        if not placed.single and set(placed.nodes) & set(self.sites):
            return None
        tree = rewrite.with_unique_outputs(query)
        if once and isinstance(tree, exp.Select) and _gives_rows(tree):
            tree.set("distinct", exp.Distinct())
            tree.set("order", None)
        return self._shipment(tree, placed, None)

    def _shipment(
        self, tree: exp.Query, placed: Placement, widths: int | None, inputs: Iterable[Shipment] = ()
    ) -> Shipment:
        sites = senders(placed, self.catalog)
        given = tuple(inputs)
        rows = rows_of(tree, self.catalog, sites, {i.name: i.rows for i in given})
        each = widths if widths is not None else sum(_width(p, tree, self.catalog) for p in tree.selects)
        return Shipment(self.names.next(), tree, sites, rows, rows * max(1, each), given)

    # One block

    def _block(self, select: exp.Select, *, once: bool, above: bool) -> exp.Select:
        once = once or _is_once(select)
        work = select.copy()
        if joins_by_conditions(work):
            self._inner(work, select, once=once)
        else:
            self._outer(work)
        parts = _row_parts(work) if above else _expression_parts(work)
        for part in parts:
            for subquery in subqueries_in(part):
                subquery.replace(self._query(subquery, once=_asks_whether(subquery)))
        return work

    def _inner(self, work: exp.Select, select: exp.Select, *, once: bool) -> None:
        """Ship groups of sources of a block that joins by its conditions alone; alters the block."""
        originals = {s.alias_or_name: s for s in rewrite.sources_of(select)}
        conditions = conjuncts(work.args.get("where"))
        for join in rewrite.joins_of(work):
            conditions += conjuncts(join.args.get("on"))
        here: list[exp.Expr] = []
        groups: list[_Group] = []
        for source in rewrite.sources_of(work):
            placed = placement_of(exp.select("*").from_(without_joins(source.copy())), self.catalog)
            if placed is None:
                here.append(self._opened(source))
            elif self._is_here(placed):
                here.append(source)
            else:
                groups.append(_Group([source], placed))
        groups = self._together(groups, conditions)
        left = [c for c in conditions if not any(self._applied(c, group) for group in groups)]
        types = _types(select, self.catalog)
        for group in groups:
            group.conditions += implied(conditions, group.aliases, types)
        clauses = [*_clauses(work), *left]
        brought = [self._bring(group, clauses, once=once, work=select) for group in groups]
        _rebuild(work, [*(without_joins(s) for s in here), *(source for source, _ in brought)], left, originals)
        rewrite.renamed(work, {old: new for _, names in brought for old, new in names.items()})

    def _opened(self, source: exp.Expr) -> exp.Expr:
        """Return a derived table whose query was taken apart."""
        if source.args.get("sample") or source.args.get("pivots"):
            raise Mixed("A sample or PIVOT over rows of several nodes.", source)
        if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Query):
            source.set("this", self._query(source.this, once=False))
            return source
        raise Mixed("This source cannot be brought to one place.", source)

    def _together(self, groups: list[_Group], conditions: list[exp.Expr]) -> list[_Group]:
        """Join groups that are at the same nodes where a condition ties them, as long as less is shipped so."""
        merged = True
        while merged:
            merged = False
            for i, first in enumerate(groups):
                for second in groups[i + 1 :]:
                    both = self._merged(first, second, conditions)
                    if both is not None:
                        groups = [both if g is first else g for g in groups if g is not second]
                        merged = True
                        break
                if merged:
                    break
        return groups

    def _merged(self, first: _Group, second: _Group, conditions: list[exp.Expr]) -> _Group | None:
        nodes = set(first.placed.nodes or ()) & set(second.placed.nodes or ())
        aliases = first.aliases | second.aliases
        tying = [c for c in conditions if not subqueries_in(c) and (used := _tables(c)) and used <= aliases]
        if not nodes or not any(_tables(c) & first.aliases and _tables(c) & second.aliases for c in tying):
            return None
        if not any(isinstance(c, exp.EQ) and len(_tables(c)) == 2 for c in tying):
            return None
        both = _Group([*first.sources, *second.sources], first.placed)
        persons = self._persons(both.sources)
        if len(persons) > 1 and not set(persons) <= equalities(tying).get(persons[0], set()):
            return None
        try:
            placed = place_rows(joined([], [s.copy() for s in both.sources], [c.copy() for c in tying]), self.catalog)
        except Mixed:
            return None
        if placed.nodes is None or self._is_here(placed):
            return None
        together = rows_of(
            joined([], [s.copy() for s in both.sources], [c.copy() for c in tying]),
            self.catalog,
            senders(placed, self.catalog),
        )
        if together > sum(self._rows_alone(g, tying) for g in (first, second)):
            return None
        both.placed = placed
        return both

    def _rows_alone(self, group: _Group, conditions: list[exp.Expr]) -> int:
        own = [c.copy() for c in conditions if _tables(c) <= group.aliases]
        tree = joined([], [s.copy() for s in group.sources], own)
        return rows_of(tree, self.catalog, senders(group.placed, self.catalog))

    def _applied(self, condition: exp.Expr, group: _Group) -> bool:
        """Whether a condition is wholly of a group, and can be applied where that is; then it is."""
        used = _tables(condition)
        if not used or not used <= group.aliases:
            return False
        subqueries = subqueries_in(condition)
        if not all(subquery_runs_there(s, group.placed, self.catalog) for s in subqueries):
            return False
        group.conditions.append(condition.copy())
        return True

    def _bring(
        self, group: _Group, clauses: list[exp.Expr], *, once: bool, work: exp.Select
    ) -> tuple[exp.Expr, dict[rewrite.ColumnName, rewrite.ColumnName]]:
        """Ship a group; return the source that stands for it, and the names of its columns there."""
        used = rewrite.columns_used(clauses, group.aliases)
        alias = group.sources[0].alias_or_name
        persons = self._persons(group.sources)
        if persons:
            used = [c for c in used if c not in persons[1:]]
            used = used if persons[0] in used else [persons[0], *used]
        names = _names_of(used)
        outputs: list[exp.Expr] = [rewrite.aliased(placed_column(c, work), names[c]) for c in used]
        tree = group.select(outputs)
        if once:
            tree.set("distinct", exp.Distinct())
        derived = self._derived(tree, group.placed, group.inputs, list(names.values()), alias)
        shown = names | (dict.fromkeys(persons, names[persons[0]]) if persons else {})
        return derived, {c: (alias, name) for c, name in shown.items()}

    def _persons(self, sources: list[exp.Expr]) -> list[rewrite.ColumnName]:
        """Return the person columns of the protected tables among some sources: whose a row is must be sent with it."""
        entries = [(s.alias_or_name, self.catalog.find(s.name)) for s in sources if isinstance(s, exp.Table)]
        return [
            (alias, (entry.table.person_column or "").lower())
            for alias, entry in entries
            if entry is not None and entry.table.policy.protected
        ]

    def _derived(
        self, tree: exp.Select, placed: Placement, inputs: Iterable[Shipment], names: list[str], alias: str
    ) -> exp.Subquery:
        """Return the derived table of rows that are at the sites in part or not at all; adds the shipment."""
        own = placed.nodes is not None and not placed.replicated and set(self.sites) & set(placed.nodes)
        if own and len(self.sites) > 1:
            raise Mixed("Parts of a table would have to be sent round among the nodes that hold it.", tree)
        away = placed.at(tuple(n for n in placed.nodes or () if n not in self.sites)) if own else placed
        shipment = self._shipment(tree, away, None, inputs)
        self.shipments.append(shipment)
        rows: exp.Query = _passed_on(shipment, names or ["c0"])
        if own:
            held = tree.copy()
            held.set("distinct", None)
            rows = exp.union(held, rows, distinct=False, copy=False)
        return exp.Subquery(this=rows, alias=exp.TableAlias(this=rewrite.quoted(alias)))

    def _outer(self, work: exp.Select) -> None:
        """Ship each source of a block by itself, filtered by what cannot change an outer join; alters the block."""
        for source in rewrite.sources_of(work):
            if not entries_in(source, self.catalog):
                continue
            if source.args.get("sample") or source.args.get("pivots"):
                raise Mixed("A sample or PIVOT over rows of several nodes.", source)
            if isinstance(source, exp.Lateral):
                if isinstance(source.this, exp.Subquery) and isinstance(source.this.this, exp.Query):
                    source.this.set("this", self._query(source.this.this, once=False))
                    continue
                raise Mixed("LATERAL over rows of several nodes.", source)
            if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Query):
                source.set("this", self._query(source.this, once=False))
            elif isinstance(source, exp.Table):
                self._replace_alone(source, work, _pushable(work, source.alias_or_name))
            else:
                raise Mixed("This source cannot be brought to one place.", source)

    def _replace_alone(self, table: exp.Table, select: exp.Select, conditions: list[exp.Expr]) -> None:
        """Put what is shipped of a table in its place, if it is not at the sites."""
        placed = placement_of(exp.select("*").from_(without_joins(table.copy())), self.catalog)
        if placed is None:
            raise Mixed("This table cannot be brought to one place.", table)
        if self._is_here(placed):
            return
        entry = self.catalog.find(table.name)
        assert entry is not None
        known = {c.name.lower() for c in entry.table.columns} | {NODE_COLUMN}
        alias = table.alias_or_name
        used = [c for c in rewrite.columns_used(select.iter_expressions(), {alias}) if c[1] in known]
        used += [person for person in self._persons([table]) if person not in used]
        outputs: list[exp.Expr] = [rewrite.aliased(placed_column(c, select), c[1]) for c in used]
        tree = joined(outputs, [table.copy()], [c.copy() for c in conditions])
        derived = self._derived(tree, placed, (), [c[1] for c in used], alias)
        for key in ("joins", "laterals"):
            derived.set(key, table.args.get(key))
        table.replace(derived)

    def _is_here(self, placed: Placement | None) -> bool:
        if placed is None:
            return False
        if placed.nodes is None:
            return True
        if placed.single:
            return set(self.sites) <= set(placed.nodes) and (placed.replicated or len(self.sites) == 1)
        return len(self.sites) > 1 and placed.nodes == self.sites


def senders(placed: Placement, catalog: Catalog) -> tuple[str, ...]:
    """Return the nodes that send rows: one of those that have all of them, an attached one if there is one."""
    nodes = placed.nodes or ()
    if not placed.replicated or not nodes:
        return nodes
    attached = [n for n in nodes if n in catalog.attached]
    return ((attached or list(nodes))[0],)


def placed_column(name: rewrite.ColumnName, select: exp.Expr) -> exp.Column:
    """Return a column with the place where the researcher wrote it, so that a refusal can point there."""
    made = rewrite.column(*name)
    for found in select.find_all(exp.Column):
        if (found.table, found.name) == name and "line" in found.this.meta:
            made.this.meta.update(found.this.meta)
            break
    return made


def _types(select: exp.Select, catalog: Catalog) -> TypeOf:
    tables = {s.alias_or_name: catalog.find(s.name) for s in rewrite.sources_of(select) if isinstance(s, exp.Table)}

    def type_of(name: rewrite.ColumnName) -> str | None:
        entry = tables.get(name[0])
        column = entry.table.column(name[1]) if entry is not None else None
        return column.type if column is not None else None

    return type_of


def placement_of(query: exp.Query, catalog: Catalog) -> Placement | None:
    """Return where the rows of a query are; None if it is not proved to distribute."""
    try:
        return place(query, catalog)
    except Mixed:
        return None


def _passed_on(shipment: Shipment, names: list[str]) -> exp.Select:
    """Return a SELECT of all columns of a shipment, under the names given."""
    given = shipment.tree.named_selects
    outputs = [
        rewrite.aliased(rewrite.column(_PASSED_ON, g), names[i] if i < len(names) and names[i] else g)
        for i, g in enumerate(given)
    ]
    return exp.select(*outputs).from_(rewrite.table(shipment.name, _PASSED_ON))


def _names_of(used: list[rewrite.ColumnName]) -> dict[rewrite.ColumnName, str]:
    """Return a name for each column among a group's outputs: its own, unless another's is the same."""
    taken: set[str] = set()
    found = {}
    for index, column in enumerate(used):
        name = column[1]
        while name in taken:
            name = f"{name}_{index}"
        taken.add(name)
        found[column] = name
    return found


def _rebuild(
    work: exp.Select, sources: list[exp.Expr], conditions: list[exp.Expr], originals: dict[str, exp.Expr]
) -> None:
    """Give a block other sources and conditions, in place; the sources in the order of the original ones."""
    order = {alias: i for i, alias in enumerate(originals)}
    sources = sorted(sources, key=lambda s: order.get(s.alias_or_name, len(order)))
    conditions = [c.copy() for c in conditions]
    work.set("from_", exp.From(this=sources[0]))
    work.set("joins", [exp.Join(this=source) for source in sources[1:]] or None)
    work.set("where", exp.Where(this=exp.and_(*conditions, copy=False)) if conditions else None)


def _tables(condition: exp.Expr) -> set[str]:
    """Return the sources of the block around a condition that it names; those of its subqueries are their own."""
    found: set[str] = set()

    def note(node: exp.Expr, hidden: set[str]) -> None:
        if isinstance(node, exp.Column):
            if node.table not in hidden:
                found.add(node.table)
            return
        if isinstance(node, exp.Select):
            hidden = hidden | rewrite.aliases_of(node)
        for child in node.iter_expressions():
            note(child, hidden)

    note(condition, set())
    return found


def _width(projection: exp.Expr, tree: exp.Query, catalog: Catalog) -> int:
    value = projection.unalias()
    if isinstance(value, exp.Column):
        for table in tree.find_all(exp.Table):
            if table.alias_or_name == value.table:
                return width_of(value.name, table.name, catalog)
    return 16 if isinstance(value, exp.AggFunc) else 8


def _is_once(select: exp.Select) -> bool:
    """Whether a block gives the same, however often each of its joined rows comes."""
    if select.args.get("limit") or select.args.get("qualify") or aggregation.has_window(select):
        return False
    if not aggregation.is_aggregating(select):
        distinct = select.args.get("distinct")
        return distinct is not None and distinct.args.get("on") is None
    return all(
        any(isinstance(a, exp.Distinct) for a in aggregation.bare(call).iter_expressions())
        or aggregation.name_of(call) in _SAME_WHATEVER_REPEATED
        for call in aggregation.aggregates_in(select)
    )


def _gives_rows(select: exp.Select) -> bool:
    """Whether a block's outputs are rows of its sources, each for itself."""
    if any(select.args.get(key) for key in ("distinct", "limit", "offset")):
        return False
    return not aggregation.is_aggregating(select) and not aggregation.has_window(select)


def _asks_whether(subquery: exp.Query) -> bool:
    """Whether of a subquery only matters which rows it has: EXISTS, IN and their negations."""
    if isinstance(subquery, exp.Select) and not _gives_rows(subquery):
        return False
    parent = subquery.parent
    while isinstance(parent, exp.Subquery):
        parent = parent.parent
    return isinstance(parent, exp.Exists | exp.In)


def _pushable(select: exp.Select, alias: str) -> list[exp.Expr]:
    """Return conditions that all rows of a source must satisfy to matter, whatever outer joins there are."""
    joins = rewrite.joins_of(select)
    first = rewrite.sources_of(select)[0].alias_or_name
    own = next((j for j in joins if j.this.alias_or_name == alias), None)
    sides = {str(j.args.get("side") or "").upper() for j in joins}
    if sides & {"RIGHT", "FULL"} or any(j.args.get("method") for j in joins):
        return []
    found: list[exp.Expr] = []
    preserved = alias == first or (own is not None and not own.args.get("side"))
    if preserved:
        found += conjuncts(select.args.get("where"))
    if own is not None:
        found += conjuncts(own.args.get("on"))
    return [c for c in found if not subqueries_in(c) and _tables(c) == {alias}]


def _clauses(select: exp.Select) -> list[exp.Expr]:
    return rewrite.parts(
        select, "expressions", "group", "having", "qualify", "windows", "order", "distinct", "limit", "offset"
    )


def _row_parts(select: exp.Select) -> list[exp.Expr]:
    """Return the expressions of a block that are computed on its rows or within its aggregates."""
    regions = [join.args["on"] for join in rewrite.joins_of(select) if join.args.get("on") is not None]
    return [*regions, *rewrite.parts(select, "where", "group"), *aggregation.aggregates_in(select)]


def _expression_parts(select: exp.Select) -> list[exp.Expr]:
    regions = [join.args["on"] for join in rewrite.joins_of(select) if join.args.get("on") is not None]
    return [*regions, *rewrite.parts(select, "where"), *_clauses(select)]
