"""Who stands behind each group of an answer: the statement that tells a node's ledger, without a list of persons.

Beside what is released the node runs this statement over the same rows. It gives, for each group, *sketches*: each
person falls by a keyed hash into one of ``BUCKETS`` buckets, and a bucket holds the sum, over its persons, of a random
factor of the person times what the person adds to the group. Sketches are linear: the sketch of a difference of two
groups is the difference of their sketches. Persons who add the same to both leave nothing in it, so that buckets that
are not zero are never more than the persons in whom two groups differ.

What a person adds is taken in several ways, the *measures*: being in the group at all, the number of rows, both again
for each condition under which an aggregate counts rows (its FILTER, arguments that are not NULL), and the values that
an aggregate adds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import sqlglot
from sqlglot import exp

from archipel import schema
from archipel.border import building, linking, parsing, refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.building import alias, call, column, from_
from archipel.border.measures import BUCKETS, FACTOR_SHIFT, PRIME, SEED_COLUMN, Populations
from archipel.border.refusal import refused
from archipel.border.relations import CUT_LIST, Carrier

Tree = TypeVar("Tree", bound=exp.Expr)

_SUMS = frozenset({"sum", "avg", "fsum", "kahan_sum", "favg", "mean", "sum_no_overflow"})
_WHOLE_LIST = 2_147_483_647
_STEPS = 65_536
"""Values that are added up are told apart to this part of one."""
MOST_GROUPINGS = 65_535
"""Grouping sets that the engine takes."""


def of(select: exp.Select, carriers: list[Carrier], analysis: Analysis) -> tuple[Populations, ...]:
    """Return the statements for an outermost SELECT that was analysed, one for each carrier of its rows."""
    return tuple(_of(select, carrier, analysis) for carrier in carriers)


def whole(table: schema.Table) -> Populations:
    """Return the statement for everybody in a protected table of a node, of whom a policy lets anything out."""
    prefix = "border_"
    source, person = f"{prefix}table", table.column(table.person_column or "")
    if person is None:
        raise ValueError("a table without persons")
    rows, seed = f"{prefix}rows_of_persons", f"{prefix}seed"
    scan = exp.Table(this=exp.to_identifier(table.name, quoted=True), alias=exp.TableAlias(this=_name(source)))
    select = exp.Select(expressions=[alias(column(person.name, source), f"{prefix}person")], from_=exp.From(this=scan))
    if table.policy.rows_where:
        select.set("where", exp.Where(this=sqlglot.parse_one(table.policy.rows_where, read="duckdb")))
    carrier = Carrier(linking.domain_of(table), person.type, exp.null(), exp.true())
    statement = _each_row(_Parts({}, {}, {}), rows, seed, carrier, prefix)
    statement.set("with_", exp.With(expressions=[_cte(rows, select)]))
    return Populations(carrier.domain, parsing.render(statement), prefix, 0, (), (), 0, 0)


def grouped(asked: Populations) -> str:
    """Return the statement that gives the sketches themselves, for more rows than fit into memory.

    Its columns: the keys, the number of the grouping set (``Populations.set_number``), the bucket, and for each measure
    the persons who add something and the sum. It takes the engine three times as long.
    """
    prefix = asked.prefix
    keys = [f"{prefix}key_{number}" for number in range(asked.keys)]
    flags = [f"{prefix}flag_{number}" for number in range(asked.flags)]
    values = [f"{prefix}value_{number}" for number in range(asked.values)]
    rows, cells, sets = f"{prefix}each_row", f"{prefix}persons_of_cells", f"{prefix}persons_of_sets"
    ctes = [_cte(rows, sqlglot.parse_one(asked.sql, read=parsing.DIALECT))]
    ctes.append(_cte(cells, _cells(keys, flags, values, rows, prefix)))
    ctes.append(_cte(sets, _sets(asked, keys, [f"{prefix}rows", *flags, *values], cells)))
    statement = _sketched(keys, flags, values, sets, prefix)
    statement.set("with_", exp.With(expressions=ctes))
    return parsing.render(statement)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is taken of a SELECT: names of keys, and of flags and values with their SQL over its rows."""

    keys: dict[str, exp.Expr]
    flags: dict[str, exp.Expr]
    values: dict[str, exp.Expr]


