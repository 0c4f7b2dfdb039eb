"""Counts of values in cells that each hold enough persons: what ``archipel_histogram`` becomes in the SQL that runs.

The line of numbers is halved again and again, always at the same places: at 0, then by the exponent, then by the
digits of the binary number. A group's values are cut where *both* halves of such an interval hold enough persons (and
not too small a part of the rows), and nowhere else. So the cells between two cuts hold enough persons, every union of
cells does, and a half without anybody looks like one with a few: neither makes a cut. Persons are counted by a lower
bound, the bits that their hashes set, since bits of two intervals are those of their union.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import sqlglot
from sqlglot import exp

from archipel import aggregates, schema
from archipel.border import parsing, refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.block import Block
from archipel.border.building import alias, call, column, cte, known, number, table
from archipel.border.refusal import refused
from archipel.border.relations import Carrier
from archipel.border.threshold import Names

BITS = 64
"""Of a double: sign, exponent, digits."""
LEVELS = (16, 20, 24, 28, 36, 48, 64)
"""How many halvings there have been after each reading of the rows, of those in intervals that may still be cut. The
first are sign, exponent and four digits; most data needs three readings. In steps of 8 a million different values in
100 groups took 1.5 s of CPU, in steps of 4 it took 0.6 s; a million whole numbers took 0.3 s."""
PARTS = 256
"""No cell is cut into parts of fewer than one in so many of the group's rows: what leaves stays small."""
PERSONS_PER_WORD = 16
"""A word has 64 bits; with so many persons wanted for each word, few more than are wanted set as many bits."""

_READABLE = frozenset((schema.Role.PUBLIC, schema.Role.GROUP, schema.Role.MEASURE))


@dataclass(frozen=True, slots=True)
class Asked:
    """The histograms of a statement, taken out of it: outputs in their order, and the rows they are of."""

    outputs: tuple[str, ...]
    values: Mapping[str, exp.Expr]
    """By output: the value that is counted."""
    keys: Mapping[str, exp.Expr]
    """By output: the group key that it shows."""
    rows: exp.Select
    """FROM, joins and WHERE of the statement."""
    min_persons: int
    """In each cell: as many as the strictest group of the statement needs."""
    stands_in: str | None
    """An output that was added, since without histograms none was left."""


def is_histogram(name: str) -> bool:
    """Whether an aggregate of that name is released as the cells of a histogram."""
    known = aggregates.REGISTRY.get(name)
    return known is not None and known.leak is aggregates.Leak.HISTOGRAM


def taken_out(select: exp.Select, block: Block, analysis: Analysis) -> Asked | None:
    """Take the histograms out of a judged outermost SELECT; None where it has none.

    Raises:
        ArchipelError: BORDER_REFUSED where cells could be told apart from one another, or from other cells.
    """
    calls = {p.alias_or_name: c for p in select.expressions if (c := _call(p)) is not None}
    if not calls:
        return None
    first = next(iter(calls.values()))
    group = select.args.get("group")
    keys = [syntax.unwrapped(key) for key in syntax.grouping_keys(group)] if group is not None else []
    if group is not None and syntax.has_grouping_sets(group):
        raise refused(refusal.HISTOGRAM, first, "beside other grouping sets, of which the small groups would follow")
    if any(carrier.listed for carrier in block.carriers):
        raise refused(refusal.HISTOGRAM, first, "over what was aggregated over several persons before")
    if any(table.policy.rounding for table in analysis.tables.values()):
        raise refused(refusal.HISTOGRAM, first, "of tables whose counts are rounded")
    values = _values(calls, block, analysis)
    shown = {syntax.unwrapped(p.unalias()): p.alias_or_name for p in select.expressions}
    if any(isinstance(key, exp.Literal) or key.find(exp.Query) or key not in shown for key in keys):
        raise refused(refusal.HISTOGRAM, first, "where not every group key is an output and a plain expression")
    outputs = tuple(p.alias_or_name for p in select.expressions)
    rows = exp.Select(**{part: _copied(select.args.get(part)) for part in ("from_", "joins", "where")})
    select.set("expressions", [p for p in select.expressions if p.alias_or_name not in calls])
    stands_in = None
    if not select.expressions:
        stands_in = f"{analysis.prefix}rows"
        select.append("expressions", alias(exp.Count(this=exp.Star(), big_int=True), stands_in))
    policies = [table.policy for table in analysis.tables.values() if table.policy.protected]
    least = max([analysis.min_persons, *(codes.min_persons for policy in policies for codes in policy.sensitive)])
    return Asked(outputs, values, {shown[key]: key.copy() for key in keys}, rows, least, stands_in)


