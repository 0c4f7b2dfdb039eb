"""The plan of a query: stages, and the exchanges between them. Immutable, printable, comparable data.

A stage is one SQL statement run at one or more sites. A *node stage* runs at nodes over their tables; a *merge stage*
folds the partials of one exchange at the coordinator and may be cut by hash of its keys; a *finish stage* runs at
the coordinator over what it has. An exchange from one node stage to another is *sealed*: every sender encrypts what it
sends to each receiver, and the coordinator relays what it cannot read. This module decides nothing and runs nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from archipel.certificate import Certificate
from archipel.intersection import IntersectionStep
from archipel.rounds import RoundStep
from archipel.schema import COORDINATOR as COORDINATOR
from archipel.schema import Form

SHARD_COLUMN = "_shard"
"""INTEGER column that the coordinator adds to what nodes deliver: the index of the node in the stage's sites."""


VALUES = "values"
"""The kind of an interval whose ends are values, in the type of the result."""


class StageKind(Enum):
    """Where and how a stage runs."""

    NODE = "node"
    MERGE = "merge"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a stage's output; ``type`` in DuckDB's spelling, as the engine described it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One SQL statement (DuckDB dialect) and where it runs.

    ``sites`` are sorted node names, or ``(COORDINATOR,)``. ``inputs`` are exchange identifiers; in the SQL each is
    a table of that name. ``keys`` of a merge stage are the columns of its input by whose hash it may be cut. A node
    stage with a ``round`` is a step of a total over nodes (``archipel.rounds``): its SQL is what the contributors run,
    and its inputs are messages. One with an ``intersection`` is a step of a private set intersection
    (``archipel.intersection``): the last of them sends the rows of its SQL, of persons only whom the receivers have.
    """

    stage_id: str
    kind: StageKind
    sites: tuple[str, ...]
    sql: str
    columns: tuple[OutputColumn, ...]
    inputs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    round: RoundStep | None = None
    intersection: IntersectionStep | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Rows that cross a border: the output of ``source`` becomes the table ``exchange_id`` of ``target``.

    ``rule`` is the policy rule that allows it, in words. What nodes deliver to the coordinator carries
    ``SHARD_COLUMN``; what the coordinator hands to nodes, and nodes to nodes, does not. Estimates are in rows and bytes
    over all sites.

    Between two node stages every site of ``target`` gets the rows of all sites of ``source``, in their order; with
    ``part_column``, a UINTEGER column of ``source``, only those whose value there is the index of the site in
    ``target``'s sites, without that column. A node stage has one target, unless all its targets are node stages.
    """

    exchange_id: str
    source: str
    target: str
    form: Form
    rule: str
    estimated_rows: int
    estimated_bytes: int
    part_column: str = ""
    certificate: Certificate | None = None
    """Of what a node stage sends: what allows it. None where nothing leaves a node."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A way to answer that was thought of and not taken: what it would do, its bytes over borders, and why not.

    ``estimated_bytes`` is None where the way was closed before its size was known.
    """

    description: str
    estimated_bytes: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Columns of a merged exchange that tell how well a quantile is known, for each group.

    ``total`` is the column with the number of its values, NULL where there is none; ``lower`` and ``upper`` hold the
    ends in units of ``kind``: ``whole``, ``double``, ``decimal`` (with ``scale`` digits after the point), ``date``
    (days since 1970), ``timestamp`` (microseconds since 1970). An open end is NULL. Where ``kind`` is ``VALUES`` the
    ends are values themselves, and the result is an estimate that is one of the values between them.
    """

    text: str
    exchange_id: str
    total: str
    lower: str
    upper: str
    kind: str
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All stages in an order in which they can run, their exchanges, and which stage gives the result.

    ``not_pushed`` says, in one sentence each, what is computed above the nodes and why not at them.
    """

    sql: str
    stages: tuple[Stage, ...]
    exchanges: tuple[Exchange, ...]
    result_stage: str
    columns: tuple[OutputColumn, ...]
    notes: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    not_pushed: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    """What is known of results that are not exact. No part of ``to_dict``: it is told with the result."""

    def stage(self, stage_id: str) -> Stage:
        """Return the stage of that identifier."""
        return next(s for s in self.stages if s.stage_id == stage_id)

    def is_sealed(self, exchange: Exchange) -> bool:
        """Whether an exchange goes from nodes to nodes."""
        return {self.stage(exchange.source).kind, self.stage(exchange.target).kind} == {StageKind.NODE}

    def nodes(self) -> tuple[str, ...]:
        """Return the names of all nodes that take part, sorted."""
        return tuple(sorted({site for s in self.stages for site in s.sites if site != COORDINATOR}))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            "sql": self.sql,
            "stages": [_stage_data(stage) for stage in self.stages],
            "exchanges": [_exchange_data(exchange) for exchange in self.exchanges],
            "result_stage": self.result_stage,
            "columns": [asdict(column) for column in self.columns],
            "notes": list(self.notes),
            "alternatives": [asdict(alternative) for alternative in self.alternatives],
            "not_pushed": list(self.not_pushed),
        }


def _stage_data(stage: Stage) -> dict[str, Any]:
    data = {**asdict(stage), "kind": stage.kind.value}
    if stage.round is None:
        del data["round"]
    else:
        data["round"]["step"] = stage.round.step.value
    if stage.intersection is None:
        del data["intersection"]
    else:
        data["intersection"]["step"] = stage.intersection.step.value
    return data


def _exchange_data(exchange: Exchange) -> dict[str, Any]:
    data = {**asdict(exchange), "form": exchange.form.name.lower()}
    if exchange.certificate is not None:
        data["certificate"]["form"] = exchange.certificate.form.name.lower()
    return data
