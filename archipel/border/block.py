"""One SELECT while it is analysed: its sources, its row's carriers, and which of them are the same person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from archipel.border.relations import OUTER, Carrier, Cte, Edges, Output, reached


@dataclass(slots=True)
class Source:
    """A table or derived table in FROM. ``alias`` is unique in the statement."""

    alias: str
    outputs: dict[str, Output]
    spelling: dict[str, str] = field(default_factory=dict)
    """How the engine spells a column of a base table, by lower-case name."""
    base: str | None = None
    carriers: list[Carrier] = field(default_factory=list)
    determined: Edges = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Block:
    """The sources of one SELECT by the name that its SQL uses, and the carriers of its row."""

    outer: Block | None
    ctes: Mapping[str, Cte] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    carriers: list[Carrier] = field(default_factory=list)
    determined: Edges = field(default_factory=set)
    same: dict[Carrier, Carrier] = field(default_factory=dict)
    """Union-find: carriers that are the same person in every row, or absent together."""
    keys: set[Carrier] = field(default_factory=set)
    """Carriers whose person is a group key, when the block aggregates."""
    outermost: bool = False

    def enclosing(self) -> Iterator[Block]:
        """Return this block and those around it, inside out."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.outer

    def equate(self, one: Carrier, other: Carrier) -> None:
        """Note that two carriers are the same person in every row."""
        self.determined |= {(one, other), (other, one)}
        mine, theirs = self.root(one), self.root(other)
        if mine != theirs:
            self.same[mine] = theirs

    def determine(self, by: Carrier, what: Carrier) -> None:
        """Note that ``what`` is the same person as ``by`` wherever it is present."""
        self.determined.add((by, what))

    def root(self, carrier: Carrier) -> Carrier:
        """Return the representative of a carrier's class."""
        while carrier in self.same:
            carrier = self.same[carrier]
        return carrier

    def distinct_carriers(self) -> list[Carrier]:
        """Return one carrier for each person of the row, one that is always present where there is one."""
        chosen: dict[Carrier, Carrier] = {}
        for carrier in self.carriers:
            root = self.root(carrier)
            if root not in chosen or (chosen[root].optional and not carrier.optional):
                chosen[root] = carrier
        return list(chosen.values())

    def covered_by(self, persons: set[Carrier]) -> bool:
        """Whether every carrier of the row is one of ``persons``, or a person of the enclosing query's row."""
        return set(self.carriers) <= reached(persons | {OUTER}, self.determined)
