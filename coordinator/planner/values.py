"""Aggregates that need the values themselves: the nodes send each value of a group once, with how often it is there.

SELECT kind, count(*) AS n, count(DISTINCT note) AS d, median(beds) AS m FROM wards GROUP BY kind
node    SELECT kind AS g0, count(*) AS p0v FROM wards GROUP BY kind
node    SELECT kind AS g0, note AS g1 FROM wards GROUP BY kind, note
node    SELECT kind AS g0, beds AS g1, count(*) AS n FROM wards GROUP BY kind, beds
above   SELECT ... FROM x2 LEFT JOIN (SELECT g0, count(g1) AS p1v FROM x4 GROUP BY g0) ON g0 IS NOT DISTINCT FROM g0 ...

Fewer bytes than the rows, and exact. Only over tables that are not protected: a value is at one node or at several, and
its persons are not counted here; but ``mode`` of a protected table is made of the values that pass the border. Which
functions can be finished so is told by ``distinct`` and ``quantiles``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from coordinator.planner import aggregation, distinct, quantiles, rewrite
from coordinator.planner.formula import CutAggregate, arguments, column, distinct_of, filter_of, number

COUNT_COLUMN = "n"
"""How many rows of a group have the value."""

NOTE_OF_MODE = (
    "mode of a protected table is the most frequent of the values that were released: those that too few persons of a "
    "node share are not counted."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call needs: the values of ``parts`` in each group. ``counted``: how often each is there, too."""

    call: exp.Expr
    parts: tuple[exp.Expr, ...]
    counted: bool
    repeated: bool
    """Whether the function runs over each value as often as it was there, not once."""


def wanted(call: exp.Expr) -> Wanted | None:
    """Return what a call needs of the values that it is about; None where values do not suffice."""
    parts = _parts(call)
    if not parts:
        return None
    condition = filter_of(call)
    if condition is not None:
        if len(parts) > 1:
            return None  # a tuple of NULLs is a value, too
        parts = [exp.case().when(condition.copy(), parts[0].copy())]
    if distinct_of(call) is not None:
        return Wanted(call, tuple(parts), counted=False, repeated=False) if distinct.finishes(call) else None
    if len(parts) > 1 or not quantiles.finishes(call):
        return None
    return Wanted(call, tuple(parts), counted=True, repeated=quantiles.needs_every_row(call))


def cut(call: exp.Expr, prefix: str, result_type: str) -> CutAggregate:
    """Return the cut of a call that is finished from values: nothing to merge, and what is above reads its value."""
    value: exp.Expr = column(f"{prefix}v")
    if aggregation.name_of(call) == "count":
        value = exp.func("coalesce", value, number(0))
    return CutAggregate((), (), (), (), exp.cast(value, result_type, dialect="duckdb"))


