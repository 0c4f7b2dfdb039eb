"""Gathering: a block runs at the nodes of its choice, and what it reads of other nodes is shipped there first.

Of each source that is not at the site only the columns needed travel, filtered by what its rows must satisfy anyway.
Sources that are together elsewhere and joined there travel as one; a query within that is whole at another node travels
as its result, if that is smaller. The block itself stays as its author wrote it, less the conditions that have been
applied. This holds for any SELECT: where nothing better is known, every table is shipped and the block runs unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from archipel.schema import NODE_COLUMN
from coordinator.catalog import Catalog
from coordinator.planner import rewrite
from coordinator.planner.asked import asks_whether, gives_rows, is_once, outputs_asked_for
from coordinator.planner.conditions import conjuncts, is_correlated, subqueries_in
from coordinator.planner.draft import Draft, Shipment, size_of
from coordinator.planner.eager import Eager, eager
from coordinator.planner.estimate import DISTINCT_OF_KEY, rows_of, width
from coordinator.planner.flatten import joins_by_conditions
from coordinator.planner.group import Columns, Group, Names, joined, placement_of, senders, tables_in, without_joins
from coordinator.planner.implied import equalities, implied
from coordinator.planner.outer import clauses_of, conditions_and_clauses, drop, joins_expand, pushable
from coordinator.planner.pieces import (
    expression_parts,
    names_of,
    passed_on,
    placed_column,
    rebuilt,
    row_parts,
    rows_of_table,
    widened,
    width_of_output,
)
from coordinator.planner.placement import Mixed, Placement, place_rows, subquery_runs_there
from coordinator.planner.rules import Rules
from coordinator.planner.semijoin import Reducing, Side, reduce
from coordinator.planner.shuffle import Spread, kind_of, part_of, placed_by, type_within, within
from coordinator.planner.tables import entries_in, is_protected

LEAST_SPARED = 0.2
"""Share of a group's bytes that aggregating it before it is shipped must spare."""


def gather(
    query: exp.Query,
    sites: tuple[str, ...],
    catalog: Catalog,
    rules: Rules,
    *,
    above: bool,
    spread: Spread | None = None,
) -> Draft:
    """Return how ``query`` would run at ``sites``.

    With several sites the rows that they hold of sharded tables stay in parts, or are ``spread``, which the caller must
    prove to be right. With ``above`` what stands over an aggregation is left to another place, and its subqueries with
    it.

    Raises:
        Mixed: a source can be brought nowhere.
    """
    names = Names()
    work = _Gatherer(sites, catalog, names, rules, spread=spread, given=spread.key if spread else frozenset())
    tree = work.root(query, above=above)
    return Draft(tree, sites, tuple(work.shipments))


