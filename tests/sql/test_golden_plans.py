"""Every golden case: the planner makes the plan, or gives the error, that stands in the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import golden
import hospital_world
import linked_world
import pytest
import spread_world
from comparing import difference, missing_from, rows_of
from outcomes import outcome
from planning import Federation, request

from coordinator.planner.parse import parse

FILES = sorted(Path(__file__).parent.glob("*.sql"))
CASES = [case for path in FILES for case in golden.read(path)]
PLANNED = [case for case in CASES if not case.path.stem.startswith("errors")]


WORLDS = {"exchanges": linked_world, "errors_exchanges": linked_world, "spread": spread_world}
"""Files whose cases are asked of another world than the hospitals', in which holders let rows go to each other."""

Federations = dict[ModuleType, Federation]


@pytest.fixture(scope="module")
def federations() -> Iterator[Federations]:
    with ExitStack() as opened:
        worlds = (hospital_world, linked_world, spread_world)
        yield {world: opened.enter_context(Federation(world.shards())) for world in worlds}


def _asked(federations: Federations, case: golden.Case) -> Federation:
    return federations[WORLDS.get(case.path.stem, hospital_world)]


@pytest.mark.skipif(not golden.UPDATE, reason="writes the golden files: only with ARCHIPEL_UPDATE_GOLDEN=1")
def test_golden_files_are_written_anew(federations: Federations) -> None:
    for path in FILES:
        golden.write(path, [(case, outcome(_asked(federations, case), case)) for case in golden.read(path)])


@pytest.mark.skipif(golden.UPDATE, reason="they are being written")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_plan_or_the_error_is_as_the_golden_file_says(federations: Federations, case: golden.Case) -> None:
    assert outcome(_asked(federations, case), case) == case.expected


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: case.name)
def test_the_answer_is_that_of_one_database_with_all_rows(federations: Federations, case: golden.Case) -> None:
    federation = _asked(federations, case)
    asked = request(case.sql, dialect=case.dialect, parameters=case.parameters)
    answer = federation.ask(asked)
    if case.oracle is not None or (case.dialect == "duckdb" and not asked.parameters):
        expected = federation.oracle(asked, sql=case.oracle)
    else:  # reading dialects and binding parameters is the parser's matter: the oracle gets what it made of them
        expected = federation.oracle(request(parse(asked).sql("duckdb")))
    if case.directives.get("answer") == "withheld":
        assert answer.withheld > 0
        assert not missing_from(rows_of(answer.table), rows_of(expected))
    else:
        assert answer.withheld == 0
        assert difference(answer.table, expected, case.sql, dialect=case.dialect) == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_errors_stand_in_files_of_errors_and_nowhere_else(case: golden.Case) -> None:
    is_plan = case.expected.startswith("Plan with")
    assert is_plan is not case.path.stem.startswith("errors")
