"""Where a task meets the ledger: the same question is answered as before, a new one is compared before it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from archipel import errors, schema
from archipel.border import populations
from archipel.border.decision import Release
from archipel.permit import Permit
from node_agent import lattice, ledger_reading, linked_tables
from node_agent.engine.base import Engine
from node_agent.ledger import Answer, Ledger
from node_agent.ledger_reading import Gather
from node_agent.ledger_rows import Groups
from node_agent.ledger_sketch import Sketches, together
from node_agent.ledger_store import LinkedRow

Run = Callable[[str, Mapping[str, pa.Table]], pa.Table]
"""Runs a statement of the node's over the task's data and some more."""

Note = Callable[[dict[str, Any]], None]
"""Takes what the audit record is to say."""


def concerns(release: Release) -> bool:
    """Whether the ledger has a say: groups of persons, in clear, for the coordinator."""
    return release.protected and release.withheld_column is not None and bool(release.populations)


def answered(
    ledger: Ledger | None,
    release: Release,
    engine: Engine,
    data: Mapping[str, pa.Table],
    permit: Permit,
    *,
    run: Run,
    gather: Gather,
    answer_of: Callable[[pa.Table], Answer],
    about: Mapping[str, Any],
    note: Note,
    now: float,
) -> Answer:
    """Return what may leave of a release that concerns the ledger, after it is written down there.

    Raises:
        ArchipelError: DIFFERENCING_REFUSED, BUDGET_EXHAUSTED, PERMIT_LOCKED, LEDGER_UNAVAILABLE, or of the statement.
    """
    if ledger is None:
        raise errors.error(errors.LEDGER_UNAVAILABLE, "The node runs without a ledger.")
    ledger.admit(permit)
    state = _state(release, engine, data)
    question = hashlib.sha256(json.dumps([release.sql, *state], sort_keys=True).encode()).hexdigest()
    earlier = ledger.recall(question)
    if earlier is not None:
        note(earlier.facts())
        return earlier.answer
    ledger.afford(permit)
    table = run(release.sql, {})
    settled = lattice.settled(table, release)
    answer = answer_of(settled)
    if answer.output.num_rows > ledger.rules.max_cells_per_answer:
        most = ledger.rules.max_cells_per_answer
        raise errors.error(
            errors.RESULT_TOO_LARGE, f"The answer has more than the {most:,} groups that this node compares."
        )
    sketches: dict[str, Sketches] = {}
    behind: list[Groups] = []
    if ledger.rules.differences == "refuse":
        if ledger.rules.whole_tables == "known" and not release.pseudonymised:
            _know_whole_tables(ledger, release, engine, gather, now)
        behind = [ledger_reading.gathered(asked, ledger.seed(), gather) for asked in release.populations]
        sketches = _sketches(release, behind, answer)
    for _ in range(TRIES):
        part = _part_of_linked(ledger, release, (table, settled), run, permit, about, state)
        if part.more:
            ledger.compare(sketches, release.min_persons, permit=permit, now=now, note=note)
            note({"withheld_for_earlier_answers": len(part.more)})
            table = linked_tables.without(table, release, part.more, ledger.mark_key())
            settled = lattice.settled(table, release)
            answer = answer_of(settled)
            sketches = _sketches(release, behind, answer)
            part = replace(part, row=_row(ledger, release, (table, settled), permit, about, state))
        engine.check_unchanged(release.tables)  # the answer and who is behind it are of the same rows
        entered = ledger.enter(
            question,
            answer,
            sketches,
            release.min_persons,
            permit=permit,
            about=about,
            now=now,
            note=note,
            linked=part.row,
            seen=part.seen,
            quantiles=release.quantiles,
        )
        if entered is not None:
            note(entered.facts())
            return entered.answer
    raise errors.error(errors.DIFFERENCING_REFUSED, linked_tables.UNSETTLED, hint="Ask again, one query at a time.")


TRIES = 5
"""An answer is compared anew when another one over the same rows was given meanwhile; no more often than this."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An answer as part of a linked table, compared with what was in it up to ``seen``; what must not leave of it."""

    row: LinkedRow | None = None
    seen: int = 0
    more: set[tuple[int, linked_tables.Mark]] = field(default_factory=set)


def _part_of_linked(
    ledger: Ledger,
    release: Release,
    tables: tuple[pa.Table, pa.Table],
    run: Run,
    permit: Permit,
    about: Mapping[str, Any],
    state: list[Any],
) -> _Part:
    row = _row(ledger, release, tables, permit, about, state)
    if row is None or release.placement is None or ledger.rules.differences != "refuse":
        return _Part()
    seen, rows = ledger.linked(row.family, row.permit, row.researcher)
    base = release.placement.base
    earlier = [linked_tables.Linked.read(row.family, base, other.shape, other.marks) for other in rows]
    new = linked_tables.Linked.read(row.family, base, row.shape, row.marks)
    more = linked_tables.withheld_more(new, earlier, run, ledger.mark_key()) if earlier else set()
    return _Part(row, seen, more)


def _row(
    ledger: Ledger,
    release: Release,
    tables: tuple[pa.Table, pa.Table],
    permit: Permit,
    about: Mapping[str, Any],
    state: list[Any],
) -> LinkedRow | None:
    """Return an answer as part of a linked table; ``tables`` are what its statement gave, and what is left of it."""
    linked = linked_tables.of_answer(*tables, release, json.dumps(state, sort_keys=True), ledger.mark_key())
    if linked is None:
        return None
    return LinkedRow(linked.family, permit.permit_id, str(about["researcher"]), linked.text(), linked.marks())


def _state(release: Release, engine: Engine, data: Mapping[str, pa.Table]) -> list[Any]:
    """Return what a statement is run over: the state of the tables, and what was handed in.

    With the statement as it runs it names a question.
    """
    return [engine.state_of(release.tables), {name: _digest(table) for name, table in data.items()}]


def _digest(table: Any) -> str:
    """Return what names an input by its rows: a table, or one that is on disk (``node_agent.spill``)."""
    reader = table.combine_chunks().to_reader() if isinstance(table, pa.Table) else table.reader()
    found = hashlib.sha256(reader.schema.serialize())
    for batch in reader:
        found.update(batch.serialize())
    return found.hexdigest()


def _sketches(release: Release, behind: list[Groups], answer: Answer) -> dict[str, Sketches]:
    found: dict[str, list[Sketches]] = {}
    for asked, groups in zip(release.populations, behind, strict=True):
        part = ledger_reading.of_answer(groups, asked, answer.output, release.min_persons)
        found.setdefault(asked.domain, []).append(part)
    return {domain: together(parts).without_repeats() for domain, parts in found.items()}


def _know_whole_tables(ledger: Ledger, release: Release, engine: Engine, gather: Gather, now: float) -> None:
    by_name = {table.name: table for table in engine.tables()}
    for name in release.tables:
        table = by_name[name]
        if not table.policy.protected:
            continue
        asked = populations.whole(table)
        text = json.dumps(["whole", asked.sql, engine.state_of((name,))])
        question = hashlib.sha256(text.encode()).hexdigest()
        if not ledger.knows_whole(question):
            minimum = max(schema.MIN_PERSONS_FLOOR, table.policy.min_persons)
            sketches = ledger_reading.of_whole(ledger_reading.gathered(asked, ledger.seed(), gather), asked, minimum)
            engine.check_unchanged((name,))
            ledger.enter_whole(question, name, asked.domain, sketches, now)
