"""Other dialects than DuckDB's: what means the same is translated, what might not is refused at its place.

An allow-list. The parser's library translates words; that a word then means the same was looked up for what stands
here, by dialect, and nothing else passes. What is known to differ and can be written in DuckDB's terms is rewritten
before the translation: division, texts joined with NULL in Oracle, types whose bare name means another width.
"""

from __future__ import annotations

import re
from collections import defaultdict

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError

from archipel import errors
from coordinator.planner.positions import position_of

Classes = frozenset[type[exp.Expr]]


def _classes(names: str) -> Classes:
    return frozenset(getattr(exp, name) for name in names.split())


# Same name or same class, same meaning, in every dialect below.
_SAME = _classes(
    """
    And Or Xor Case If Coalesce Nullif Nvl2 DecodeCase Cast TryCast Count CountIf Sum Avg Min Max StddevPop
    StddevSamp VariancePop Corr CovarPop CovarSamp RegrCount RegrAvgx RegrAvgy RegrSxx RegrSyy RegrSxy RegrSlope
    RegrIntercept RegrR2 LogicalAnd LogicalOr BitwiseAndAgg BitwiseOrAgg AnyValue ArgMax ArgMin ApproxDistinct
    Median PercentileCont PercentileDisc GroupConcat Abs Ceil Floor Sqrt Exp Ln Log Sign Pow Round Sin Cos Tan
    Asin Acos Atan Atan2 Degrees Radians Pi Upper Lower Length Replace Reverse Trim Left Right Substring
    StrPosition StartsWith EndsWith Contains Concat Pad SplitPart Chr Ascii Year Month Day Hour Minute Second
    Quarter DayOfMonth DayOfYear Extract DateAdd DateSub DateDiff DateTrunc TimestampTrunc DateFromParts LastDay
    StrToDate StrToTime TimeToStr Date TsOrDsToDate TsOrDsToTimestamp TimeStrToTime TimeStrToDate SafeDivide
    IntDiv Mod Greatest Least RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue
    NthValue Exists Any Array Grouping GroupingId Interval
    """
)

_MORE: dict[str, Classes] = {
    "postgres": _classes("Stddev Variance ArrayAgg Mode Trunc RegexpLike RegexpILike BitwiseXor Explode ConcatWs"),
    "tsql": _classes("Stddev ConcatWs"),
    "oracle": _classes("AddMonths RegexpLike DateStrToDate"),
    "spark": _classes("Stddev Variance RegexpLike WeekOfYear TsOrDsAdd"),
    "snowflake": _classes("Stddev Variance AddMonths"),
    "bigquery": _classes("Stddev Variance RegexpLike RegexpReplace RegexpExtract ArrayAgg"),
    "mysql": _classes("Stddev Variance WeekOfYear Trunc"),
}

KNOWN = frozenset(_MORE)

_BY_NAME: dict[str, frozenset[str]] = {"postgres": frozenset(("age", "make_date"))}
"""Functions that the parser has no class for, and that DuckDB has under the same name."""

