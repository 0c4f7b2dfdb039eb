"""What each person adds to each group of a statement, as one row a person and group: what noise is measured by.

Both kinds of noise need the same of a statement: that each of its rows belongs to exactly one person, and that its
aggregates are counts, and sums of columns as they stand in their table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from archipel import schema
from archipel.border import demands, readings, refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import alias, column, cte, known
from archipel.border.persons import COUNTS
from archipel.border.refusal import refused
from archipel.border.relations import Carrier

_SUMS = frozenset(("sum", "fsum"))
_ROW_COUNTS = COUNTS - {"regr_count"}


@dataclass(frozen=True, slots=True)
class Part:
    """One aggregate of a statement: the outputs that show it, what it is, and what it adds up.

    ``persons`` says that it counts each person once, ``everyone`` that it counts all of a group. ``summed`` is the
    column of which table a sum is of, None for a count.
    """

    outputs: tuple[str, ...]
    unit: exp.Expr
    label: str
    persons: bool = False
    everyone: bool = False
    summed: tuple[schema.Table, schema.Column] | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """The part of WITH with a row for each person and group: ``keys``, ``person``, and each part's own aggregate."""

    ctes: tuple[exp.CTE, ...]
    recursive: bool
    name: str
    keys: tuple[str, ...]
    person: str
    values: tuple[str, ...]


def owner(block: Block, select: exp.Expr) -> Carrier:
    """Return whose the rows of a block are, where each belongs to exactly one person.

    Raises:
        ArchipelError: BORDER_REFUSED.
    """
    leading = demands.leading(block.distinct_carriers(), block)
    if len(leading) != 1 or leading[0].listed or leading[0].optional:
        raise refused(refusal.NOISE_PERSONS, select)
    return leading[0]


def parts(units: Sequence[exp.Expr], block: Block, analysis: Analysis) -> tuple[Part, ...]:
    """Return what the aggregates of a statement are, each once, in the order of its outputs.

    Raises:
        ArchipelError: BORDER_REFUSED for one that is neither a count nor a sum of a column.
    """
    shown: dict[str, list[exp.Expr]] = {}
    for unit in units:
        shown.setdefault(unit.sql("duckdb"), []).append(unit)
    return tuple(
        _part(alike[0], tuple(u.parent.alias for u in alike if isinstance(u.parent, exp.Alias)), block, analysis)
        for alike in shown.values()
    )


def _part(unit: exp.Expr, outputs: tuple[str, ...], block: Block, analysis: Analysis) -> Part:
    call, condition = syntax.split_filter(unit)
    name = syntax.aggregate_name(call) or ""
    given = [argument for argument in syntax.arguments(call) if not isinstance(argument, exp.Literal | exp.Star)]
    shown = given[0].name if len(given) == 1 and isinstance(given[0], exp.Column) else "…" if given else "*"
    distinct = syntax.is_distinct(call)
    where = ", under a condition" if condition is not None else ""
    label = f"{name.removesuffix('_star')}({'DISTINCT ' if distinct else ''}{shown}){where}"
    if name in _ROW_COUNTS and not distinct:
        return Part(outputs, unit, label)
    if name == "count" and len(given) == 1 and analysis.expressions.person(given[0], block) is not None:
        located = analysis.expressions.person(given[0], block)
        alone = condition is None and located is not None and located.carrier is owner(block, unit)
        return Part(outputs, unit, label, persons=True, everyone=alone)
    if name in _SUMS and not distinct and len(given) == 1:
        value = syntax.unwrapped(given[0])
        while type(value) is exp.Cast:  # not TRY_CAST, which is one of its classes
            value = syntax.unwrapped(value.this)
        base = next(iter(analysis.expressions.columns(value, block)), None)
        if isinstance(value, exp.Column) and base is not None and analysis.expressions.is_plain(value, block):
            table = analysis.context.tables[base.table.lower()]
            found = table.column(base.column)
            if found is not None:
                return Part(outputs, unit, f"sum({found.name}){where}", summed=(table, found))
        raise refused(refusal.NOISE_SUM, unit)
    raise refused(refusal.NOISE_AGGREGATE, unit, name)