def _of(select: exp.Select, carrier: Carrier, analysis: Analysis) -> Populations:
    prefix = analysis.prefix
    source = _with_whole_lists(select)
    person = _with_whole_lists(carrier.person)
    group = source.args.get("group")
    clause = source.args.get("with_")
    parts = _parts(source, group, prefix, _base_sources(source, analysis))
    several = group is not None and syntax.has_grouping_sets(group)
    groupings = _groupings(group, list(parts.keys.values())) if several and group is not None else ()
    outputs = _shown(source, parts)
    for part in ("with_", "group"):
        source.set(part, None)
    rows, seed = f"{prefix}rows_of_persons", f"{prefix}seed"
    if carrier.optional:
        present = exp.Paren(this=carrier.marker.copy())
        where = source.args.get("where")
        source.set("where", exp.Where(this=exp.and_(exp.Paren(this=where.this), present) if where else present))
    source.set(
        "expressions",
        [alias(value.copy(), name) for part in (parts.keys, parts.flags, parts.values) for name, value in part.items()]
        + [alias(person, f"{prefix}person")],
    )
    ctes = list(clause.expressions) if clause is not None else []
    if carrier.listed:
        lists = f"{prefix}lists_of_persons"
        ctes += [_cte(lists, source), _cte(rows, _one_by_one(parts, lists, prefix))]
    else:
        ctes.append(_cte(rows, source))
    statement = _each_row(parts, rows, seed, carrier, prefix)
    with_ = exp.With(expressions=ctes, recursive=clause.args.get("recursive") if clause is not None else None)
    statement.set("with_", with_)
    linking.with_scans(statement, analysis)
    return Populations(
        domain=carrier.domain,
        sql=parsing.render(statement),
        prefix=prefix,
        keys=len(parts.keys),
        groupings=groupings,
        outputs=outputs,
        flags=len(parts.flags),
        values=len(parts.values),
    )


def _groupings(group: exp.Expr, keys: list[exp.Expr]) -> tuple[tuple[int, ...], ...]:
    """Return each grouping set of a GROUP BY once, by the places of its keys.

    Raises:
        ArchipelError: BORDER_REFUSED when there are more than the engine takes.
    """
    items = [item for part in ("expressions", "grouping_sets", "rollup", "cube") for item in group.args.get(part) or ()]
    found: list[frozenset[int]] = [frozenset()]
    for item in items:
        ways = _ways(item, keys)
        if len(found) * len(ways) > MOST_GROUPINGS:
            raise refused(refusal.CONSTRUCT, group, "so many grouping sets")
        found = [before | more for before in found for more in ways]
    return tuple(tuple(sorted(places)) for places in dict.fromkeys(found))


def _ways(item: exp.Expr, keys: list[exp.Expr]) -> list[frozenset[int]]:
    """Return the sets of keys that one item of a GROUP BY stands for."""
    item = syntax.unwrapped(item)
    if isinstance(item, exp.GroupingSets):
        return [way for part in item.expressions for way in _ways(part, keys)]
    if not isinstance(item, exp.Rollup | exp.Cube):
        parts = item.expressions if isinstance(item, exp.Tuple) else [item]
        return [frozenset(keys.index(syntax.unwrapped(part)) for part in parts if syntax.unwrapped(part) in keys)]
    parts = [_ways(part, keys)[0] for part in item.expressions]
    if isinstance(item, exp.Rollup):
        return [frozenset().union(*parts[:size]) for size in range(len(parts), -1, -1)]
    if len(parts) > MOST_GROUPINGS.bit_length():
        raise refused(refusal.CONSTRUCT, item, "so many grouping sets")
    return [
        frozenset().union(*(part for place, part in enumerate(parts) if number >> place & 1))
        for number in range(1 << len(parts))
    ]


