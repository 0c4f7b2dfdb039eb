"""What the formulas of cut aggregates are built from: the call, the names of its partials, and folds over the nodes.

A fold of doubles takes the nodes in the order of the stage's sites, so that the same partials give the same bits. Over
a few nodes it is one expression over a column for each node; over many it is a list of the nodes' partials, whose
statement does not grow with their number. The engine meets rows in the order of the nodes, so a list has that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from coordinator.plan import SHARD_COLUMN
from coordinator.planner import aggregation

Named = tuple[str, exp.Expr]

FEW_SHARDS = 8
"""Up to so many nodes have a column each. A sum over 3 x 300k groups took 63 ms so and 112 ms as lists, over 16 x 100k
123 and 141 ms, over 100 x 10k 432 and 45 ms; planning a deviation over 100 nodes took 300 ms with columns."""

Term = Callable[..., exp.Expr]
"""Makes an expression of the partials of one node."""

_EACH = "e"
_DOUBLES = frozenset({"DOUBLE", "FLOAT", "REAL"})


@dataclass(frozen=True, slots=True)
class CutAggregate:
    """The parts of one cut aggregate. ``final`` reads the columns that the last merge step names."""

    partials: tuple[Named, ...]
    folded: tuple[Named, ...]
    means: tuple[Named, ...]
    centred: tuple[Named, ...]
    final: exp.Expr


class NotSplittable(Exception):
    """The aggregate has no small exact partial over several nodes."""


@dataclass(frozen=True, slots=True)
class Formula:
    """One call over ``shards`` nodes, whose partials are named with ``prefix``, with the types of its arguments."""

    call: exp.Expr
    prefix: str
    shards: int
    types: tuple[str, ...]
    result_type: str

    @property
    def function(self) -> str:
        """The name of the aggregate, as the registry has it."""
        return aggregation.name_of(self.call)

    @property
    def of_doubles(self) -> bool:
        """Whether the first argument is a floating-point number."""
        return bool(self.types) and is_double(self.types[0])

    @property
    def many(self) -> bool:
        """Whether partials of the nodes are kept in lists."""
        return self.shards > FEW_SHARDS

    def name(self, part: str) -> str:
        """Return the name of a partial."""
        return f"{self.prefix}{part}"

    def partial(self, function: str, *args: exp.Expr) -> exp.Expr:
        """Return an aggregate of another function over the same rows: the FILTER of the call goes with it."""
        made: exp.Expr = exp.func(function, *(a.copy() for a in args), dialect="duckdb")
        condition = filter_of(self.call)
        return made if condition is None else exp.Filter(this=made, expression=exp.Where(this=condition.copy()))

    def args(self) -> list[exp.Expr]:
        """Return the arguments of the call."""
        return arguments(self.call)

    def result(self, value: exp.Expr) -> exp.Expr:
        """Return the value in the type of the call."""
        return exp.cast(value, self.result_type, dialect="duckdb")

    def per_shard(self, *names: str) -> tuple[Named, ...]:
        """Return the partials of each node: in columns of their own, or together in a list of the first name.

        A group has at most one row a node.
        """
        if not self.many:
            return tuple((f"{name}_{i}", _of_shard(name, i)) for name in names for i in range(self.shards))
        held: exp.Expr = column(names[0])
        if len(names) > 1:
            fields = [exp.PropertyEQ(this=exp.to_identifier(n), expression=double(column(n))) for n in names]
            held = exp.Struct(expressions=fields)
        return ((f"{names[0]}_l", exp.ArrayAgg(this=held)),)

    def kept(self, *names: str) -> tuple[Named, ...]:
        """Return the columns of ``per_shard`` once more, for the next step."""
        found = [f"{names[0]}_l"] if self.many else [f"{name}_{i}" for name in names for i in range(self.shards)]
        return tuple((name, column(name)) for name in found)

    def fold(self, name: str, count: str, operator: type[exp.Binary], neutral: float) -> exp.Expr:
        """Return the partials ``name`` of all nodes combined in order; NULL when ``count`` says that none had one."""
        if self.many:
            return exp.func(_LIST_FOLDS[operator], column(f"{name}_l"), dialect="duckdb")
        terms = [_or(column(f"{name}_{i}"), neutral) for i in range(self.shards)]
        folded = terms[0]
        for term in terms[1:]:
            folded = operator(this=folded, expression=term)
        return exp.case().when(exp.EQ(this=column(count), expression=number(0)), exp.Null()).else_(exp.paren(folded))

    def total(self, names: Sequence[str], term: Term) -> exp.Expr:
        """Return the sum over the nodes of what ``term`` makes of their partials ``names``; a NULL term counts 0."""
        if not self.many:
            terms = [_or(term(*(column(f"{name}_{i}") for name in names)), 0) for i in range(self.shards)]
            total = terms[0]
            for other in terms[1:]:
                total = exp.Add(this=total, expression=other)
            return total
        each = exp.to_identifier(_EACH)
        fields = [exp.Dot(this=each.copy(), expression=exp.to_identifier(name)) for name in names]
        terms_of_list = exp.Transform(
            this=column(f"{names[0]}_l"), expression=exp.Lambda(this=term(*fields), expressions=[each])
        )
        return exp.func("list_sum", terms_of_list, dialect="duckdb")


_LIST_FOLDS: dict[type[exp.Binary], str] = {exp.Add: "list_sum", exp.Mul: "list_product"}


def column(name: str) -> exp.Column:
    """Return a reference to a column by its name alone."""
    return exp.column(exp.to_identifier(name, quoted=True))


def number(value: int) -> exp.Expr:
    """Return a literal."""
    return exp.Literal.number(value)


def double(node: exp.Expr) -> exp.Expr:
    """Return a cast to DOUBLE."""
    return exp.Cast(this=node, to=_DOUBLE.copy())


_DOUBLE = exp.DataType.build("DOUBLE", dialect="duckdb")


def divided(over: exp.Expr, under: exp.Expr) -> exp.Expr:
    """Return a division of doubles as the engine does it."""
    return exp.Div(this=over, expression=under, typed=False, safe=False)


def is_double(kind: str) -> bool:
    """Whether a type is one of floating-point numbers."""
    return kind.upper() in _DOUBLES


def arguments(call: exp.Expr) -> list[exp.Expr]:
    """Return the arguments of an aggregate call; none for ``count(*)``."""
    inner = aggregation.bare(call)
    found: list[exp.Expr] = []
    if isinstance(inner, exp.Anonymous):
        found = list(inner.expressions)
    else:
        for key in inner.arg_types:
            value = inner.args.get(key)
            found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, exp.Expr)]
    return [argument for argument in found if not isinstance(argument, exp.Star)]


def distinct_of(call: exp.Expr) -> exp.Distinct | None:
    """Return the DISTINCT of a call, if it has one."""
    return next((a for a in arguments(call) if isinstance(a, exp.Distinct)), None)


def filter_of(call: exp.Expr) -> exp.Expr | None:
    """Return the condition of a call's FILTER, if it has one."""
    node = call
    while isinstance(node, aggregation.WRAPPERS):
        if isinstance(node, exp.Filter):
            found: exp.Expr = node.expression.this
            return found
        node = node.this
    return None


def _or(node: exp.Expr, value: float) -> exp.Expr:
    return exp.func("coalesce", node, double(number(int(value))))


def _of_shard(name: str, index: int) -> exp.Expr:
    condition = exp.EQ(this=column(SHARD_COLUMN), expression=number(index))
    return exp.Filter(this=exp.Max(this=column(name)), expression=exp.Where(this=condition))
