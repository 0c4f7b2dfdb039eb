"""From the researcher's text to one DuckDB query tree, with parameters bound as literals in the tree."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from archipel import errors
from archipel.border import effort, parsing
from archipel.request import Parameter, Request
from coordinator.planner.dialects import to_duckdb

MAX_NODES = 200_000
"""Expressions in a statement, after common table expressions were put in their places."""


def parse(request: Request) -> exp.Query:
    """Return the tree of the one query in ``request``, in DuckDB's dialect.

    Raises:
        ArchipelError: SQL_SYNTAX with the place, SQL_NOT_A_QUERY, SQL_PARAMETER, SQL_UNSUPPORTED, SQL_TOO_LARGE.
    """
    try:
        tree = _one_query(request.sql, request.dialect)
        tree = _bind(tree, request.parameters)
        if request.dialect.lower() != "duckdb":
            tree = to_duckdb(tree, request.dialect.lower())
    except RecursionError as cause:
        raise errors.error(
            errors.SQL_TOO_LARGE, "The query is nested too deeply.", hint="Split it into WITH parts."
        ) from cause
    return tree


def _one_query(sql: str, dialect: str) -> exp.Query:
    try:
        reader = sqlglot.Dialect.get_or_raise(dialect)
    except ValueError as cause:
        known = ", ".join(sorted(name for name in sqlglot.Dialect.classes if name))
        raise errors.error(
            errors.BAD_REQUEST, f"There is no dialect '{dialect}'.", hint=f"Known dialects: {known}."
        ) from cause
    try:
        tokens = reader.tokenize(sql)
        parsing.bound_size(tokens)
        found = [t for t in reader.parser().parse(tokens, sql) if t is not None]
    except ParseError as cause:
        raise _syntax_error(cause) from None
    except TokenError:
        # The library's text quotes the SQL up to its end, with all values in it.
        raise errors.error(errors.SQL_SYNTAX, "A text, a quoted name or a comment does not end.") from None
    except parsing.LIBRARY_ERRORS:  # the parser's own faults at texts that no one writes on purpose
        raise errors.error(errors.SQL_SYNTAX, "The SQL cannot be read.") from None
    if dialect.lower() == "duckdb":
        _check_matching(found, tokens)
    if not found:
        raise errors.error(errors.SQL_NOT_A_QUERY, "The SQL is empty.")
    if len(found) > 1 or isinstance(found[0], exp.Block):
        raise errors.error(errors.SQL_NOT_A_QUERY, "The SQL holds more than one statement.")
    tree = found[0]
    while isinstance(tree, exp.Subquery) and not tree.args.get("alias") and isinstance(tree.this, exp.Query):
        if any(tree.args.get(k) for k in ("with_", "order", "limit", "offset", "joins", "pivots")):
            break
        tree = tree.this
    tree = _as_select(tree)
    if not isinstance(tree, exp.Select | exp.SetOperation):
        kind = type(tree).__name__.upper() if not isinstance(tree, exp.Command) else str(tree.this).upper()
        raise errors.error(errors.SQL_NOT_A_QUERY, f"This is no query but {kind}.")
    for node in tree.walk():
        node.comments = None  # what is written in them concerns nobody else
    effort.without_copies(tree)
    if tree.find(exp.Into):
        raise errors.error(errors.SQL_NOT_A_QUERY, "SELECT ... INTO writes; only queries are taken.")
    return tree


def _as_select(tree: exp.Expr) -> exp.Expr:
    """Return VALUES, PIVOT and UNPIVOT that stand alone as the SELECT of all that they give."""
    if isinstance(tree, exp.Values):
        tree.set("alias", exp.TableAlias(this=exp.to_identifier("valueslist")))
        return exp.select("*").from_(tree)
    if isinstance(tree, exp.Pivot):
        ctes = tree.args.get("with_")
        tree.set("with_", None)
        return exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Subquery(this=tree)), with_=ctes)
    return tree


def _check_matching(trees: list[exp.Expr], tokens: Sequence[Token]) -> None:
    """Make ``text ~ pattern`` the match of a whole text, as DuckDB does; the parser takes it for a partial one."""
    partial = [node for tree in trees for node in tree.find_all(exp.RegexpLike)]
    inverted = sum(1 for tree in trees for _ in tree.find_all(exp.BitwiseNot))
    operators = [token for token in tokens if token.token_type is TokenType.TILDE]
    written = len(operators) - inverted
    if written <= 0 or not partial:
        return
    if written != len(partial):
        token = operators[0]
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            "The operator ~ cannot stand in one query with regexp_matches.",
            hint="Write regexp_full_match(text, pattern) in its place.",
            position=errors.Position(token.line, token.col),
        )
    for node in partial:
        node.replace(exp.RegexpFullMatch(this=node.this, expression=node.expression))


_MISSING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*?(\w+)'>")


def _syntax_error(cause: ParseError) -> errors.ArchipelError:
    first = cause.errors[0] if cause.errors else {}
    near = str(first.get("highlight") or "").strip()
    description = str(first.get("description") or "The SQL cannot be parsed").rstrip(".")
    missing = _MISSING.match(description)
    if missing:
        description = f"Something is missing in {missing[1].upper()}"
    line, column = first.get("line"), first.get("col")
    place = None
    if isinstance(line, int) and isinstance(column, int):
        place = errors.Position(line, max(1, column - max(0, len(near) - 1)))
    text = f"{description} near '{near}'." if near else f"{description}."
    return errors.error(errors.SQL_SYNTAX, text, position=place)


def _bind(tree: exp.Query, parameters: list[Parameter] | dict[str, Parameter]) -> exp.Query:
    """Return the tree with every parameter replaced by its value as a literal."""
    used: set[str] = set()
    count = 0
    # Outermost order of the text: placeholders are numbered by where they stand.
    for mark in list(tree.find_all(exp.Placeholder, exp.Parameter, bfs=False)):
        name = _name_of(mark)
        if name is None or name.isdigit():
            index = count if name is None else int(name) - 1
            count += 1
            if not isinstance(parameters, list) or index >= len(parameters):
                raise errors.error(
                    errors.SQL_PARAMETER,
                    f"There is no value for parameter {index + 1}.",
                    hint="Give params as a list with one value for each '?'.",
                )
            used.add(str(index))
            value = parameters[index]
        else:
            if not isinstance(parameters, dict) or name not in parameters:
                raise errors.error(
                    errors.SQL_PARAMETER,
                    f"There is no value for parameter '${name}'.",
                    hint="Give params as a mapping with every name that the SQL uses.",
                )
            used.add(name)
            value = parameters[name]
        mark.replace(_literal(value))
    given = {str(i) for i in range(len(parameters))} if isinstance(parameters, list) else set(parameters)
    if given - used:
        left = ", ".join(sorted(given - used))
        raise errors.error(errors.SQL_PARAMETER, f"The SQL does not use the parameters: {left}.")
    return tree


def _name_of(mark: exp.Expr) -> str | None:
    this = mark.args.get("this")
    if this is None or this == "":
        return None
    return this.name if isinstance(this, exp.Expr) else str(this)


def _literal(value: Parameter) -> exp.Expr:
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, float):
        text = repr(value)
        if text in {"inf", "-inf", "nan"}:
            return exp.cast(exp.Literal.string(text), "DOUBLE")
        return exp.cast(exp.Literal.string(text), "DOUBLE")
    if isinstance(value, int):
        number = exp.Literal.number(abs(value))
        return exp.Paren(this=exp.Neg(this=number)) if value < 0 else number
    return exp.Literal.string(value)