def _with_whole_lists(tree: Tree) -> Tree:
    """Return a copy in which lists of persons are not cut off where the threshold is reached."""
    copied: Tree = tree.copy()
    for node in copied.find_all(exp.Anonymous):
        if node.meta.get(CUT_LIST):
            node.expressions[2].replace(exp.Literal.number(_WHOLE_LIST))
    return copied


def _base_sources(source: exp.Select, analysis: Analysis) -> frozenset[str]:
    """Return the aliases of the tables of the catalogue that a SELECT reads itself."""
    clauses = [source.args.get("from_"), *(source.args.get("joins") or ())]
    scans = [clause.this for clause in clauses if clause is not None and isinstance(clause.this, exp.Table)]
    known = analysis.context.tables
    return frozenset(scan.alias_or_name.lower() for scan in scans if scan.name.lower() in known)


def _parts(source: exp.Select, group: exp.Expr | None, prefix: str, bases: frozenset[str]) -> _Parts:
    keys = [syntax.unwrapped(key) for key in syntax.grouping_keys(group)] if group is not None else []
    distinct = list(dict.fromkeys(key for key in keys if not isinstance(key, exp.Literal)))
    parts = _Parts({f"{prefix}key_{number}": key for number, key in enumerate(distinct)}, {}, {})
    conditions: dict[str, exp.Expr] = {}
    values: dict[str, exp.Expr] = {}
    shown = set(distinct)
    for projection in source.expressions:
        if syntax.unwrapped(projection.unalias()) in shown:
            continue
        for unit in syntax.aggregates_in(projection):
            condition, value = _contribution(unit, bases)
            if condition is not None:
                conditions.setdefault(condition.sql("duckdb"), condition)
            if value is not None:
                values.setdefault(value.sql("duckdb"), value)
    for number, condition in enumerate(conditions.values()):
        parts.flags[f"{prefix}flag_{number}"] = call("COALESCE", condition, exp.false())
    for number, value in enumerate(values.values()):
        parts.values[f"{prefix}value_{number}"] = value
    return parts


def _contribution(unit: exp.Expr, bases: frozenset[str]) -> tuple[exp.Expr | None, exp.Expr | None]:
    """Return the condition under which a row takes part in an aggregate, and what it adds there, as a whole number.

    Where a table's own column has no value is not for whoever asks to choose, and is no condition.
    """
    aggregate, condition = syntax.split_filter(unit)
    name = syntax.aggregate_name(aggregate)
    arguments = [a for a in syntax.arguments(aggregate) if not isinstance(a, exp.Literal | exp.Star)]
    parts: list[exp.Expr] = [exp.Paren(this=condition.copy())] if condition is not None else []
    if name == "count_if":
        parts += [exp.Paren(this=argument.copy()) for argument in arguments]
        return exp.and_(*parts), None
    unique = list({argument.sql("duckdb"): argument for argument in arguments}.values())
    chosen = [a for a in unique if not _is_own_column(a, bases)]
    parts += [exp.Paren(this=argument.copy()).is_(exp.null()).not_() for argument in chosen]
    flag = exp.and_(*parts) if parts else None
    counted = name in ("count", "count_star", "regr_count") and not syntax.is_distinct(aggregate)
    if not unique or counted:
        return flag, None
    whole = _bits(call("HASH", *(argument.copy() for argument in unique)), 33)
    if name in _SUMS and len(unique) == 1 and not syntax.is_distinct(aggregate):
        # The same sum by another expression is the same value; what is out of range is told apart by its hash.
        number = exp.TryCast(this=unique[0].copy(), to=exp.DataType.build("DOUBLE", dialect="duckdb"))
        steps = call("ROUND", exp.Mul(this=number, expression=exp.Literal.number(_STEPS)))
        near = exp.TryCast(this=steps, to=exp.DataType.build("BIGINT", dialect="duckdb"))
        whole = call("COALESCE", near, whole)
    every = [*parts, *(a.copy().is_(exp.null()).not_() for a in unique if a not in chosen)]
    taken = exp.If(this=exp.and_(*(part.copy() for part in every)), true=whole)
    return flag, exp.Case(ifs=[taken], default=exp.cast(exp.Literal.number(0), "BIGINT", dialect="duckdb"))


