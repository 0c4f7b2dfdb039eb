"""From text to a tree of known syntax, and from the checked tree back to text.

Sizes are bounded before the parser sees the text: its compiled code crashes on deep nesting instead of raising. The
rendered text is read again as a last wall: every word that calls a function must be a known name.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from archipel import aggregates, errors, functions
from archipel.border import effort, refusal, vocabulary
from archipel.border.refusal import refused
from archipel.border.vocabulary import Language

DIALECT = "duckdb"

# What sqlglot raises at malformed text: its own errors, and where its code was not prepared for it, any of these.
LIBRARY_ERRORS = (SqlglotError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)

MAX_CHARACTERS = 1_000_000
MAX_TOKENS = 100_000
# The parser takes about 13 Python frames a level, of 1000; people write about 10 levels.
MAX_NESTING = 50
MAX_PREFIXES = 40
# SELECTs and joins: analysing them takes quadratic time; 300 take 0.3 s.
MAX_SOURCES = 300
# Chains of AND and OR are deep trees, and every branch and call is analysed against the others' columns: what people
# and their tools write has a tenth of these.
MAX_CONNECTIVES = 800
MAX_BRANCHES = 500
MAX_CALLS = 500
# Subscripts in a row cost the parser quadratic time.
MAX_SUBSCRIPTS = 50

# sqlglot's warnings quote the SQL, literals included: they belong in no log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_WORDS_ONLY = re.compile(r"[A-Za-z][A-Za-z_ ]*")

_QUERY_STARTS = frozenset(
    (TokenType.SELECT, TokenType.WITH, TokenType.FROM, TokenType.L_PAREN, TokenType.VALUES, TokenType.TABLE)
)


def parse(sql: str) -> exp.Expr:
    """Return the tree of one query whose every node is known syntax.

    Raises:
        ArchipelError: SQL_TOO_LARGE, SQL_SYNTAX, SQL_NOT_A_QUERY, SQL_UNSUPPORTED, SQL_UNKNOWN_FUNCTION, SQL_PARAMETER.
    """
    if len(sql) > MAX_CHARACTERS:
        raise refused(refusal.TOO_LARGE)
    try:
        sql.encode()
    except UnicodeEncodeError:  # a lone surrogate: text that no engine could be sent
        raise refused(refusal.SYNTAX) from None
    try:
        tokens = sqlglot.tokenize(sql, read=DIALECT)
    except LIBRARY_ERRORS:
        raise refused(refusal.SYNTAX) from None
    bound_size(tokens)
    if not tokens or tokens[0].token_type not in _QUERY_STARTS:
        raise refused(refusal.NOT_A_QUERY if tokens else refusal.SYNTAX)
    try:
        statements = sqlglot.Dialect.get_or_raise(DIALECT).parser().parse(tokens, sql)
    except RecursionError:
        raise refused(refusal.TOO_LARGE) from None
    except LIBRARY_ERRORS:
        raise refused(refusal.SYNTAX) from None
    found = [statement for statement in statements if statement is not None]
    if len(found) != 1 or not isinstance(found[0], exp.Query | exp.Values):
        raise refused(refusal.NOT_A_QUERY)
    tree: exp.Expr = found[0]
    check_syntax(tree)
    effort.without_copies(tree)
    if effort.most_joins(tree) > effort.MAX_JOINS or effort.most_levels(tree) > effort.MAX_LEVELS:
        raise refused(refusal.TOO_LARGE)
    return tree


def bound_size(tokens: list[Token]) -> None:
    """Refuse what is too long or nests too deeply to be parsed and walked safely."""
    if len(tokens) > MAX_TOKENS:
        raise refused(refusal.TOO_LARGE)
    if sum(len(token.text) for token in tokens) > MAX_CHARACTERS:
        raise refused(refusal.TOO_LARGE)
    depth = prefixes = subscripts = sources = connectives = branches = calls = 0
    previous = None
    for token in tokens:
        kind = token.token_type
        connectives += kind in (TokenType.AND, TokenType.OR)
        branches += kind is TokenType.WHEN
        calls += kind is TokenType.L_PAREN and previous in (TokenType.VAR, TokenType.IDENTIFIER)
        if kind in vocabulary.OPENING:
            depth += 1
            if kind is TokenType.L_BRACKET and previous is TokenType.R_BRACKET:
                subscripts += 1
        elif kind in vocabulary.CLOSING:
            depth -= 1
        sources += kind in (TokenType.SELECT, TokenType.JOIN, TokenType.FROM)
        prefixes = 0 if kind in vocabulary.OPERANDS else prefixes + 1
        if (
            depth > MAX_NESTING
            or prefixes > MAX_PREFIXES + 2 * MAX_NESTING
            or subscripts > MAX_SUBSCRIPTS
            or sources > 2 * MAX_SOURCES
            or connectives > MAX_CONNECTIVES
            or branches > MAX_BRANCHES
            or calls > MAX_CALLS
        ):
            raise refused(refusal.TOO_LARGE)
        previous = kind


def check_syntax(tree: exp.Expr, language: Language = vocabulary.NODE) -> None:
    """Refuse every node that is not on the language's allow-list, and every part of a node that is not."""
    for node in tree.walk():
        kind = type(node)
        if kind not in language.allowed:
            raise _unknown(node, language)
        parts = language.structure.get(kind)
        if parts is not None:
            for name, value in node.args.items():
                if value and name not in parts:
                    raise _construct(node, f"{_words(node)} with {name.rstrip('_')}", language)
        _check_node(node, language)


