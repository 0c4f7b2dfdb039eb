"""Drafts: a way to run a block at some nodes, with what has to be shipped to them first. Data, and making stages of it.

A draft costs nothing to think of: no border is asked and no type is looked up until it is realised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from coordinator.planner import rewrite
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.placement import ANYWHERE, Placement
from coordinator.planner.rules import Rules


@dataclass(frozen=True, slots=True, eq=False)
class Shipment:
    """Rows that nodes send sealed to the nodes of their reader, in whose tree they are a table called ``name``.

    ``tree`` reads tables of ``sites``, and ``inputs`` by their names. ``rows`` and ``size`` are estimated over all
    ``sites``, for one receiver.
    """

    name: str
    tree: exp.Query
    sites: tuple[str, ...]
    rows: int
    size: int
    inputs: tuple[Shipment, ...] = ()
    part_column: str = ""
    placed: Placement | None = None
    """Where its rows are then, if each receiver gets its part of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A block as it would run at ``sites``, over what they hold and what is shipped to them."""

    tree: exp.Query
    sites: tuple[str, ...]
    shipments: tuple[Shipment, ...]
    result: int = 0
    """Estimated bytes of rows that the block itself sends to the coordinator."""
    spared: int = 0
    """Bytes that it is worth that several sites share the work of the block."""

    @property
    def size(self) -> int:
        """Estimated bytes over borders."""
        return size_of(self.shipments, len(self.sites)) + self.result

    def cost(self, rules: Rules) -> int:
        """Return what it costs, as bytes."""
        return self.size + (len(shipped(self)) + 1) * rules.stage_bytes - self.spared

    def inputs(self) -> dict[str, Placement]:
        """Return where the rows of its shipments are when they have arrived, by name."""
        return {shipment.name: shipment.placed or ANYWHERE for shipment in self.shipments}


def placements(inputs: Mapping[str, Source]) -> dict[str, Placement]:
    """Return where the rows of what nodes get are, by name."""
    return {name: source.placed or ANYWHERE for name, source in inputs.items()}


def size_of(shipments: Iterable[Shipment], receivers: int) -> int:
    """Return the estimated bytes over borders of shipments, and of what their senders get, to so many receivers."""
    return sum(s.size * (1 if s.part_column else receivers) + size_of(s.inputs, len(s.sites)) for s in shipments)


def described(draft: Draft) -> str:
    """Return a draft in words: where it runs, and what tables come there from where."""
    parts = []
    for shipment in draft.shipments:
        tables = sorted({t.name for t in shipment.tree.find_all(exp.Table) if not t.name.startswith("/")})
        how = f" by {shipment.part_column.replace('_', ' ', 2)}" if shipment.part_column else ""
        parts.append(f"{', '.join(tables)} from {', '.join(shipment.sites)}{how}")
    return f"run at {', '.join(draft.sites)}, shipping {'; '.join(parts) or 'nothing'}"


def shipped(draft: Draft) -> list[Shipment]:
    """Return all shipments of a draft, those that others need first included."""
    found: list[Shipment] = []
    stack = list(draft.shipments)
    while stack:
        shipment = stack.pop()
        found.append(shipment)
        stack += shipment.inputs
    return found


def realised(
    tree: exp.Query,
    sites: tuple[str, ...],
    shipments: tuple[Shipment, ...],
    assembly: Assembly,
    matched: Mapping[str, exp.Select] | None = None,
) -> tuple[exp.Query, dict[str, Source]]:
    """Add the stages that ship, and return the tree over their exchanges, with these by name.

    ``matched`` are the statements of the sites' persons for shipments of persons in both only.

    Raises:
        ArchipelError: the border of a sender refuses a shipment.
    """
    made: dict[str, Source] = {}
    same: dict[str, Source] = {}
    for shipment in shipments:
        key = _spelled(shipment)
        persons = (matched or {}).get(shipment.name)
        source = same.get(key) or (assembly.sent_again(key, sites) if persons is None else None)
        if source is None:
            inner, inputs = realised(shipment.tree, shipment.sites, shipment.inputs, assembly)
            source = assembly.node_stage(
                inner,
                shipment.sites,
                inputs,
                to=sites,
                part_column=shipment.part_column,
                estimated=(shipment.rows, shipment.size),
                shipment=key if persons is None else "",
                matched=persons,
            )
        source = replace(source, placed=shipment.placed)
        made[shipment.name] = same[key] = source
    return _over(tree, made), {source.name: source for source in made.values()}


def _spelled(shipment: Shipment) -> str:
    """Return what a shipment sends, in words that are the same for shipments that send the same."""
    tree = shipment.tree
    if shipment.inputs:
        tree = tree.copy()
        names = {inner.name: _spelled(inner) for inner in shipment.inputs}
        for table in tree.find_all(exp.Table):
            if table.name in names:
                table.set("this", rewrite.quoted(names[table.name]))
    return f"{tree.sql('duckdb')} at {', '.join(shipment.sites)} by {shipment.part_column!r}"


def _over(tree: exp.Query, made: Mapping[str, Source]) -> exp.Query:
    if not made:
        return tree
    tree = tree.copy()
    for table in list(tree.find_all(exp.Table)):
        if table.name in made:
            table.set("this", rewrite.quoted(made[table.name].name))
    return tree
