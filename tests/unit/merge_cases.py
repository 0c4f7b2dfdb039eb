"""Merge statements as the planner writes them, small partials, and rows made comparable bit for bit."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from coordinator.merge.executor import MergeInput

EXCHANGE = "x1"


def col(name: str) -> exp.Expression:
    """A quoted column."""
    return exp.column(exp.to_identifier(name, quoted=True))


def grouped(keys: Sequence[str], outputs: Mapping[str, exp.Expression]) -> exp.Select:
    """One SELECT over the exchange: keys and aggregates of partials."""
    named = [*(exp.alias_(col(k), k, quoted=True) for k in keys), *_named(outputs)]
    return (
        exp.select(*named)
        .from_(exp.Table(this=exp.to_identifier(EXCHANGE, quoted=True)))
        .group_by(*(col(k) for k in keys))
    )


def over(inner: exp.Select, names: Sequence[str], outputs: Mapping[str, exp.Expression]) -> exp.Select:
    """The next step of a merge: expressions over the one before."""
    kept = [exp.alias_(col(name), name, quoted=True) for name in names]
    return exp.select(*kept, *_named(outputs)).from_(inner.subquery("folded"))


def text(statement: exp.Expression) -> str:
    """The SQL of a statement."""
    return statement.sql("duckdb")


def summed(*names: str) -> dict[str, exp.Expression]:
    """``sum(p) AS p`` of each."""
    return {name: exp.Sum(this=col(name)) for name in names}


def of_shard(name: str, shard: int) -> exp.Expression:
    """``max(p) FILTER (WHERE _shard = i)``."""
    condition = exp.EQ(this=col("_shard"), expression=exp.Literal.number(shard))
    return exp.Filter(this=exp.Max(this=col(name)), expression=exp.Where(this=condition))


def folded_sum(name: str, shards: int) -> exp.Expression:
    """A sum of doubles, node by node in the order of the shards."""
    zero = exp.cast(exp.Literal.number(0), "DOUBLE")
    terms: list[exp.Expression] = [exp.func("coalesce", of_shard(name, i), zero.copy()) for i in range(shards)]
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def moments_sql(keys: Sequence[str], shards: int) -> str:
    """n, mean and centred sum of x (columns n, m, q) in two levels, by Chan, Golub and LeVeque (1983)."""
    pivot = {f"{p}_{i}": of_shard(p, i) for p in ("n", "m", "q") for i in range(shards)}
    first = grouped(keys, {"n": exp.Sum(this=col("n")), **pivot})
    weighted = [exp.Mul(this=_double(f"n_{i}"), expression=col(f"m_{i}")) for i in range(shards)]
    mean = exp.Div(this=exp.paren(_total(weighted)), expression=_double("n"), typed=False, safe=False)
    second = over(first, [*keys, "n", *pivot], {"u": mean})
    total = _total([_centred("q", "m", "m", "u", "u", i) for i in range(shards)])
    return text(over(second, [*keys, "n"], {"m": col("u"), "q": total}))


def comoments_sql(keys: Sequence[str], shards: int) -> str:
    """n, means and sxy of pairs (columns n, mx, my, xy)."""
    pivot = {f"{p}_{i}": of_shard(p, i) for p in ("n", "mx", "my", "xy") for i in range(shards)}
    first = grouped(keys, {"n": exp.Sum(this=col("n")), **pivot})
    means = {}
    for mean in ("mx", "my"):
        weighted = [exp.Mul(this=_double(f"n_{i}"), expression=col(f"{mean}_{i}")) for i in range(shards)]
        means[f"u{mean}"] = exp.Div(this=exp.paren(_total(weighted)), expression=_double("n"), typed=False, safe=False)
    second = over(first, [*keys, "n", *pivot], means)
    total = _total([_centred("xy", "mx", "my", "umx", "umy", i) for i in range(shards)])
    return text(over(second, [*keys, "n"], {"mx": col("umx"), "my": col("umy"), "xy": total}))


def slow_sql(rows: int) -> str:
    """A merge whose every part takes long: it also counts ``rows`` numbers, and adds nothing."""
    numbers = exp.func("range", exp.Literal.number(rows), dialect="duckdb")
    counted = exp.select(exp.Count(this=exp.Star())).from_(exp.Table(this=numbers)).subquery()
    nothing = exp.Mul(this=counted, expression=exp.Literal.number(0))
    total = exp.Add(this=exp.Sum(this=col("n")), expression=exp.Max(this=nothing))
    return text(grouped(["g"], {"n": total}))


def source(*tables: pa.Table, schema: pa.Schema | None = None, shards: Sequence[int] | None = None) -> MergeInput:
    """The partials of one exchange, one table a node."""
    agreed = schema or tables[0].schema
    return MergeInput(EXCHANGE, agreed, tables, tuple(range(len(tables)) if shards is None else shards))


def bits(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows as sorted tuples in which two values are equal only when all their bits are."""
    columns = [[_exact(value) for value in column.to_pylist()] for column in _plain(table).columns]
    return sorted(zip(*columns, strict=True), key=repr)


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("<d", value).hex()
    if isinstance(value, list):
        return tuple(_exact(v) for v in value)
    return (type(value).__name__, repr(value))


def _plain(table: pa.Table) -> pa.Table:
    # Python has no nanoseconds: compare such timestamps as the integers that they are.
    fields = [pa.field(f.name, pa.int64()) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _centred(m: str, x: str, y: str, mean_x: str, mean_y: str, i: int) -> exp.Expression:
    away_x = exp.paren(exp.Sub(this=col(f"{x}_{i}"), expression=col(mean_x)))
    away_y = exp.paren(exp.Sub(this=col(f"{y}_{i}"), expression=col(mean_y)))
    between = exp.Mul(this=exp.Mul(this=_double(f"n_{i}"), expression=away_x), expression=away_y)
    return exp.Add(this=col(f"{m}_{i}"), expression=between)


def _total(terms: Sequence[exp.Expression]) -> exp.Expression:
    zero = exp.cast(exp.Literal.number(0), "DOUBLE")
    filled: list[exp.Expression] = [exp.func("coalesce", term, zero.copy()) for term in terms]
    total = filled[0]
    for term in filled[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def _double(name: str) -> exp.Expression:
    return exp.cast(col(name), "DOUBLE")


def _named(outputs: Mapping[str, exp.Expression]) -> list[exp.Expression]:
    return [exp.alias_(node, name, quoted=True) for name, node in outputs.items()]
