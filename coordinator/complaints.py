"""What the engine says of a query that it does not take, as an error of the catalogue with its place in the SQL.

The engine that is asked is the shadow, which is empty: its texts hold names and types, never data.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

from archipel import errors

_NO_COLUMN = re.compile(r'(?:Table|Values list|Table function) "([^"]*)" does not have a column named "([^"]+)"')
_NO_USING = re.compile(r'Column "([^"]+)" does not exist on (left|right) side of join')
_NO_REFERENCED = re.compile(r'Referenced column "([^"]+)"')
_NO_FUNCTION = re.compile(r"Function with name \"?([^\s\"]+)\"? does not exist", re.IGNORECASE)
_AMBIGUOUS = re.compile(r'Ambiguous reference to column name "([^"]+)" \(use: (.*)\)')
_CHOICE = re.compile(r'"([^"]+)"')

MAX_TEXT = 160

_CAST = "Cast the argument to a type that the function takes, such as CAST(x AS DOUBLE)."


def explained(text: str, sql: str, prefix: int = 0) -> errors.ArchipelError:
    """Return the engine's complaint ``text`` about ``sql``, before which ``prefix`` bytes stood, as our own error."""
    kind, _, body = text.partition(": ")
    facts: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found = json.loads(body)
        facts = found if isinstance(found, dict) else {}
    message = str(facts.get("exception_message", body or text)).strip()
    place = _place(facts.get("position"), sql, prefix)
    return _named(message, place) or _typed(kind, message, place)


def _named(message: str, place: errors.Position | None) -> errors.ArchipelError | None:
    """Return the error of a name that is not there, or there twice."""
    function = _NO_FUNCTION.search(message)
    if function:
        text = f"There is no function '{function[1]}'."
        return errors.error(errors.SQL_UNKNOWN_FUNCTION, text, hint=_guess(message), position=place)
    column = _NO_COLUMN.search(message)
    if column:
        text = f"There is no column '{column[2]}' in '{column[1]}'."
        return errors.error(errors.SQL_UNKNOWN_COLUMN, text, hint=_guess(message), position=place)
    side = _NO_USING.search(message)
    if side:
        text = f"There is no column '{side[1]}' on the {side[2]} side of the join."
        return errors.error(errors.SQL_UNKNOWN_COLUMN, text, position=place)
    referenced = _NO_REFERENCED.search(message)
    if referenced:
        text = f"There is no column '{referenced[1]}' here."
        return errors.error(errors.SQL_UNKNOWN_COLUMN, text, hint=_guess(message), position=place)
    twice = _AMBIGUOUS.search(message)
    if twice:
        choices = _CHOICE.findall(twice[2])
        text = f"The column '{twice[1]}' is in more than one table here."
        hint = f"Write one of: {', '.join(choices)}." if choices else None
        return errors.error(errors.SQL_AMBIGUOUS_COLUMN, text, hint=hint, position=place)
    return None


def _typed(kind: str, message: str, place: errors.Position | None) -> errors.ArchipelError:
    first = message.splitlines()[0].strip() if message else "The engine refuses the query."
    if kind == "Parser Error" and not first.startswith("Max expression depth"):
        return errors.error(errors.SQL_SYNTAX, f"{_sentence(first)}", position=place)
    if kind == "Conversion Error":
        text = "A constant of the query cannot be converted to the type that it is cast to."
        return errors.error(errors.SQL_TYPE, text, position=place)
    if first.startswith("Max expression depth"):
        return errors.error(errors.SQL_TOO_LARGE, "The query holds an expression that is nested too deeply.")
    hint = ""
    if "must appear in the GROUP BY clause" in first:
        hint = "Group by the column, or aggregate it."
    elif "No function matches" in first:
        first, hint = first.removesuffix(" You might need to add explicit type casts."), _CAST
    elif "does not exist" in first:
        hint = _guess(message)
    return errors.error(errors.SQL_TYPE, _sentence(first), hint=hint, position=place)


def _sentence(text: str) -> str:
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."  # it may quote the rest of the SQL
    text = text.rstrip("!.")
    return f"{text[:1].upper()}{text[1:]}."


def _guess(message: str) -> str:
    """Return a hint from the names that the engine holds near."""
    _, found, near = message.partition("Did you mean ")
    if not found:
        _, found, near = message.partition("Candidate bindings:")
    names = _CHOICE.findall(near) if found else []
    return f"Did you mean '{names[0]}'?" if names else ""


def _place(offset: object, sql: str, prefix: int) -> errors.Position | None:
    """Return the line and column of a byte of the SQL, counted from 1."""
    if not isinstance(offset, str) or not offset.isdigit() or int(offset) < prefix:
        return None
    before = sql.encode()[: int(offset) - prefix].decode(errors="ignore")
    return errors.Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