def _is_own_column(value: exp.Expr, bases: frozenset[str]) -> bool:
    """Whether a value is a table's own column, or a CAST of one, which is NULL where the column is."""
    while type(value) in (exp.Paren, exp.Cast):  # not TRY_CAST, which is one of its classes
        value = value.this
    return isinstance(value, exp.Column) and value.table.lower() in bases


def _shown(source: exp.Select, parts: _Parts) -> tuple[str | None, ...]:
    named = {syntax.unwrapped(p.unalias()): p.alias_or_name for p in reversed(source.expressions)}
    return tuple(named.get(key) for key in parts.keys.values())


def _one_by_one(parts: _Parts, lists: str, prefix: str) -> exp.Select:
    """Return a row for each person of a row's list."""
    person, source = f"{prefix}person", f"{prefix}one_by_one"
    persons = call("LIST_DISTINCT", column(person, lists))
    named = exp.TableAlias(this=_name(source), columns=[_name(person)])
    names = (*parts.keys, *parts.flags, *parts.values)
    return exp.Select(
        expressions=[*(alias(column(name, lists), name) for name in names), alias(column(person, source), person)],
        from_=from_(lists),
        joins=[exp.Join(this=exp.Unnest(expressions=[persons], alias=named), kind="CROSS")],
    )


def _each_row(parts: _Parts, rows: str, seed: str, carrier: Carrier, prefix: str) -> exp.Select:
    """Return the keys of each row with a person, the person as a secret number, flags and values."""
    person = column(f"{prefix}person", rows)
    known = person.copy().is_(exp.null()).not_()
    text = person if _is_whole_number(carrier.kind) else exp.cast(person, "VARCHAR", dialect="duckdb")
    keyed = call("HASH", call("XOR", call("HASH", text), column(SEED_COLUMN, seed)))
    outputs = [*(alias(column(name, rows), name) for name in parts.keys), alias(keyed, f"{prefix}person")]
    outputs += [alias(column(name, rows), name) for name in (*parts.flags, *parts.values)]
    return exp.Select(
        expressions=outputs,
        from_=from_(rows),
        joins=[exp.Join(this=building.table(seed), kind="CROSS")],
        where=exp.Where(this=known),
    )


def _cells(keys: list[str], flags: list[str], values: list[str], rows: str, prefix: str) -> exp.Select:
    """Return one row for each person of each group by all keys: rows in all, rows for each flag, values."""
    by = [*keys, f"{prefix}person"]
    outputs = [alias(column(name, rows), name) for name in by]
    outputs.append(alias(exp.Count(this=exp.Star()), f"{prefix}rows"))
    outputs += [alias(exp.CountIf(this=column(name, rows)), name) for name in flags]
    outputs += [alias(exp.Sum(this=_small(column(name, rows))), name) for name in values]
    group = exp.Group(expressions=[column(name, rows) for name in by])
    return exp.Select(expressions=outputs, from_=from_(rows), group=group)


def _small(value: exp.Expr) -> exp.Expr:
    """Return what is left of a value modulo the prime, as DOUBLE.

    It is exact when it is added up for 4 million rows of a person, and four times faster than as HUGEINT.
    """
    return exp.cast(exp.Mod(this=value, expression=exp.Literal.number(PRIME)), "DOUBLE", dialect="duckdb")