def each(select: exp.Select, carrier: Carrier, given: Sequence[Part], prefix: str, *, catching: bool) -> Each:
    """Return the part of WITH that has what each person adds to each group of ``select``, which is not changed.

    With ``catching``, an expression that fails over a row is NULL there: whether a statement fails then tells nothing
    of a row.
    """
    source = select.copy()
    group = source.args.get("group")
    if group is not None and (syntax.has_grouping_sets(group) or any(k.find(exp.Query) for k in _keys(source))):
        raise refused(refusal.NOISE_GROUPING, select)
    clause = source.args.get("with_")
    source.set("with_", None)
    if catching:
        _catch_below(source, clause)
    keys = {f"{prefix}key_{number}": key.copy() for number, key in enumerate(_keys(source))}
    names = tuple(f"{prefix}part_{number}" for number in range(len(given)))
    person = f"{prefix}person"
    where = [known(carrier.person)]
    if source.args.get("where") is not None:
        where.append(exp.Paren(this=_caught(source.args["where"].this.copy(), catching=catching)))
    units = [_caught_in(part.unit.copy(), catching=catching) for part in given]
    values = {name: _caught(key, catching=catching) for name, key in keys.items()}
    source.set("where", exp.Where(this=exp.and_(*where)))
    source.set(
        "expressions",
        [
            *(alias(value, name) for name, value in values.items()),
            alias(carrier.person.copy(), person),
            *(alias(unit, name) for name, unit in zip(names, units, strict=True)),
        ],
    )
    source.set("group", exp.Group(expressions=[*(value.copy() for value in values.values()), carrier.person.copy()]))
    name = f"{prefix}each_person"
    before = tuple(clause.expressions) if clause is not None else ()
    recursive = bool(clause.args.get("recursive")) if clause is not None else False
    return Each((*before, cte(name, source)), recursive, name, tuple(keys), person, names)


def of_each(found: Each, name: str) -> exp.Column:
    """Return a column of the part that has a row for each person and group."""
    return column(name, found.name)


def shown_keys(select: exp.Select) -> dict[str, int]:
    """Return the outputs that show group keys, each with the number of its key."""
    numbers = {key: number for number, key in enumerate(_keys(select))}
    values = {p.alias_or_name: syntax.unwrapped(p.unalias()) for p in select.expressions}
    return {name: numbers[value] for name, value in values.items() if value in numbers}


def constants(select: exp.Select) -> dict[str, exp.Expr]:
    """Return the outputs that are neither keys nor aggregates."""
    keys = shown_keys(select)
    return {
        p.alias_or_name: p.unalias()
        for p in select.expressions
        if p.alias_or_name not in keys and not syntax.aggregates_in(p)
    }


def _keys(select: exp.Select) -> list[exp.Expr]:
    return [key for key in readings.group_keys(select) if not isinstance(key, exp.Literal)]


def _caught(value: exp.Expr, *, catching: bool) -> exp.Expr:
    """Return a value that is NULL where it cannot be computed. A bare column can always be."""
    if not catching or isinstance(value, exp.Column | exp.Literal | exp.Star) or value.find(exp.Query):
        return value
    return exp.Try(this=value)


def _caught_in(unit: exp.Expr, *, catching: bool) -> exp.Expr:
    """Do so with what an aggregate reads of each row."""
    call, condition = syntax.split_filter(unit)
    for argument in (*syntax.arguments(call), *([condition] if condition is not None else [])):
        caught = _caught(argument.copy(), catching=catching)
        if isinstance(caught, exp.Try):
            argument.replace(caught)
    return unit


def _catch_below(source: exp.Select, clause: exp.Expr | None) -> None:
    """Do so in derived tables: in their conditions, and where they look at single rows in their outputs."""
    roots = [source, *(clause.expressions if clause is not None else ())]
    found = [select for root in roots for select in root.find_all(exp.Select) if select is not source]
    for select in found:
        where = select.args.get("where")
        if where is not None:
            where.set("this", _caught(where.this.copy(), catching=True))
        for unit in syntax.aggregates_of(select):
            _caught_in(unit, catching=True)
        by_rows = select.args.get("group") is None and not select.args.get("distinct")
        for projection in select.expressions if by_rows else ():
            value = projection.unalias()
            simple = not value.find(exp.Window, exp.Star, exp.Unnest) and not syntax.aggregates_in(value)
            if isinstance(projection, exp.Alias) and simple:
                projection.set("this", _caught(value.copy(), catching=True))
