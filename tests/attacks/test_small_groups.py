"""Statements that may run but would show small groups: what is released is compared with a count over all rows."""

from __future__ import annotations

import attack_cases
import pytest
from attack_attempts import INPUTS, Attacker, Siege, SmallGroups, cells, marked

SMALL = attack_cases.small()
MASKED = attack_cases.masked()


OPEN: dict[str, str] = {}
"""Holes that are known and not closed yet: the identifiers of their cases, and why. Empty is the goal."""

Key = tuple[str, ...]


def large_enough(attacker: Attacker, case: SmallGroups) -> set[Key]:
    """Return the keys of the groups that may be released, computed without the border check."""
    cursor = attacker.raw.cursor()
    for name in case.inputs:
        cursor.register(name, INPUTS[name])
    rows = cursor.execute(case.oracle).fetchall()
    parts: dict[tuple[str, Key], list[float]] = {}
    for statement in case.adds:
        for *key, _, amount in cursor.execute(statement).fetchall():
            parts.setdefault((statement, tuple(str(value) for value in key)), []).append(float(amount))
    cursor.close()
    dominated = {key for (_, key), amounts in parts.items() if is_dominated(sorted(amounts, reverse=True))}
    allowed = {
        tuple(str(value) for value in row[: case.keys])
        for row in rows
        if row[case.keys] >= max(case.min_persons, case.degrees)
        and all(persons == 0 or persons >= case.min_persons for persons in row[case.keys + 1 :])
    }
    return allowed - dominated


def is_dominated(amounts: list[float]) -> bool:
    """Whether two persons make up more than nine tenths of a sum, or leave less than a tenth of the largest."""
    return sum(amounts[:2]) > 0.9 * sum(amounts) or sum(amounts[2:]) < 0.1 * amounts[0]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
def test_only_groups_with_enough_persons_are_released(
    case: SmallGroups, siege: Siege, request: pytest.FixtureRequest
) -> None:
    if case.id in OPEN:
        request.applymarker(pytest.mark.xfail(strict=True, reason=OPEN[case.id]))
    outcome = siege.outcomes[case.id]
    assert outcome.released is not None, f"{outcome.error or outcome.other!r}"
    released = outcome.released
    keys = {tuple(str(value) for value in row.values())[: case.keys] for row in released.to_pylist()}
    enough = large_enough(siege.attacker, case)
    if any(words in case.sql for words in ("ROLLUP", "CUBE", "GROUPING SETS")):
        assert keys <= enough
        assert keys & {key for key in enough if "None" in key}, "no total was released"
        assert_totals_give_nothing_away(siege.attacker, case, keys)
    else:
        assert keys == enough
    assert not marked(cells(released))


def assert_totals_give_nothing_away(attacker: Attacker, case: SmallGroups, released: set[Key]) -> None:
    """Demand that no released total has parts that are all released but for one, or for a few rows.

    The last output of such a case is a number of rows; none of its keys is NULL but in a total.
    """
    cursor = attacker.raw.cursor()
    sizes = {tuple(map(str, row[: case.keys])): row[-1] for row in cursor.execute(case.sql).fetchall()}
    cursor.close()
    for total in released:
        for place, value in enumerate(total):
            if value != "None":
                continue
            parts = [
                key
                for key in sizes
                if key[place] != "None" and all(key[i] == total[i] for i in _others(total, place) if i < 2)
            ]
            missing = [key for key in parts if key not in released]
            assert len(missing) != 1, f"{total} less its other parts is {missing[0]}"
            assert not missing or sum(sizes[key] for key in missing) >= 11


def _others(total: Key, place: int) -> list[int]:
    return [i for i in range(len(total)) if i != place]


@pytest.mark.parametrize("case", MASKED, ids=lambda case: case.id)
def test_one_person_s_part_is_not_released_under_a_mask(
    case: SmallGroups, siege: Siege, request: pytest.FixtureRequest
) -> None:
    if case.id in OPEN:
        request.applymarker(pytest.mark.xfail(strict=True, reason=OPEN[case.id]))
    outcome = siege.outcomes[case.id]
    assert outcome.other is None, repr(outcome.other)
    if outcome.released is None:
        assert outcome.refused, f"not refused but failed: {outcome.error}"
        return
    keys = {tuple(str(value) for value in row.values())[: case.keys] for row in outcome.released.to_pylist()}
    assert keys <= large_enough(siege.attacker, case)


def test_a_group_of_exactly_eleven_is_released(siege: Siege) -> None:
    released = siege.outcomes["small-count-rows"].released
    assert released is not None
    assert {row["region"]: row["x"] for row in released.to_pylist()} == {"Nord": 120, "Sud": 90, "Onze": 33}


@pytest.mark.parametrize("shape", ["", " GROUP BY illness", " GROUP BY ROLLUP (illness, stage)"])
def test_nobody_and_few_look_alike_where_the_holder_tells_no_counts(attacker: Attacker, shape: str) -> None:
    looks = []
    for number, illness in enumerate(("RARE-FIFTEEN", "of nobody")):
        sql = "SELECT count(*) AS n FROM registry WHERE illness = 'ILLNESS'".replace("ILLNESS", illness) + shape
        outcome = attacker.send(attacker.order(f"alike-{len(shape)}-{number}", sql))
        assert outcome.released is not None
        assert outcome.receipt is not None
        told = outcome.receipt.model_dump(include={"form", "rule", "min_persons", "bytes", "content_sha256", "groups"})
        looks.append((outcome.released, outcome.withheld, told))
    assert looks[0] == looks[1]
    assert looks[0][0].num_rows == 0
