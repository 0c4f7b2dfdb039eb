"""Random statements: what is released has no small group and no key, and nothing but a catalogue's error is raised."""

from __future__ import annotations

import random
import time
from collections import Counter

import attack_cases
import attack_fuzz
import attack_ward as ward
import pytest
from attack_attempts import Attacker, cells

COMPOSED = 400
MADE = 500
BUDGET_S = 20.0
"""CPU seconds after which a test stops, over all its seeds; it must have come through a part worth something."""
LEAST = 60
SEEDS = (1, 2)

ACCEPTED = {"NODE_EXECUTION", "TIMEOUT", "NODE_RESOURCES"}
"""Codes by which an allowed statement may fail at the engine; all others must say that it is not allowed."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_statement_releases_no_group_with_too_few_persons(attacker: Attacker, seed: int) -> None:
    source = random.Random(seed)
    ended: Counter[str] = Counter()
    deadline = time.process_time() + BUDGET_S / len(SEEDS)
    for number in range(COMPOSED // len(SEEDS)):
        if time.process_time() > deadline:
            break
        statement = attack_fuzz.composed(source)
        outcome = attacker.send(attacker.order(f"composed-{seed}-{number}", statement.sql))
        assert outcome.other is None, f"{statement.sql}: {outcome.other!r}"
        if outcome.released is None:
            assert outcome.error is not None
            assert outcome.refused or outcome.error.code in ACCEPTED, f"{statement.sql}: {outcome.error}"
            ended[outcome.error.rule or outcome.error.code] += 1
            continue
        groups = {tuple(map(str, row[: statement.keys])): row[statement.keys :] for row in _oracle(attacker, statement)}
        for row in outcome.released.to_pylist():
            key = tuple(map(str, row.values()))[: statement.keys]
            persons = groups[key]
            assert attack_fuzz.may_leave(persons, statement.optional, 11), f"{statement.sql}: {key} {persons}"
        assert not _leaked(outcome.released, statement.sql), statement.sql
        ended["released" if outcome.released.num_rows else "withheld"] += 1
    assert ended.total() >= LEAST / len(SEEDS)
    assert ended["released"] + ended["withheld"] >= 0.6 * ended.total(), f"nearly all are refused: {ended}"
    assert ended["withheld"] >= 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["mutated", "grafted"])
def test_a_statement_made_of_hostile_ones_leaks_nothing_and_breaks_nothing(
    attacker: Attacker, kind: str, seed: int
) -> None:
    source = random.Random(seed)
    cases = (*attack_cases.refused(), *attack_cases.small(), *attack_cases.masked())
    corpus = [case.sql for case in cases if len(case.sql) < 2_000]
    corpus += [attack_fuzz.composed(source).sql for _ in range(400)]
    trees = attack_fuzz.trees(corpus)
    ended: Counter[str] = Counter()
    deadline = time.process_time() + BUDGET_S / len(SEEDS)
    for number in range(MADE // len(SEEDS)):
        if time.process_time() > deadline:
            break
        sql = attack_fuzz.mutated(source, corpus) if kind == "mutated" else attack_fuzz.grafted(source, trees)
        outcome = attacker.send(attacker.order(f"{kind}-{seed}-{number}", sql, ["fill"]), ["fill"])
        assert outcome.other is None, f"{sql}: {outcome.other!r}"
        if outcome.released is None:
            assert outcome.error is not None
            assert outcome.refused or outcome.error.code in ACCEPTED, f"{sql}: {outcome.error}"
            ended["refused" if outcome.refused else "failed"] += 1
        else:
            assert not _leaked(outcome.released, attacker.filled(sql)), sql
            ended["released"] += 1
    assert ended.total() >= LEAST / len(SEEDS)
    assert ended["released"] >= 3, f"hardly any reaches the engine: {ended}"


def _oracle(attacker: Attacker, statement: attack_fuzz.Composed) -> list[tuple[object, ...]]:
    return attacker.raw.execute(statement.oracle).fetchall()


def _leaked(released: object, sql: str) -> list[str]:
    """Return the markers in a released table that the attacker did not write into the statement."""
    texts = cells(released)
    return [marker for marker in ward.MARKERS if marker not in sql and any(marker in text for text in texts)]