_TYPED_DIVISION = frozenset(("postgres", "tsql"))
_ROUNDS_AS_DUCKDB = frozenset(("postgres",))
_BARE_DECIMAL = {"bigquery": (38, 9), "mysql": (10, 0), "snowflake": (38, 0), "spark": (10, 0), "tsql": (18, 0)}
_NO_SEPARATOR = frozenset(("oracle", "snowflake", "spark"))
_FLOAT_IS_DOUBLE = frozenset(("postgres", "tsql", "snowflake", "oracle"))
_UNITS_OF_DIFFERENCE = {
    "tsql": frozenset(("DAY", "MONTH", "QUARTER", "YEAR")),
    "snowflake": frozenset(("DAY", "MONTH", "QUARTER", "YEAR")),
    "bigquery": frozenset(("DAY", "MONTH", "QUARTER", "YEAR")),
    "mysql": frozenset(("DAY",)),
    "spark": frozenset(("DAY",)),
}
_TRUNCATIONS = frozenset(("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"))
_PARTS = frozenset(("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "DOY", "DAYOFYEAR"))
_WHOLE_SECONDS = frozenset(("SECOND",))
_MORE_PARTS = {
    "postgres": frozenset(("DOW", "DAYOFWEEK", "ISODOW", "WEEK", "ISOYEAR", "EPOCH")),
    "spark": frozenset(("WEEK",)),
    "tsql": _WHOLE_SECONDS,
    "bigquery": _WHOLE_SECONDS,
    "mysql": _WHOLE_SECONDS,
    "snowflake": _WHOLE_SECONDS,
}
_MONDAYS = frozenset(("postgres", "spark"))
_FORMAT = frozenset("YmdHMSjyBb%")
_STRICT = re.compile(r"(%[A-Za-z])strict")
"""The parser's mark of a part of a format that must have all its digits, as DuckDB writes them."""
_WHOLE = frozenset((*exp.DataType.INTEGER_TYPES, exp.DType.INT128))
_WHOLE_VALUES = tuple(
    _classes(
        "Year Month Day Quarter Extract Length Count Round Floor Ceil Trunc Substring Left Right StrPosition SplitPart"
    )
)


def to_duckdb(tree: exp.Query, dialect: str) -> exp.Query:
    """Return the query in DuckDB's dialect, its names at the places that they have in the researcher's text.

    Raises:
        ArchipelError: SQL_UNSUPPORTED, with the place, for what has no equivalent or might have another meaning.
    """
    if dialect not in KNOWN:
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            f"Queries cannot be translated from '{dialect}' yet: which of its words mean the same is not known here.",
            hint=f"Dialects: duckdb, {', '.join(sorted(KNOWN))}.",
        )
    for node in tree.walk():
        _check(node, dialect)
    mended = _mended(tree.copy(), dialect)
    try:
        text = mended.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
        again = sqlglot.parse_one(text, read="duckdb")
    except UnsupportedError as cause:
        raise errors.error(
            errors.SQL_UNSUPPORTED, f"Something here has no equivalent outside of {dialect}: {_first_line(cause)}."
        ) from None
    except SqlglotError as cause:
        raise errors.error(
            errors.SQL_UNSUPPORTED, f"The query cannot be translated from {dialect}: {_first_line(cause)}."
        ) from None
    if not isinstance(again, exp.Select | exp.SetOperation):
        raise errors.error(errors.SQL_UNSUPPORTED, f"The query cannot be translated from {dialect}.")
    _place(again, tree)
    return again


def _first_line(cause: Exception) -> str:
    return str(cause).splitlines()[0].rstrip(".") if str(cause) else type(cause).__name__


def _place(translated: exp.Query, original: exp.Query) -> None:
    """Give names the places that they have in the original, as far as each stands there as often."""
    for node in translated.walk():
        node.meta.clear()  # positions in a text that the researcher never saw
    there: dict[str, list[exp.Identifier]] = defaultdict(list)
    here: dict[str, list[exp.Identifier]] = defaultdict(list)
    for found, tree in ((there, original), (here, translated)):
        for name in tree.find_all(exp.Identifier, bfs=False):
            found[name.name.lower()].append(name)
    for key, names in here.items():
        places = there.get(key, [])
        if len(places) == len(names) or len(places) == 1:
            for name, place in zip(names, places * len(names) if len(places) == 1 else places, strict=True):
                name.meta.update(place.meta)


def _differs(node: exp.Expr, reason: str, hint: str, *, place: exp.Expr | None = None) -> errors.ArchipelError:
    found: exp.Expr | None = place if place is not None else node
    while found is not None and position_of(found) is None:
        found = found.parent  # nothing in it carries a place: what it stands in does
    position = position_of(found) if found is not None else None
    return errors.error(errors.SQL_UNSUPPORTED, f"{reason}.", hint=hint, position=position)


def _called(node: exp.Expr, dialect: str) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.upper()
    try:
        text = node.sql(dialect).partition("(")[0].strip()
    except (SqlglotError, ValueError, AttributeError):
        text = ""
    return text if text.replace("_", "").isalnum() else type(node).__name__.upper()


_DUCKDB = "Write the query in DuckDB's dialect (dialect='duckdb')."


def _check(node: exp.Expr, dialect: str) -> None:
    """Refuse a part of the query that DuckDB has not, or that might mean something else there."""
    if isinstance(node, exp.Func) and not isinstance(node, exp.Connector):
        name = _called(node, dialect)
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in _BY_NAME.get(dialect, frozenset()):
                raise _differs(node, f"{name} of {dialect} has no equivalent that is known to mean the same", _DUCKDB)
        elif type(node) not in _SAME and type(node) not in _MORE[dialect]:
            raise _differs(node, f"{name} of {dialect} has no equivalent that is known to mean the same", _DUCKDB)
    for kinds, rule in _RULES:
        if isinstance(node, kinds):
            rule(node, dialect)


def _check_select(node: exp.Expr, dialect: str) -> None:
    for part, words in (("connect", "CONNECT BY"), ("laterals", "LATERAL VIEW"), ("into", "INTO"), ("hint", "A hint")):
        if node.args.get(part):
            raise _differs(node, f"{words} of {dialect} has no equivalent", "WITH RECURSIVE and unnest() say it.")
    limit = node.args.get("limit")
    options = limit.args.get("limit_options") if limit is not None else None
    if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
        raise _differs(
            node, "WITH TIES and PERCENT have no equivalent here", "QUALIFY rank() OVER (ORDER BY ...) <= n says it."
        )


def _check_lateral(node: exp.Expr, dialect: str) -> None:
    raise _differs(node, f"APPLY and LATERAL of {dialect} are not translated", _DUCKDB)


def _check_cast(node: exp.Expr, dialect: str) -> None:
    to, value = node.args["to"], node.this.unnest()
    if to.this in exp.DataType.TEXT_TYPES and to.expressions:
        raise _differs(
            node, "A cast to a text of limited length cuts it in this dialect, and not here", "Use LEFT(text, n)."
        )
    if to.this in (exp.DType.BIT, exp.DType.BINARY, exp.DType.VARBINARY):
        raise _differs(node, f"{to.sql(dialect)} of {dialect} is another type here", "Cast to BOOLEAN, or compare.")
    if to.this is exp.DType.DECIMAL and not to.expressions and dialect not in _BARE_DECIMAL:
        raise _differs(
            node, "A number type without digits holds any number in this dialect, and three decimals here",
            "Give its digits: NUMERIC(18, 4).",
        )  # fmt: skip
    if to.this in _WHOLE and dialect not in _ROUNDS_AS_DUCKDB:
        is_text = isinstance(value, exp.Cast) and value.args["to"].this in exp.DataType.TEXT_TYPES
        if not (is_text or isinstance(value, (exp.Literal, exp.Neg, *_WHOLE_VALUES))):
            raise _differs(
                node,
                f"A cast to a whole number cuts or rounds in {dialect} otherwise than here",
                "Say which: CAST(FLOOR(x) AS INT), CAST(ROUND(x) AS INT); cast a text column to text first.",
            )


def _check_average(node: exp.Expr, dialect: str) -> None:
    value = node.this.unnest() if isinstance(node.this, exp.Expr) else None
    precise = isinstance(value, exp.Cast) and value.args["to"].this not in _WHOLE
    if dialect == "tsql" and not (precise or _has_fraction(value)):
        raise _differs(
            node, "AVG of whole numbers is a whole number in tsql, and not here", "Write AVG(CAST(x AS FLOAT))."
        )


def _has_fraction(value: exp.Expr | None) -> bool:
    return value is not None and any(
        not literal.is_string and "." in literal.name for literal in value.find_all(exp.Literal)
    )


def _check_substring(node: exp.Expr, dialect: str) -> None:
    start, length = node.args.get("start"), node.args.get("length")
    if not _at_least(start, 1) or (length is not None and not _at_least(length, 0)):
        raise _differs(
            node,
            "SUBSTRING from before the first character, or of a negative length, means something else in every dialect",
            "Begin at a number from 1, or at a position plus 1; RIGHT(text, n) takes from the end.",
        )


def _at_least(value: exp.Expr | None, least: int) -> bool:
    """Whether a value is surely a number not below ``least`` (0 or 1)."""
    part = value.unnest() if value is not None else None
    if isinstance(part, exp.Literal):
        return not part.is_string and part.name.isdigit() and int(part.name) >= least
    if isinstance(part, exp.Add):
        sides = [(part.this, part.expression), (part.expression, part.this)]
        return any(_at_least(one, least) and _at_least(other, 0) for one, other in sides)
    return least == 0 and isinstance(part, exp.StrPosition | exp.Length)


def _check_ends(node: exp.Expr, dialect: str) -> None:
    if not _at_least(node.args.get("expression"), 0):
        raise _differs(node, "LEFT and RIGHT of a number that may be negative differ by dialect", "Give a number.")


def _check_position(node: exp.Expr, dialect: str) -> None:
    if node.args.get("occurrence") or (node.args.get("position") and not _at_least(node.args["position"], 1)):
        raise _differs(node, "A search from such a place differs by dialect", "Search from a number from 1 on.")


def _check_length(node: exp.Expr, dialect: str) -> None:
    if dialect == "mysql" and node.args.get("binary"):
        raise _differs(node, "LENGTH counts bytes in mysql, and characters here", "Use CHAR_LENGTH.")


def _unit_of(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return str(getattr(unit, "name", None) or unit or "DAY").upper().rstrip("S")


def _check_difference(node: exp.Expr, dialect: str) -> None:
    unit = _unit_of(node)
    if unit not in _UNITS_OF_DIFFERENCE.get(dialect, frozenset()):
        raise _differs(
            node,
            f"A difference in such units is counted otherwise in {dialect} than here",
            "Take the difference in days; date_diff() and date_sub() of DuckDB count others.",
        )


def _check_truncation(node: exp.Expr, dialect: str) -> None:
    unit = _unit_of(node)
    if unit not in _TRUNCATIONS and not (unit == "WEEK" and dialect in _MONDAYS):
        raise _differs(
            node, f"Such a unit begins on another day in {dialect} than here", "Weeks begin on Monday in DuckDB."
        )


def _check_part(node: exp.Expr, dialect: str) -> None:
    part = node.this.name.upper()
    if part not in _PARTS and part not in _MORE_PARTS.get(dialect, frozenset()):
        raise _differs(
            node,
            f"The part {part} of a date is numbered otherwise in {dialect} than here",
            "DuckDB has week (ISO), isodow and dayofweek (Sunday is 0).",
            place=node.expression,
        )


def _check_format(node: exp.Expr, dialect: str) -> None:
    given = node.args.get("format")
    if given is None:
        return
    text = _STRICT.sub(r"\1", given.name) if isinstance(given, exp.Literal) and given.is_string else None
    codes = text.split("%")[1:] if text is not None else []
    if text is None or any(code[:1] not in _FORMAT for code in codes) or any(c.isalpha() for c in _outside(text)):
        raise _differs(
            node,
            f"This format of {dialect} has parts without an equivalent here",
            "Year, month, day and time have one.",
        )


def _outside(text: str) -> str:
    """Return what of a format of strftime stands beside its codes."""
    first, *parts = text.split("%")
    return first + "".join(part[1:] for part in parts)


def _check_samples(node: exp.Expr, dialect: str) -> None:
    if dialect == "oracle":
        raise _differs(
            node, "STDDEV and VARIANCE of one row are 0 in oracle, and NULL here", "Use STDDEV_SAMP or VAR_SAMP."
        )


def _check_modulo(node: exp.Expr, dialect: str) -> None:
    if dialect == "oracle" and not _at_least(node.expression, 1):
        raise _differs(node, "MOD by zero gives the dividend in oracle, and NULL here", "Divide by a number.")


def _check_literal(node: exp.Expr, dialect: str) -> None:
    if dialect == "oracle" and node.args.get("is_string") and node.name == "":
        raise _differs(node, "The empty text is NULL in oracle, and not here", "Write NULL.")


def _check_addition(node: exp.Expr, dialect: str) -> None:
    sides = (node.this.unnest(), node.expression.unnest())
    texts = [s for s in sides if (isinstance(s, exp.Literal) and s.is_string) or _is_text(s)]
    if dialect == "tsql" and texts:
        raise _differs(node, "+ joins texts in tsql, and adds numbers here", "Use CONCAT(a, b).")


def _is_text(node: exp.Expr) -> bool:
    if isinstance(node, exp.Cast):
        return node.args["to"].this in exp.DataType.TEXT_TYPES
    return isinstance(node, exp.Upper | exp.Lower | exp.Trim | exp.Substring | exp.Left | exp.Right | exp.Concat)


def _check_division(node: exp.Expr, dialect: str) -> None:
    sides = [side.unnest() for side in (node.this, node.expression)]
    sums = [side for side in sides if isinstance(side, exp.Sum)]
    if dialect == "postgres" and sums and not any(isinstance(side, exp.Cast) for side in sides):
        raise _differs(
            node,
            "Whether a sum divides to a whole number depends in postgres on the width of what is summed",
            "Say which: SUM(x)::bigint / n, or SUM(x)::numeric(38, 4) / n.",
        )


def _check_parsing(node: exp.Expr, dialect: str) -> None:
    if dialect == "bigquery":
        raise _differs(node, "PARSE_DATE of bigquery has no equivalent that is known to mean the same", _DUCKDB)


def _check_pattern(node: exp.Expr, dialect: str) -> None:
    raise _differs(node, f"SIMILAR TO has other patterns in {dialect} than here", "Use LIKE or a regular expression.")


def _check_rounding(node: exp.Expr, dialect: str) -> None:
    if node.args.get("truncate"):
        raise _differs(node, "ROUND that cuts off has no equivalent here", "Use FLOOR.")


_RULES = (
    (exp.Select, _check_select),
    (exp.SetOperation, _check_select),
    (exp.Lateral, _check_lateral),
    (exp.Cast, _check_cast),
    (exp.Avg, _check_average),
    (exp.Substring, _check_substring),
    ((exp.Left, exp.Right), _check_ends),
    (exp.StrPosition, _check_position),
    (exp.Length, _check_length),
    (exp.DateDiff, _check_difference),
    ((exp.DateTrunc, exp.TimestampTrunc), _check_truncation),
    (exp.Extract, _check_part),
    ((exp.TimeToStr, exp.StrToDate, exp.StrToTime, exp.TsOrDsToDate), _check_format),
    ((exp.StrToDate, exp.StrToTime), _check_parsing),
    (exp.Div, _check_division),
    ((exp.Stddev, exp.Variance), _check_samples),
    (exp.Mod, _check_modulo),
    (exp.Literal, _check_literal),
    (exp.Add, _check_addition),
    (exp.SimilarTo, _check_pattern),
    (exp.Round, _check_rounding),
)


def _mended(tree: exp.Query, dialect: str) -> exp.Query:
    """Return the query with what is known to differ written as DuckDB has it; ``tree`` is used up."""
    for node in reversed(list(tree.walk(bfs=False))):  # parts before what they stand in
        if isinstance(node, exp.Div):
            _divide(node, dialect)
        elif isinstance(node, exp.IntDiv):
            whole = exp.Trunc(this=exp.IntDiv(this=node.this.copy(), expression=node.expression.copy()))
            node.replace(exp.cast(whole, "BIGINT"))
        elif isinstance(node, exp.GroupConcat) and dialect in _NO_SEPARATOR and not node.args.get("separator"):
            node.set("separator", exp.Literal.string(""))
        elif isinstance(node, exp.Greatest | exp.Least) and dialect == "oracle":
            node.set("ignore_nulls", False)
        elif isinstance(node, exp.DPipe | exp.Concat) and dialect == "oracle":
            parts = node.expressions if isinstance(node, exp.Concat) else [node.this, node.expression]
            joined = exp.Concat(expressions=[part.copy() for part in parts], coalesce=True)
            node.replace(exp.Nullif(this=joined, expression=exp.Literal.string("")))
        elif isinstance(node, exp.National):
            node.replace(exp.Literal.string(node.name))
        elif isinstance(node, exp.Length) and dialect == "tsql":
            node.set("this", exp.Trim(this=exp.cast(node.this.copy(), "TEXT"), position="TRAILING"))
        elif isinstance(node, exp.DataType):
            if node.this is exp.DType.FLOAT and dialect in _FLOAT_IS_DOUBLE:
                node.set("this", exp.DType.DOUBLE)
                node.set("expressions", None)
            elif node.this is exp.DType.DECIMAL and not node.expressions and dialect in _BARE_DECIMAL:
                digits = [exp.DataTypeParam(this=exp.Literal.number(n)) for n in _BARE_DECIMAL[dialect]]
                node.set("expressions", digits)
    return tree


def _divide(node: exp.Div, dialect: str) -> None:
    """Whole numbers divide to whole numbers where they do so in the dialect; division by zero gives NULL."""
    if dialect in _TYPED_DIVISION:
        # DuckDB's // cuts whole numbers and divides others, and gives NULL by zero.
        node.replace(exp.IntDiv(this=node.this.copy(), expression=node.expression.copy()))
        return
    divisor = node.expression.copy()
    if not (isinstance(divisor.unnest(), exp.Literal) and float(divisor.unnest().name or 0) != 0):
        divisor = exp.Nullif(this=divisor, expression=exp.Literal.number(0))
    node.replace(exp.Div(this=node.this.copy(), expression=divisor, typed=False, safe=False))
