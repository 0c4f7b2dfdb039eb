"""Where an answer's groups stand in a table that it shares with other answers: its keys and conditions, row by row.

Answers over the same FROM are cells of one *linked table*, whatever their WHERE and GROUP BY are: each row of FROM has
a value for every key, and each condition holds for it or does not. Rows that agree in all of that are one *atom*, and
every group of every answer is a sum of atoms. So a complement, a list of years, a quarter beside a year and a total
asked later need no rules of their own: the engine says which rows they have in common.

Aliases are replaced by numbered ones, and derived tables that only choose rows and columns become part of the FROM
around them, so that the same rows are found to be the same however they were written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from archipel.border import linking, parsing, readings, splits, syntax
from archipel.border.analysis import Analysis
from archipel.border.building import alias, call, column, derived, every, known, number, paren
from archipel.border.measures import Placement
from archipel.border.persons import adds, varying
from archipel.border.relations import Carrier

_ROWS = "rows"
_SOURCES = (exp.Table, exp.Subquery, exp.Unnest, exp.Lateral, exp.Values)


def of(select: exp.Select, carriers: list[Carrier], analysis: Analysis) -> Placement:
    """Return where the groups of an outermost SELECT stand that was analysed. ``select`` is left as it is."""
    source = select.copy()
    keys = readings.group_keys(source)
    shown = {syntax.unwrapped(p.unalias()): p.alias_or_name for p in reversed(source.expressions)}
    outputs = tuple(shown.get(key) for key in keys)
    where = source.args.get("where")
    conditions = list(syntax.conjuncts(where.this)) if where is not None else []
    units = _units(source, keys)
    flags = list({flag.sql(): flag for unit in units for flag in _flags(unit)}.values())
    values = [argument for unit in units if adds(unit) for argument in varying(unit)]
    persons = [_bit(carrier) for carrier in carriers if not carrier.listed]
    parts = [keys, conditions, flags, values, persons]
    source.set("expressions", [exp.Paren(this=part.copy()) for several in parts for part in several])
    for clause in ("where", "group"):
        source.set(clause, None)
    linking.with_scans(source, analysis)
    while (chosen := _inlined(source)) is not None:
        source.set("expressions", [*source.expressions, *(exp.Paren(this=part) for part in chosen)])
    _rename(source, analysis.prefix)
    scans = [t.alias_or_name for t in source.find_all(exp.Table) if t.name.lower() in analysis.context.tables]
    trees = [syntax.unwrapped(part) for part in source.expressions]
    texts = [_text(tree) for tree in trees]
    source.set("expressions", [exp.null()])
    sizes = [len(several) for several in parts]
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return Placement(
        base=_text(source),
        keys=tuple(texts[: ends[0]]),
        conditions=tuple(dict.fromkeys([*texts[ends[4] :], *texts[ends[0] : ends[1]]])),
        flags=tuple(
            dict.fromkeys(
                texts[place] for place in range(ends[1], ends[2]) if not _is_of_own_column(trees[place], set(scans))
            )
        ),
        values=tuple(dict.fromkeys(texts[ends[2] : ends[3]])),
        persons=tuple(dict.fromkeys(texts[ends[3] : ends[4]])),
        outputs=outputs,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """The columns of a linked table that an answer's groups are found by, as numbers of columns."""

    keys: tuple[int, ...]
    conditions: tuple[int, ...]
    flags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """The statement of a linked table, and where each answer stands in it.

    A row is an atom. The last columns are the number of rows of it and, for each of ``persons``, 64 bits set by hashes
    of its persons.
    """

    sql: str
    places: tuple[Place, ...]
    persons: int


