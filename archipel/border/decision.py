"""What a border check is asked and what it answers. Data only.

The check itself is ``archipel.border.check``: a pure function of statement, tables, policy and permit. The node
decides by it; the coordinator runs the same function beforehand over the advertised policies, so that a
researcher is refused early and with a position in their own SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archipel.border.measures import Placement, Populations
from archipel.noise import Perturbed, Private
from archipel.permit import Permit
from archipel.request import Privacy
from archipel.schema import COORDINATOR, Column, Form, Scope, Table


@dataclass(frozen=True, slots=True)
class BorderContext:
    """What is known where the check runs: the node's tables with its own policy, the stage's inputs, the permit.

    ``tables``, ``inputs`` and ``received`` are keyed by lower-case name. Inputs come from the coordinator and are not
    protected. ``received`` came sealed from other nodes, each with what its sender demands of whoever computes with it:
    a table whose policy is the sender's. ``destination`` is where the output goes: the coordinator or a node by name.
    Only with ``for_ledger`` the release says how a ledger learns who stands behind it; planners do not ask. Without
    ``rewrites`` they are told what was decided of protected tables, and no SQL to run: that takes most of the time.
    With the ``scope`` of the federation, what goes to the coordinator goes as this node's masked part of a total, whose
    persons are counted with so many ``bitmaps``. With ``privacy`` the answer is to be differentially private. What is
    ``intersected`` leaves of persons only whom the destination has, too.
    """

    node: str
    tables: Mapping[str, Table]
    inputs: Mapping[str, tuple[Column, ...]]
    permit: Permit
    received: Mapping[str, Table] = field(default_factory=dict)
    destination: str = COORDINATOR
    scope: Scope = Scope.NODE
    for_ledger: bool = False
    rewrites: bool = True
    bitmaps: int = 1
    privacy: Privacy | None = None
    intersected: bool = False


@dataclass(frozen=True, slots=True)
class MaskedOutput:
    """A column of the total: a ``key`` of its groups, a ``sum``, or a moment by the name of its function.

    ``sums`` are the columns of the statement that it is made of; those of a moment are the number of pairs and sums of
    whole numbers, of whose arguments x and y so many digits stand behind the point as ``scales`` say.
    """

    name: str
    kind: str
    sums: tuple[str, ...] = ()
    scales: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class MaskedCount:
    """One count of persons that every group of the total must pass, by the statement's columns.

    ``domain`` says whose identifiers they are, ``minimum`` how many there must be. One that is ``optional`` may also
    have no row at all.
    """

    domain: str
    minimum: int
    optional: bool
    rows: str
    bitmaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaskedSpread:
    """How a sum is spread over persons, for the node's own veto: ``parts`` are sums of sizes, each of some persons.

    No person has more of the ``sum`` than the largest part, and none may have more than ``share`` of the total.
    """

    sum: str
    parts: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Masked:
    """What the columns of a statement are that gives a node's part of a total (``archipel.border.masked``).

    ``population`` is the text of whose rows it is over: of one population there is one total, over one set of nodes.
    """

    keys: tuple[str, ...]
    outputs: tuple[MaskedOutput, ...]
    sums: tuple[str, ...]
    counts: tuple[MaskedCount, ...]
    spreads: tuple[MaskedSpread, ...]
    population: str


@dataclass(frozen=True, slots=True)
class Lattice:
    """Columns of a statement with several groupings by which a node keeps totals from giving withheld groups away.

    Such a statement gives the withheld groups, too, with NULL in ``Release.persons_column``. ``grouping`` is the column
    of the set that a group belongs to: a bit for each of ``keys``, the first being the highest, which is 1 where the
    group is a total over the key. ``rows`` is how many rows a group has. All these do not leave. ``sums`` are outputs
    that are rounded and add up, so that totals of them are those of the released parts.
    """

    grouping: str
    keys: tuple[str, ...]
    rows: str
    sums: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """An allowed statement, rewritten so that the threshold holds inside it.

    For protected tables the statement's first columns are ``withheld_column`` (groups below the threshold, the same
    number in every row) and ``persons_column`` (fewest persons of the row's group, a lower bound of them where they
    are many; NULL in the single row that stands for "no group released"); the node strips both. For public tables
    both are None.
    """

    sql: str
    form: Form
    protected: bool
    min_persons: int
    tables: tuple[str, ...]
    """The node's own tables that it reads; received ones are not among them."""
    columns: tuple[str, ...]
    """Every column that the statement reads, as ``table.column``, sorted: for the audit log."""
    rule: str
    """Which policy rule allowed it, in words without values."""
    withheld_column: str | None
    persons_column: str | None
    tell_withheld_count: bool
    obliges: Table | None = None
    """For a node as destination: what it must treat the output as, with its person column and this node's policy.

    Of its columns only the person's has a type; what the others are, the engine says."""
    populations: tuple[Populations, ...] = ()
    """For protected tables: the statements by which the node's ledger learns who stands behind each group."""
    placement: Placement | None = None
    """For protected tables: where the groups stand in a table that the answer shares with others."""
    quantiles: tuple[tuple[str, str], ...] = ()
    """For histograms: each column of a protected table that is counted, and a mark of the value that it is counted by;
    empty for the column itself."""
    pseudonymised: bool = False
    """Whether the statement reads ``archipel.linkage.PADS_TABLE``: person columns in it are project pseudonyms."""
    lattice: Lattice | None = None
    """For a statement with several groupings over protected tables."""
    rounding: int = 0
    """Counts and sums are rounded to multiples of this; 0: not rounded."""
    masked: Masked | None = None
    """For a total over several nodes: what the statement's columns are. Nothing of them leaves unmasked."""
    private: Private | None = None
    """For an answer with differential privacy: what the node does with the statement's rows before anything leaves.

    Then the statement gives neither of the two leading columns."""
    perturbed: Perturbed | None = None
    """For tables whose policy has noise in every answer: how the node makes it."""
