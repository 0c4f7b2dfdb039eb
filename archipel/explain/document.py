"""The JSON form of a plan, version 1: what ``docs/plan-format.md`` promises, and ``docs/plan.schema.json`` as a schema.

Within a version fields may be added, and readers ignore those that they do not know. A field that goes, or means
something else, makes another version.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archipel import errors
from archipel.schema import COORDINATOR

FORMAT: Literal["archipel-plan"] = "archipel-plan"
VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Column(_Part):
    """A column of a stage's output."""

    name: str
    type: str = Field(description="As DuckDB spells it.")


class RoundDocument(_Part):
    """A step of a total that several nodes make together without showing their parts."""

    step: str = Field(description='"key", "labels", "list", "values", "totals", "veto", "verdict", "open", "release".')
    contributors: tuple[str, ...] = Field(description="The nodes whose rows it is over.")
    aggregator: str = Field(description="The node that adds up.")
    bitmaps: int = Field(default=1, description="With how many bitmaps each count of persons is made.")


class IntersectionDocument(_Part):
    """A step of a private set intersection, after which rows go of persons in both only."""

    step: str = Field(description='"ask", "answer" or "send".')
    senders: tuple[str, ...] = Field(description="The nodes whose rows go.")
    receivers: tuple[str, ...] = Field(description="The nodes that get them.")


class StageDocument(_Part):
    """One SQL statement and where it runs."""

    stage_id: str
    kind: Literal["node", "merge", "finish"] = Field(
        description="A node stage runs beside the holders' data; merge and finish run at the coordinator."
    )
    sites: tuple[str, ...] = Field(description=f'Names of nodes, or ["{COORDINATOR}"].')
    sql: str = Field(description="DuckDB's dialect. Inputs are tables named as their exchanges.")
    columns: tuple[Column, ...]
    inputs: tuple[str, ...] = Field(default=(), description="Exchanges that it reads.")
    keys: tuple[str, ...] = Field(default=(), description="Columns by whose hash a merge may be cut.")
    round: RoundDocument | None = Field(
        default=None,
        description="For a step of a total over nodes; its SQL is what the contributors run for their part.",
    )
    intersection: IntersectionDocument | None = Field(
        default=None,
        description="For a step of a private set intersection; its SQL is whose persons the step is about.",
    )


class CertificateDocument(_Part):
    """What allows an exchange, as an independent check verifies it."""

    sql_sha256: str
    destinations: tuple[str, ...]
    form: str
    columns: tuple[str, ...] = Field(description="All columns that the statement reads, as table.column.")
    functions: tuple[str, ...]
    min_persons: int = Field(description="Fewest persons of a released group; 0 where no table is protected.")
    linkage: bool
    rules: tuple[str, ...] = Field(description='The policies, as "site: table to destination as form".')
    part_column: str = Field(
        default="", description="Column that says to which of the destinations a row goes; empty: every row to all."
    )


class ExchangeDocument(_Part):
    """Rows that go from one stage to another."""

    exchange_id: str
    source: str
    target: str
    form: str = Field(description='"none", "aggregate", "sketch", "keys" or "rows".')
    rule: str = Field(description="The policy rule that allows it, in words.")
    estimated_rows: int
    estimated_bytes: int
    measured_bytes: int | None = Field(
        default=None, description="Bytes that left nodes; null where they are not told, none left or nothing ran."
    )
    part_column: str = Field(
        default="", description="Column of the source that says to which of the target's sites a row goes; empty: all."
    )
    sealed: bool = Field(default=False, description="From nodes to nodes, so that the coordinator cannot read it.")
    learns: tuple[str, ...] = Field(
        default=(), description="Who learns what by an exchange between holders, in sentences."
    )
    certificate: CertificateDocument | None = None


class AlternativeDocument(_Part):
    """A way to answer that was not taken."""

    description: str
    estimated_bytes: int | None = Field(description="Null where it was closed before its size was known.")
    reason: str