def joint(placements: Sequence[Placement], most: int) -> Joint:
    """Return the linked table of answers over one base; of more atoms than ``most``, one more than that."""
    always = set.intersection(*(set(placement.conditions) for placement in placements))
    columns: dict[str, tuple[int, exp.Expr]] = {}

    def place_of(value: exp.Expr) -> int:
        return columns.setdefault(_text(value), (len(columns), value))[0]

    places = []
    for placement in placements:
        before: list[exp.Expr] = []
        held = []
        for text in placement.conditions:
            condition = _read(text)
            if text not in always:
                held.append(place_of(_guarded(_holds(condition), before)))
            before.append(condition)
        keys = tuple(place_of(_guarded(_read(text), before)) for text in placement.keys)
        flags = tuple(place_of(_guarded(_holds(_read(text)), before)) for text in placement.flags)
        places.append(Place(keys, tuple(held), flags))
    persons = list(dict.fromkeys(text for placement in placements for text in placement.persons))
    inner = sqlglot.parse_one(placements[0].base, read=parsing.DIALECT).assert_is(exp.Select)
    names = [f"c{place}" for place in range(len(columns))]
    bits = [f"p{place}" for place in range(len(persons))]
    outputs = [alias(value, f"c{place}") for place, value in columns.values()]
    outputs += [alias(_read(text), name) for name, text in zip(bits, persons, strict=True)]
    inner.set("expressions", outputs or [alias(exp.null(), "nothing")])
    chosen = _chosen(placements, always)
    if chosen is not None:
        inner.set("where", exp.Where(this=chosen))
    rows = exp.Count(this=exp.Star())
    one = exp.cast(number(1), "UBIGINT", dialect=parsing.DIALECT)
    of_persons = [call("BIT_OR", exp.BitwiseLeftShift(this=one.copy(), expression=column(n, _ROWS))) for n in bits]
    outer = exp.Select(
        expressions=[
            *(alias(column(name, _ROWS), name) for name in names),
            alias(rows, "n"),
            *(alias(value, name) for name, value in zip(bits, of_persons, strict=True)),
        ],
        from_=exp.From(this=derived(inner, _ROWS)),
        group=exp.Group(expressions=[column(name, _ROWS) for name in names]) if names else None,
        limit=exp.Limit(expression=number(most + 1)),
    )
    return Joint(parsing.render(outer), tuple(places), len(bits))


def _holds(condition: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=paren(condition), expressions=[exp.false()])


def _chosen(placements: Sequence[Placement], always: set[str]) -> exp.Expr | None:
    """Return the condition of the rows that are in some of the answers."""
    parts = [_read(text) for text in placements[0].conditions if text in always]
    rest = {tuple(text for text in placement.conditions if text not in always) for placement in placements}
    if () not in rest:
        ways = [exp.Paren(this=every([_read(text) for text in texts])) for texts in sorted(rest)]
        parts.append(exp.or_(*ways))
    return every(parts) if parts else None


def _guarded(value: exp.Expr, before: list[exp.Expr]) -> exp.Expr:
    """Return a value that is computed only of rows for which it was asked, if computing it might fail elsewhere."""
    conditions = [condition for condition in before if condition.find(exp.Query) is None]
    if not conditions or all(isinstance(node, _CANNOT_FAIL) for node in value.walk()):
        return value
    return exp.Case(ifs=[exp.If(this=every(conditions), true=value)])


_CANNOT_FAIL = (
    *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.TryCast, exp.DataType, exp.Var),
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between),
    *(exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Year, exp.Month, exp.Quarter),
)


def _units(source: exp.Select, keys: list[exp.Expr]) -> list[exp.Expr]:
    """Return the aggregates of a SELECT."""
    shown = [p for p in source.expressions if syntax.unwrapped(p.unalias()) not in keys]
    return [unit for projection in shown for unit in syntax.aggregates_in(projection)]


def _flags(unit: exp.Expr) -> list[exp.Expr]:
    """Return the conditions of rows whose number or sum an aggregate tells beside that of each group."""
    aggregate, condition = syntax.split_filter(unit)
    given = [a for a in syntax.arguments(aggregate) if not isinstance(a, exp.Literal | exp.Star)]
    counted = syntax.aggregate_name(aggregate) == "count_if"
    parts = ([condition] if condition is not None else []) + (given if counted else [known(a) for a in given])
    return ([every(parts)] if parts else []) + splits.splits(unit)


def _is_of_own_column(flag: exp.Expr, tables: set[str]) -> bool:
    """Whether a flag says that a table's own column has a value: where it has none, nobody who asks has chosen."""
    test = syntax.unwrapped(flag.this) if isinstance(flag, exp.Not) else flag
    value = syntax.unwrapped(test.this) if isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) else test
    return value is not test and isinstance(value, exp.Column) and value.table in tables


def _bit(carrier: Carrier) -> exp.Expr:
    """Return which of 64 bits a row's person sets; NULL for nobody."""
    person = carrier.person.copy()
    somebody = [known(person), *([carrier.marker.copy()] if carrier.optional else [])]
    bit = exp.BitwiseAnd(this=call("HASH", person), expression=number(63))
    return exp.Case(ifs=[exp.If(this=every(somebody), true=bit)])


# One way to write a FROM


