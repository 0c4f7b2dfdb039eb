"""Choosing: at which nodes a block whose rows are at several is best run, by the estimated bytes over borders.

Candidates are every node that holds one of its tables, and the nodes of a sharded table together. Their number is
bounded: nodes that hold shards of the same tables, and to which the holders let the same go, are alike; the one with
most rows stands for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlglot import exp

from archipel import errors
from archipel.border import refusal
from archipel.permit import Permit
from archipel.schema import COORDINATOR, Distribution, Form
from coordinator.catalog import Catalog, CatalogTable
from coordinator.planner import aggregation, rewrite
from coordinator.planner.asked import gives_rows
from coordinator.planner.draft import Draft, Shipment
from coordinator.planner.estimate import DECIMAL_WIDTH, DEFAULT_WIDTH, rows_of, width_of
from coordinator.planner.flatten import flattened
from coordinator.planner.gather import gather
from coordinator.planner.placement import Mixed, Placement, covers_key, place_rows
from coordinator.planner.positions import position_of
from coordinator.planner.rules import Rules
from coordinator.planner.shuffle import spreads
from coordinator.planner.tables import entries_in, is_of_groups_only

LINKAGE, PEER = "linkage-not-in-permit", "peer-not-allowed"
_FORBIDDEN = frozenset({LINKAGE, PEER})

_OF_SEVERAL_NODES = ("This cannot be answered yet.", "may be at several nodes")
"""What problems say that would not be there if all rows were at one node."""

AT_COORDINATOR = (COORDINATOR,)

MOST_SITES = 8
"""How many single nodes are considered: each costs a copy of the query or more."""


LEAST_STAGES = 2
"""How many stages the best other way must cost: below that spreading rows is not thought of."""


def drafts(query: exp.Query, catalog: Catalog, rules: Rules, *, above: bool) -> list[Draft]:
    """Return the ways to run ``query`` over what is shipped to some site, the one with the least bytes first.

    Among them is the coordinator, unless persons are concerned; its draft is for comparing and is never realised: what
    goes there is neither matched nor aggregated first.
    """
    query = flattened(query)
    found: list[Draft] = []
    sites_to_try = list(candidates(query, catalog))
    for sites in sites_to_try if above else [AT_COORDINATOR, *sites_to_try]:
        try:
            used = rules if sites != AT_COORDINATOR else replace(rules, semijoin=False, eager=False)
            draft = gather(query, sites, catalog, used, above=above or len(sites) > 1)
        except Mixed:
            continue
        if draft.shipments:  # with nothing to ship it would be no other way than those tried before
            found.append(draft if sites == AT_COORDINATOR else replace(draft, result=_bytes_of_rows(query, catalog)))
    best = min((d.cost(rules) for d in found if d.sites != AT_COORDINATOR), default=0)
    if rules.shuffle and best >= LEAST_STAGES * rules.stage_bytes:
        spread = _spread(query, [sites for sites in sites_to_try if len(sites) > 1], catalog, rules)
        found += [draft for draft in spread if draft.cost(rules) < best]
    return sorted(found, key=lambda draft: (draft.size, len(draft.sites), draft.sites))


def _spread(query: exp.Query, sets: list[tuple[str, ...]], catalog: Catalog, rules: Rules) -> Iterator[Draft]:
    """Yield the ways to run a query at several nodes over what is sent round among them, as far as they are right."""
    for sites in sets:
        for spread in spreads(query, sites, catalog):
            try:
                draft = gather(query, sites, catalog, rules, above=True, spread=spread)
                assert isinstance(draft.tree, exp.Select)
                placed = place_rows(draft.tree, catalog, draft.inputs())
            except Mixed:
                continue
            if draft.shipments and placed.nodes == sites and not placed.replicated:
                rows = _bytes_of_rows(query, catalog)
                if rows:  # the coordinator has them all to take in, wherever they were joined
                    yield replace(draft, result=rows)
                else:
                    partials = _bytes_of_partials(query, draft.tree, placed, catalog)
                    yield replace(draft, result=partials, spared=_spared(draft))


def _bytes_of_rows(query: exp.Query, catalog: Catalog) -> int:
    """Return the estimated bytes of a block's result if it gives rows of its sources; what is aggregated is small."""
    if not isinstance(query, exp.Select) or not gives_rows(query):
        return 0
    rows = rows_of(query, catalog, tuple(sorted({n for e in entries_in(query, catalog) for n in e.nodes})))
    tables = {s.alias_or_name: s.name for s in rewrite.sources_of(query)}
    values = [p.unalias() for p in query.expressions]
    each = sum(
        width_of(v.name, tables.get(v.table, ""), catalog) if isinstance(v, exp.Column) else DEFAULT_WIDTH
        for v in values
    )
    return rows * max(1, each)


def _spared(draft: Draft) -> int:
    """Return the bytes that it is worth that each of several sites gets and joins a part.

    The time of what crosses is half the coordinator's, which relays all of it, and half the receiver's, which gets 1/n.
    """
    parts = sum(shipment.size for shipment in draft.shipments if shipment.part_column)
    return parts * (len(draft.sites) - 1) // (2 * len(draft.sites))


