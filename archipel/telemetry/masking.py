"""SQL without its literals, for spans.

Literals of medical queries are data: diagnosis codes, birth dates, identifiers. So the text is masked token by
token rather than from the tree, in which a JSON path or a struct key is no literal any more; and what does not parse is
not shown at all. Comments go too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archipel.telemetry.names import Attribute
from archipel.telemetry.runtime import active

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token

UNPARSABLE = "(unparsable SQL)"
"""What stands in the place of SQL that does not parse as a query."""

MAX_CHARS = 8_192
"""Longer masked text is cut: collectors commonly refuse attributes of more than some tens of kilobytes."""

_IN_LIST = re.compile(r"\bIN\s*\(\s*\?(?:\s*,\s*\?)+\s*\)", re.IGNORECASE)
_LITERAL_START = re.compile(r"['0-9$@]|\w+'|\.[0-9]")


def mask_sql(sql: str, dialect: str = "duckdb") -> str:
    """Return ``sql`` with every literal replaced by ``?``; ``UNPARSABLE`` when it does not parse as a query.

    Lists after IN become one ``?``, since how many values there are tells about them and makes texts alike.

    >>> mask_sql("SELECT count(*) FROM stays WHERE diagnosis IN ('E10', 'E11') AND age > 17 -- diabetes")
    'SELECT count(*) FROM stays WHERE diagnosis IN (?) AND age > ?'
    """
    import sqlglot
    from sqlglot import exp

    try:
        trees = sqlglot.parse(sql, read=dialect)
        tokens = sqlglot.tokenize(sql, read=dialect)
    except (sqlglot.errors.SqlglotError, ValueError, RecursionError):
        return UNPARSABLE
    if not trees or not all(isinstance(tree, exp.Query) for tree in trees):
        return UNPARSABLE  # what is no query was not understood: `INSTALL x` parses as a column with an alias
    masked = _IN_LIST.sub("IN (?)", "".join(_masked(sql, tokens)))
    return masked if len(masked) <= MAX_CHARS else masked[:MAX_CHARS] + "…"


def _masked(sql: str, tokens: list[Token]) -> list[str]:
    """Return the pieces of the masked text: tokens and the gaps between them, each gap one space."""
    from sqlglot.tokenizer_core import TokenType

    pieces: list[str] = []
    end = -1
    after_literal = False
    for token in tokens:
        touches = token.start == end + 1
        text = sql[token.start : token.end + 1]
        literal = (
            token.token_type is TokenType.NUMBER
            or token.token_type.name.endswith("_STRING")
            or token.token_type is TokenType.STRING
            or _LITERAL_START.match(text) is not None
        )
        # `0x1F` and `x'ab'` come as two tokens in some dialects: what touches a literal belongs to it.
        if after_literal and touches and (literal or token.token_type is TokenType.VAR):
            end = token.end
            continue
        if pieces and not touches:
            pieces.append(" ")
        pieces.append("?" if literal else text)
        after_literal = literal
        end = token.end
    return pieces


def query_attributes(
    sql: str, *, summary: str, dialect: str = "duckdb", system: str = "duckdb"
) -> dict[Attribute, str | int | float | bool]:
    """Return the stable database attributes of a statement; empty, without parsing, when telemetry is off.

    ``summary`` is the operation and the tables (``SELECT stays``), without any value.
    """
    if active() is None:
        return {}
    return {
        Attribute.DB_SYSTEM_NAME: system,
        Attribute.DB_OPERATION_NAME: summary.split(" ", 1)[0],
        Attribute.DB_QUERY_SUMMARY: summary,
        Attribute.DB_QUERY_TEXT: mask_sql(sql, dialect),
    }
