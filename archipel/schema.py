"""Tables of the federation as every party sees them: columns, distribution, persons, keys and policy.

Immutable data only. What the engine holds, and where, is the node's own matter and never stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

NODE_COLUMN = "_node"
"""Pseudo-column that every table carries: the name of the node that holds the row."""

COORDINATOR = "@coordinator"
"""The coordinator as the site of a stage or the destination of an exchange; no node can be named so."""

EVERY_PEER = "*"
"""Stands for every node of the federation in the policy of a table that is not protected."""

MIN_PERSONS_FLOOR = 11
"""No group of a protected table with fewer distinct persons is ever released."""


class Distribution(Enum):
    """How a table's rows are spread over the nodes that hold it."""

    SHARDED = "sharded"
    REPLICATED = "replicated"


class Form(IntEnum):
    """What an exchange carries, from nothing to single rows; a larger form includes the smaller ones."""

    NONE = 0
    AGGREGATE = 1
    SKETCH = 2
    KEYS = 3
    ROWS = 4


class Role(Enum):
    """What may be done with a column of a protected table.

    ``PUBLIC`` and ``GROUP`` may be group keys; ``IDENTIFIER`` (a potential identifier, such as a care date) only as the
    bin that the policy names; ``MEASURE`` may be aggregated and filtered on but is no group key; ``LINK`` may be joined
    on and counted and nothing else; ``HIDDEN`` may not be named. The person column has its own rules, whatever its
    role.
    """

    PUBLIC = "public"
    GROUP = "group"
    IDENTIFIER = "identifier"
    MEASURE = "measure"
    LINK = "link"
    HIDDEN = "hidden"


class Scope(Enum):
    """Over whose persons a threshold counts: those of each node, or those of all nodes together."""

    NODE = "node"
    FEDERATION = "federation"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``type`` in DuckDB's spelling as the engine reports it."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class SiteKey:
    """Columns whose values never match across nodes. Keys of two tables compare by their names.

    ``nullable``: some rows have NULL in one of the columns. NULL equals nothing, so joins by the key stay at the node,
    but rows with NULL are at every node and make one group.
    """

    name: str
    columns: tuple[str, ...]
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class ColumnRange:
    """The least and the greatest value of a column in one node's rows, as the engine writes them, and if some are NULL.

    A claim of the node about its own rows: with a wrong one it hides no more than these.
    """

    column: str
    least: str
    greatest: str
    has_null: bool = True


@dataclass(frozen=True, slots=True)
class Dominance:
    """How much few persons may make up of a released sum, and how few values a model may rest on.

    A sum is withheld when its ``top`` largest contributors have more than ``share`` of it, or when what remains without
    the two largest is less than ``p_percent`` of the largest; a moment when it has fewer than ``min_degrees`` degrees
    of freedom.
    """

    top: int = 2
    share: float = 0.9
    p_percent: float = 10.0
    min_degrees: int = 10


@dataclass(frozen=True, slots=True)
class SensitiveCodes:
    """Codes of a column, by their beginnings, for which groups need more persons than others."""

    column: str
    prefixes: tuple[str, ...]
    min_persons: int


@dataclass(frozen=True, slots=True)
class Bound:
    """Between which values one person's part of a sum of a column is taken, and in steps of what it is counted.

    ``unit`` is 0 where the column's own type says it: 1 for whole numbers, its last digit for decimals.
    """

    column: str
    low: float
    high: float
    unit: float = 0.0


@dataclass(frozen=True, slots=True)
class PrivacyLimits:
    """Within which limits a table is answered with differential privacy; see docs/privacy.md.

    One person is in no more than ``groups_per_person`` groups of an answer, and adds no more than ``rows_per_person``
    to a count in each. ``delta`` is of one answer. With ``only`` the table gives no exact answer.
    """

    max_epsilon: float
    delta: float
    groups_per_person: int
    rows_per_person: int
    bounds: tuple[Bound, ...] = ()
    only: bool = False

    def bound_of(self, column: str) -> Bound | None:
        """Return the bounds of a column, case-insensitively."""
        folded = column.lower()
        return next((bound for bound in self.bounds if bound.column.lower() == folded), None)


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """What one node lets out of one table, to the coordinator and to other nodes. The defaults are the strictest."""

    protected: bool = True
    coordinator_form: Form = Form.NONE
    min_persons: int = MIN_PERSONS_FLOOR
    roles: tuple[tuple[str, Role], ...] = ()
    tell_withheld_count: bool = False
    peer_forms: tuple[tuple[str, Form], ...] = ()
    rows_where: str = ""
    """A condition over the table's own columns (DuckDB's SQL): only rows for which it holds take part in what leaves.
    Every statement must say it itself."""
    bins: tuple[tuple[str, str], ...] = ()
    """Column of role ``IDENTIFIER``: the bin in which it may be a group key: ``year``, ``quarter``, ``month``,
    ``prefix:N`` (the first N characters) or ``width:N`` (multiples of N). One that has none may be no group key."""
    dominance: Dominance = Dominance()
    sensitive: tuple[SensitiveCodes, ...] = ()
    intersection_peers: tuple[str, ...] = ()
    """Nodes that may learn only of persons whom they have themselves, and may tell this node of no others."""
    tell_match_rates: bool = False
    """Whether a result may say, rounded, how many of the table's persons found a match at another node."""
    rounding: int = 0
    """Released counts and sums are rounded to multiples of this; 0: not rounded."""
    scopes: tuple[Scope, ...] = (Scope.NODE,)
    """Which scopes of the threshold a query may choose."""
    privacy: PrivacyLimits | None = None
    """Within what a query may ask for differential privacy; None: it may not."""
    deviation: float = 0.0
    """Standard deviation of the noise, the same for the same persons, in each released count; 0: none."""

    def form_to(self, destination: str) -> Form:
        """Return the strongest form in which data may leave to ``destination``: the coordinator or a node by name."""
        if destination == COORDINATOR:
            return self.coordinator_form
        forms = dict(self.peer_forms)
        return forms.get(destination, Form.NONE if self.protected else forms.get(EVERY_PEER, Form.NONE))

    def role_of(self, column: str) -> Role:
        """Return the column's role, case-insensitively; what is not named is hidden when protected."""
        folded = column.lower()
        for name, role in self.roles:
            if name.lower() == folded:
                return role
        return Role.HIDDEN if self.protected else Role.PUBLIC


@dataclass(frozen=True, slots=True)
class Table:
    """One node's shard of a table: schema, keys and policy. Names compare case-insensitively."""

    name: str
    columns: tuple[Column, ...]
    distribution: Distribution = Distribution.SHARDED
    description: str = ""
    person_column: str | None = None
    person_domain: str | None = None
    site_keys: tuple[SiteKey, ...] = ()
    policy: TablePolicy = TablePolicy()
    approximate_rows: int = 0
    approximate_bytes: int = 0
    content_digest: str = ""
    ranges: tuple[ColumnRange, ...] = ()
    """Of tables that are not protected; a column that is not named may hold any value."""

    def column(self, name: str) -> Column | None:
        """Return the column of that name, case-insensitively."""
        folded = name.lower()
        return next((c for c in self.columns if c.name.lower() == folded), None)
