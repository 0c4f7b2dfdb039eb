"""Where rows of persons go to another node only after a private set intersection: is one required, and is it right?

It is right where the answer cannot depend on persons whom the receiver does not have: their rows meet a person column
of the receiver's own by an equality that every row of the result must pass. What the receiver matches with is all
persons of that table, unfiltered: a sender that finds one of its persons there learns that the person is in the table,
and nothing of what the query asks of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from archipel import errors
from archipel.border import refusal
from archipel.border.peers import needs_intersection
from archipel.permit import Permit
from archipel.schema import Form
from coordinator.catalog import Catalog
from coordinator.planner import rewrite
from coordinator.planner.conditions import conjuncts, decides_row
from coordinator.planner.draft import Draft, Shipment
from coordinator.planner.positions import position_of

_WHOLE = ("limit", "offset", "qualify", "windows")
"""Clauses by which rows of other persons decide which rows there are."""


def intersections(draft: Draft, catalog: Catalog, permit: Permit) -> dict[str, exp.Select]:
    """Return for each shipment that needs an intersection the statement of the receivers' persons.

    Raises:
        ArchipelError: POLICY_REFUSED where one is required and would change the answer.
    """
    found = {}
    for shipment in draft.shipments:
        table = _requiring(shipment, draft, catalog, permit)
        if table is None:
            continue
        person = _person_shown(shipment, catalog)
        persons = _Matching(draft, shipment, catalog).persons(person) if person and not shipment.inputs else None
        if persons is None or shipment.part_column:
            raise errors.error(
                refusal.INTERSECTION.code,
                refusal.INTERSECTION.text.format(name=f"'{table.name}'"),
                hint=refusal.INTERSECTION.hint,
                position=position_of(table),
                rule=refusal.INTERSECTION.name,
            )
        _check_told(persons, shipment, draft, catalog)
        found[shipment.name] = persons
    return found


def _check_told(persons: exp.Select, shipment: Shipment, draft: Draft, catalog: Catalog) -> None:
    """Make sure that the senders may learn which of their persons the receivers have."""
    table = persons.find(exp.Table)
    entry = catalog.find(table.name) if table is not None else None
    assert entry is not None
    for receiver in draft.sites:
        policy = entry.shards[receiver].policy
        closed = next((sender for sender in shipment.sites if policy.form_to(sender) < Form.KEYS), None)
        if closed is not None:
            raise errors.error(
                errors.POLICY_REFUSED,
                f"'{closed}' would have to learn which of its persons '{receiver}' has in '{entry.table.name}', before "
                "it sends rows of these alone, and the holder's policy does not let it.",
                hint=f"Ask the holder of '{entry.table.name}' to name '{closed}' among the table's peers, with 'keys'.",
                rule=refusal.PEER_NOT_ALLOWED.name,
            )


def _requiring(shipment: Shipment, draft: Draft, catalog: Catalog, permit: Permit) -> exp.Table | None:
    """Return a table for whose sake a shipment needs an intersection: the sender's, or one of the receiver's own."""
    pairs = [(sender, receiver) for sender in shipment.sites for receiver in draft.sites]
    mine = [(t, [(s, r) for s, r in pairs]) for t in _protected(shipment.tree, catalog)]
    theirs = [(t, [(r, s) for s, r in pairs]) for t in _protected(draft.tree, catalog)]
    if not mine:
        return None
    for table, ways in (*mine, *theirs):
        entry = catalog.find(table.name)
        assert entry is not None
        for here, there in ways:
            shard = entry.shards.get(here)
            if shard is not None and needs_intersection(shard, there, permit, here):
                return table
    return None


def _protected(tree: exp.Expr, catalog: Catalog) -> list[exp.Table]:
    found = []
    for table in tree.find_all(exp.Table):
        entry = catalog.find(table.name)
        if entry is not None and entry.table.policy.protected:
            found.append(table)
    return found


def _person_shown(shipment: Shipment, catalog: Catalog) -> str | None:
    """Return the output of a shipment that is a person."""
    tree = shipment.tree
    if not isinstance(tree, exp.Select):
        return None
    for projection in tree.selects:
        if _is_person(projection.unalias(), tree, catalog):
            return str(projection.alias_or_name)
    return None


def _is_person(value: exp.Expr, select: exp.Select, catalog: Catalog) -> bool:
    return isinstance(value, exp.Column) and _base(value, select, catalog, ()) is not None


def _base(column: exp.Column, select: exp.Select, catalog: Catalog, shipped: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the protected table of whose person column all values of a column are, and that column's name."""
    source = next((s for s in rewrite.sources_of(select) if s.alias_or_name == column.table), None)
    if isinstance(source, exp.Table):
        entry = catalog.find(source.name)
        if entry is None or not entry.table.policy.protected or source.name in shipped:
            return None
        person = entry.table.person_column or ""
        return (entry.table.name, person) if person.lower() == column.name.lower() else None
    if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Select):
        inner = source.this
        found = next((p.unalias() for p in inner.selects if p.alias_or_name == column.name), None)
        return _base(found, inner, catalog, shipped) if isinstance(found, exp.Column) else None
    return None