class QueryDocument(_Part):
    """The query that a plan was made for, when it was run."""

    query_id: str
    state: Literal["queued", "running", "finished", "failed", "cancelled"]
    error: str = Field(default="", description="Code of the error that ended it.")
    elapsed_ms: float | None = Field(default=None, description="From its submission to its result.")
    result_rows: int | None = None


class SiteMeasureDocument(_Part):
    """What one stage took and gave at one node."""

    node: str
    rows: int | None = Field(description="Rows that were released; null where the number is not told.")
    bytes: int | None = Field(description="Bytes that left the node; null where they are not told.")
    engine_ms: float = Field(description="The statement in the node's engine.")
    waiting_ms: float = Field(description="Everything else: queue, border check, audit, network.")
    total_ms: float = Field(description="From sending the task to the last byte of its output.")
    attempts: int


class StageMeasureDocument(_Part):
    """What one stage took and gave."""

    stage_id: str
    rows: int | None = Field(description="Rows of its output; null where the number is not told.")
    bytes: int | None = Field(description="Bytes that left nodes; null where they are not told or none left.")
    total_ms: float = Field(description="From its first task, or its turn at the coordinator, to its end.")
    executor: str = Field(default="", description='On what a merge was done: "in-process" or "ray".')
    sites: tuple[SiteMeasureDocument, ...] = ()


class PlanDocument(_Part):
    """A plan: stages in an order in which they can run, and the exchanges between them."""

    format: Literal["archipel-plan"] = FORMAT
    version: Literal[1] = VERSION
    sql: str
    stages: tuple[StageDocument, ...]
    exchanges: tuple[ExchangeDocument, ...]
    result_stage: str
    columns: tuple[Column, ...] = Field(description="Columns of the result.")
    notes: tuple[str, ...] = Field(default=(), description="What to know about the meaning of the answer.")
    not_pushed: tuple[str, ...] = Field(
        default=(), description="What is computed above the nodes, and why not at them."
    )
    alternatives: tuple[AlternativeDocument, ...] = Field(default=(), description="Ways that were not taken, and why.")
    query: QueryDocument | None = Field(default=None, description="Null for a plan that was not run.")
    measured: tuple[StageMeasureDocument, ...] | None = Field(
        default=None, description="Null unless the query has finished."
    )

    def stage(self, stage_id: str) -> StageDocument:
        """Return the stage of that identifier."""
        return next(stage for stage in self.stages if stage.stage_id == stage_id)

    def nodes(self) -> tuple[str, ...]:
        """Return the names of all nodes that take part, sorted."""
        return tuple(sorted({site for stage in self.stages for site in stage.sites if site != COORDINATOR}))

    def measure(self, stage_id: str) -> StageMeasureDocument | None:
        """Return what was measured of a stage, if anything was."""
        return next((m for m in self.measured or () if m.stage_id == stage_id), None)

    def crosses(self, exchange: ExchangeDocument) -> bool:
        """Whether an exchange crosses a border: it does unless it stays at the coordinator."""
        return "node" in {self.stage(exchange.source).kind, self.stage(exchange.target).kind}


def read(text: str) -> PlanDocument:
    """Return the plan of a JSON text.

    Raises:
        ArchipelError: BAD_REQUEST when it is no plan of a version that this program knows.
    """
    try:
        plan = PlanDocument.model_validate_json(text)
    except ValidationError as cause:
        raise errors.error(
            errors.BAD_REQUEST,
            f"This is no plan of the format {FORMAT}, version {VERSION}.",
            hint="Where the coordinator is newer, install the client of its version.",
        ) from cause
    known = {stage.stage_id for stage in plan.stages}
    named = {e.source for e in plan.exchanges} | {e.target for e in plan.exchanges} | {plan.result_stage}
    if not named <= known:
        raise errors.error(errors.BAD_REQUEST, "The plan names stages that it does not have.")
    return plan


def schema_text() -> str:
    """Return the JSON schema of a plan."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | PlanDocument.model_json_schema(
        mode="validation"
    )
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
