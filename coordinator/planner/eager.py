"""Eager aggregation: partial aggregates below a join, so that one row a key is shipped in place of many.

Where the aggregates of a block read one side of a join, that side is grouped by its other columns before it is shipped
(Yan and Larson, "Eager aggregation and lazy aggregation", VLDB 1995). An aggregate of the other side's values is
multiplied by the number of rows that each shipped row stands for.

    SELECT p.kind, sum(l.price), count(*) FROM l JOIN p ON p.k = l.k GROUP BY p.kind
    ship   SELECT l.k, sum(l.price) AS a0, count(*) AS n FROM l GROUP BY l.k
    block  SELECT p.kind, sum(l.a0), sum(l.n) FROM l JOIN p ON p.k = l.k GROUP BY p.kind

Only what is exact in any order is taken apart: whole numbers, decimals, extremes and counts; never sums of doubles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from coordinator.planner import aggregation, rewrite
from coordinator.planner.group import tables_in
from coordinator.planner.implied import TypeOf

NUMBER = "n"
"""Column of a grouped shipment: how many rows each of its rows stands for."""

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_MOST_DIGITS_TIMES_A_COUNT = 18
"""A decimal of more digits might not fit into 38 once it is multiplied with a 64-bit count."""

_TIMES_A_COUNT = (exp.Add, exp.Sub, exp.Neg, exp.Paren, exp.Identifier)
_EXACT = (*_TIMES_A_COUNT, exp.Mul)
"""What sums may be taken of, besides columns and numbers, that are the same in any order."""

_INEXACT_KEYS = frozenset({"FLOAT", "DOUBLE"})
"""Two zeros are one group, and yet not the same in every expression."""

_SAME = frozenset({"min", "max", "bool_and", "bool_or", "bit_and", "bit_or"})

Named = dict[str, exp.Expr]


@dataclass(slots=True)
class Eager:
    """How one side of a block is aggregated before it is shipped.

    ``partials`` are its aggregates by the name of their column, ``keys`` the columns by which it is grouped, and
    ``changes`` what stands in place of each aggregate call of the block (by identity), over ``alias``.
    """

    alias: str
    partials: Named = field(default_factory=dict)
    keys: list[rewrite.ColumnName] = field(default_factory=list)
    changes: list[tuple[exp.Expr, exp.Expr]] = field(default_factory=list)


class _NotExact(Exception):
    """A call cannot be computed from partials of one side."""


def eager(
    select: exp.Select,
    clauses: list[exp.Expr],
    aliases: frozenset[str],
    alias: str,
    type_of: TypeOf,
    *,
    outer: bool = False,
) -> Eager | None:
    """Return how the side ``aliases`` of an aggregating block may be grouped before it is shipped, or None.

    ``clauses`` are all expressions of the block but its FROM; the result's columns will be those of ``alias``. With
    ``outer`` the side's columns may be NULL in a row that stands for nothing of the side, and for itself.
    """
    calls = aggregation.aggregates_in(select)
    if not calls or aggregation.has_window(select):
        return None
    made = Eager(alias)
    maker = _Maker(made, aliases, type_of, outer)
    try:
        for call in calls:
            made.changes.append((call, maker.changed(call)))
    except _NotExact:
        return None
    if not any(name != NUMBER for name in made.partials):
        maker.number()  # nothing but counts: the number of rows is all that is needed
    inside = {id(call) for call in calls}
    made.keys = _columns_outside(clauses, aliases, inside)
    made.keys += [c for c in maker.conditions if c not in made.keys]
    if any(type_of(key) in _INEXACT_KEYS for key in made.keys):
        return None
    return made if made.keys else None


def _columns_outside(clauses: list[exp.Expr], aliases: frozenset[str], inside: set[int]) -> list[rewrite.ColumnName]:
    """Return the columns of a side that are named outside its aggregates."""
    found: dict[rewrite.ColumnName, None] = {}

    def visit(node: exp.Expr, visible: frozenset[str]) -> None:
        if id(node) in inside:
            return
        if isinstance(node, exp.Column):
            if node.table in visible:
                found[(node.table, node.name)] = None
            return
        if isinstance(node, exp.Select):
            visible = visible - rewrite.aliases_of(node)
        for child in node.iter_expressions():
            visit(child, visible)

    for clause in clauses:
        visit(clause, aliases)
    return list(found)


@dataclass(slots=True)
class _Maker:
    made: Eager
    aliases: frozenset[str]
    type_of: TypeOf
    outer: bool
    conditions: list[rewrite.ColumnName] = field(default_factory=list)
    """Columns of the side that stand in conditions within aggregates, which must be keys."""

    def changed(self, call: exp.Expr) -> exp.Expr:
        """Return what a call becomes over the grouped side."""
        name = aggregation.name_of(call)
        bare = aggregation.bare(call)
        if bare is not call or any(isinstance(a, exp.Distinct | exp.Order) for a in bare.iter_expressions()):
            raise _NotExact
        arguments = [a for a in bare.iter_expressions() if not isinstance(a, exp.Star)]
        if name in {"count", "count_star"} and not arguments:
            return _counted(exp.Sum(this=self.number()))
        if len(arguments) != 1:
            raise _NotExact
        argument = arguments[0]
        maker: dict[str, Callable[[exp.Expr], exp.Expr]] = {"sum": self._sum, "count": self._count, "avg": self._avg}
        if name in maker:
            return maker[name](argument)
        if name not in _SAME:
            raise _NotExact
        if not self._is_ours(argument):
            if tables_in(argument) & self.aliases:
                raise _NotExact
            return call.copy()
        made = call.copy()
        made.set("this", self._partial(call))
        return made

    def number(self) -> exp.Expr:
        """Return the column that says how many rows a row stands for."""
        self.made.partials[NUMBER] = exp.Count(this=exp.Star(), big_int=True)
        column = rewrite.column(self.made.alias, NUMBER)
        return exp.func("coalesce", column, exp.Literal.number(1)) if self.outer else column

    def _partial(self, call: exp.Expr) -> exp.Expr:
        known = next((name for name, node in self.made.partials.items() if node == call), None)
        if known is None:
            known = f"a{len(self.made.partials)}"
            self.made.partials[known] = call.copy()
        return rewrite.column(self.made.alias, known)

    def _is_ours(self, node: exp.Expr) -> bool:
        used = tables_in(node)
        if not used or not used <= self.aliases or node.find(exp.Query) is not None:
            return False
        if self.outer and not all(isinstance(part, (*_EXACT, exp.Column, exp.Literal)) for part in node.walk()):
            raise _NotExact  # it might not be NULL where the side is missing
        return True

    def _sum(self, argument: exp.Expr) -> exp.Expr:
        return exp.Sum(this=self._term(argument))

    def _term(self, node: exp.Expr) -> exp.Expr:
        """Return the sum of an expression over the rows that one grouped row stands for."""
        node = node.unnest()
        if self._is_ours(node):
            self._check_exact(node)
            return self._partial(exp.Sum(this=node.copy()))
        if isinstance(node, exp.Case) and node.args.get("this") is None:
            return self._case(node)
        if isinstance(node, exp.Null):
            return node.copy()
        if isinstance(node, exp.Literal) and not node.is_string and node.name == "0":
            return node.copy()
        if tables_in(node) & self.aliases or node.find(exp.Query) is not None:
            raise _NotExact
        self._check_exact(node, times_a_count=True)
        value = node.copy()
        if not self._has_decimals(node):
            value = exp.cast(value, "HUGEINT", dialect="duckdb")
        return exp.Mul(this=exp.paren(value), expression=self.number())

    def _case(self, node: exp.Case) -> exp.Expr:
        made = node.copy()
        branches = [*zip(node.args["ifs"], made.args["ifs"], strict=True)]
        for old, new in branches:
            condition = old.this
            if condition.find(exp.Query) is not None:
                raise _NotExact
            self.conditions += rewrite.columns_used([condition], set(self.aliases))
            new.set("true", self._term(old.args["true"]))
        if node.args.get("default") is not None:
            made.set("default", self._term(node.args["default"]))
        return made

    def _count(self, argument: exp.Expr) -> exp.Expr:
        if self._is_ours(argument):
            return _counted(exp.Sum(this=self._partial(exp.Count(this=argument.copy(), big_int=True))))
        if tables_in(argument) & self.aliases or argument.find(exp.Query) is not None:
            raise _NotExact
        there = exp.Not(this=exp.Is(this=exp.paren(argument.copy()), expression=exp.Null()))
        return _counted(exp.Sum(this=exp.case().when(there, self.number())))

    def _avg(self, argument: exp.Expr) -> exp.Expr:
        if not self._is_ours(argument):
            raise _NotExact
        self._check_exact(argument)
        total = exp.Sum(this=self._partial(exp.Sum(this=argument.copy())))
        count = exp.Sum(this=self._partial(exp.Count(this=argument.copy(), big_int=True)))
        over = exp.cast(total, "DOUBLE", dialect="duckdb")
        return exp.paren(
            exp.Div(this=over, expression=exp.cast(count, "DOUBLE", dialect="duckdb"), typed=False, safe=False)
        )

    def _check_exact(self, node: exp.Expr, *, times_a_count: bool = False) -> None:
        """Make sure that sums of an expression are the same in any order."""
        for part in node.walk():
            if isinstance(part, exp.Column):
                kind = self.type_of((part.table, part.name)) or ""
                decimal = _DECIMAL.fullmatch(kind)
                if decimal is None and not (_WHOLE.fullmatch(kind) and kind not in {"HUGEINT", "UHUGEINT"}):
                    raise _NotExact
                if times_a_count and decimal is not None and int(decimal[1]) > _MOST_DIGITS_TIMES_A_COUNT:
                    raise _NotExact
            elif isinstance(part, exp.Literal):
                if part.is_string or "e" in part.name.lower():
                    raise _NotExact
            elif not isinstance(part, _TIMES_A_COUNT if times_a_count else _EXACT):
                raise _NotExact

    def _has_decimals(self, node: exp.Expr) -> bool:
        literals = any("." in literal.name for literal in node.find_all(exp.Literal))
        return literals or any(
            _DECIMAL.fullmatch(self.type_of((c.table, c.name)) or "") is not None for c in node.find_all(exp.Column)
        )


def _counted(total: exp.Expr) -> exp.Expr:
    """Return a sum of counts as a count: 0 over nothing."""
    whole = exp.func("coalesce", total, exp.Literal.number(0))
    return exp.cast(whole, "BIGINT", dialect="duckdb")
