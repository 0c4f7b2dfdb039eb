"""Generated queries over scattered tables: relations with typed columns, put together from joins, subqueries and more.

Every relation knows columns that tell its rows apart, so that windows, LIMIT and ordered aggregates have one answer.
What one database itself leaves open is left out: an order among equals, the last bits of summed doubles under HAVING or
LIMIT, and two grouping keys that are the same expression.
"""

# ruff: noqa: S608  (queries are text here, as a researcher writes them)

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

INT, TEXT, DOUBLE, DECIMAL, DATE, BOOL = "int", "text", "double", "decimal", "date", "bool"
DEPTH = 2
JOINS = (*("JOIN",) * 5, *("LEFT JOIN",) * 3, "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", ",")
SETS = (*("UNION", "UNION ALL") * 2, "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")


@dataclass(frozen=True)
class Col:
    """A column as it is written, and its kind."""

    sql: str
    kind: str


@dataclass(frozen=True)
class Rel:
    """What stands after FROM, its columns, and those that together tell its rows apart."""

    sql: str
    cols: tuple[Col, ...]
    ident: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A query, and whether no output is a double that was summed."""

    sql: str
    exact: bool


@dataclass(frozen=True)
class Partition:
    """One query without a condition and with it true, false and NULL: aggregates that add up, and rows that do."""

    whole: str
    parts: tuple[str, str, str]


TABLES = {
    "persons": "p int; sex int; name text; born date; z double; amount decimal",
    "visits": "v int; p int; k text; day date; n int; x double; flag bool",
    "drugs": "d int; p int; v int; k text; qty int; cost decimal; y double",
    "codes": "c int; k text; label text; grp int",
}
IDENT = {"persons": "p", "visits": "v", "drugs": "d", "codes": "c"}
MODERATE = {"n", "sex", "qty", "grp", "y", "p", "v"}
"""Columns whose sums and moments are no matter of luck: the values of the others are far apart on purpose."""


@dataclass
class Maker:
    """Makes queries; ``r`` decides, ``names`` counts the aliases."""

    r: random.Random
    names: int = 0
    ctes: list[tuple[str, str]] = field(default_factory=list)

    def alias(self) -> str:
        """Return a new alias."""
        self.names += 1
        return f"t{self.names}"

    def maybe(self, share: float) -> bool:
        """Whether to do something that is done in ``share`` of the cases."""
        return self.r.random() < share

    def relation(self, depth: int) -> Rel:
        """Return a table, a join, or a query as a table."""
        if depth == 0 or self.maybe(0.35):
            return self.table()
        return self.r.choice((self.join, self.join, self.join, self.derived, self.united))(depth)

    def table(self, name: str = "") -> Rel:
        """Return a table of the federation under an alias."""
        name, alias = name or self.r.choice(sorted(TABLES)), self.alias()
        cols = (part.strip().split(" ") for part in TABLES[name].split(";"))
        return Rel(f"{name} {alias}", tuple(Col(f"{alias}.{c}", kind) for c, kind in cols), (f"{alias}.{IDENT[name]}",))

    def join(self, depth: int) -> Rel:
        """Return two relations joined somehow."""
        left, right = self.relation(depth - 1), self.operand(depth - 1)
        cols, ident = left.cols + right.cols, left.ident + right.ident
        kind = self.r.choice(
            (*("JOIN",) * 5, *("LEFT JOIN",) * 3, "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", ",")
        )
        on = self.matching(left, right)
        if kind == ",":
            return Rel(f"{left.sql} CROSS JOIN {right.sql}", cols, ident)
        if kind in {"SEMI JOIN", "ANTI JOIN"}:
            return Rel(f"{left.sql} {kind} {right.sql} ON {on}", left.cols, left.ident)
        if kind != "FULL JOIN" and self.maybe(0.2):
            on += f" AND {self.condition(replace_cols(left, cols), 0)}"
        elif kind in {"JOIN", "LEFT JOIN"} and self.maybe(0.15):
            found = self.ranged(left, right)
            on = found or on
        return Rel(f"{left.sql} {kind} {right.sql} ON {on}", cols, ident)

    def operand(self, depth: int) -> Rel:
        """Return what may stand on the right of a join: a table or a query, no bare join."""
        return self.table() if depth == 0 or self.maybe(0.7) else self.derived(depth)

    def matching(self, left: Rel, right: Rel) -> str:
        """Return a condition that equates columns of two relations."""
        pairs = [(a, b) for a in left.cols for b in right.cols if a.kind == b.kind and a.kind not in {BOOL}]
        named = [(a, b) for a, b in pairs if bare(a) == bare(b)]
        if not pairs:
            return f"{left.cols[0].sql} IS NULL AND {right.cols[0].sql} IS NULL"
        a, b = self.r.choice(named if named and self.maybe(0.95) else pairs)
        operator = "IS NOT DISTINCT FROM" if self.maybe(0.1) else "="
        on = f"{b.sql} {operator} {a.sql}"
        if len(named) > 1 and self.maybe(0.3):
            a, b = self.r.choice(named)
            on += f" AND {a.sql} = {b.sql}"
        return on

    def ranged(self, left: Rel, right: Rel) -> str:
        """Return a condition that a value of one lies between values of the other."""
        ours, theirs = of(left, INT), of(right, INT)
        if not ours or not theirs:
            return ""
        low = self.r.choice(theirs).sql
        return f"{self.r.choice(ours).sql} BETWEEN {low} AND {low} + {self.r.randint(0, 3)}"

    def derived(self, depth: int) -> Rel:
        """Return a query as a table: rows with or without conditions, windows or LIMIT, groups, or DISTINCT."""
        inner = self.relation(depth - 1)
        if self.maybe(0.4):
            return self.as_table(*self.groups(inner))
        cols = self.r.sample(inner.cols, min(len(inner.cols), self.r.randint(1, 4)))
        named = {f"c{i}": col for i, col in enumerate(cols)}
        kind_of = {c.sql: c.kind for c in inner.cols}
        ident = {f"i{i}": Col(sql, kind_of[sql]) for i, sql in enumerate(inner.ident)}
        body = f"FROM {inner.sql}{self.where(inner)}"
        choice = self.r.random()
        if choice < 0.15:
            keys = ", ".join(f"{c.sql} AS {n}" for n, c in named.items())
            kinds = {n: c.kind for n, c in named.items()}
            return self.as_table(f"SELECT DISTINCT {keys} {body}", kinds, tuple(named))
        outputs = [f"{c.sql} AS {n}" for n, c in (named | ident).items()]
        kinds = {n: c.kind for n, c in (named | ident).items()}
        if choice < 0.3:
            outputs.append(f"{self.window(inner)} AS w")
            kinds["w"] = INT
        sql = f"SELECT {', '.join(outputs)} {body}"
        if 0.3 <= choice < 0.4:
            over = f"PARTITION BY {self.r.choice(inner.cols).sql} ORDER BY {', '.join(inner.ident)}"
            sql += f" QUALIFY row_number() OVER ({over}) <= {self.r.randint(1, 2)}"
        elif 0.4 <= choice < 0.5:
            sql += f" ORDER BY {', '.join(inner.ident)} LIMIT {self.r.randint(0, 5)}"
        return self.as_table(sql, kinds, tuple(ident))

    def as_table(self, sql: str, kinds: dict[str, str], ident: tuple[str, ...]) -> Rel:
        """Return a query under an alias, as a derived table or as a WITH part."""
        alias = self.alias()
        cols = tuple(Col(f"{alias}.{name}", kind) for name, kind in kinds.items())
        unique = tuple(f"{alias}.{name}" for name in ident)
        if self.maybe(0.3):
            self.ctes.append((f"w_{alias}", sql))
            return Rel(f"w_{alias} {alias}", cols, unique)
        return Rel(f"({sql}) {alias}", cols, unique)

    def united(self, depth: int) -> Rel:
        """Return a set operation as a table."""
        sql, kinds = self.set_operation(depth)
        return self.as_table(sql, kinds, tuple(kinds))

    def set_operation(self, depth: int) -> tuple[str, dict[str, str]]:
        """Return a set operation of two queries with the same kinds of columns."""
        left = self.relation(depth - 1)
        cols = self.r.sample(left.cols, min(len(left.cols), self.r.randint(1, 3)))
        branches = [self.branch(left, cols)]
        right = self.relation(depth - 1)
        matching = [[c for c in right.cols if c.kind == col.kind] for col in cols]
        others = [self.r.choice(m) if m else Col("NULL", c.kind) for m, c in zip(matching, cols, strict=True)]
        branches.append(self.branch(right, others))
        operator = self.r.choice(
            ("UNION", "UNION ALL", "UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")
        )
        return f" {operator} ".join(branches), {f"c{i}": c.kind for i, c in enumerate(cols)}

    def branch(self, rel: Rel, cols: Sequence[Col]) -> str:
        """Return a SELECT of columns, named by number."""
        outputs = ", ".join(f"{c.sql} AS c{i}" for i, c in enumerate(cols))
        return f"SELECT {outputs} FROM {rel.sql}{self.where(rel)}"

    def where(self, rel: Rel) -> str:
        """Return a WHERE clause or nothing."""
        return f" WHERE {self.condition(rel, 1)}" if self.maybe(0.35) else ""

    def condition(self, rel: Rel, depth: int) -> str:
        """Return a condition on a relation's rows; with ``depth``, perhaps one that holds a subquery."""
        found = [self.atom(rel, depth) for _ in range(self.r.choice((1, 1, 2)))]
        if len(found) == 1:
            return f"NOT ({found[0]})" if self.maybe(0.1) else found[0]
        return self.r.choice(("({}) AND ({})", "(({}) OR ({}))", "({}) AND NOT ({})")).format(*found)

    def atom(self, rel: Rel, depth: int) -> str:
        """Return a simple condition."""
        if depth and self.maybe(0.35):
            return self.subquery_condition(rel)
        col = self.r.choice(rel.cols)
        x = col.sql
        by_kind = {
            INT: (
                f"{x} > 1",
                f"{x} IN (0, 2, 100, NULL)",
                f"{x} % 2 = 0",
                f"{x} BETWEEN 0 AND 107",
                f"coalesce({x}, 0) < 3",
            ),
            TEXT: (
                f"{x} = 'a'",
                f"{x} LIKE '%b%'",
                f"{x} <> ''",
                f"{x} IN ('é', '', 'A')",
                f"length({x}) > 1",
                f"{x} >= 'b'",
            ),
            DOUBLE: (f"{x} > 1", f"isnan({x})", f"{x} = 0", f"{x} < 1e16", f"{x} IS DISTINCT FROM 'nan'::DOUBLE"),
            DECIMAL: (f"{x} > 0", f"{x} <> 0", f"{x} < 1000"),
            DATE: (f"{x} >= DATE '2020-01-01'", f"year({x}) = 2020", f"{x} < DATE '2020-03-01'"),
            BOOL: (x, f"NOT {x}", f"{x} IS NOT TRUE"),
        }
        return self.r.choice((*by_kind[col.kind], f"{x} IS NULL", f"{x} IS NOT NULL"))

    def subquery_condition(self, rel: Rel) -> str:
        """Return a condition that another relation decides."""
        inner = self.table() if self.maybe(0.7) else self.relation(1)
        pairs = [(a, b) for a in rel.cols for b in inner.cols if a.kind == b.kind and bare(a) == bare(b)]
        pairs = pairs or [(a, b) for a in rel.cols for b in inner.cols if a.kind == b.kind and a.kind == INT]
        where = f" WHERE {self.condition(inner, 0)}" if self.maybe(0.4) else ""
        if not pairs:
            return f"(SELECT count(*) FROM {inner.sql}{where}) > 1"
        a, b = self.r.choice(pairs)
        linked = f"{b.sql} = {a.sql}" + (f" AND {self.condition(inner, 0)}" if where else "")
        extra = of(inner, INT)
        number = self.r.choice(extra).sql if extra else "1"
        outer = of(rel, INT)
        left = self.r.choice(outer).sql if outer else "1"
        return self.r.choice(
            (
                f"EXISTS (SELECT 1 FROM {inner.sql} WHERE {linked})",
                f"NOT EXISTS (SELECT 1 FROM {inner.sql} WHERE {linked})",
                f"{a.sql} IN (SELECT {b.sql} FROM {inner.sql}{where})",
                f"{a.sql} NOT IN (SELECT {b.sql} FROM {inner.sql}{where})",
                f"{a.sql} NOT IN (SELECT {b.sql} FROM {inner.sql} WHERE {b.sql} IS NOT NULL)",
                f"{left} > (SELECT min({number}) FROM {inner.sql}{where})",
                f"(SELECT count(*) FROM {inner.sql} WHERE {linked}) > 1",
                f"{left} >= (SELECT max({number}) FROM {inner.sql} WHERE {linked})",
                f"{left} <= ALL (SELECT {number} FROM {inner.sql}{where})",
                f"{left} = ANY (SELECT {number} FROM {inner.sql}{where})",
            )
        )

    def window(self, rel: Rel) -> str:
        """Return a call over a window, whose value is an integer."""
        part = f"PARTITION BY {self.r.choice(rel.cols).sql}" if self.maybe(0.7) else ""
        total = ", ".join(rel.ident)
        numbers = of(rel, INT)
        x = self.r.choice(numbers).sql if numbers else "1"
        return self.r.choice(
            (
                f"row_number() OVER ({part} ORDER BY {total})",
                f"count(*) OVER ({part})",
                f"sum({x}) OVER ({part})",
                f"rank() OVER ({part} ORDER BY {x}, {total})",
                f"dense_rank() OVER ({part} ORDER BY {x})",
                f"lag({x}) OVER ({part} ORDER BY {total})",
                f"sum({x}) OVER ({part} ORDER BY {total} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
                f"first_value({x}) OVER ({part} ORDER BY {total})",
                f"max({x}) OVER ({part} ORDER BY {x} RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
            )
        )

    def value(self, rel: Rel) -> Col:
        """Return an expression over one row."""
        col = self.r.choice(rel.cols)
        x = col.sql
        more = {
            INT: (
                Col(f"{x} + 1", INT),
                Col(f"coalesce({x}, -5)", INT),
                Col(f"{x} % 3", INT),
                Col(f"{x} IS NULL", BOOL),
            ),
            TEXT: (
                Col(f"upper({x})", TEXT),
                Col(f"{x} || '!'", TEXT),
                Col(f"coalesce({x}, '')", TEXT),
                Col(f"length({x})", INT),
            ),
            DOUBLE: (Col(f"-{x}", DOUBLE), Col(f"{x} > 0", BOOL)),
            DECIMAL: (Col(f"-{x}", DECIMAL), Col(f"{x} IS NULL", BOOL)),
            DATE: (Col(f"year({x})", INT), Col(f"date_trunc('month', {x})", DATE), Col(f"{x} + 1", DATE)),
            BOOL: (Col(f"NOT {x}", BOOL), Col(f"CASE WHEN {x} THEN 'yes' ELSE 'no' END", TEXT)),
        }
        return self.r.choice((col, col, *more[col.kind]))

    def exact_call(self, rel: Rel) -> Col:
        """Return an aggregate whose value has no rounding."""
        col = self.r.choice(rel.cols)
        x, order = col.sql, ", ".join(rel.ident)
        distinct = f"count(DISTINCT {x})"
        of_any = [Col("count(*)", INT), Col(f"count({x})", INT), Col(distinct, INT), Col(distinct, INT)]
        if not any(c in rel.sql for c in (" FULL JOIN ", " LEFT JOIN ", " RIGHT JOIN ")):
            latest = Col(f"arg_max({x}, ({order}))", col.kind)
            of_any.append(latest if len(rel.ident) == 1 else Col(f"count({x})", INT))
        by_kind = {
            INT: (
                Col(f"sum({x})", INT),
                Col(f"min({x})", INT),
                Col(f"sum(DISTINCT {x})", INT),
                Col(f"bit_xor({x})", INT),
            ),
            TEXT: (
                Col(f"min({x})", TEXT),
                Col(f"max({x})", TEXT),
                Col(f"string_agg({x}, '|' ORDER BY {x}, {order})", TEXT),
            ),
            DOUBLE: (Col(f"min({x})", DOUBLE), Col(f"max({x})", DOUBLE)),
            DECIMAL: (Col(f"min({x})", DECIMAL), Col(f"max({x})", DECIMAL), Col(f"sum({x} % 1000)", DECIMAL)),
            DATE: (Col(f"min({x})", DATE), Col(f"max({x})", DATE), Col(f"quantile_disc({x}, 0.5)", DATE)),
            BOOL: (Col(f"bool_and({x})", BOOL), Col(f"bool_or({x})", BOOL), Col(f"count_if({x})", INT)),
        }
        call = self.r.choice((*of_any, *by_kind[col.kind]))
        if self.maybe(0.15):
            return Col(f"{call.sql} FILTER (WHERE {self.condition(rel, 0)})", call.kind)
        return call

    def rounded_call(self, rel: Rel) -> str:
        """Return an aggregate whose last bits may differ."""
        plain = [c.sql for c in rel.cols if bare(c) in MODERATE]
        if not plain:
            return "count(*)"
        x, y = self.r.choice(plain), self.r.choice(plain)
        calls = (
            "avg({0})",
            "median({0})",
            "median({0})",
            "quantile_cont({0}, 0.3)",
            "stddev_samp({0})",
            "var_pop({0})",
        )
        return self.r.choice((*calls, "corr({0}, {1})", "regr_slope({0}, {1})", "avg(DISTINCT {0})")).format(x, y)

    def groups(self, rel: Rel) -> tuple[str, dict[str, str], tuple[str, ...]]:
        """Return an aggregation whose groups differ in its keys, all of it exact."""
        keys = {f"k{i}": self.value(rel) for i in range(self.r.choice((0, 1, 1, 2)))}
        calls = {f"a{i}": self.exact_call(rel) for i in range(self.r.randint(1, 2))}
        named = keys | calls
        outputs = ", ".join(f"{c.sql} AS {n}" for n, c in named.items())
        sql = f"SELECT {outputs} FROM {rel.sql}{self.where(rel)}"
        if keys:
            sql += f" GROUP BY {', '.join(c.sql for c in keys.values())}"
        if keys and self.maybe(0.2):
            sql += " HAVING count(*) > 1"
        return sql, {n: c.kind for n, c in named.items()}, tuple(keys) or tuple(calls)

    def aggregation(self) -> Query:
        """Return a whole query that aggregates."""
        rel = self.relation(DEPTH)
        keys = list(dict.fromkeys(self.value(rel) for _ in range(self.r.choice((0, 1, 1, 2)))))
        exact = [self.exact_call(rel).sql for _ in range(self.r.randint(1, 3))]
        rounded = [self.rounded_call(rel) for _ in range(self.r.choice((0, 0, 1, 2)))]
        outputs = [f"{c.sql} AS g{i}" for i, c in enumerate(keys)]
        outputs += [f"{call} AS f{i}" for i, call in enumerate([*exact, *rounded])]
        over = ""
        if keys and self.maybe(0.15):
            over = self.r.choice(("rank() OVER (ORDER BY count(*))", "sum(count(*)) OVER ()"))
            outputs.append(f"{over} AS o")
        sql = f"SELECT {', '.join(outputs)} FROM {rel.sql}{self.where(rel)}"
        if keys:
            names = ", ".join(f"g{i}" for i in range(len(keys)))
            spelled = (names, names, ", ".join(c.sql for c in keys), "ALL")
            sets = (f"ROLLUP ({names})", f"CUBE ({names})", f"GROUPING SETS (({names}), ())")
            sql += f" GROUP BY {self.r.choice(spelled if over else (*spelled, *spelled, *sets))}"
        if self.maybe(0.2):
            sql += f" HAVING {self.r.choice(('count(*) > 1', 'count(*) % 2 = 1', f'{exact[0]} IS NOT NULL'))}"
        order = [str(i + 1) for i in range(len(keys) + len(exact))]
        return self.finished(sql, order, exact=not rounded)

    def selection(self) -> Query:
        """Return a whole query of rows."""
        rel = self.relation(DEPTH)
        outputs = [self.value(rel).sql for _ in range(self.r.randint(1, 4))]
        if self.maybe(0.3):
            outputs.append(self.window(rel))
        if self.maybe(0.2):
            inner = self.table()
            pairs = [(a, b) for a in rel.cols for b in inner.cols if a.kind == b.kind == INT]
            if pairs:
                a, b = self.r.choice(pairs)
                call = self.exact_call(inner).sql
                outputs.append(f"(SELECT {call} FROM {inner.sql} WHERE {b.sql} = {a.sql})")
        if self.maybe(0.1):
            outputs.append(f"{{'a': {rel.cols[0].sql}, 'b': [{rel.cols[-1].sql}]}}")
        named = [f"{output} AS c{i}" for i, output in enumerate(outputs)]
        head = "SELECT DISTINCT" if self.maybe(0.2) else "SELECT"
        sql = f"{head} {', '.join(named)} FROM {rel.sql}{self.where(rel)}"
        if head == "SELECT" and self.maybe(0.1):
            key = self.r.choice(rel.cols).sql
            sql = sql.replace("SELECT", f"SELECT DISTINCT ON ({key})", 1) + f" ORDER BY {key}, {', '.join(rel.ident)}"
            return Query(self.with_parts() + sql, exact=True)
        return self.finished(sql, [str(i + 1) for i in range(len(outputs))], exact=True)

    def combination(self) -> Query:
        """Return a whole query that is a set operation, or reads a recursive WITH part, LATERAL, ASOF or PIVOT."""
        choice = self.r.randint(0, 5)
        if choice <= 2:
            sql, kinds = self.set_operation(DEPTH)
            return self.finished(sql, [str(i + 1) for i in range(len(kinds))], exact=True)
        if choice == 3:
            return Query(
                "WITH RECURSIVE steps(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM steps WHERE i < 4) "
                "SELECT s.i, count(*) AS n, min(v.k) AS k FROM steps s LEFT JOIN visits v ON v.n = s.i GROUP BY s.i",
                exact=True,
            )
        if choice == 4:
            left, right = self.table("visits"), self.table("drugs")
            a, b = left.sql.split()[1], right.sql.split()[1]
            return self.r.choice(
                (
                    Query(
                        f"SELECT {a}.v, {b}.d FROM {left.sql} ASOF LEFT JOIN {right.sql} "
                        f"ON {a}.p = {b}.p AND {a}.v >= {b}.d",
                        exact=True,
                    ),
                    Query(
                        f"SELECT {a}.v, l.s, l.n FROM {left.sql}, LATERAL (SELECT sum({b}.qty) AS s, count(*) AS n "
                        f"FROM {right.sql} WHERE {b}.p = {a}.p) l",
                        exact=True,
                    ),
                    Query(
                        f"SELECT {a}.v, u.q FROM {left.sql} JOIN (SELECT p, list(qty ORDER BY d) AS qs FROM drugs "
                        f"GROUP BY p) g ON g.p = {a}.p, UNNEST(g.qs) AS u(q)",
                        exact=True,
                    ),
                )
            )
        return Query(
            "SELECT * FROM (PIVOT (SELECT p, n, v FROM visits) ON n IN (0, 1, 2) USING count(v) GROUP BY p)", exact=True
        )

    def finished(self, sql: str, order: list[str], *, exact: bool) -> Query:
        """Return a query with its WITH parts, perhaps sorted, perhaps cut off where its order is total."""
        if self.maybe(0.4):
            sql += f" ORDER BY {', '.join(order)}"
            if exact and self.maybe(0.5):
                sql += f" LIMIT {self.r.randint(0, 4)}" + (" OFFSET 1" if self.maybe(0.3) else "")
        return Query(self.with_parts() + sql, exact)

    def with_parts(self) -> str:
        """Return the WITH clause of the parts made so far, or nothing."""
        parts, self.ctes = self.ctes, []
        return f"WITH {', '.join(f'{name} AS ({sql})' for name, sql in parts)} " if parts else ""

    def partition(self) -> Partition:
        """Return one query four times: over all rows, and over those where a condition is true, false and NULL."""
        rel = self.relation(DEPTH)
        condition = self.condition(rel, 1)
        numbers = of(rel, INT)
        x = self.r.choice(numbers).sql if numbers else "1"
        y = self.r.choice(rel.cols).sql
        outputs = f"count(*) AS n, coalesce(sum({x}), 0) AS s, min({x}) AS lo, max({x}) AS hi, list(DISTINCT {y}) AS ys"
        head = self.with_parts()
        ways = ("TRUE", condition, f"NOT ({condition})", f"({condition}) IS NULL")
        whole, *parts = (f"{head}SELECT {outputs} FROM {rel.sql} WHERE {way}" for way in ways)
        return Partition(whole, (parts[0], parts[1], parts[2]))


def bare(col: Col) -> str:
    """Return a column's name without its alias."""
    return col.sql.rpartition(".")[2]


def of(rel: Rel, kind: str) -> list[Col]:
    """Return the columns of a kind."""
    return [c for c in rel.cols if c.kind == kind]


def replace_cols(rel: Rel, cols: tuple[Col, ...]) -> Rel:
    """Return a relation as if it had these columns."""
    return Rel(rel.sql, cols, rel.ident)


def any_query(r: random.Random) -> Query:
    """Return a query of any kind."""
    maker = Maker(r)
    return r.choice((maker.aggregation, maker.aggregation, maker.selection, maker.selection, maker.combination))()