def _construct(node: exp.Expr, words: str, language: Language) -> errors.ArchipelError:
    return refused(refusal.CONSTRUCT, node, words, where=language.where)


def _check_node(node: exp.Expr, language: Language) -> None:
    if isinstance(node, exp.Anonymous):
        check_function(node, node.name, language)
    elif isinstance(node, exp.Select):
        if not node.expressions:
            raise refused(refusal.SYNTAX)
    elif isinstance(node, exp.DataType):
        if node.this not in language.types:
            raise refused(refusal.TYPE, node, node.sql(DIALECT))
    elif isinstance(node, exp.Join):
        if str(node.args.get("kind") or "").upper() not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"):
            raise _construct(node, f"{node.args['kind']} JOIN", language)
        if str(node.args.get("method") or "").upper() not in ("", *language.join_methods):
            raise _construct(node, f"{node.args['method']} JOIN", language)
    elif isinstance(node, exp.Identifier):
        if not isinstance(node.this, str) or "\x00" in node.this:
            raise refused(refusal.SYNTAX)
    elif isinstance(node, exp.Table):
        if not isinstance(node.this, exp.Identifier | exp.GenerateSeries):
            raise _construct(node, "a table function", language)
        if node.args.get("db") or node.args.get("catalog"):
            raise refused(refusal.QUALIFIED_TABLE, node, node.name)
    elif isinstance(node, exp.GenerateSeries | exp.Unnest):
        if not language.nested and not isinstance(node.parent, exp.Table | exp.From | exp.Join):
            raise refused(refusal.FUNCTION, node, _called(node), where=language.where)
    elif isinstance(node, exp.Var):
        if not _WORDS_ONLY.fullmatch(node.name):
            raise _construct(node, "in this form", language)
    elif isinstance(node, exp.Literal | exp.RawString) and (not isinstance(node.this, str) or "\x00" in node.this):
        raise refused(refusal.SYNTAX)


def check_function(node: exp.Expr, name: str, language: Language = vocabulary.NODE) -> None:
    """Refuse a function that is called by name and is in no registry."""
    folded = name.lower()
    if not (folded in language.functions or functions.is_window(folded) or folded in aggregates.REGISTRY):
        raise refused(refusal.FUNCTION, node, name, where=language.where)
    least = functions.LEAST_ARGUMENTS.get(folded, 0)
    if len(node.expressions) < least:
        raise refused(refusal.CLOCK, node, name)