def _sets(asked: Populations, keys: list[str], added: list[str], cells: str) -> exp.Select:
    """Return the same for each group of every grouping set."""
    person = f"{asked.prefix}person"
    by = asked.groupings or (tuple(range(asked.keys)),)
    sets = [
        exp.Tuple(expressions=[column(n, cells) for n in (*(keys[place] for place in places), person)]) for places in by
    ]
    of_keys = [column(name, cells) for name in keys]
    number: exp.Expr = exp.GroupingId(expressions=of_keys) if of_keys else exp.Literal.number(0)
    outputs = [*(alias(column(name, cells), name) for name in keys), alias(number, f"{asked.prefix}set")]
    outputs.append(alias(column(person, cells), person))
    outputs += [alias(exp.Sum(this=column(name, cells)), name) for name in added]
    group = exp.Group(grouping_sets=[exp.GroupingSets(expressions=sets)])
    return exp.Select(expressions=outputs, from_=from_(cells), group=group)


def _sketched(keys: list[str], flags: list[str], values: list[str], table: str, prefix: str) -> exp.Select:
    person = column(f"{prefix}person", table)
    by = [*keys, f"{prefix}set"]
    bucket = exp.Paren(this=exp.BitwiseAnd(this=person.copy(), expression=exp.Literal.number(BUCKETS - 1)))
    factor = exp.Paren(this=exp.Add(this=_bits(person.copy(), FACTOR_SHIFT), expression=exp.Literal.number(1)))
    outputs = [*(alias(column(name, table), name) for name in by)]
    outputs.append(alias(exp.cast(bucket, "INTEGER", dialect="duckdb"), f"{prefix}bucket"))

    def add(amount: exp.Expr | None, some: exp.Expr | None) -> None:
        number = len(outputs)
        product = factor.copy() if amount is None else exp.Mul(this=factor.copy(), expression=amount)
        counted: exp.Expr = exp.Count(this=exp.Star())
        summed: exp.Expr = exp.Sum(this=product)
        if some is not None:
            counted = exp.Filter(this=counted, expression=exp.Where(this=some.copy()))
            summed = exp.Filter(this=summed, expression=exp.Where(this=some.copy()))
        outputs.append(alias(counted, f"{prefix}n_{number}"))
        rest = exp.Mod(this=call("COALESCE", summed, exp.Literal.number(0)), expression=exp.Literal.number(PRIME))
        outputs.append(alias(exp.cast(rest, "BIGINT", dialect="duckdb"), f"{prefix}s_{number}"))

    def amount_of(name: str) -> exp.Expr:
        rest = exp.Mod(this=column(name, table), expression=exp.Literal.number(PRIME))
        return exp.cast(rest, "BIGINT", dialect="duckdb")

    add(None, None)
    add(amount_of(f"{prefix}rows"), None)
    for name in flags:
        some = exp.GT(this=column(name, table), expression=exp.Literal.number(0))
        add(None, some)
        add(amount_of(name), some)
    for name in values:
        add(amount_of(name), exp.NEQ(this=amount_of(name), expression=exp.Literal.number(0)))
    group = exp.Group(expressions=[*(column(name, table) for name in by), bucket.copy()])
    return exp.Select(expressions=outputs, from_=from_(table), group=group)


def _is_whole_number(kind: str) -> bool:
    """Whether values of a type hash alike in every such type."""
    return kind.upper() in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"}


def _bits(number: exp.Expr, shift: int) -> exp.Expr:
    shifted = exp.BitwiseRightShift(this=number, expression=exp.Literal.number(shift))
    return exp.cast(exp.Paren(this=shifted), "BIGINT", dialect="duckdb")


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _cte(name: str, query: exp.Expr) -> exp.CTE:
    """Return a part of WITH that the engine may compute where it stands: it is read once."""
    return exp.CTE(this=query, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