def _inlined(source: exp.Select) -> list[exp.Expr] | None:
    """Make the derived table that FROM begins with part of it, if it only chooses rows and columns.

    Returns its conditions, or None when nothing was done.
    """
    from_ = source.args.get("from_")
    place = from_.this if from_ is not None else None
    if not isinstance(place, exp.Subquery | exp.Table) or any(
        join.args.get("side") or join.args.get("kind") not in (None, "", "INNER", "CROSS")
        for join in source.args.get("joins") or ()
    ):
        return None
    part = _common(source, place) if isinstance(place, exp.Table) else None
    inner = place.this if isinstance(place, exp.Subquery) else part.this if part is not None else None
    if not isinstance(inner, exp.Select) or not _only_chooses(inner) or place.args.get("joins"):
        return None
    around = [name.lower() for name in _defined(source)]
    mine = [name.lower() for name in _defined(inner)]
    if any(around.count(name) > mine.count(name) for name in mine):
        return None  # a name inside means something else around it
    name, aliases = place.alias_or_name.lower(), place.args.get("alias")
    given = [c.name.lower() for c in aliases.args.get("columns") or ()] if aliases is not None else []
    names = [projection.alias_or_name.lower() for projection in inner.expressions]
    meant = dict(zip([*given, *names[len(given) :]], (p.unalias() for p in inner.expressions), strict=True))
    used = [c for c in source.find_all(exp.Column) if c.table.lower() == name]
    if any(c.name.lower() not in meant for c in used):
        return None
    for c in used:
        c.replace(paren(meant[c.name.lower()]))
    where = inner.args.get("where")
    conditions = [condition.copy() for condition in syntax.conjuncts(where.this)] if where is not None else []
    source.set("from_", inner.args["from_"].copy())
    source.set("joins", [*(join.copy() for join in inner.args.get("joins") or ()), *(source.args.get("joins") or ())])
    if part is not None:
        part.pop()
        if not source.args["with_"].expressions:
            source.set("with_", None)
    return conditions


def _common(source: exp.Select, place: exp.Table) -> exp.CTE | None:
    """Return the part of WITH that a source names, if nothing else names it."""
    clause = source.args.get("with_")
    name = place.name.lower()
    if clause is None or clause.args.get("recursive"):
        return None
    part: exp.CTE | None = next((cte for cte in clause.expressions if cte.alias.lower() == name), None)
    uses = [table for table in source.find_all(exp.Table) if table.name.lower() == name]
    return part if part is not None and len(uses) == 1 and not part.args["alias"].args.get("columns") else None


def _only_chooses(inner: exp.Select) -> bool:
    kept = {"expressions", "from_", "joins", "where", "kind", "hint", "operation_modifiers", "with_"}
    if any(value for name, value in inner.args.items() if name not in kept) or inner.args.get("from_") is None:
        return False
    if inner.args.get("with_") or any(isinstance(p.unalias(), exp.Star) for p in inner.expressions):
        return False
    looked = [node for projection in inner.expressions for node in projection.walk()]
    return not any(
        isinstance(node, exp.Window | exp.Query | exp.Unnest | exp.Explode) or syntax.aggregate_name(node) is not None
        for node in looked
    )


def _defined(tree: exp.Expr) -> list[str]:
    """Return the names of all sources in a tree, at any depth, in order."""
    nodes = (node for node in tree.walk(bfs=False) if isinstance(node, _SOURCES))
    return [node.alias_or_name for node in nodes if node.alias_or_name]


def _rename(source: exp.Select, prefix: str) -> None:
    """Give sources and parts of WITH numbered names where each is used for one thing; drop the analysis's prefix."""
    defined = _defined(source)
    lower = [name.lower() for name in defined]
    taken = {node.name.lower() for node in source.find_all(exp.Identifier)}
    word = "s"
    while any(name.startswith(word) and name[len(word) :].isdigit() for name in taken):
        word = f"{word}_"
    once = {name: f"{word}{place}" for place, name in enumerate(lower) if lower.count(name) == 1}
    clause = source.args.get("with_")
    parts = [cte.alias.lower() for cte in clause.expressions] if clause is not None else []
    common = {name: f"{word}w{place}" for place, name in enumerate(parts)}
    for node in list(source.walk(bfs=False)):
        if isinstance(node, exp.Column) and node.table.lower() in once:
            node.set("table", exp.to_identifier(once[node.table.lower()], quoted=True))
        elif isinstance(node, _SOURCES):
            name = node.alias_or_name.lower()
            if name in once:
                given = node.args.get("alias")
                columns = given.args.get("columns") if given is not None else None
                renamed = exp.TableAlias(this=exp.to_identifier(once[name], quoted=True), columns=columns)
                node.set("alias", renamed)
            if isinstance(node, exp.Table) and node.name.lower() in common:
                node.set("this", exp.to_identifier(common[node.name.lower()], quoted=True))
    for cte in clause.expressions if clause is not None else ():
        cte.args["alias"].set("this", exp.to_identifier(common[cte.alias.lower()], quoted=True))
    for node in list(source.find_all(exp.Identifier)):
        if node.name.lower().startswith(prefix):
            node.set("this", f"archipel_{node.name[len(prefix) :]}")


def _read(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read=parsing.DIALECT)


def _text(tree: exp.Expr) -> str:
    return tree.sql(dialect=parsing.DIALECT, identify=True, comments=False)