def _parts(call: exp.Expr) -> list[exp.Expr]:
    """Return the one value that a call is about, or the parts of it where it is a tuple."""
    stack = list(arguments(call))
    node = call
    while isinstance(node, aggregation.WRAPPERS):
        if isinstance(node, exp.WithinGroup):
            stack.append(node.expression)
        node = node.this
    found: list[exp.Expr] = []
    tuples: list[exp.Expr] = []
    while stack:
        part = stack.pop(0)
        if isinstance(part, exp.Distinct):
            if any(isinstance(e, exp.Tuple) for e in part.expressions):
                tuples = [e for t in part.expressions for e in t.expressions]
            else:
                stack += part.expressions
        elif isinstance(part, exp.Order):
            stack += [part.this] if part.this is not None else []
            stack += [ordered.this for ordered in part.expressions]
        elif part.find(exp.Column) is not None and part not in found:
            found.append(part)
    if tuples:
        return [] if found else tuples
    return found if len(found) == 1 else []


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of the group keys in what was merged, and the grouping sets as lists of them."""

    names: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    set_column: str

    @property
    def several_sets(self) -> bool:
        """Whether there is more than one grouping set."""
        return len(self.sets) > 1

    @property
    def of_groups(self) -> tuple[str, ...]:
        """The columns that tell groups apart."""
        return (*self.names, self.set_column) if self.several_sets else self.names


def merge(source: str, names: Sequence[str], *, counted: bool) -> exp.Select:
    """Return the merge of what nodes sent: every combination of keys and value once."""
    outputs = [rewrite.aliased(column(name), name) for name in names]
    if counted:
        total = exp.cast(exp.Sum(this=column(COUNT_COLUMN)), "BIGINT", dialect="duckdb")
        outputs.append(rewrite.aliased(total, COUNT_COLUMN))
    tree = exp.select(*outputs).from_(rewrite.table(source))
    tree.set("group", exp.Group(expressions=[column(name) for name in names]))
    return tree


def per_group(
    source: exp.Expr, keys: Keys, names: list[str], types: list[str], calls: Sequence[tuple[str, Wanted]]
) -> exp.Select:
    """Return one row a group, with the value of each of ``calls`` under its name, over merged values ``names``.

    All of the calls are about these values, and all or none of them run over every row.
    """
    counted = any(call.counted for _, call in calls)
    if keys.several_sets:
        source = _in_sets(source, keys, names, counted=counted)
    if calls[0][1].repeated:
        rows = exp.select(*(rewrite.aliased(column(n), n) for n in (*keys.of_groups, *names)))
        rows.set("from_", exp.From(this=source))
        source = quantiles.every_row(rows, names[0], COUNT_COLUMN, "i").subquery("r", copy=False)
    outputs = [rewrite.aliased(column(name), name) for name in keys.of_groups]
    for output, call in calls:
        if distinct_of(call.call) is not None:
            value = distinct.value(call.call, names, types)
        else:
            value = quantiles.value(call.call, _parts(call.call)[0], names[0], COUNT_COLUMN)
        outputs.append(rewrite.aliased(value, output))
    tree = exp.select(*outputs)
    tree.set("from_", exp.From(this=source))
    if keys.of_groups:
        tree.set("group", exp.Group(expressions=[column(name) for name in keys.of_groups]))
    return tree


def _in_sets(source: exp.Expr, keys: Keys, names: list[str], *, counted: bool) -> exp.Subquery:
    """Return the values of each grouping set: those of the finest, brought together."""
    grouping = exp.Grouping(expressions=[column(name) for name in keys.names])
    outputs = [rewrite.aliased(column(name), name) for name in (*keys.names, *names)]
    outputs.append(rewrite.aliased(grouping, keys.set_column))
    if counted:
        total = exp.cast(exp.Sum(this=column(COUNT_COLUMN)), "BIGINT", dialect="duckdb")
        outputs.append(rewrite.aliased(total, COUNT_COLUMN))
    tree = exp.select(*outputs)
    tree.set("from_", exp.From(this=source))
    sets = [exp.Tuple(expressions=[column(name) for name in (*found, *names)]) for found in keys.sets]
    tree.set("group", exp.Group(grouping_sets=[exp.GroupingSets(expressions=sets)]))
    return tree.subquery("s", copy=False)


def joined(
    base: exp.Expr, base_columns: Sequence[str], others: Sequence[tuple[exp.Expr, Sequence[str]]], keys: Keys
) -> exp.Select:
    """Return groups side by side: the columns of ``base``, which has every group, and of each of ``others``."""
    first = base.alias_or_name
    outputs = [rewrite.aliased(rewrite.column(first, name), name) for name in (*keys.of_groups, *base_columns)]
    outputs += [
        rewrite.aliased(rewrite.column(other.alias_or_name, name), name) for other, names in others for name in names
    ]
    tree = exp.select(*outputs)
    tree.set("from_", exp.From(this=base))
    for other, _ in others:
        same = [
            exp.NullSafeEQ(this=rewrite.column(first, name), expression=rewrite.column(other.alias_or_name, name))
            for name in keys.of_groups
        ]
        tree.append("joins", exp.Join(this=other, side="LEFT", on=exp.and_(*same) if same else exp.true()))
    return tree
