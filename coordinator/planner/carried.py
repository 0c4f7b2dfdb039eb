"""Which types survive a border: what Arrow gives back as the value it was, and what must be cast on the other side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

from archipel import errors
from coordinator.plan import OutputColumn
from coordinator.planner import rewrite
from coordinator.planner.positions import position_of

_LOST = re.compile(r"\b(BIT|UHUGEINT|ENUM|BIGNUM|TIME WITH TIME ZONE)\b")
"""BIT and UHUGEINT come back as other values, ENUM in another order; the others do not come back at all."""

DescribeOne = Callable[[str, Mapping[str, tuple[OutputColumn, ...]]], tuple[OutputColumn, ...]]


def check_carried(tree: exp.Query, columns: tuple[OutputColumn, ...]) -> None:
    """Make sure that the outputs of a node stage can cross.

    Raises:
        ArchipelError: SQL_UNSUPPORTED with the place of the output.
    """
    for projection, column in zip(tree.selects, columns, strict=False):
        lost = _LOST.search(column.type)
        if lost is not None:
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                f"A value of type {lost[1]} cannot leave a node as it is.",
                hint="Cast it to VARCHAR first.",
                position=position_of(projection),
            )


def as_sent(name: str, columns: tuple[OutputColumn, ...], describe: DescribeOne) -> exp.Select | None:
    """Return a SELECT that gives the columns of an exchange the types that they had, or None if they have them.

    Arrow has no 128-bit integer, so HUGEINT arrives as DECIMAL(38,0), which divides and combines bits otherwise.
    """
    there = rewrite.table(name)
    outputs = [rewrite.column(name, c.name) for c in columns]
    found = describe(exp.select(*outputs).from_(there).sql("duckdb"), {name: columns})
    if all(f.type == c.type for f, c in zip(found, columns, strict=True)):
        return None
    typed = [
        rewrite.aliased(o if f.type == c.type else exp.cast(o, c.type, dialect="duckdb"), c.name)
        for o, f, c in zip(outputs, found, columns, strict=True)
    ]
    return exp.select(*typed).from_(there)
