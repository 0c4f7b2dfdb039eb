"""What the coordinator knows of the federation's tables: one view over what the nodes registered. Pure data.

A table's shards come from the nodes' registrations, those of nodes that are away now included, and those that a node
holds and does not offer now: what is not asked must be said, never forgotten. Registrations of one table that
contradict each other make a conflict, and the table is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from archipel import errors
from archipel.obligations import strictest
from archipel.schema import Distribution, SiteKey, Table


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table of the federation and the nodes that hold it. ``shards`` is keyed by node name, in order of names.

    ``conflict`` is set when the registrations contradict each other; then the table cannot be queried. ``withdrawn``
    are what nodes registered that do not offer it now. They are among ``shards``, so that plans name those nodes,
    unless others hold the same rows.
    """

    shards: Mapping[str, Table]
    conflict: errors.ErrorInfo | None = None
    withdrawn: Mapping[str, Table] = field(default_factory=dict)
    table: Table = field(init=False, repr=False, compare=False)
    """One table for all shards: the common schema, the strictest policy, the sums of the estimates."""

    def __post_init__(self) -> None:
        shards = list(self.shards.values())
        first = shards[0]
        common = replace(
            first,
            site_keys=_common_site_keys(shards),
            policy=strictest([s.policy for s in shards], [c.name for c in first.columns]),
            approximate_rows=_total(first, [s.approximate_rows for s in shards]),
            approximate_bytes=_total(first, [s.approximate_bytes for s in shards]),
            ranges=(),
        )
        object.__setattr__(self, "table", common)  # the planner asks for it hundreds of times a query

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that hold it, sorted."""
        return tuple(self.shards)


@dataclass(frozen=True, slots=True)
class Means:
    """What a node has to exchange rows with other nodes: a sealing key, and a linkage secret of an epoch (0: none)."""

    seals: bool = True
    linkage_epoch: int = 1
    intersects: bool = True
    """Whether it takes the steps of private set intersections."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All tables, keyed by lower-case name, and which nodes are attached now.

    ``means`` says what nodes have for exchanges with each other; those that it does not name have all of it.
    """

    tables: Mapping[str, CatalogTable]
    attached: frozenset[str]
    means: Mapping[str, Means] = field(default_factory=dict)
    asks_all: bool = False
    """Whether nodes are asked even where a condition leaves none of their rows."""

    def find(self, name: str) -> CatalogTable | None:
        """Return the table of that name, case-insensitively."""
        return self.tables.get(name.lower())

    def only(self, nodes: Iterable[str]) -> Catalog:
        """Return the catalogue as if there were no other nodes than ``nodes``; tables without a shard fall away."""
        kept = frozenset(nodes)
        shards = {
            name: {n: shard for n, shard in entry.shards.items() if n in kept and n not in entry.withdrawn}
            for name, entry in self.tables.items()
        }
        withdrawn = {
            name: {n: shard for n, shard in entry.withdrawn.items() if n in kept} for name, entry in self.tables.items()
        }
        tables = build_tables(shards, withdrawn)
        return Catalog(tables, self.attached & kept, {n: m for n, m in self.means.items() if n in kept})

    def means_of(self, node: str) -> Means:
        """Return what a node has for exchanges with others."""
        return self.means.get(node, Means())


def build(registrations: Mapping[str, Iterable[Table]], attached: Iterable[str]) -> Catalog:
    """Return the catalogue of what each node registered."""
    by_table: dict[str, dict[str, Table]] = {}
    for node in sorted(registrations):
        for table in registrations[node]:
            by_table.setdefault(table.name.lower(), {})[node] = table
    return Catalog({name: build_table(shards) for name, shards in by_table.items()}, frozenset(attached))


def build_tables(
    shards: Mapping[str, Mapping[str, Table]], withdrawn: Mapping[str, Mapping[str, Table]]
) -> dict[str, CatalogTable]:
    """Return by name the tables of which the columns are known."""
    built = {}
    for name in [*shards, *(name for name in withdrawn if name not in shards)]:
        offered, away = shards.get(name, {}), withdrawn.get(name, {})
        if offered or any(table.columns for table in away.values()):
            built[name] = build_table(offered, away)
    return built


def build_table(shards: Mapping[str, Table], withdrawn: Mapping[str, Table] | None = None) -> CatalogTable:
    """Return a table of its shards, with the conflict if they contradict each other."""
    if withdrawn:
        away = dict(sorted(withdrawn.items()))
        return replace(build_table(_with_withdrawn(shards, away)), withdrawn=away)
    ordered = dict(sorted(shards.items()))
    first_node, first = next(iter(ordered.items()))
    for node, other in ordered.items():
        difference = _difference(first, other)
        if difference:
            text = f"Nodes '{first_node}' and '{node}' register table '{first.name}' differently: {difference}."
            hint = "The holders' operators must agree on one version; until then the table cannot be queried."
            return CatalogTable(ordered, errors.ErrorInfo(errors.SCHEMA_CONFLICT, text, hint))
    return CatalogTable(ordered)


def _with_withdrawn(shards: Mapping[str, Table], withdrawn: Mapping[str, Table]) -> Mapping[str, Table]:
    """Return the shards that plans know. A withdrawn one is never read: what of it does not fit is as at the others."""
    offered = dict(sorted(shards.items()))
    first = next(table for table in (*offered.values(), *withdrawn.values()) if table.columns)
    if offered and first.distribution is Distribution.REPLICATED:
        return offered  # the others hold the same rows
    fitting = {n: t if t.columns and not _difference(first, t) else first for n, t in withdrawn.items()}
    return {**offered, **fitting}


def without_site_keys(catalog: Catalog) -> Catalog:
    """Return the catalogue as if nothing were known of where a table's values are."""
    tables = {
        name: replace(entry, shards={node: replace(shard, site_keys=()) for node, shard in entry.shards.items()})
        for name, entry in catalog.tables.items()
    }
    return replace(catalog, tables=tables)


def _difference(first: Table, other: Table) -> str:
    if first.distribution is not other.distribution:
        return f"{first.distribution.value} against {other.distribution.value}"
    ours, theirs = (", ".join(f"{c.name} {c.type}" for c in t.columns) for t in (first, other))
    if ours.lower() != theirs.lower():
        return f"({ours}) against ({theirs})"
    if first.policy.protected is not other.policy.protected:
        return "protected at one, not protected at the other"
    if (first.person_column or "").lower() != (other.person_column or "").lower():
        return f"person column {first.person_column} against {other.person_column}"
    if first.person_domain != other.person_domain:
        return f"person domain {first.person_domain} against {other.person_domain}"
    if first.distribution is Distribution.REPLICATED and first.content_digest != other.content_digest:
        return "their copies do not hold the same rows"
    return ""


def _common_site_keys(shards: list[Table]) -> tuple[SiteKey, ...]:
    common = []
    for key in shards[0].site_keys:
        same = [_declared(shard, key) for shard in shards]
        if all(same):
            common.append(replace(key, nullable=any(k.nullable for k in same if k)))
    return tuple(common)


def _declared(table: Table, key: SiteKey) -> SiteKey | None:
    wanted = tuple(c.lower() for c in key.columns)
    alike = (k for k in table.site_keys if k.name == key.name and tuple(c.lower() for c in k.columns) == wanted)
    return next(alike, None)


def _total(first: Table, numbers: list[int]) -> int:
    return max(numbers) if first.distribution is Distribution.REPLICATED else sum(numbers)
