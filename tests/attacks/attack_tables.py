"""Random tables, random questions about them, and an attacker who solves for what was withheld.

The attacker is independent of the node's code: they know which cells of a table there are, have every answer that their
permit got, and ask a solver for the least and the most that each cell or withheld group could have.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
import pyarrow as pa

Cell = tuple[int, int, int]
Key = tuple[Hashable, ...]

MINIMUM = 11


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL, and the same for a cell."""

    sql: str
    holds: Callable[[Cell], bool]


@dataclass(frozen=True, slots=True)
class GroupKey:
    """A group key in SQL, and the same for a cell."""

    sql: str
    of: Callable[[Cell], Hashable]


CONDITIONS = (
    *(Condition(f"a = {v}", lambda cell, v=v: cell[0] == v) for v in range(3)),
    *(Condition(f"b <> {v}", lambda cell, v=v: cell[1] != v) for v in range(3)),
    *(Condition(f"NOT (a = {v})", lambda cell, v=v: cell[0] != v) for v in range(3)),
    *(Condition(f"a IN {pair}", lambda cell, pair=pair: cell[0] in pair) for pair in ((0, 1), (1, 2), (0, 2))),
    Condition("b NOT IN (1, 2)", lambda cell: cell[1] not in (1, 2)),
    Condition("c < 1 OR a = 1", lambda cell: cell[2] < 1 or cell[0] == 1),
    Condition("c = 0", lambda cell: cell[2] == 0),
)
KEYS = (
    GroupKey("a", lambda cell: cell[0]),
    GroupKey("b", lambda cell: cell[1]),
    GroupKey("c", lambda cell: cell[2]),
    GroupKey("a // 2", lambda cell: cell[0] // 2),
    GroupKey("b = 0", lambda cell: cell[1] == 0),
)
BY_A, BY_B, BY_AB, BY_BIN = (KEYS[0],), (KEYS[1],), (KEYS[0], KEYS[1]), (KEYS[3],)
COUNTS = ("count(*)", "sum(1)", "count(DISTINCT person)", "count(person)")
FORMS = (
    "SELECT {outputs} FROM {table} WHERE {where}{group}",
    "SELECT {outputs} FROM (SELECT a, b, c, person FROM {table} AS inner_one) AS x WHERE {where}{group}",
    "WITH chosen AS (SELECT * FROM {table} WHERE {where}) SELECT {outputs} FROM chosen AS y{group}",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a table: keys, conditions, the groupings by places of keys, and perhaps a FILTER."""

    keys: tuple[GroupKey, ...] = ()
    conditions: tuple[Condition, ...] = ()
    groupings: tuple[tuple[int, ...], ...] = ()
    count: str = "count(*)"
    form: int = 0
    flag: Condition | None = None

    @property
    def sets(self) -> tuple[tuple[int, ...], ...]:
        """The groupings; by all keys where none is given."""
        return self.groupings or (tuple(range(len(self.keys))),)

    def sql(self, table: str) -> str:
        """Return the statement."""
        outputs = [f"{key.sql} AS k{place}" for place, key in enumerate(self.keys)]
        if len(self.sets) > 1:
            outputs += [f"grouping({key.sql}) AS g{place}" for place, key in enumerate(self.keys)]
        outputs.append(f"{self.count} AS n")
        if self.flag is not None:
            outputs.append(f"count(*) FILTER (WHERE {self.flag.sql}) AS f")
        names = ["(" + ", ".join(self.keys[place].sql for place in chosen) + ")" for chosen in self.sets]
        group = f" GROUP BY GROUPING SETS ({', '.join(names)})" if len(names) > 1 else f" GROUP BY {names[0]}"
        where = " AND ".join(f"({condition.sql})" for condition in self.conditions) or "TRUE"
        return FORMS[self.form].format(
            outputs=", ".join(outputs), table=table, where=where, group=group if self.keys else ""
        )

    def groups(self, cells: Iterable[Cell]) -> dict[tuple[tuple[int, ...], Key], frozenset[Cell]]:
        """Return the cells of each group that there is."""
        found: dict[tuple[tuple[int, ...], Key], set[Cell]] = {}
        for cell in cells:
            if all(condition.holds(cell) for condition in self.conditions):
                for chosen in self.sets:
                    key = tuple(self.keys[place].of(cell) for place in chosen)
                    found.setdefault((chosen, key), set()).add(cell)
        return {group: frozenset(those) for group, those in found.items()}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A table by the persons of each of its cells, of whom each has as many rows, and the questions about it."""

    table: str
    persons: Mapping[Cell, int]
    rows: int
    questions: tuple[Question, ...]

    def content(self, first: int) -> pa.Table:
        """Return the rows; persons are numbered from ``first``."""
        cells = [cell for cell, number in self.persons.items() for _ in range(number) for _ in range(self.rows)]
        return pa.table(
            {
                "person": [first + row // self.rows for row in range(len(cells))],
                **{name: pa.array([cell[place] for cell in cells], pa.int32()) for place, name in enumerate("abc")},
            }
        )


def scenario(seed: int) -> Scenario:
    """Return a table of two or three dimensions, a fifth of its cells small, and three to six questions about it."""
    chance = random.Random(seed)
    depth = chance.choice((1, 1, 2))
    persons = {
        cell: chance.choice(
            (0, chance.randint(1, 10), chance.randint(1, 10), *(chance.randint(11, 30) for _ in range(3)))
        )
        for cell in itertools.product(range(3), range(chance.choice((3, 4))), range(depth))
    }
    rows = chance.choice((1, 1, 2))
    questions = tuple(_question(chance, depth, rows) for _ in range(chance.randint(3, 6)))
    return Scenario(f"t{seed}", {cell: n for cell, n in persons.items() if n}, rows, questions)


def _question(chance: random.Random, depth: int, rows: int) -> Question:
    usable = [key for key in KEYS if depth > 1 or key.sql != "c"]
    keys = tuple(chance.sample(usable, chance.choice((0, 1, 1, 2, 2))))
    whole = tuple(range(len(keys)))
    groupings: Sequence[tuple[int, ...]] = [whole]
    if keys and chance.random() < 0.2:
        groupings = [tuple(k for k in whole if number >> k & 1) for number in range(1 << len(keys))]
    return Question(
        keys=keys,
        conditions=tuple(chance.sample(CONDITIONS, chance.choice((0, 0, 0, 1, 1, 2)))),
        groupings=tuple(groupings),
        count=chance.choice(COUNTS if rows == 1 else COUNTS[:2]),
        form=chance.randrange(len(FORMS)),
        flag=chance.choice((None, None, None, None, CONDITIONS[0], CONDITIONS[3])),
    )


@dataclass(slots=True)
class Solver:
    """All that an attacker was told of a scenario, as sums over its cells, and what follows from it."""

    scenario: Scenario
    told: dict[frozenset[Cell], int] = field(default_factory=dict)
    hidden: set[frozenset[Cell]] = field(default_factory=set)

    def learn(self, question: Question, answer: pa.Table) -> None:
        """Take an answer in: what it tells of released groups, and which groups it withheld."""
        groups = question.groups(self.scenario.persons)
        told = set()
        for row in answer.to_pylist():
            chosen = tuple(place for place in range(len(question.keys)) if not row.get(f"g{place}"))
            group = (chosen, tuple(row[f"k{place}"] for place in chosen))
            told.add(group)
            self.told[groups[group]] = int(row["n"])
            if question.flag is not None:
                some = frozenset(cell for cell in groups[group] if question.flag.holds(cell))
                if some:
                    self.told[some] = int(row["f"])
        self.hidden |= {cells for group, cells in groups.items() if group not in told}

    def narrow(self) -> list[tuple[frozenset[Cell], float, float]]:
        """Return small cells and withheld groups that are known better than they may be, with what is known."""
        few = {frozenset([cell]) for cell, number in self.scenario.persons.items() if number < MINIMUM}
        small = {cells for cells in self.hidden | few if sum(self.scenario.persons[cell] for cell in cells) < MINIMUM}
        cells = sorted(self.scenario.persons)
        matrix = np.array([[cell in told for cell in cells] for told in self.told], float).reshape(-1, len(cells))
        values = np.array(list(self.told.values()), float)
        found = []
        for wanted in sorted(small, key=sorted):
            costs = np.array([cell in wanted for cell in cells], float)
            least, most = (_extreme(matrix, values, costs, direction) for direction in (1, -1))
            if most - least < MINIMUM - 0.01:
                found.append((wanted, least, most))
        return found


def _extreme(matrix: np.ndarray, values: np.ndarray, costs: np.ndarray, direction: int) -> float:
    """Return the least (1) or the most (-1) that a weighted sum of numbers that are not negative can be."""
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(costs), len(values)
    model.col_cost_ = costs * direction
    model.col_lower_, model.col_upper_ = np.zeros(len(costs)), np.full(len(costs), 10_000.0)
    model.row_lower_ = model.row_upper_ = values
    rows, columns = np.nonzero(matrix)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.searchsorted(rows, np.arange(len(values) + 1))
    model.a_matrix_.index_, model.a_matrix_.value_ = columns, matrix[rows, columns]
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(model)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal, "what was told contradicts itself"
    return float(solver.getInfo().objective_function_value) * direction
