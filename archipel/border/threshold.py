"""The rewriting that holds the threshold inside the SQL: groups, their persons, and only those with enough of them.

The groups are computed once. A group whose persons surely suffice (see ``Count.at_least``) is not counted exactly; the
rows of the others are read a second time and counted. The second reading sees the same rows: what depends on the
order in which the engine works is materialised before, or the statement counts exactly in the first place.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from archipel.border import refusal, syntax
from archipel.border.persons import Count
from archipel.border.refusal import refused

SURE = 32
"""Bits of 64 that make a group sure. Larger thresholds than this are always counted exactly, and so is a group of fewer
than about 45 persons: what the audit log says of small groups is the exact number."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names that the rewriting adds: a beginning that no other name has, and the two leading columns."""

    prefix: str
    persons: str
    withheld: str


def held(select: exp.Select, counts: list[Count], minimum: int, names: Names) -> exp.Select:
    """Return the statement whose rows are the released groups, each with the number of those withheld.

    When no group is released one row remains, with NULL for its persons.
    """
    outputs = [projection.alias_or_name for projection in select.expressions]
    if len({name.lower() for name in outputs}) < len(outputs):
        raise refused(refusal.CONSTRUCT, select, "two outputs of one name")
    clause = select.args.get("with_")
    select.set("with_", None)
    ctes = list(clause.expressions) if clause is not None else []
    if _may_be_read_twice(select, counts, minimum):
        _materialise(select, ctes, names.prefix)
        ctes += _in_two_readings(select, counts, minimum, names, outputs)
    else:
        ctes += _in_one_reading(select, counts, minimum, names, outputs)
    return _released(ctes, names, outputs)


def _in_one_reading(
    select: exp.Select, counts: list[Count], minimum: int, names: Names, outputs: list[str]
) -> list[exp.CTE]:
    groups, rated = f"{names.prefix}groups", f"{names.prefix}rated"
    judged = []
    for number, count in enumerate(counts):
        rows, exact = f"{names.prefix}rows_{number}", f"{names.prefix}exact_{number}"
        select.append("expressions", _alias(count.exact(), exact))
        if count.where is not None:
            select.append("expressions", _alias(count.rows(), rows))
        judged.append(_Judged(_column(exact, groups), None, _column(rows, groups) if count.where is not None else None))
    rating = exp.Select(
        expressions=[
            *(_alias(_column(name, groups), name) for name in outputs),
            _alias(_persons(judged, minimum), names.persons),
        ],
        from_=_from(groups),
    )
    return [_cte(groups, select), _cte(rated, rating)]