def _call(projection: exp.Expr) -> exp.Expr | None:
    """Return the histogram that a projection is."""
    value = syntax.unwrapped(projection.unalias())
    return value if is_histogram(syntax.aggregate_name(syntax.split_filter(value)[0]) or "") else None


def _values(calls: Mapping[str, exp.Expr], block: Block, analysis: Analysis) -> dict[str, exp.Expr]:
    """Return what each call counts; no column may be in two of them, since cells of one could be less cells of another.

    Two histograms of x and of x + 1, or of x under two conditions, have cells of which the differences are small.
    """
    values: dict[str, exp.Expr] = {}
    used: dict[object, exp.Expr] = {}
    for name, unit in calls.items():
        found, condition = syntax.split_filter(unit)
        given = syntax.arguments(found)
        if condition is not None or syntax.is_distinct(found) or len(given) != 1:
            raise refused(refusal.HISTOGRAM, found, "with FILTER or DISTINCT")
        for base in analysis.expressions.columns(given[0], block):
            owner = analysis.context.tables.get(base.table.lower())
            if owner is not None and owner.policy.protected and owner.policy.role_of(base.column) not in _READABLE:
                raise refused(refusal.HISTOGRAM, found, "of a column that may not be counted by its values")
            if used.setdefault(base, given[0]) != given[0]:
                raise refused(refusal.HISTOGRAM, found, "of one column in two ways: their cells would differ by few")
        values[name] = given[0]
    return values


