"""A differentially private answer, from the decision to what may leave: paid for, computed, given noise, kept.

The same question over the same data has the same answer, noise included. Under the permit that paid for it it costs
nothing again; another permit pays for it, too. What is asked by other SQL is another question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from archipel import errors
from archipel.border.decision import Release
from archipel.noise import Private, laplace_half_width
from node_agent import privacy_mechanism, stored_table
from node_agent.engine.base import Engine
from node_agent.ledger import Answer
from node_agent.order import NoiseNote, NoisyNote, Note
from node_agent.privacy_store import Payment, PrivacyStore
from node_agent.seeds import seed_of

Run = Callable[[str, Mapping[str, pa.Table]], pa.Table]


_MAY_TELL = frozenset({errors.NODE_EXECUTION, errors.SQL_EXECUTION, errors.TIMEOUT, errors.RESULT_TOO_LARGE})
"""Ends of a statement that depend on the rows: that it came to them may tell of a person."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: under which permit, by which request."""

    permit: str
    researcher: str
    request: str


def answered(
    store: PrivacyStore | None,
    release: Release,
    engine: Engine,
    inputs: Mapping[str, str],
    asker: Asker,
    *,
    run: Run,
    note: Callable[[dict[str, Any]], None],
    now: float,
) -> tuple[Answer, Note]:
    """Return what may leave of a private release, and what is to be said of it.

    ``inputs`` are the digests of what was handed in.

    Raises:
        ArchipelError: BUDGET_EXHAUSTED, POLICY_REFUSED, LEDGER_UNAVAILABLE, or of the statement.
    """
    private = release.private
    if private is None:
        raise ValueError("the release is not a private one")
    if store is None:
        raise errors.error(errors.LEDGER_UNAVAILABLE, "The node keeps no record of what private answers have told.")
    privacy_mechanism.check_installed()
    question = _question(release, private, engine, inputs)
    found = store.find(question)
    payment = Payment(asker.permit, asker.researcher, asker.request, question, private.epsilon, private.delta)
    repeated = found is not None and store.has_paid(asker.permit, question)
    told: dict[str, Any] = {"epsilon": private.epsilon, "delta": private.delta, "repeated": repeated}
    if not repeated:
        told["payment"] = store.pay(payment, now)
    note({"privacy": told})
    if found is None:
        try:
            table = run(release.sql, {private.seed_table: seed_of(store.secret, b"groups of a person")})
            engine.check_unchanged(release.tables)
        except errors.ArchipelError as problem:
            if problem.info.code in _MAY_TELL:
                told["payment"] = store.fine(payment, private.max_epsilon, now)
            raise
        drawn = privacy_mechanism.drawn(table, private)
        found = store.keep(question, stored_table.packed(drawn.table), drawn.threshold)
    output = stored_table.unpacked(found[0])
    remaining = store.remaining(asker.permit)
    told["remaining"] = remaining
    return Answer(output, 0, None), _told(private, found[1], remaining)


def _question(release: Release, private: Private, engine: Engine, inputs: Mapping[str, str]) -> str:
    """Return what names a question: statement and noise, the state of the tables, and what was handed in."""
    state = engine.state_of(release.tables)
    content = [release.sql, asdict(private), state, inputs]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _told(private: Private, threshold: int, remaining: float) -> Note:
    """Return what a result says; nothing in it depends on data."""
    widths = [
        NoisyNote(column.label, private.half_width(column), private.scale(column) / column.per_unit)
        for column in private.columns
    ]
    if private.persons_outputs:
        widths.append(
            NoisyNote("count(DISTINCT person)", float(laplace_half_width(private.persons_scale)), private.persons_scale)
        )
    errors_told = ", ".join(f"{w.aggregate} ± {w.half_width:g}" for w in widths)
    text = (
        f"differentially private with epsilon {private.epsilon:g} and delta {private.delta:g} for each person here; "
        f"95 % of the noise is within {errors_told or 'nothing'}; groups of fewer than {threshold} persons, with "
        f"noise, are not shown; each person is in at most {private.groups_per_person} groups; an epsilon of "
        f"{remaining:.6g} is left for this permit. A person at several nodes has the sum of their epsilons"
    )
    return Note("privacy", text, NoiseNote(private.epsilon, private.delta, threshold, 0.0, tuple(widths)))