def _unknown(node: exp.Expr, language: Language) -> Exception:
    if isinstance(node, exp.Placeholder | exp.Parameter):
        return refused(refusal.PARAMETER, node)
    if isinstance(node, exp.TableColumn):
        return _construct(node, "a whole row as a value", language)
    if isinstance(node, exp.Func):
        return refused(refusal.FUNCTION, node, _called(node), where=language.where)
    return _construct(node, _words(node), language)


def _called(node: exp.Func) -> str:
    with contextlib.suppress(*LIBRARY_ERRORS, RecursionError):
        text = node.sql(DIALECT).partition("(")[0].lower()
        if text.isidentifier():
            return text
    return type(node).__name__


def _words(node: exp.Expr) -> str:
    """Return how a construct is called in SQL, as well as its class tells: ``TableSample`` is TABLE SAMPLE."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


_CATCHING = replace(vocabulary.NODE, allowed=vocabulary.NODE.allowed | {exp.Try})
"""With TRY, which only this package writes: it would let a statement choose rows by whether they fail."""


def render(tree: exp.Expr, *, catching: bool = False) -> str:
    """Return the tree as DuckDB's SQL, every identifier quoted, without comments, after reading it once more.

    With ``catching`` it may have TRY, which the tree as it was asked never has.

    Raises:
        ArchipelError: SQL_UNSUPPORTED or SQL_UNKNOWN_FUNCTION when the text would hold what the tree did not show.
    """
    try:
        sql = tree.sql(dialect=DIALECT, identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except RecursionError:
        raise refused(refusal.TOO_LARGE) from None
    except LIBRARY_ERRORS:
        raise refused(refusal.CONSTRUCT, None, "in this form") from None
    tokens = sqlglot.tokenize(sql, read=DIALECT)
    _check_calls(tokens, catching=catching)
    _read_again(tokens, sql, _CATCHING if catching else vocabulary.NODE)
    return sql


def _read_again(tokens: list[Token], sql: str, language: Language) -> None:
    """Refuse text that reads as anything but one query of known syntax, or names a column without its source."""
    try:
        statements = sqlglot.Dialect.get_or_raise(DIALECT).parser().parse(tokens, sql)
    except (*LIBRARY_ERRORS, RecursionError):
        raise refused(refusal.CONSTRUCT, None, "in this form") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query | exp.Values):
        raise refused(refusal.NOT_A_QUERY)
    check_syntax(statements[0], language)
    for column in statements[0].find_all(exp.Column):
        if not column.table and not isinstance(column.parent, exp.Ordered):
            raise refused(refusal.CONSTRUCT, None, "in this form")


def text_of(tree: exp.Expr) -> str:
    """Return the SQL that a tree stands for, unchecked."""
    try:
        return tree.sql(dialect=DIALECT, identify=True, comments=False)
    except RecursionError:
        raise refused(refusal.TOO_LARGE) from None
    except LIBRARY_ERRORS:
        raise refused(refusal.CONSTRUCT, None, "in this form") from None


def _check_calls(tokens: list[Token], *, catching: bool = False) -> None:
    for word, following in itertools.pairwise(tokens):
        if word.token_type is TokenType.SEMICOLON:
            raise refused(refusal.NOT_A_QUERY)
        if word.token_type is TokenType.VAR and following.token_type is not TokenType.L_PAREN:
            if word.text.lower() not in vocabulary.BARE_WORDS:
                raise refused(refusal.CONSTRUCT, None, "in this form")
            continue
        if following.token_type is not TokenType.L_PAREN or word.token_type is TokenType.IDENTIFIER:
            continue
        name = word.text.lower()
        if not name.isidentifier():
            continue
        if not (
            (catching and name == "try")
            or name in vocabulary.GRAMMAR_WORDS
            or name in functions.TABLE
            or functions.is_scalar(name)
            or functions.is_window(name)
            or name in aggregates.REGISTRY
            or name in vocabulary.AGGREGATE_SPELLINGS
        ):
            raise refused(refusal.FUNCTION, None, name)