def _bytes_of_partials(query: exp.Query, tree: exp.Select, placed: Placement, catalog: Catalog) -> int:
    """Return the estimated bytes of a block's partial aggregates, beyond those of its result.

    Each of the sites may have a part of each group, unless they are grouped by what the rows are cut by.
    """
    sites = placed.nodes or ()
    plain = query.copy()
    for key in ("having", "order", "limit", "offset"):
        plain.set(key, None)
    apart = 1 if covers_key(aggregation.plain_keys(tree) or [], placed) else len(sites)
    groups = rows_of(plain, catalog, sites) * apart // len(sites)
    left = rows_of(query, catalog, sites) // len(sites)
    return max(0, groups - left) * DECIMAL_WIDTH * max(1, len(plain.selects))


def candidates(query: exp.Query, catalog: Catalog) -> Iterator[tuple[str, ...]]:
    """Yield the sites to consider for a query: single nodes, those that hold most first, then sets of nodes."""
    entries = {entry.table.name: entry for entry in entries_in(query, catalog)}
    held: dict[str, int] = {}
    alike: dict[tuple[object, ...], str] = {}
    for entry in entries.values():
        for node, shard in entry.shards.items():
            held[node] = held.get(node, 0) + shard.approximate_rows * len(shard.columns)
    for node in sorted(held, key=lambda n: (-held[n], n)):
        kinds = tuple((node in e.shards, e.table.policy.form_to(node)) for e in entries.values())
        alike.setdefault(kinds, node)
    nodes = sorted(alike.values(), key=lambda n: (-held[n], n))[:MOST_SITES]
    for node in nodes:
        yield (node,)
    if not any(_may_go_to(node, entries.values()) for node in nodes):
        others = sorted(catalog.attached - held.keys())
        yield from [(node,) for node in others if _may_go_to(node, entries.values())][:1]  # they are all alike
    if not isinstance(query, exp.Select):
        return  # a set operation over parts is no union of its parts
    parts = {e.nodes for e in entries.values() if e.table.distribution is Distribution.SHARDED and len(e.nodes) > 1}
    yield from sorted(parts)


def _may_go_to(node: str, entries: Iterable[CatalogTable]) -> bool:
    """Whether all holders of all tables let rows go to a node."""
    return all(
        holder == node or shard.policy.form_to(node) >= Form.ROWS
        for entry in entries
        for holder, shard in entry.shards.items()
    )


def forbidden(draft: Draft, catalog: Catalog, permit: Permit) -> errors.ArchipelError | None:
    """Return why a draft is closed by what the holders' policies and the permit say of single tables, or None.

    The border check has the last word: this is asked first since it costs nothing.
    """
    return next((p for s in draft.shipments if (p := _forbidden(s, draft.sites, catalog, permit)) is not None), None)


def rows_of_persons(query: exp.Query, catalog: Catalog) -> errors.ArchipelError:
    """Return why single rows of tables of which only groups leave cannot be brought together."""
    entries = filter(is_of_groups_only, entries_in(query, catalog))
    entry = min(entries, key=lambda e: not e.table.policy.protected)
    persons = ", which are about persons," if entry.table.policy.protected else ""
    return errors.error(
        errors.BORDER_REFUSED,
        f"This needs single rows of '{entry.table.name}'{persons} beside rows of other nodes: only groups leave.",
        hint="Join and aggregate in one SELECT, with GROUP BY over columns that the holder marks as group or public.",
        position=position_of(query),
        node=entry.nodes[0],
        rule=refusal.ROW_LEVEL.name,
    )


def with_forbidden(told: errors.ArchipelError, problems: list[errors.ArchipelError]) -> errors.ArchipelError:
    """Return the error with what would have to cross a border for another answer, and may not, if that is known.

    Where the exchanges are allowed and a border refuses what would be made of them, its refusal is told.
    """
    info = told.info
    if info.code is not errors.SQL_UNSUPPORTED or not any(words in info.message for words in _OF_SEVERAL_NODES):
        return told
    refused = next((p for p in problems if p.info.rule and p.info.rule not in _FORBIDDEN), None)
    if refused is not None:
        return refused
    closed = next((p.info for p in problems if p.info.rule in _FORBIDDEN), None)
    if closed is None:
        return told
    return errors.error(
        info.code,
        f"{info.message} To bring the rows together, {closed.message}",
        hint=f"{info.hint} Or: {closed.hint}",
        position=info.position,
        node=info.node,
        rule=closed.rule,
    )


def _forbidden(
    shipment: Shipment, receivers: tuple[str, ...], catalog: Catalog, permit: Permit
) -> errors.ArchipelError | None:
    for inner in shipment.inputs:
        problem = _forbidden(inner, shipment.sites, catalog, permit)
        if problem is not None:
            return problem
    for table in shipment.tree.find_all(exp.Table):
        entry = catalog.find(table.name)
        if entry is None:
            continue
        for sender in (s for s in shipment.sites if s in entry.shards):
            policy = entry.shards[sender].policy
            if policy.protected and not permit.linkage:
                return errors.error(
                    errors.PERMIT_SCOPE,
                    f"'{sender}' would have to send rows of '{table.name}', which are about persons, to another node, "
                    "and the permit does not say linkage.",
                    hint="Ask the authority for a permit with linkage.",
                    position=position_of(table),
                    rule=LINKAGE,
                )
            closed = next((r for r in receivers if r != sender and policy.form_to(r) < Form.KEYS), None)
            if closed is not None:
                return errors.error(
                    errors.POLICY_REFUSED,
                    f"'{sender}' would have to send rows of '{table.name}' to '{closed}', and the holder's policy "
                    "does not let them go there.",
                    hint=f"Ask the holder of '{table.name}' to name '{closed}' among the table's peers.",
                    position=position_of(table),
                    rule=PEER,
                )
    return None
