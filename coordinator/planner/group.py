"""Groups: sources of one block that are together at the same nodes, with the conditions that are applied there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from coordinator.catalog import Catalog
from coordinator.planner import rewrite
from coordinator.planner.draft import Shipment
from coordinator.planner.estimate import rows_of
from coordinator.planner.placement import Mixed, Placement, place


@dataclass(slots=True)
class Names:
    """Names of shipments until they are exchanges: no table can be called so."""

    used: int = 0

    def next(self) -> str:
        """Return a fresh name."""
        self.used += 1
        return f"/{self.used}"


@dataclass(slots=True)
class Group:
    """Sources that are together somewhere, and the conditions that are applied there.

    ``filters`` are conditions over ``inputs``, which other nodes send so that fewer rows are left, ``filtering`` the
    sources that they need beside the group's, and ``local`` conditions for which nothing is sent; ``kept`` is the share
    of rows that they all are thought to leave.
    """

    sources: list[exp.Expr]
    placed: Placement
    conditions: list[exp.Expr] = field(default_factory=list)
    filters: list[exp.Expr] = field(default_factory=list)
    local: list[exp.Expr] = field(default_factory=list)
    everywhere: frozenset[str] = frozenset()
    """Nodes each of which has all of its rows."""
    filtering: list[exp.Expr] = field(default_factory=list)
    inputs: list[Shipment] = field(default_factory=list)
    kept: float = 1.0
    aliases: frozenset[str] = field(init=False)
    """The names of its sources."""
    _rows: float | None = None

    def __post_init__(self) -> None:
        self.aliases = frozenset(source.alias_or_name for source in self.sources)

    def copied(self) -> Group:
        """Return the same group, to which filters can be added apart from this one."""
        return replace(
            self,
            filters=[*self.filters],
            filtering=[*self.filtering],
            inputs=[*self.inputs],
            local=[*self.local],
        )

    def select(self, outputs: list[exp.Expr], *, filtered: bool = True) -> exp.Select:
        """Return the group's joined rows, under its conditions, and its filters too if ``filtered``."""
        conditions = [*self.conditions, *([*self.filters, *self.local] if filtered else [])]
        sources = [*self.sources, *(self.filtering if filtered else [])]
        return joined(outputs, [source.copy() for source in sources], [c.copy() for c in conditions])

    def unfiltered(self, tree: exp.Select) -> exp.Select:
        """Return a SELECT over the group's rows without the filters."""
        made = tree.copy()
        plain = self.select([], filtered=False)
        for key in ("from_", "joins", "where"):
            made.set(key, plain.args.get(key))
        return made

    def held(self, tree: exp.Select) -> exp.Select:
        """Return a SELECT over the group's rows where no filter is sent."""
        made = self.unfiltered(tree)
        for condition in self.local:
            made.where(condition.copy(), copy=False)
        return made

    def rows(self, catalog: Catalog) -> float:
        """Return the estimated number of its rows."""
        if self._rows is None:  # conditions are complete by now
            self._rows = rows_of(self.select([], filtered=False), catalog, senders(self.placed, catalog))
        return self._rows * self.kept


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


def senders(placed: Placement, catalog: Catalog) -> tuple[str, ...]:
    """Return the nodes that send rows: one of those that have all of them, an attached one if there is one."""
    nodes = placed.nodes or ()
    if not placed.replicated or not nodes:
        return nodes
    attached = [n for n in nodes if n in catalog.attached]
    return ((attached or list(nodes))[0],)


def placement_of(query: exp.Query, catalog: Catalog) -> Placement | None:
    """Return where the rows of a query are; None if it is not proved to distribute."""
    try:
        return place(query, catalog)
    except Mixed:
        return None


def tables_in(condition: exp.Expr) -> set[str]:
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


@dataclass(frozen=True, slots=True)
class Columns:
    """What the catalogue says of the columns of a block's sources."""

    tables: dict[str, str]
    """By alias, the table that it stands for."""
    catalog: Catalog
    equal: Mapping[rewrite.ColumnName, set[rewrite.ColumnName]]

    @staticmethod
    def of(
        select: exp.Expr,
        catalog: Catalog,
        equal: Mapping[rewrite.ColumnName, set[rewrite.ColumnName]],
        around: Mapping[str, str],
    ) -> Columns:
        """Return the columns of a block, and which of them its conditions make equal; ``around`` are outer tables."""
        own = rewrite.aliases_of(select)
        sources = rewrite.sources_of(select) if isinstance(select, exp.Select) else []
        tables = {alias: name for alias, name in around.items() if alias not in own}
        return Columns(tables | {s.alias_or_name: s.name for s in sources if isinstance(s, exp.Table)}, catalog, equal)

    def type_of(self, name: rewrite.ColumnName) -> str | None:
        """Return the type of a column of a table of the catalogue, None of any other."""
        entry = self.catalog.find(self.tables.get(name[0], ""))
        column = entry.table.column(name[1]) if entry is not None else None
        return column.type if column is not None else None

    def base_rows(self, name: rewrite.ColumnName) -> float | None:
        """Return how many rows the table of a column has at all nodes."""
        entry = self.catalog.find(self.tables.get(name[0], ""))
        return float(max(1, entry.table.approximate_rows)) if entry is not None else None

    def joined_rows(self, name: rewrite.ColumnName) -> float | None:
        """Return how many values a column that is joined on can have that match: the rows of the smallest table."""
        others = self.equal.get(name, set())
        bases = [base for other in {name, *others} if (base := self.base_rows(other)) is not None]
        return min(bases) if len(others) > 1 and bases else None
