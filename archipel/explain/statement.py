"""``EXPLAIN`` before a query, in the researcher's own text: what is asked, and the query without it.

Read by the client, which knows no SQL: comments, the word, its options. What follows is the query, whatever it is, and
it stays at its line and column, so that errors point at the right place.

    EXPLAIN SELECT ...
    EXPLAIN ANALYZE SELECT ...
    EXPLAIN (ANALYZE, FORMAT svg) SELECT ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from archipel import errors

PlanForm = Literal["text", "json", "svg"]

_SKIP = r"(?>\s+|--[^\n]*|/\*.*?\*/)*+"
"""Blanks and comments. Atomic: a comment that was read is never read another way, however many there are."""
_HEAD = re.compile(rf"{_SKIP}EXPLAIN(?![\w$])", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(rf"{_SKIP}ANALY[ZS]E(?![\w$])", re.IGNORECASE | re.DOTALL)
_OPTIONS = re.compile(rf"{_SKIP}\(\s*((?:ANALY[ZS]E|FORMAT)(?![\w$])[^()]*)\)", re.IGNORECASE | re.DOTALL)

_ON, _OFF = frozenset({"", "true", "on", "1"}), frozenset({"false", "off", "0"})


@dataclass(frozen=True, slots=True)
class ExplainStatement:
    """A query to be explained: ``sql`` is its text with blanks where ``EXPLAIN`` stood."""

    sql: str
    analyze: bool = False
    form: PlanForm = "text"


def explain_statement(sql: str) -> ExplainStatement | None:
    """Return what an ``EXPLAIN`` asks, or None for any other text.

    >>> explain_statement("EXPLAIN ANALYZE SELECT 1")
    ExplainStatement(sql='                SELECT 1', analyze=True, form='text')

    Raises:
        ProgrammingError: SQL_SYNTAX for an option that there is not.
    """
    head = _HEAD.match(sql)
    if head is None:
        return None
    end, analyze, form = head.end(), False, "text"
    options = _OPTIONS.match(sql, end)
    word = _WORD.match(sql, end)
    if options is not None:
        end = options.end()
        analyze, form = _options(options[1], _position(sql, options.start(1)))
    elif word is not None:
        end, analyze = word.end(), True
    blank = "".join(c if c in "\r\n" else " " for c in sql[:end])
    return ExplainStatement(blank + sql[end:], analyze, cast(PlanForm, form))


def _options(text: str, position: errors.Position) -> tuple[bool, str]:
    analyze, form = False, "text"
    for option in text.split(","):
        name, _, value = " ".join(option.split()).lower().partition(" ")
        if name in {"analyze", "analyse"} and value in _ON | _OFF:
            analyze = value in _ON
        elif name == "format" and value.strip("'") in get_args(PlanForm):
            form = value.strip("'")
        else:
            raise errors.error(
                errors.SQL_SYNTAX,
                "EXPLAIN has no such option.",
                hint="Its options are ANALYZE and FORMAT text, json or svg: EXPLAIN (ANALYZE, FORMAT json) SELECT ...",
                position=position,
            )
    return analyze, form


def _position(sql: str, offset: int) -> errors.Position:
    before = sql[:offset]
    return errors.Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
