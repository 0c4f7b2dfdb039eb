"""Which of several problems to tell: every closed way of cutting a query has one, and the researcher sees one."""

from __future__ import annotations

from archipel import errors
from archipel.border import refusal
from coordinator.planner import means
from coordinator.planner.placement import Mixed
from coordinator.planner.positions import position_of

HINT = "Join on a site key or on reference tables, aggregate each side first in a WITH part, or ask one node at a time."

_YET = "This cannot be answered yet. "

_END = frozenset({errors.INTERNAL.name, errors.SQL_TOO_LARGE.name, errors.SCHEMA_CONFLICT.name})
"""Errors that end planning; any other closes one way, and the next is tried."""

_OURS = frozenset(
    code.name
    for code in (
        errors.SQL_TYPE,
        errors.SQL_SYNTAX,
        errors.SQL_UNKNOWN_COLUMN,
        errors.SQL_UNKNOWN_TABLE,
        errors.SQL_AMBIGUOUS_COLUMN,
    )
)
"""What is wrong with a stage that we made of a query that is right: the researcher is told that it cannot be cut."""


def closes_way(problem: errors.ArchipelError) -> bool:
    """Whether another way may still be open after ``problem``."""
    return problem.code not in _END


def is_of_border(problem: errors.ArchipelError) -> bool:
    """Whether a holder's policy, or the border check, closed a way."""
    return problem.code in {errors.BORDER_REFUSED.name, errors.POLICY_REFUSED.name}


def why_not(problems: list[errors.ArchipelError]) -> str:
    """Return the reason of the first of the ways' problems, for EXPLAIN."""
    return to_tell(problems).info.message.removeprefix(_YET).strip()


def unsupported(mixed: Mixed) -> errors.ArchipelError:
    """Return why a block cannot be cut, as the researcher is told."""
    return errors.error(
        errors.SQL_UNSUPPORTED,
        f"{_YET}{mixed.reason}",
        hint=mixed.hint or HINT,
        position=position_of(mixed.node),
    )


def to_tell(problems: list[errors.ArchipelError]) -> errors.ArchipelError:
    """Return the one of the ways' problems, in their order, that helps most: keys, where nothing else is missing.

    A condition that a holder wants said closes every way alike, and can be added.
    """
    for rules in ({refusal.ROWS_WHERE.name}, means.RULES):
        first = next((problem for problem in problems if problem.rule in rules), None)
        if first is not None:
            return first
    told = [problem for problem in problems if problem.code not in _OURS]
    if told:
        return told[0]
    return errors.error(
        errors.SQL_UNSUPPORTED,
        f"{_YET}The query cannot be split over the nodes in this form.",
        hint=HINT,
    )