def _in_two_readings(
    select: exp.Select, counts: list[Count], minimum: int, names: Names, outputs: list[str]
) -> list[exp.CTE]:
    prefix = names.prefix
    groups, exact, rated, doubtful = f"{prefix}groups", f"{prefix}exact", f"{prefix}rated", f"{prefix}doubtful"
    second = select.copy()
    second.set("expressions", [])
    group = select.args.get("group")
    keys = list(dict.fromkeys(syntax.unwrapped(key) for key in syntax.grouping_keys(group))) if group else []
    key_names = [f"{prefix}key_{number}" for number in range(len(keys))]
    several = group is not None and syntax.has_grouping_sets(group)
    set_names = [f"{prefix}set"] if several else []
    for reading in (select, second):
        for key, name in zip(keys, key_names, strict=True):
            reading.append("expressions", _alias(key.copy(), name))
        for name in set_names:
            reading.append("expressions", _alias(exp.GroupingId(expressions=[key.copy() for key in keys]), name))
    judged, doubts = [], []
    for number, count in enumerate(counts):
        rows, bits, n = f"{prefix}rows_{number}", f"{prefix}least_{number}", f"{prefix}exact_{number}"
        select.append("expressions", _alias(count.at_least(), bits))
        if count.where is not None:
            select.append("expressions", _alias(count.rows(), rows))
        second.append("expressions", _alias(count.exact(), n))
        none = _column(rows, groups) if count.where is not None else None
        judged.append(_Judged(_column(n, exact), _column(bits, groups), none))
        doubt: exp.Expr = exp.LT(this=_column(bits, groups), expression=exp.Literal.number(SURE))
        if none is not None:
            doubt = exp.Paren(this=exp.and_(doubt, exp.GT(this=none.copy(), expression=exp.Literal.number(0))))
        doubts.append(doubt)
    # A group of a coarser set is made of groups of the finest: what is in doubt of it is in doubt of all its parts.
    where: exp.Expr = exp.Paren(this=exp.or_(*doubts))
    if several:
        where = exp.and_(where, exp.EQ(this=_column(set_names[0], groups), expression=exp.Literal.number(0)))
    asked = exp.Select(
        expressions=[_alias(_column(name, groups), name) for name in key_names] or [_alias(exp.true(), doubtful)],
        from_=_from(groups),
        where=exp.Where(this=where),
    )
    matching = [
        exp.NullSafeEQ(this=key.copy(), expression=_column(name, doubtful))
        for key, name in zip(keys, key_names, strict=True)
    ]
    _without_commas(second)
    second.append("joins", exp.Join(this=_derived(asked, doubtful), kind="SEMI", on=exp.and_(*matching, exp.true())))
    together = [
        exp.NullSafeEQ(this=_column(name, groups), expression=_column(name, exact)) for name in key_names + set_names
    ]
    rating = exp.Select(
        expressions=[
            *(_alias(_column(name, groups), name) for name in outputs),
            _alias(_persons(judged, minimum), names.persons),
        ],
        from_=_from(groups),
        joins=[exp.Join(this=_table(exact), side="LEFT", on=exp.and_(*together, exp.true()))],
    )
    return [_cte(groups, select), _cte(exact, second), _cte(rated, rating)]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Columns of one count: the exact number, the number it surely reaches, and its rows where it may have none."""

    exact: exp.Expr
    at_least: exp.Expr | None
    rows: exp.Expr | None


def _persons(judged: list[_Judged], minimum: int) -> exp.Expr:
    """Return SQL for the fewest persons of a group that may be released, NULL for one that may not.

    A group in which every count has no row at all is not released either: then no number is left.
    """
    holds: list[exp.Expr] = []
    numbers: list[exp.Expr] = []
    for count in judged:
        exact = exp.Anonymous(this="COALESCE", expressions=[count.exact.copy(), exp.Literal.number(0)])
        ways: list[exp.Expr] = []
        cases: list[exp.If] = []
        if count.rows is not None:
            none = exp.EQ(this=count.rows.copy(), expression=exp.Literal.number(0))
            ways.append(none)
            cases.append(exp.If(this=none.copy(), true=exp.null()))
        if count.at_least is not None:
            sure = exp.GTE(this=count.at_least.copy(), expression=exp.Literal.number(SURE))
            ways.append(sure)
            cases.append(exp.If(this=sure.copy(), true=count.at_least.copy()))
        ways.append(exp.GTE(this=exact, expression=exp.Literal.number(minimum)))
        holds.append(exp.Paren(this=exp.or_(*ways)))
        numbers.append(exp.Case(ifs=cases, default=exact.copy()) if cases else exact.copy())
    fewest = numbers[0] if len(numbers) == 1 else exp.Anonymous(this="LEAST", expressions=numbers)
    return exp.Case(ifs=[exp.If(this=exp.and_(*holds), true=fewest)])


def _released(ctes: list[exp.CTE], names: Names, outputs: list[str]) -> exp.Select:
    rated, counted, released = f"{names.prefix}rated", f"{names.prefix}counted", f"{names.prefix}released"
    small = _column(names.persons, rated).is_(exp.null())
    number = exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=small))
    shown = [names.persons, *outputs]
    count_select = exp.Select(expressions=[_alias(number, names.withheld)], from_=_from(rated))
    rows_select = exp.Select(
        expressions=[_alias(_column(name, rated), name) for name in shown],
        from_=_from(rated),
        where=exp.Where(this=small.copy().not_()),
    )
    columns = [_column(names.withheld, counted), *(_column(name, released) for name in shown)]
    return exp.Select(
        with_=exp.With(expressions=ctes),
        expressions=[_alias(column, column.name) for column in columns],
        from_=exp.From(this=_derived(count_select, counted)),
        joins=[exp.Join(this=_derived(rows_select, released), side="LEFT", on=exp.true())],
    )


# Reading twice


def _may_be_read_twice(select: exp.Select, counts: list[Count], minimum: int) -> bool:
    if minimum > SURE or any(count.carrier.listed for count in counts):
        return False
    group = select.args.get("group")
    keys = syntax.grouping_keys(group) if group is not None else []
    if any(isinstance(syntax.unwrapped(key), exp.Literal) or key.find(exp.Query) for key in keys):
        return False
    if group is not None and syntax.has_grouping_sets(group) and not syntax.has_finest_set(group):
        return False
    joins = select.args.get("joins") or ()
    if any(map(_comma, joins)) and any(join.args.get("side") in ("RIGHT", "FULL") for join in joins):
        return False  # there CROSS JOIN would not mean what the comma means
    # Subqueries in conditions and arguments stay where they are: they must give the same in both readings.
    places = [select.args.get("where"), *select.expressions]
    places += [join.args.get("on") for join in joins]
    inner = [query for place in places if place is not None for query in place.find_all(exp.Query)]
    return all(_is_row_wise(query) for query in inner)


def _comma(join: exp.Join) -> bool:
    return not any(join.args.get(part) for part in ("on", "side", "kind", "method"))


def _without_commas(select: exp.Select) -> None:
    """Write CROSS JOIN for commas: a comma binds less than the join that is to come after all sources."""
    for join in filter(_comma, select.args.get("joins") or ()):
        join.set("kind", "CROSS")


def _is_row_wise(query: exp.Expr) -> bool:
    """Whether a query looks at each row by itself, so that it gives the same rows each time."""
    if any(isinstance(node, exp.Window | exp.Group | exp.Distinct | exp.Limit | exp.Offset) for node in query.walk()):
        return False
    if any(syntax.aggregate_name(node) is not None for node in query.walk()):
        return False
    return all(
        isinstance(node, exp.Union) and not node.args.get("distinct") for node in query.find_all(exp.SetOperation)
    )


def _materialise(select: exp.Select, ctes: list[exp.CTE], prefix: str) -> None:
    """Have everything computed once that is not simply read row by row."""
    for cte in ctes:
        if not _is_row_wise(cte.this):
            cte.set("materialized", True)
    for number, place in enumerate([select.args["from_"], *(select.args.get("joins") or ())]):
        source = place.this
        if isinstance(source, exp.Subquery) and not _is_row_wise(source.this):
            name = f"{prefix}rows_of_{number}"
            ctes.append(_cte(name, source.this))
            place.set("this", exp.Table(this=exp.to_identifier(name, quoted=True), alias=source.args["alias"]))


# Building


def _column(name: str, table: str) -> exp.Column:
    return exp.column(name, table, quoted=True)


def _alias(value: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))


def _table(name: str) -> exp.Table:
    identifier = exp.to_identifier(name, quoted=True)
    return exp.Table(this=identifier, alias=exp.TableAlias(this=identifier.copy()))


def _from(name: str) -> exp.From:
    return exp.From(this=_table(name))


def _cte(name: str, query: exp.Expr) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)), materialized=True)


def _derived(select: exp.Select, name: str) -> exp.Subquery:
    return exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