@dataclass(frozen=True, slots=True)
class _Matching:
    """Looks for the equality by which the persons of one shipment meet those of the receivers."""

    draft: Draft
    shipment: Shipment
    catalog: Catalog

    def persons(self, person: str) -> exp.Select | None:
        """Return the statement of the receivers' persons, if no other person's row can have a part in the result."""
        scans = [t for t in self.draft.tree.find_all(exp.Table) if t.name == self.shipment.name]
        if len(scans) != 1:
            return None
        select = scans[0].find_ancestor(exp.Select)
        found = self._met(select, scans[0].alias_or_name, person) if select is not None else None
        return self._statement(*found) if found is not None else None

    def _met(self, select: exp.Select, alias: str, name: str) -> tuple[str, str] | None:
        """Return the table and column that a column of a block must equal, here or further out."""
        if not _joins_inner(select):
            return None
        for one, other in _equalities(select):
            if (one.table, one.name) == (alias, name):
                found = _base(other, select, self.catalog, (self.shipment.name,)) or self._outer(select, other)
                if found is not None and self._is_there(found[0]):
                    return found
        return self._passed_on(select, alias, name)

    def _outer(self, select: exp.Select, other: exp.Column) -> tuple[str, str] | None:
        """Return the table of a column of a query around an EXISTS that a row of the result must pass."""
        if any(source.alias_or_name == other.table for source in rewrite.sources_of(select)):
            return None
        stands: exp.Expr | None = select.parent
        if isinstance(stands, exp.Subquery):
            stands = stands.parent
        around = select.find_ancestor(exp.Select)
        plain = not any(select.args.get(key) for key in (*_WHOLE, "group", "having")) and not _aggregates(select)
        if not isinstance(stands, exp.Exists) or not decides_row(stands) or around is None or not plain:
            return None
        return _base(other, around, self.catalog, (self.shipment.name,)) if _joins_inner(around) else None

    def _passed_on(self, select: exp.Select, alias: str, name: str) -> tuple[str, str] | None:
        """Look further where a block hands a person's rows on, each person's for themselves."""
        shown = next(
            (p.alias_or_name for p in select.selects if _same(p.unalias(), alias, name)),
            None,
        )
        group = select.args.get("group")
        by_person = group is not None and any(_same(key, alias, name) for key in group.expressions)
        if shown is None or any(select.args.get(key) for key in _WHOLE) or select.find(exp.Window):
            return None
        if (group is not None or _aggregates(select)) and not by_person:
            return None
        holder = select.parent
        around = holder.find_ancestor(exp.Select) if holder is not None else None
        if not isinstance(holder, exp.Subquery) or around is None:
            return None
        within = holder.parent
        if isinstance(within, exp.In):
            asked = within.this.unnest()
            if within.args.get("query") is not holder or not decides_row(within):
                return None
            found = _base(asked, around, self.catalog, (self.shipment.name,)) if isinstance(asked, exp.Column) else None
            return found if found is not None and _joins_inner(around) and self._is_there(found[0]) else None
        if any(source is holder for source in rewrite.sources_of(around)):
            return self._met(around, holder.alias_or_name, shown)
        return None

    def _is_there(self, table: str) -> bool:
        """Whether every receiver has rows of a table of its own."""
        entry = self.catalog.find(table)
        return entry is not None and set(self.draft.sites) <= set(entry.nodes)

    def _statement(self, table: str, person: str) -> exp.Select:
        """Return all persons of a table, under the condition that its holder wants said."""
        entry = self.catalog.find(table)
        assert entry is not None
        made = exp.select(rewrite.aliased(rewrite.column(table, person.lower()), person.lower()))
        made = made.from_(rewrite.table(table)).distinct()
        if entry.table.policy.rows_where:
            condition = sqlglot.parse_one(entry.table.policy.rows_where, read="duckdb")
            for column in condition.find_all(exp.Column):
                column.set("table", rewrite.quoted(table))
            made = made.where(condition)
        return made


def _joins_inner(select: exp.Select) -> bool:
    return all(
        not join.args.get("side") and (join.args.get("kind") or "") in {"", "INNER", "CROSS", "SEMI"}
        for join in rewrite.joins_of(select)
    )


def _equalities(select: exp.Select) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Yield the columns that every row of a block has equal, both ways round."""
    conditions = conjuncts(select.args.get("where"))
    for join in rewrite.joins_of(select):
        conditions += conjuncts(join.args.get("on"))
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            left, right = condition.left.unnest(), condition.right.unnest()
            if isinstance(left, exp.Column) and isinstance(right, exp.Column):
                yield left, right
                yield right, left


def _same(node: exp.Expr, alias: str, name: str) -> bool:
    return isinstance(node, exp.Column) and (node.table, node.name) == (alias, name)


def _aggregates(select: exp.Select) -> bool:
    return any(part.find(exp.AggFunc) for part in select.expressions)
