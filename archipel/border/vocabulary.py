"""The syntax that may run at a node: classes of sqlglot's tree with the parts they may have, types, function classes.

An allow-list throughout: what does not stand here is refused, also what a later version of sqlglot learns to parse.
The list of functions by name is ``archipel.functions``; here are only the classes that sqlglot parses them into.

There are two languages. ``NODE`` is what the border check understands, and so all that may run beside data.
``COORDINATOR`` has more: it runs over rows that have left already, so that nothing in it can reveal anything; but like
the other it reads no file, no setting and no clock, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from archipel import functions


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _classes(names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(getattr(exp, name) for name in names.split())


# Structure: class -> the parts it may have. A part that is absent, None, False or empty is as good as not there.
STRUCTURE: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: _words("with_ expressions from_ joins where group having qualify order limit offset distinct windows"),
    exp.Union: frozenset(("with_", "this", "expression", "distinct", "order", "limit", "offset")),
    exp.Intersect: frozenset(("with_", "this", "expression", "distinct", "order", "limit", "offset")),
    exp.Except: frozenset(("with_", "this", "expression", "distinct", "order", "limit", "offset")),
    exp.With: frozenset(("expressions", "recursive")),
    exp.CTE: frozenset(("this", "alias", "materialized")),
    exp.Subquery: frozenset(("this", "alias")),
    exp.TableAlias: frozenset(("this", "columns")),
    exp.Table: frozenset(("this", "alias", "db", "catalog")),
    exp.Values: frozenset(("expressions", "alias")),
    exp.From: frozenset(("this",)),
    exp.Join: frozenset(("this", "side", "kind", "on", "using")),
    exp.Where: frozenset(("this",)),
    exp.Group: frozenset(("expressions", "grouping_sets", "cube", "rollup", "all")),
    exp.GroupingSets: frozenset(("expressions",)),
    exp.Cube: frozenset(("expressions",)),
    exp.Rollup: frozenset(("expressions",)),
    exp.Having: frozenset(("this",)),
    exp.Qualify: frozenset(("this",)),
    exp.Order: frozenset(("this", "expressions")),
    exp.Ordered: frozenset(("this", "desc", "nulls_first")),
    exp.Limit: frozenset(("expression",)),
    exp.Offset: frozenset(("expression",)),
    exp.Distinct: frozenset(("expressions", "on")),
    exp.Window: frozenset(("this", "partition_by", "order", "spec", "over", "alias")),
    exp.WindowSpec: frozenset(("kind", "start", "start_side", "end", "end_side", "exclude")),
    exp.Filter: frozenset(("this", "expression")),
    exp.WithinGroup: frozenset(("this", "expression")),
    exp.Column: frozenset(("this", "table", "db", "catalog")),
    exp.Identifier: frozenset(("this", "quoted", "global_", "temporary")),
    exp.Alias: frozenset(("this", "alias")),
    exp.Star: frozenset(("except_", "replace", "rename")),
    exp.Tuple: frozenset(("expressions",)),
    exp.Paren: frozenset(("this",)),
    exp.In: frozenset(("this", "expressions", "query")),
    exp.Exists: frozenset(("this",)),
    exp.Any: frozenset(("this",)),
    exp.All: frozenset(("this",)),
    exp.Unnest: frozenset(("expressions", "alias")),
    exp.GenerateSeries: frozenset(("start", "end", "step", "is_end_exclusive")),
    exp.Between: frozenset(("this", "low", "high")),
    exp.Literal: frozenset(("this", "is_string")),
    exp.Boolean: frozenset(("this",)),
    exp.Null: frozenset(),
    exp.Cast: frozenset(("this", "to")),
    exp.TryCast: frozenset(("this", "to", "safe", "requires_string")),
    exp.DataType: frozenset(("this", "expressions", "nested")),
    exp.DataTypeParam: frozenset(("this",)),
    exp.Interval: frozenset(("this", "unit")),
    exp.IntervalSpan: frozenset(("this", "expression")),
    exp.Var: frozenset(("this",)),
    exp.Case: frozenset(("this", "ifs", "default")),
    exp.If: frozenset(("this", "true", "false")),
    exp.Extract: frozenset(("this", "expression")),
    exp.AtTimeZone: frozenset(("this", "zone")),
    exp.Count: frozenset(("this", "expressions", "big_int")),
    exp.Array: frozenset(("expressions", "value_constructor", "bracket_notation")),
    exp.Bracket: frozenset(("this", "expressions", "offset", "safe", "returns_list_for_maps")),
    exp.IgnoreNulls: frozenset(("this",)),
    exp.RespectNulls: frozenset(("this",)),
    exp.Anonymous: frozenset(("this", "expressions")),
    exp.Grouping: frozenset(("expressions",)),
    exp.GroupingId: frozenset(("expressions",)),
    exp.JSONPath: frozenset(("expressions",)),
    exp.JSONPathRoot: frozenset(),
    exp.JSONPathKey: frozenset(("this",)),
    exp.JSONPathSubscript: frozenset(("this",)),
}

OPERATORS: frozenset[type[exp.Expr]] = _classes(
    """
    And Or Not Xor EQ NEQ GT GTE LT LTE Is NullSafeEQ NullSafeNEQ Like ILike SimilarTo Glob Escape Add Sub Mul Div
    IntDiv Mod Pow Neg DPipe BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift BitwiseRightShift
    """
)

# What sqlglot makes of the names in ``archipel.functions.SCALAR``; a test holds the two together.
SCALAR_CLASSES: frozenset[type[exp.Expr]] = _classes(
    """
    Abs Acos Acosh Asin Asinh Atan Atan2 Atanh Cbrt Ceil Cos Cosh Cot Degrees Exp Factorial Floor Greatest IsInf IsNan
    Least Ln Log Mod Pi Pow Radians Round Sign Sin Sinh Sqrt Tan Tanh Trunc BitwiseXor Ascii BitLength Chr Concat
    ConcatWs Contains Decode Encode EndsWith Format FromBase64 Hex JarowinklerSimilarity Left Length Levenshtein Lower
    MD5 Pad RegexpExtract RegexpExtractAll RegexpFullMatch RegexpLike RegexpReplace RegexpSplit Repeat Replace Reverse
    Right SHA SHA2 Split SplitPart StartsWith StrPosition Substring ToBase64 ToBinary Translate Trim Unhex Unicode Upper
    Date DateAdd DateBin DateDiff DateFromParts Day Dayname DayOfMonth DayOfWeek DayOfWeekIso DayOfYear DateTrunc Hour
    LastDay Minute Month Monthname Quarter Second StrToTime TimeFromParts TimeToStr TimeToUnix TimestampFromParts
    TimestampTrunc ToDays UnixToTime Week WeekOfYear Year Coalesce If Nullif Typeof Case Cast TryCast Extract Array
    ArrayAppend ArrayConcat ArrayContains ArrayContainsAll ArrayDistinct ArrayIntersect ArrayMax ArrayMin ArrayOverlaps
    ArrayPosition ArrayPrepend ArrayReverse ArraySize ArraySlice ArraySort ArrayToString Flatten JSONExtract
    JSONExtractScalar JSONKeys JSONType
    """
)

# Aggregate classes of sqlglot -> the name in ``archipel.aggregates.REGISTRY``.
AGGREGATE_CLASSES: dict[type[exp.Expr], str] = {
    exp.Count: "count",
    exp.CountIf: "count_if",
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Min: "min",
    exp.Max: "max",
    exp.ArgMin: "arg_min",
    exp.ArgMax: "arg_max",
    exp.Variance: "var_samp",
    exp.VariancePop: "var_pop",
    exp.Stddev: "stddev",
    exp.StddevPop: "stddev_pop",
    exp.StddevSamp: "stddev_samp",
    exp.CovarPop: "covar_pop",
    exp.CovarSamp: "covar_samp",
    exp.Corr: "corr",
    exp.RegrCount: "regr_count",
    exp.RegrAvgx: "regr_avgx",
    exp.RegrAvgy: "regr_avgy",
    exp.RegrSxx: "regr_sxx",
    exp.RegrSyy: "regr_syy",
    exp.RegrSxy: "regr_sxy",
    exp.RegrSlope: "regr_slope",
    exp.RegrIntercept: "regr_intercept",
    exp.RegrR2: "regr_r2",
    exp.LogicalAnd: "bool_and",
    exp.LogicalOr: "bool_or",
    exp.BitwiseAndAgg: "bit_and",
    exp.BitwiseOrAgg: "bit_or",
    exp.BitwiseXorAgg: "bit_xor",
    exp.AnyValue: "any_value",
    exp.First: "first",
    exp.Last: "last",
    exp.Median: "median",
    exp.Mode: "mode",
    exp.Quantile: "quantile",
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
    exp.Kurtosis: "kurtosis",
    exp.Skewness: "skewness",
    exp.ApproxDistinct: "approx_count_distinct",
    exp.ApproxQuantile: "approx_quantile",
    exp.ArrayAgg: "array_agg",
    exp.GroupConcat: "string_agg",
}

# Other spellings by which DuckDB, and so the rendered text, calls an aggregate of the registry.
AGGREGATE_SPELLINGS: frozenset[str] = frozenset(("listagg", "group_concat"))

WINDOW_CLASSES: dict[type[exp.Expr], str] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
    exp.PercentRank: "percent_rank",
    exp.CumeDist: "cume_dist",
    exp.Ntile: "ntile",
    exp.Lag: "lag",
    exp.Lead: "lead",
    exp.FirstValue: "first_value",
    exp.LastValue: "last_value",
    exp.NthValue: "nth_value",
}

ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    (*STRUCTURE, *OPERATORS, *SCALAR_CLASSES, *AGGREGATE_CLASSES, *WINDOW_CLASSES)
)

TYPES: frozenset[exp.DType] = frozenset(
    exp.DType[name]
    for name in _words(
        """
        BOOLEAN TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT UINT128 FLOAT DOUBLE DECIMAL CHAR
        VARCHAR TEXT DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS INTERVAL UUID
        BLOB VARBINARY BIT JSON ARRAY LIST
        """
    )
)


@dataclass(frozen=True, slots=True)
class Language:
    """What SQL may consist of at one kind of site."""

    where: str
    """How a refusal calls the site."""
    allowed: frozenset[type[exp.Expr]]
    structure: Mapping[type[exp.Expr], frozenset[str]]
    types: frozenset[exp.DType]
    functions: frozenset[str]
    """Scalar functions by name, beyond what sqlglot has classes for."""
    join_methods: frozenset[str] = frozenset()
    nested: bool = False
    """Whether structs, lambdas and functions that give several rows may stand in expressions."""


NODE = Language("at a node", ALLOWED, STRUCTURE, TYPES, functions.SCALAR)

_MORE_STRUCTURE: dict[type[exp.Expr], frozenset[str]] = {
    exp.Union: _words("by_name"),
    exp.Intersect: _words("by_name"),
    exp.Except: _words("by_name"),
    exp.CTE: _words("key_expressions"),
    exp.Table: _words("joins pivots"),
    exp.Subquery: _words("with_ joins pivots order limit offset"),
    exp.Join: _words("method"),
    exp.Lateral: _words("this alias"),
    exp.Limit: _words("limit_options"),
    exp.LimitOptions: _words("percent"),
    exp.Pivot: _words(
        "this alias expressions using group fields unpivot into columns include_nulls default_on_null "
        "identify_pivot_strings prefixed_pivot_columns pivot_column_naming"
    ),
    exp.UnpivotColumns: _words("this expressions"),
    exp.PivotAlias: _words("this alias"),
    exp.Columns: _words("this unpack"),
    exp.Lambda: _words("this expressions colon"),
    exp.Comprehension: _words("this expression position iterator condition"),
    exp.Struct: _words("expressions"),
    exp.PropertyEQ: _words("this expression"),
    exp.Dot: _words("this expression"),
    exp.Slice: _words("this expression step"),
    exp.Map: _words("keys values"),
    exp.ToMap: _words("this"),
    exp.Explode: _words("this expressions"),
    exp.Collate: _words("this expression"),
    exp.Transform: _words("this expression"),
    exp.ArrayFilter: _words("this expression"),
    exp.Reduce: _words("this initial merge"),
    exp.StructExtract: _words("this expression"),
    exp.MapKeys: _words("this"),
    exp.MapFromEntries: _words("this"),
    exp.JSONArray: _words("expressions"),
    exp.JSONObject: _words("expressions"),
    exp.JSONKeyValue: _words("this expression"),
    exp.RawString: _words("this"),
    exp.DataType: _words("values"),
    exp.ColumnDef: _words("this kind"),
}

COORDINATOR = Language(
    "at the coordinator",
    ALLOWED | frozenset(_MORE_STRUCTURE),
    STRUCTURE | {kind: parts | STRUCTURE.get(kind, frozenset()) for kind, parts in _MORE_STRUCTURE.items()},
    TYPES | {exp.DType.STRUCT, exp.DType.MAP},
    functions.SCALAR | functions.COORDINATOR_SCALAR,
    join_methods=frozenset(("ASOF", "POSITIONAL", "NATURAL")),
    nested=True,
)

# Words that stand before "(" in rendered SQL without being a function.
GRAMMAR_WORDS: frozenset[str] = _words(
    """
    select from where by in as and or not on using over filter exists values when then else case sets rollup cube
    between like ilike is join all union except intersect distinct interval cast try_cast extract having qualify
    limit offset materialized decimal varchar text char group to escape grouping grouping_id glob zone any preceding
    following bit with recursive
    """
)

# Words of rendered SQL that are neither a keyword to sqlglot nor a quoted name: units of time, parts of dates.
BARE_WORDS: frozenset[str] = _words(
    """
    microsecond microseconds millisecond milliseconds second seconds minute minutes hour hours day days week weeks
    month months quarter quarters year years decade century millennium dow isodow doy isoyear yearweek epoch era julian
    timezone timezone_hour timezone_minute weekday dayofweek dayofyear hugeint nanosecond nanoseconds yearmonth
    current ties others exclude unbounded preceding following nulls first last
    """
)

# Tokens that open and close a nesting.
OPENING = frozenset((TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE))
CLOSING = frozenset((TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END))
# Tokens between which any number of operators is ordinary; a long run without one of them is a chain of prefixes.
OPERANDS = frozenset((TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, TokenType.STAR))