@dataclass(slots=True)
class _Gatherer:
    sites: tuple[str, ...]
    catalog: Catalog
    names: Names
    rules: Rules
    shipments: list[Shipment] = field(default_factory=list)
    around: tuple[Side, ...] = ()
    """Sides of the blocks around the one that is taken apart, as far as they can be named in it."""
    asked: dict[int, list[exp.Expr]] = field(default_factory=dict)
    """By the identity of a query that stands in IN: what its outputs are equal to where it matters."""
    spread: Spread | None = None
    key: frozenset[rewrite.ColumnName] = frozenset()
    """Columns that can be named in the block that is taken apart, and are equal to those by which rows are spread."""
    given: frozenset[rewrite.ColumnName] = frozenset()
    """Such columns of the block that is taken apart next, of its own sources."""

    def root(self, query: exp.Query, *, above: bool) -> exp.Query:
        if above and isinstance(query, exp.Select):
            return self._block(query, once=False, above=True)
        return self._query(query, once=False)

    def _query(self, query: exp.Query, *, once: bool) -> exp.Query:
        """Return a query over what is at the sites and what is shipped there. With ``once`` repeated rows are one."""
        if not entries_in(query, self.catalog) or self._is_here(placement_of(query, self.catalog)):
            return query.copy()
        before = list(self.shipments)
        made = self._taken_apart(query, once=once)
        result = self._as_result(query, once=once)
        copies = 1 if self.spread is None else len(self.sites)
        spared = size_of(self.shipments, len(self.sites)) - size_of(before, len(self.sites))
        if result is not None and result.size * copies < spared:
            self.shipments[:] = [*before, result]
            return passed_on(result, query.named_selects)
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
        if once and isinstance(tree, exp.Select) and gives_rows(tree):
            tree.set("distinct", exp.Distinct())
            tree.set("order", None)
        return self._shipment(tree, placed, None)

    def _shipment(self, tree: exp.Query, placed: Placement, group: Group | None = None) -> Shipment:
        sites = senders(placed, self.catalog)
        inputs = tuple(group.inputs) if group is not None else ()
        plain = group.unfiltered(tree) if group is not None and isinstance(tree, exp.Select) else tree
        rows = rows_of(plain, self.catalog, sites)
        if group is not None:
            rows = max(1, math.ceil(rows * group.kept))
        each = sum(width_of_output(p, tree, self.catalog) for p in tree.selects)
        return Shipment(self.names.next(), tree, sites, rows, rows * max(1, each), inputs)

    # One block

    def _block(self, select: exp.Select, *, once: bool, above: bool) -> exp.Select:
        once = once or is_once(select)
        work = select.copy()
        around, key = self.around, self.key
        self.around = tuple(side.hidden(rewrite.aliases_of(select)) for side in around)
        self.key = self._key_in(select)
        if joins_by_conditions(work):
            self.around = (*self._inner(work, select, once=once, above=above), *self.around)
        else:
            self._outer(work, above=above)
        parts = row_parts(work) if above else expression_parts(work)
        for part in parts:
            for subquery in subqueries_in(part):
                self.asked[id(subquery)] = outputs_asked_for(subquery)
                made = self._query(subquery, once=asks_whether(subquery))
                del self.asked[id(subquery)]  # once it is replaced, another may get its identity
                subquery.replace(made)
        self.around, self.key = around, key
        return work

    def _key_in(self, select: exp.Select) -> frozenset[rewrite.ColumnName]:
        """Return the columns that a block makes equal to those by which rows are spread, and these."""
        own = rewrite.aliases_of(select)
        found = frozenset(c for c in self.key if c[0] not in own) | self.given
        self.given = frozenset()
        if found:
            conditions = [*conjuncts(select.args.get("where")), *self.asked.get(id(select), [])]
            for join in rewrite.joins_of(select):
                conditions += conjuncts(join.args.get("on"))
            for columns in equalities(conditions).values():
                found = found | columns if columns & found else found
        return found

    def _inner(self, work: exp.Select, select: exp.Select, *, once: bool, above: bool) -> tuple[Side, ...]:
        """Ship groups of sources of a block that joins by its conditions alone; alters the block.

        Returns its sides, by whose keys its subqueries may be reduced.
        """
        originals = {s.alias_or_name: s for s in rewrite.sources_of(select)}
        conditions = conjuncts(work.args.get("where"))
        for join in rewrite.joins_of(work):
            conditions += conjuncts(join.args.get("on"))
        here: list[exp.Expr] = []
        groups: list[Group] = []
        for source in rewrite.sources_of(work):
            placed = placement_of(exp.select("*").from_(without_joins(source.copy())), self.catalog)
            if placed is None:
                here.append(self._opened(source))
            elif self._is_here(placed) or self._stays(source):
                here.append(source)
            else:
                groups.append(Group([source], placed))
        groups = self._together(groups, conditions)
        left = [c for c in conditions if not any(self._applied(c, group) for group in groups)]
        alike = [*conditions, *self.asked.get(id(select), [])]
        columns = Columns.of(select, self.catalog, equalities(alike), self._tables_around())
        if self.rules.pushdown:
            for group in groups:
                group.conditions += implied(conditions, group.aliases, columns.type_of)
        clauses = [*clauses_of(work), *left]
        reducing = Reducing(self.sites, columns, self.names, self.rules, self.around)
        present = self._present(here, left)
        sides = reduce(groups, present, alike, reducing, lambda g: self._bytes_of(g, clauses))
        grouped = None if once or (above and not self.spread) else self._grouped(work, groups, clauses, columns)
        brought = [
            self._bring_grouped(group, grouped[1], select, columns)
            if grouped is not None and group is grouped[0]
            else self._bring(group, clauses, once=once, work=select)
            for group in groups
        ]
        if grouped is not None:
            for call, changed in grouped[1].changes:
                call.replace(changed)
        rebuilt(work, [*(without_joins(s) for s in here), *(source for source, _ in brought)], left, originals)
        rewrite.renamed(work, {old: new for _, names in brought for old, new in names.items()})
        return sides

    def _tables_around(self) -> dict[str, str]:
        """Return the tables of the blocks around this one, by the names under which they can be named in it."""
        return {
            source.alias_or_name: source.name
            for side in reversed(self.around)
            for source in side.sources
            if isinstance(source, exp.Table) and source.alias_or_name in side.aliases
        }

    def _present(self, here: list[exp.Expr], conditions: list[exp.Expr]) -> Group | None:
        """Return the sources at the sites that conditions tie to each other, the largest part of them."""
        sources = [s for s in here if isinstance(s, exp.Table) and self.catalog.find(s.name) is not None]
        aliases = {s.alias_or_name for s in sources}
        own = [c for c in conditions if (used := tables_in(c)) and used <= aliases and not subqueries_in(c)]
        parts: list[set[str]] = [{alias} for alias in sorted(aliases)]
        for condition in own:
            tied = [p for p in parts if p & tables_in(condition)]
            parts = [p for p in parts if p not in tied] + [set().union(*tied)]
        best = max(parts, key=len, default=None)
        if best is None:
            return None
        chosen = [s for s in sources if s.alias_or_name in best]
        kept = [c for c in own if tables_in(c) <= best]
        tree = joined([], [s.copy() for s in chosen], [c.copy() for c in kept])
        placed = placement_of(tree, self.catalog)
        if placed is None or placed.nodes is None:
            return None
        for condition in conditions:
            if tables_in(condition) <= best and subqueries_in(condition):
                more = placement_of(joined([], [s.copy() for s in chosen], [*kept, condition.copy()]), self.catalog)
                kept += [condition] if more is not None and more == placed else []
        at = placed.at(self.sites) if len(self.sites) == 1 or not placed.replicated else placed.at(self.sites[:1])
        everywhere = frozenset(placed.nodes if placed.replicated else ())
        return Group([s.copy() for s in chosen], at, [c.copy() for c in kept], everywhere=everywhere)

    def _bytes_of(self, group: Group, clauses: list[exp.Expr]) -> float:
        """Return the estimated bytes that a group would take to all sites."""
        used = rewrite.columns_used(clauses, set(group.aliases))
        tree = group.select([rewrite.column(*c) for c in used], filtered=False)
        each = sum(width_of_output(p, tree, self.catalog) for p in tree.selects)
        return group.rows(self.catalog) * max(1, each) * self._copies(group, used)

    def _copies(self, group: Group, columns: Iterable[rewrite.ColumnName]) -> float:
        """Return how often each row of a group travels on average, if these columns of it do."""
        number = len(self.sites)
        return number if self._key_of(group, columns) is None else (number - 1) / number

    def _key_of(self, group: Group, columns: Iterable[rewrite.ColumnName]) -> rewrite.ColumnName | None:
        """Return the column by which a group is spread, if it is."""
        if self.spread is None or not self.spread.kind:
            return None
        sources = {source.alias_or_name: source for source in group.sources}
        return next(
            (
                c
                for c in columns
                if c in self.key
                and c[0] in sources
                and kind_of(type_within(sources[c[0]], c[1], self.catalog)) == self.spread.kind
            ),
            None,
        )

    def _opened(self, source: exp.Expr) -> exp.Expr:
        """Return a derived table whose query was taken apart."""
        if source.args.get("sample") or source.args.get("pivots"):
            raise Mixed("A sample or PIVOT over rows of several nodes.", source)
        if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Query):
            self._open(source)
            return source
        raise Mixed("This source cannot be brought to one place.", source)

    def _open(self, source: exp.Subquery) -> None:
        """Take the query of a derived table apart, in place."""
        self.given = within(source, self.key)
        source.set("this", self._query(source.this, once=False))
        self.given = frozenset()

    def _together(self, groups: list[Group], conditions: list[exp.Expr]) -> list[Group]:
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

    def _merged(self, first: Group, second: Group, conditions: list[exp.Expr]) -> Group | None:
        nodes = set(first.placed.nodes or ()) & set(second.placed.nodes or ())
        aliases = first.aliases | second.aliases
        tying = [c for c in conditions if not subqueries_in(c) and (used := tables_in(c)) and used <= aliases]
        if not nodes or not any(tables_in(c) & first.aliases and tables_in(c) & second.aliases for c in tying):
            return None
        if not any(isinstance(c, exp.EQ) and len(tables_in(c)) == 2 for c in tying):
            return None
        both = Group([*first.sources, *second.sources], first.placed)
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

    def _rows_alone(self, group: Group, conditions: list[exp.Expr]) -> int:
        own = [c.copy() for c in conditions if tables_in(c) <= group.aliases]
        tree = joined([], [s.copy() for s in group.sources], own)
        return rows_of(tree, self.catalog, senders(group.placed, self.catalog))

    def _applied(self, condition: exp.Expr, group: Group) -> bool:
        """Whether a condition is wholly of a group, and can be applied where that is; then it is."""
        used = tables_in(condition)
        if not used or not used <= group.aliases or not self.rules.pushdown:
            return False
        subqueries = subqueries_in(condition)
        if not all(subquery_runs_there(s, group.placed, self.catalog) for s in subqueries):
            return False
        group.conditions.append(condition.copy())
        return True

    def _bring(
        self, group: Group, clauses: list[exp.Expr], *, once: bool, work: exp.Select
    ) -> tuple[exp.Expr, dict[rewrite.ColumnName, rewrite.ColumnName]]:
        """Ship a group; return the source that stands for it, and the names of its columns there."""
        used = rewrite.columns_used(clauses, set(group.aliases))
        alias = group.sources[0].alias_or_name
        persons = self._persons(group.sources)
        if persons:
            used = [c for c in used if c not in persons[1:]]
            used = used if persons[0] in used else [persons[0], *used]
        names = names_of(used)
        outputs: list[exp.Expr] = [rewrite.aliased(placed_column(c, work), names[c]) for c in used]
        tree = group.select(outputs)
        if once:
            tree.set("distinct", exp.Distinct())
        derived = self._derived(tree, group, names, alias)
        shown = names | (dict.fromkeys(persons, names[persons[0]]) if persons else {})
        return derived, {c: (alias, name) for c, name in shown.items()}

    def _grouped(
        self,
        work: exp.Select,
        groups: list[Group],
        clauses: list[exp.Expr],
        columns: Columns,
        *,
        outer: bool = False,
    ) -> tuple[Group, Eager] | None:
        """Return the group that is best aggregated before it is shipped, and how; None if that spares nothing."""
        best: tuple[float, Group, Eager] | None = None
        for group in groups if self.rules.eager else ():
            if any(is_protected(source, self.catalog) for source in group.sources):
                continue
            alias = group.sources[0].alias_or_name
            made = eager(work, clauses, group.aliases, alias, columns.type_of, outer=outer)
            if made is None:
                continue
            before = self._bytes_of(group, clauses) - self._bytes_sent(group, clauses)
            copies = self._copies(group, made.keys)
            after = self._grouped_rows(group, made, columns) * self._grouped_width(made, columns) * copies
            spared = before - after
            if spared > LEAST_SPARED * before and (best is None or spared > best[0]):
                best = (spared, group, made)
        return None if best is None else best[1:]

    def _sent(self, group: Group, tree: exp.Select) -> Shipment | None:
        """Return the shipment that takes the rows of a group to the sites already, with all columns of ``tree``.

        Within one query a table may be read twice under the same conditions.
        """
        asked = rows_of_table(tree)
        if not self.rules.common_subplans or asked is None or self.spread or self._persons(group.sources):
            return None
        sites = senders(group.placed, self.catalog)
        for shipment in self.shipments:
            if rows_of_table(shipment.tree) == asked and set(shipment.sites) == set(sites) - set(self.sites):
                return widened(shipment, tree, self.catalog)
        return None

    def _bytes_sent(self, group: Group, clauses: list[exp.Expr]) -> float:
        """Return the estimated bytes of what a group would take to all sites that another shipment takes there."""
        used = rewrite.columns_used(clauses, set(group.aliases))
        tree = group.select([rewrite.aliased(rewrite.column(*c), c[1]) for c in used])
        sent = self._sent(group, tree)
        before = next((s.size for s in self.shipments if sent is not None and s.name == sent.name), 0)
        return self._bytes_of(group, clauses) - (sent.size - before) * len(self.sites) if sent is not None else 0.0

    def _grouped_rows(self, group: Group, made: Eager, columns: Columns) -> float:
        """Return the estimated rows of a group once each of its senders has aggregated what it has.

        A filter by keys leaves as few values of them.
        """
        rows = group.rows(self.catalog)
        at_sites = () if self.spread is not None else self.sites
        values = float(max(1, len([n for n in senders(group.placed, self.catalog) if n not in at_sites])))
        for key in made.keys:
            base = columns.joined_rows(key)
            values *= base * group.kept if base is not None else DISTINCT_OF_KEY
        return max(1.0, min(rows, values))

    def _grouped_width(self, made: Eager, columns: Columns) -> int:
        keys = sum(width(columns.type_of(key) or "") for key in made.keys)
        return keys + sum(8 if isinstance(node, exp.Count) else 16 for node in made.partials.values())

    def _bring_grouped(
        self, group: Group, made: Eager, work: exp.Select, columns: Columns
    ) -> tuple[exp.Expr, dict[rewrite.ColumnName, rewrite.ColumnName]]:
        """Ship a group aggregated; return the source that stands for it, and the names of its columns there."""
        taken = set(made.partials)
        names = names_of(made.keys, taken)
        outputs: list[exp.Expr] = [rewrite.aliased(placed_column(c, work), names[c]) for c in made.keys]
        outputs += [rewrite.aliased(node.copy(), name) for name, node in made.partials.items()]
        tree = group.select(outputs)
        tree.set("group", exp.Group(expressions=[rewrite.column(*c) for c in made.keys]))
        shown = names | {(made.alias, name): name for name in made.partials}
        derived = self._derived(tree, group, shown, made.alias, self._grouped_rows(group, made, columns))
        return derived, {c: (made.alias, name) for c, name in names.items()}

    def _persons(self, sources: list[exp.Expr]) -> list[rewrite.ColumnName]:
        """Return the person columns of the protected tables among some sources: whose a row is must be sent with it."""
        entries = [(s.alias_or_name, self.catalog.find(s.name)) for s in sources if isinstance(s, exp.Table)]
        return [
            (alias, (entry.table.person_column or "").lower())
            for alias, entry in entries
            if entry is not None and entry.table.policy.protected
        ]

    def _derived(
        self,
        tree: exp.Select,
        group: Group,
        columns: Mapping[rewrite.ColumnName, str],
        alias: str,
        rows: float | None = None,
    ) -> exp.Subquery:
        """Return the derived table of rows that are at the sites in part or not at all; adds the shipment.

        ``columns`` are its own by what they stand for.
        """
        names = list(columns.values())
        placed = group.placed
        if self.spread is not None:
            parted = self._sent_round(tree, group, columns, rows)
            return exp.Subquery(this=parted, alias=exp.TableAlias(this=rewrite.quoted(alias)))
        own = placed.nodes is not None and not placed.replicated and set(self.sites) & set(placed.nodes)
        if own and len(self.sites) > 1:
            raise Mixed("Parts of a table would have to be sent round among the nodes that hold it.", tree)
        away = placed.at(tuple(n for n in placed.nodes or () if n not in self.sites)) if own else placed
        shipment = self._shipment(tree, away, group)
        if rows is not None:
            each = shipment.size / shipment.rows
            shipment = replace(shipment, rows=math.ceil(rows), size=math.ceil(rows * each))
        sent = self._sent(group, tree) if rows is None else None
        if sent is None:
            self.shipments.append(shipment)
        else:
            self.shipments[:] = [sent if s.name == sent.name else s for s in self.shipments]
        brought: exp.Query = passed_on(sent or shipment, names or ["c0"], tree.named_selects)
        if own:
            # Filters spare what travels. Rows that stay are aggregated below the join only if fewer are left first.
            held = group.held(tree) if rows is not None else group.unfiltered(tree)
            held.set("distinct", None)
            brought = exp.union(held, brought, distinct=False, copy=False)
        return exp.Subquery(this=brought, alias=exp.TableAlias(this=rewrite.quoted(alias)))

    def _sent_round(
        self, tree: exp.Select, group: Group, columns: Mapping[rewrite.ColumnName, str], rows: float | None
    ) -> exp.Query:
        """Return what each site reads of a group that is spread by a key, or sent to all of them; adds the shipment."""
        shipment = self._shipment(tree, group.placed, group)
        if rows is not None:
            each = shipment.size / shipment.rows
            shipment = replace(shipment, rows=math.ceil(rows), size=math.ceil(rows * each))
        brought = passed_on(shipment, list(columns.values()) or ["c0"])
        key = self._key_of(group, columns)
        if key is None or self.spread is None:
            self.shipments.append(shipment)
            return brought
        number, kind = len(self.sites), self.spread.kind
        part = part_of(rewrite.column(*key), kind, number)
        name = f"hash_of_{columns[key]}"
        while name in columns.values():
            name += "_"
        cut = tree.select(rewrite.aliased(part, name))
        # What a site sends to itself crosses no border.
        size = math.ceil(shipment.size * (number - 1) / number)
        placed = placed_by(columns[key], kind, self.sites)
        self.shipments.append(replace(shipment, tree=cut, size=size, part_column=name, placed=placed))
        return brought

    def _outer(self, work: exp.Select, *, above: bool) -> None:
        """Ship each source of a block by itself, filtered by what cannot change an outer join; alters the block."""
        eagerly = self.rules.eager and (not above or self.spread is not None) and joins_expand(work)
        brought = self._outer_grouped(work) if eagerly else None
        for source in rewrite.sources_of(work):
            if source is brought or not entries_in(source, self.catalog) or self._stays(source):
                continue
            if source.args.get("sample") or source.args.get("pivots"):
                raise Mixed("A sample or PIVOT over rows of several nodes.", source)
            if isinstance(source, exp.Lateral):
                if isinstance(source.this, exp.Subquery) and isinstance(source.this.this, exp.Query):
                    source.this.set("this", self._query(source.this.this, once=False))
                    continue
                raise Mixed("LATERAL over rows of several nodes.", source)
            if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Query):
                self._open(source)
            elif isinstance(source, exp.Table):
                self._replace_alone(source, work, self._pushable(work, source.alias_or_name))
            else:
                raise Mixed("This source cannot be brought to one place.", source)

    def _outer_grouped(self, work: exp.Select) -> exp.Expr | None:
        """Ship the table of an outer join that is best aggregated first; alters the block and returns its source."""
        conditions = [c for join in rewrite.joins_of(work) for c in conjuncts(join.args.get("on"))]
        columns = Columns.of(work, self.catalog, equalities(conditions), self._tables_around())
        groups = []
        for source in rewrite.sources_of(work):
            if not isinstance(source, exp.Table) or self.catalog.find(source.name) is None:
                continue
            placed = placement_of(exp.select("*").from_(without_joins(source.copy())), self.catalog)
            if placed is not None and not self._is_here(placed) and not self._stays(source):
                pushed = self._pushable(work, source.alias_or_name)
                groups.append((Group([source.copy()], placed, [c.copy() for c in pushed]), source, pushed))
        best: tuple[float, Group, exp.Table, list[exp.Expr]] | None = None
        for group, source, pushed in groups:
            clauses = [c for c in conditions_and_clauses(work) if not any(c is p for p in pushed)]
            found = self._grouped(work, [group], clauses, columns, outer=True)
            if found is not None and (best is None or group.rows(self.catalog) > best[0]):
                best = (group.rows(self.catalog), group, source, pushed)
        if best is None:
            return None
        _, group, table, pushed = best
        clauses = [c for c in conditions_and_clauses(work) if not any(c is p for p in pushed)]
        made = eager(work, clauses, group.aliases, table.alias_or_name, columns.type_of, outer=True)
        assert made is not None
        derived, names = self._bring_grouped(group, made, work.copy(), columns)
        for call, changed in made.changes:
            call.replace(changed)
        drop(work, pushed)
        for key in ("joins", "laterals"):
            derived.set(key, table.args.get(key))
        table.replace(derived)
        rewrite.renamed(work, names)
        return derived

    def _pushable(self, select: exp.Select, alias: str) -> list[exp.Expr]:
        return pushable(select, alias) if self.rules.pushdown else []

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
        group = Group([table.copy()], placed, [c.copy() for c in conditions])
        drop(select, conditions)
        used = [c for c in rewrite.columns_used(select.iter_expressions(), {alias}) if c[1] in known]
        used += [person for person in self._persons([table]) if person not in used]
        outputs: list[exp.Expr] = [rewrite.aliased(placed_column(c, select), c[1]) for c in used]
        tree = group.select(outputs)
        derived = self._derived(tree, group, {c: c[1] for c in used}, alias)
        for key in ("joins", "laterals"):
            derived.set(key, table.args.get(key))
        table.replace(derived)

    def _is_here(self, placed: Placement | None) -> bool:
        if placed is None:
            return False
        if placed.nodes is None:
            return True
        if self.spread is not None:  # rows of which the sites have parts stay only where ``_stays`` says so
            return placed.replicated and set(self.sites) <= set(placed.nodes)
        if placed.single:
            return set(self.sites) <= set(placed.nodes) and (placed.replicated or len(self.sites) == 1)
        return len(self.sites) > 1 and placed.nodes == self.sites

    def _stays(self, source: exp.Expr) -> bool:
        """Whether the sites' own parts of a source are those that they shall have: it is cut by the key already."""
        if self.spread is None or self.spread.kind:
            return False
        try:
            placed = place_rows(exp.select("*").from_(without_joins(source.copy())), self.catalog)
        except Mixed:
            return False
        if placed.replicated or placed.nodes != self.sites:
            return False
        return any(set(columns) <= self.key for found in placed.keys.values() for columns in found)
