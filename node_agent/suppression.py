"""Secondary suppression: no withheld cell may be worked out from the totals and the other cells that are released.

A table of counts with subtotals is a set of linear equations: every total is the sum of its parts. Whoever has the
released numbers knows of each withheld one only that it is not negative and that the equations hold, so what they can
learn is an interval, whose ends are two linear programs (Fischetti and Salazar, Management Science 47, 2001). Where an
interval is narrower than the threshold further cells are withheld, the smallest first, until none is. The programs are
solved by HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018).

Pure, but for the clock that bounds it: what cannot be settled in time is withheld altogether.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Cell = TypeVar("Cell", bound=Hashable)

MAX_SECONDS = 20.0
"""A cube of 10,000 cells, a tenth of them withheld, takes about a second."""
MAX_CELLS = 50_000


@dataclass(frozen=True, slots=True)
class Total(Generic[Cell]):
    """That one cell is the sum of others. All of them exist; what does not exist is 0 and stands in no sum."""

    cell: Cell
    parts: tuple[Cell, ...]


def withheld_more(
    cells: Mapping[Cell, int],
    withheld: Iterable[Cell],
    totals: Sequence[Total[Cell]],
    least_width: int,
    *,
    unknown: Iterable[Cell] = (),
    max_seconds: float = MAX_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> set[Cell]:
    """Return the cells that must be withheld beside those that are.

    ``cells`` has the size of each cell of the table, rows or persons, ``withheld`` are those that need protection:
    between the least and the most that each could be, given all that is released, must lie ``least_width``. Cells that
    are ``unknown`` to the reader without needing protection are in no release either.

    >>> table = {"total": 50, "a": 30, "b": 15, "c": 5}
    >>> sorted(withheld_more(table, ["c"], [Total("total", ("a", "b", "c"))], 11))
    ['b']
    """
    protected = set(withheld)
    hidden = protected | set(unknown)
    more: set[Cell] = set()
    deadline = clock() + max_seconds
    linked = {cell for total in totals for cell in (total.cell, *total.parts)}
    if not protected & linked:
        return more
    if len(linked) > MAX_CELLS:
        return _all_linked(linked, hidden)
    by_cell: dict[Cell, list[Total[Cell]]] = {}
    for total in totals:
        for cell in (total.cell, *total.parts):
            by_cell.setdefault(cell, []).append(total)
    suspects = protected & linked
    while suspects:
        unsafe: set[Cell] = set()
        for component, equations in _components(suspects, hidden | more, by_cell):
            found = _narrow(
                component & suspects, component, equations, cells, hidden | more, least_width, deadline, clock
            )
            if found is None:
                return _all_linked(linked, hidden)
            unsafe |= found
        next_ones = [_next(cell, cells, hidden | more, by_cell) for cell in unsafe]
        chosen = {cell for cell in next_ones if cell is not None}
        if unsafe and not chosen:
            return _all_linked(linked, hidden)
        more |= chosen
        suspects = unsafe
    return more


def _all_linked(linked: set[Cell], hidden: set[Cell]) -> set[Cell]:
    return linked - hidden


def _next(
    cell: Cell, cells: Mapping[Cell, int], hidden: set[Cell], by_cell: Mapping[Cell, list[Total[Cell]]]
) -> Cell | None:
    """Return the smallest released cell of the equations that ``cell`` stands in, or else of those that these touch."""
    seen, reach = {cell}, [cell]
    while reach:
        around = {other for one in reach for total in by_cell[one] for other in (total.cell, *total.parts)}
        shown = sorted((other for other in around - hidden), key=lambda other: (cells[other], repr(other)))
        if shown:
            return shown[0]
        reach = [other for other in around if other not in seen]
        seen |= around
    return None


def _components(
    suspects: set[Cell], hidden: set[Cell], by_cell: Mapping[Cell, list[Total[Cell]]]
) -> Iterable[tuple[set[Cell], list[Total[Cell]]]]:
    """Return sets of hidden cells that equations tie together, each with these equations."""
    left = set(suspects)
    while left:
        component: set[Cell] = set()
        equations: dict[int, Total[Cell]] = {}
        queue = [next(iter(left))]
        while queue:
            cell = queue.pop()
            if cell in component:
                continue
            component.add(cell)
            for total in by_cell.get(cell, ()):
                if id(total) not in equations:
                    equations[id(total)] = total
                    queue += [other for other in (total.cell, *total.parts) if other in hidden]
        left -= component
        yield component, list(equations.values())


def _narrow(
    suspects: set[Cell],
    component: set[Cell],
    equations: Sequence[Total[Cell]],
    cells: Mapping[Cell, int],
    hidden: set[Cell],
    least_width: int,
    deadline: float,
    clock: Callable[[], float],
) -> set[Cell] | None:
    """Return those of ``suspects`` whose interval is too narrow; None when that cannot be settled."""
    order = sorted(component, key=repr)
    place = {cell: number for number, cell in enumerate(order)}
    program = Program(len(order))
    for total in equations:
        signs: dict[int, float] = {}
        known = 0.0
        for cell, sign in ((total.cell, -1.0), *((part, 1.0) for part in total.parts)):
            if cell in hidden:
                signs[place[cell]] = signs.get(place[cell], 0.0) + sign
            else:
                known += sign * cells[cell]
        program.equation(signs, -known)
    # What any solution shows to be possible need not be asked again.
    least = [float(cells[cell]) for cell in order]
    most = list(least)
    narrow: set[Cell] = set()
    for cell in sorted(suspects, key=repr):
        number = place[cell]
        for direction in (-1, 1):
            if most[number] - least[number] >= least_width:
                break
            if clock() > deadline:
                return None
            solution = program.extreme([number], direction, max(deadline - clock(), 0.001))
            if solution is None:
                return None
            least = [min(a, b) for a, b in zip(least, solution, strict=True)]
            most = [max(a, b) for a, b in zip(most, solution, strict=True)]
        # Half a unit for what the solver rounds.
        if most[number] - least[number] < least_width - 0.5:
            narrow.add(cell)
    return narrow


class Program:
    """Numbers that are not negative under linear equations; finds the least or most that the sum of some can be."""

    _MOST = 1e9
    """Stands for no bound: more rows than any table here has."""

    def __init__(self, size: int) -> None:
        import highspy  # with numpy 0.2 s, and most statements have no totals
        import numpy as np

        # Its own constructor enables callbacks, which are not needed here, and writes a banner to the console.
        self._highs: Any = highspy.Highs.__new__(highspy.Highs)
        super(highspy.Highs, self._highs).__init__()
        self._status: Any = highspy.HighsModelStatus
        self._np: Any = np
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.addVars(size, np.zeros(size), np.full(size, self._MOST))
        self._size = size

    def equation(self, signs: Mapping[int, float], value: float) -> None:
        """Demand that a sum of numbers with signs has a value."""
        np = self._np
        entries = [(number, sign) for number, sign in signs.items() if sign]
        numbers = np.array([number for number, _ in entries], dtype=np.int32)
        weights = np.array([sign for _, sign in entries], dtype=np.float64)
        self._highs.addRow(value, value, len(entries), numbers, weights)

    def extreme(self, numbers: Sequence[int], direction: int, max_seconds: float) -> list[float] | None:
        """Return a solution in which a sum is least (-1) or most (1); None when there is no answer in time."""
        weights = self._np.zeros(self._size)
        weights[list(numbers)] = direction
        return self.most(weights, max_seconds)

    def most(self, weights: Any, max_seconds: float) -> list[float] | None:
        """Return a solution in which a weighted sum is most; None when there is no answer in time."""
        costs = -weights
        self._highs.changeColsCost(self._size, self._np.arange(self._size, dtype=self._np.int32), costs)
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max_seconds)
        self._highs.run()
        if self._highs.getModelStatus() != self._status.kOptimal:
            return None
        found = [float(value) for value in self._highs.getSolution().col_value]
        return found if all(map(math.isfinite, found)) else None