def counted(select: exp.Select, block: Block, analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """Return each column of a protected table that histograms count, and a mark of the value that it is counted by.

    The mark of a column itself is empty. Of a value whose columns are computed below, all of the statement is the mark.
    """
    found: set[tuple[str, str]] = set()
    for unit in filter(None, map(_call, select.expressions)):
        value = syntax.unwrapped(syntax.arguments(syntax.split_filter(unit)[0])[0])
        named: exp.Expr = value.copy()
        plain = True
        for written in [value] if isinstance(value, exp.Column) else list(value.find_all(exp.Column)):
            plain &= analysis.expressions.is_plain(written, block)
        below = [] if plain else [select.args.get(part) for part in ("with_", "from_", "joins")]
        for written in list(named.find_all(exp.Column)):
            bases = analysis.expressions.columns(written, block)
            if plain and len(bases) == 1:
                base = next(iter(bases))
                written.set("this", exp.to_identifier(f"{base.table}.{base.column}".lower(), quoted=True))
                written.set("table", None)
        alone = plain and isinstance(value, exp.Column)
        parts = [named, *(node for part in below for node in (part if isinstance(part, list) else [part]) if node)]
        text = " ".join(part.sql("duckdb") for part in parts)
        mark = "" if alone else hashlib.sha256(text.encode()).hexdigest()
        for base in analysis.expressions.columns(value, block):
            owner = analysis.context.tables.get(base.table.lower())
            if owner is not None and owner.policy.protected:
                found.add((f"{base.table}.{base.column}".lower(), mark))
    return tuple(sorted(found))


def attached(statement: exp.Select, asked: Asked, carriers: list[Carrier], names: Names) -> exp.Select:
    """Return the statement that holds the threshold, with the cells of each released group beside its other outputs."""
    made = _Maker(asked, carriers, names.prefix)
    clause = statement.args.get("with_")
    statement.set("with_", None)
    ctes = list(clause.expressions) if clause is not None else []
    answer = f"{names.prefix}answer"
    ctes.append(cte(answer, statement))
    ctes.append(cte(made.name("numbered"), made.numbered(answer, names.persons)))
    cells: dict[object, str] = {}
    for value in asked.values.values():
        if value not in cells:
            cells[value] = f"{len(cells)}_cells"
            ctes += made.cells_of(value, f"{len(cells) - 1}_")
    columns = [alias(column(name, answer), name) for name in (names.withheld, names.persons)]
    for output in asked.outputs:
        source, name = (made.name(cells[asked.values[output]]), "cells") if output in asked.values else (answer, output)
        columns.append(alias(column(name, source), output))
    joins = []
    for found in cells.values():
        name = made.name(found)
        same = [
            exp.NullSafeEQ(this=column(key, answer), expression=column(f"k{i}", name))
            for i, key in enumerate(asked.keys)
        ]
        joins.append(exp.Join(this=table(name), side="LEFT", on=exp.and_(*same, exp.true())))
    recursive = clause is not None and bool(clause.args.get("recursive"))
    return exp.Select(
        with_=exp.With(expressions=ctes, recursive=recursive),
        expressions=columns,
        from_=exp.From(this=table(answer)),
        joins=joins,
    )


class _Maker:
    """Makes the common table expressions of one statement's histograms."""

    def __init__(self, asked: Asked, carriers: list[Carrier], prefix: str) -> None:
        self._asked = asked
        self._prefix = prefix
        words = 1 + asked.min_persons // PERSONS_PER_WORD
        self._words = [[f"w{c}_{w}" for w in range(words)] for c in range(len(carriers))]
        self._bits = {
            name: _bits(carrier, word, words)
            for carrier, row in zip(carriers, self._words, strict=True)
            for word, name in enumerate(row)
        }

    def name(self, part: str) -> str:
        """Return the name of a common table expression."""
        return f"{self._prefix}h{part}"

    def numbered(self, answer: str, persons: str) -> exp.Select:
        """Return the groups that are released, each with a number."""
        each = alias(exp.Window(this=exp.RowNumber()), "gid")
        keys = [alias(column(key, answer), f"k{i}") for i, key in enumerate(self._asked.keys)]
        some = column(persons, answer).is_(exp.null()).not_()
        return exp.Select(expressions=[each, *keys], from_=exp.From(this=table(answer)), where=exp.Where(this=some))

    def cells_of(self, value: exp.Expr, start: str) -> Iterator[exp.CTE]:
        """Yield the common table expressions by which a value becomes its cells; ``start`` begins their names."""
        yield self._cte(f"{start}values", self._counted(value))
        yield self._made(f"{start}keyed", _KEYED, start, same=self._same_keys("v", "g"), bits=self._columns("b"))
        yield self._made(f"{start}sizes", _SIZES, start)
        for before, level in pairwise((0, *LEVELS)):
            numbers = {"shift": BITS - level, "before": BITS - before}
            template = _LEVEL if before else _FIRST_LEVEL
            lists = {"bits": self._or("k"), "outer": self._columns("x")}
            yield self._made(f"{start}level{level}", template, start, numbers, f"{start}level{before}", **lists)
        yield self._cte(f"{start}nodes", _together([self._nodes(start, *step) for step in pairwise((0, *LEVELS))]))
        yield self._made(f"{start}heavy", _HEAVY, start, bits=self._or("a"))
        yield self._made(f"{start}cuts", _CUTS, start)
        yield self._made(f"{start}numbers", _NUMBERS, start, bits=self._columns("e"), none=self._nothing())
        yield self._made(f"{start}counts", _COUNTS, start, bits=self._or("c"))
        keys = [alias(column(f"k{i}", "g"), f"k{i}") for i in range(len(self._asked.keys))]
        outer = [column(f"k{i}", "g") for i in range(len(keys))]
        cells = self._filled(_CELLS, start, {}, "", {"keys": keys})
        cells.set("group", exp.Group(expressions=[*outer, column("gid", "g")]))
        yield self._cte(f"{start}cells", cells)

    def _counted(self, value: exp.Expr) -> exp.Select:
        """Return each value of each group once, with its rows and the bits of its persons."""
        rows = self._asked.rows.copy()
        seen = exp.cast(value.copy(), "DOUBLE", dialect="duckdb")
        keys = list(self._asked.keys.values())
        rows.set(
            "expressions",
            [
                *(alias(key.copy(), f"k{i}") for i, key in enumerate(keys)),
                alias(seen, "x"),
                alias(exp.Count(this=exp.Star(), big_int=True), "n"),
                *(alias(bits.copy(), name) for name, bits in self._bits.items()),
            ],
        )
        some = known(value)
        where = rows.args.get("where")
        rows.set("where", exp.Where(this=exp.and_(exp.Paren(this=where.this), some) if where is not None else some))
        rows.set("group", exp.Group(expressions=[*(key.copy() for key in keys), seen.copy()]))
        return rows

    def _nodes(self, start: str, before: int, level: int) -> exp.Select:
        numbers = {"level": level, "step": level - before, "shift": BITS - level}
        template = _NODES if level < BITS else _LAST_NODES
        return self._filled(template, start, numbers, f"{start}level{level}", {"bits": self._columns("m")})

    def _enough(self, source: str) -> exp.Expr:
        """Return that each carrier has enough persons: no fewer than so many bits are set."""
        sums = []
        for row in self._words:
            counted: list[exp.Expr] = [call("BIT_COUNT", column(name, source)) for name in row]
            total = counted[0]
            for more in counted[1:]:
                total = exp.Add(this=total, expression=more)
            sums.append(exp.GTE(this=exp.Paren(this=total), expression=number(self._asked.min_persons)))
        return exp.and_(*sums)

    def _columns(self, source: str) -> list[exp.Expr]:
        return [alias(column(name, source), name) for name in self._bits]

    def _or(self, source: str) -> list[exp.Expr]:
        return [alias(exp.BitwiseOrAgg(this=column(name, source)), name) for name in self._bits]

    def _nothing(self) -> list[exp.Expr]:
        zero = exp.cast(number(0), "UBIGINT", dialect="duckdb")
        return [alias(zero.copy(), name) for name in self._bits]

    def _same_keys(self, one: str, other: str) -> list[exp.Expr]:
        same = [
            exp.NullSafeEQ(this=column(f"k{i}", one), expression=column(f"k{i}", other))
            for i in range(len(self._asked.keys))
        ]
        return [exp.and_(*same, exp.true())]

    def _cte(self, part: str, query: exp.Expr) -> exp.CTE:
        return cte(self.name(part), query)

    def _made(
        self,
        part: str,
        template: str,
        start: str,
        numbers: Mapping[str, int] | None = None,
        level: str = "",
        **lists: list[exp.Expr],
    ) -> exp.CTE:
        return self._cte(part, self._filled(template, start, numbers or {}, level, lists))

    def _filled(
        self,
        template: str,
        start: str,
        numbers: Mapping[str, int],
        level: str,
        lists: Mapping[str, list[exp.Expr]],
    ) -> exp.Select:
        """Return a template's tree: names of tables, numbers and lists of columns put in their places.

        In a template a table ``_x`` is this call's ``x``; a column ``_x`` is a number, a list, or ``_enough_a``.
        """
        tree = _parsed(template).copy()
        figures = {"minimum": self._asked.min_persons, "parts": PARTS, **numbers}
        for source in list(tree.find_all(exp.Table)):
            if source.name.startswith("_"):
                named = {"_numbered": "numbered", "_level": level}
                name = named.get(source.name, start + source.name[1:])
                source.set("this", exp.to_identifier(self.name(name), quoted=True))
        for part in list(tree.find_all(exp.Column)):
            place = part.name.removeprefix("_")
            if place == part.name or part.table:
                continue
            if place.startswith("enough"):
                part.replace(exp.Paren(this=self._enough(place.removeprefix("enough_"))))
            elif place in figures:
                part.replace(number(figures[place]))
            elif isinstance(part.parent, exp.Select):
                _spread(part.parent, part, lists[place])
            else:
                part.replace(exp.Paren(this=lists[place][0]))
        return tree


# In these, a double's 64 bits are turned so that they compare as the numbers do, every NaN last: "u".

_KEYED = """
SELECT b.gid,
       CASE WHEN isnan(b.x) THEN 18444492273895866368::UBIGINT
            WHEN b.u >= 9223372036854775808::UBIGINT THEN 18446744073709551615::UBIGINT - b.u
            ELSE b.u + 9223372036854775808::UBIGINT END AS u,
       b.n AS n, _bits
FROM (SELECT g.gid AS gid, v.*, CAST(CAST(v.x + CAST(0 AS DOUBLE) AS BIT) AS UBIGINT) AS u
      FROM _values AS v JOIN _numbered AS g ON _same) AS b
"""
_SIZES = """
SELECT k.gid AS gid, greatest(_minimum, CAST(ceil(sum(k.n) / _parts) AS BIGINT)) AS least
FROM _keyed AS k GROUP BY k.gid
"""
_FIRST_LEVEL = """
SELECT x.gid AS gid, x.part AS part, x.n AS n, x.n >= 2 * s.least AND _enough_x AS more, _outer
FROM (SELECT k.gid AS gid, k.u >> _shift::UBIGINT AS part, CAST(sum(k.n) AS BIGINT) AS n, _bits
      FROM _keyed AS k GROUP BY k.gid, k.u >> _shift::UBIGINT) AS x
JOIN _sizes AS s ON s.gid = x.gid
"""
_LEVEL = """
SELECT x.gid AS gid, x.part AS part, x.n AS n, x.n >= 2 * s.least AND _enough_x AS more, _outer
FROM (SELECT k.gid AS gid, k.u >> _shift::UBIGINT AS part, CAST(sum(k.n) AS BIGINT) AS n, _bits
      FROM _keyed AS k JOIN _level AS m ON m.more AND k.gid = m.gid AND k.u >> _before::UBIGINT = m.part
      GROUP BY k.gid, k.u >> _shift::UBIGINT) AS x
JOIN _sizes AS s ON s.gid = x.gid
"""
_NODES = """
SELECT m.gid AS gid, m.part AS part, m.n AS n, _level AS level, _step AS step, m.part << _shift::UBIGINT AS u,
       m.more AS more, _bits
FROM _level AS m
"""
_LAST_NODES = """
SELECT m.gid AS gid, m.part AS part, m.n AS n, _level AS level, _step AS step, m.part AS u, false AS more, _bits
FROM _level AS m
"""
_HEAVY = """
SELECT h.gid AS gid, h.level AS level, h.part AS part
FROM (SELECT a.gid AS gid, a.level - r.j AS level, a.part >> CAST(r.j AS UBIGINT) AS part, sum(a.n) AS n, _bits
      FROM _nodes AS a CROSS JOIN range(0, 16) AS r(j) WHERE r.j < a.step
      GROUP BY a.gid, a.level - r.j, a.part >> CAST(r.j AS UBIGINT)) AS h
JOIN _sizes AS s ON s.gid = h.gid
WHERE h.n >= s.least AND _enough_h
"""
_CUTS = """
SELECT h.gid AS gid,
       ((h.part >> 1::UBIGINT) * 2::UBIGINT + 1::UBIGINT) << CAST(64 - h.level AS UBIGINT) AS u
FROM _heavy AS h GROUP BY h.gid, h.level, h.part >> 1::UBIGINT HAVING count(*) = 2
"""
_NUMBERS = """
SELECT c.*, sum(c.cut) OVER (PARTITION BY c.gid ORDER BY c.u, c.cut DESC) AS cell
FROM (SELECT e.gid AS gid, e.u AS u, e.n AS n, 0 AS cut, _bits FROM _nodes AS e WHERE NOT e.more
      UNION ALL SELECT k.gid AS gid, k.u AS u, 0 AS n, 1 AS cut, _none FROM _cuts AS k) AS c
"""
_COUNTS = """
SELECT c.gid AS gid, c.cell AS cell, max(c.u) FILTER (WHERE c.cut = 1) AS u, sum(c.n) AS n, _bits
FROM _numbers AS c GROUP BY c.gid, c.cell
"""
_CELLS = """
SELECT _keys,
       CASE WHEN count(*) = 1 OR bool_and(_enough_c) THEN flatten(list([
           CASE WHEN c.u IS NULL THEN CAST('-infinity' AS DOUBLE)
                WHEN c.u >= 9223372036854775808::UBIGINT
                THEN CAST(CAST(c.u - 9223372036854775808::UBIGINT AS BIT) AS DOUBLE)
                ELSE CAST(CAST(18446744073709551615::UBIGINT - c.u AS BIT) AS DOUBLE) END,
           CAST(c.n AS DOUBLE)
       ] ORDER BY c.cell)) END AS cells
FROM _counts AS c JOIN _numbered AS g ON g.gid = c.gid
"""


@cache
def _parsed(template: str) -> exp.Select:
    found = sqlglot.parse_one(template, read=parsing.DIALECT)
    assert isinstance(found, exp.Select)
    return found


def _spread(select: exp.Select, place: exp.Expr, columns: list[exp.Expr]) -> None:
    """Put several projections in the place of one."""
    outputs: list[exp.Expr] = []
    for projection in select.expressions:
        outputs += columns if projection is place else [projection]
    select.set("expressions", outputs)


def _bits(carrier: Carrier, word: int, words: int) -> exp.Expr:
    """Return SQL for the bits of one word that a carrier's persons set."""
    person = carrier.person
    hashed = call("HASH", person.copy())
    bit = exp.BitwiseLeftShift(
        this=exp.cast(number(1), "UBIGINT", dialect="duckdb"),
        expression=exp.Paren(this=exp.BitwiseAnd(this=hashed, expression=number(63))),
    )
    conditions = [known(person)]
    if carrier.optional:
        conditions.append(exp.Paren(this=carrier.marker.copy()))
    if words > 1:
        higher = exp.BitwiseRightShift(this=hashed.copy(), expression=number(6))
        index = exp.Mod(this=exp.Paren(this=higher), expression=number(words))
        conditions.append(exp.EQ(this=exp.Paren(this=index), expression=number(word)))
    found = exp.Filter(
        this=exp.BitwiseOrAgg(this=exp.Paren(this=bit)), expression=exp.Where(this=exp.and_(*conditions))
    )
    return call("COALESCE", found, exp.cast(number(0), "UBIGINT", dialect="duckdb"))


def _together(selects: list[exp.Select]) -> exp.Expr:
    """Return the rows of all."""
    whole: exp.Expr = selects[0]
    for select in selects[1:]:
        whole = exp.Union(this=whole, expression=select, distinct=False)
    return whole


def _copied(part: object) -> object:
    return (
        [item.copy() for item in part]
        if isinstance(part, list)
        else part.copy()
        if isinstance(part, exp.Expr)
        else None
    )
