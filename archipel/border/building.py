"""Small pieces of SQL that the rewriting is built from: quoted columns, aliases, parts of WITH, calls, conditions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp


def column(name: str, table: str) -> exp.Column:
    """Return a reference to a column of a source."""
    return exp.column(name, table, quoted=True)


def alias(value: exp.Expr, name: str) -> exp.Expr:
    """Return a value under a name."""
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))


def table(name: str) -> exp.Table:
    """Return a source under its own name."""
    identifier = exp.to_identifier(name, quoted=True)
    return exp.Table(this=identifier, alias=exp.TableAlias(this=identifier.copy()))


def from_(name: str) -> exp.From:
    """Return a FROM clause with one source."""
    return exp.From(this=table(name))


def cte(name: str, query: exp.Expr) -> exp.CTE:
    """Return a part of WITH that is computed once."""
    return exp.CTE(this=query, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)), materialized=True)


def derived(select: exp.Select, name: str) -> exp.Subquery:
    """Return a query as a source."""
    return exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return the call of a function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def number(value: float) -> exp.Expr:
    """Return a literal."""
    return exp.Literal.number(value)


def every(parts: Sequence[exp.Expr]) -> exp.Expr:
    """Return the condition that all of some conditions hold."""
    conditions = [paren(part) for part in parts]
    whole = conditions[0]
    for part in conditions[1:]:
        whole = exp.And(this=whole, expression=part)
    return whole


def paren(part: exp.Expr) -> exp.Expr:
    """Return a copy that stands as one operand."""
    simple = isinstance(part, exp.Column | exp.Func | exp.Paren | exp.Literal)
    return part.copy() if simple and not isinstance(part, exp.And | exp.Or) else exp.Paren(this=part.copy())


def known(value: exp.Expr) -> exp.Expr:
    """Return the condition that a value is not NULL."""
    return paren(value).is_(exp.null()).not_()


def untrue(condition: exp.Expr) -> exp.Expr:
    """Return the condition that another one is false or NULL."""
    return exp.Not(this=exp.Anonymous(this="COALESCE", expressions=[paren(condition), exp.false()]))


def filtered(aggregate: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    """Return an aggregate over the rows for which a condition holds."""
    if condition is None:
        return aggregate
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition.copy()))


def or_zero(value: exp.Expr) -> exp.Expr:
    """Return a number, 0 in place of NULL."""
    return call("COALESCE", value, number(0))


def double(value: exp.Expr) -> exp.Expr:
    """Return a value as a floating-point number."""
    return exp.cast(value.copy(), "DOUBLE", dialect="duckdb")
