"""Approximate quantiles over nodes: of each group a few of its values, closer together the nearer they are to an end.

SELECT kind, approx_quantile(load, 0.99) AS q FROM wards GROUP BY kind
node    counts each value, ranks it, and puts neighbours into one cell: at most a 32nd of the rows beyond the cell
        gives g0, the least value of a cell AS g1, its rows AS n, whether it holds several values AS w
merge   lays the cells of all nodes side by side; half of a wide cell's rows count at either end: p0v. All of them at
        the lower ends and all at the upper ends give the interval p0l to p0u in which the exact value lies
above   SELECT g0 AS kind, p0v AS q FROM x2

The cells are those that a sketch with a relative error of the rank would keep if it had seen the rows in order, which
a node's engine has: Cormode, Karnin, Liberty, Thaler and Vesely, "Relative error streaming quantiles" (PODS 2021),
section 1. So nothing is drawn by lot, the error has a bound that always holds, and the engine spills to disk what does
not fit. Cells of several nodes are only laid side by side, whatever the order, so that errors do not add up: each is at
most a 64th of the rows beyond it at its own node, and all together of all rows beyond.

Only over tables that are not protected: a cell names values. Groups of few values cross as values, and are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import sqlglot
from sqlglot import exp

from coordinator.plan import SHARD_COLUMN, VALUES, Interval
from coordinator.planner import aggregation, rewrite
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.estimate import DEFAULT_WIDTH, rows_of
from coordinator.planner.formula import distinct_of, number
from coordinator.planner.values import COUNT_COLUMN, Keys

FUNCTION = "approx_quantile"

STEPS = 32
"""A cell holds at most this fraction of the rows between it and the nearer end: 956 cells for a million rows."""
FEW = 512
"""So many different values of a group cross as they are; a group with more has between 300 and 1,500 cells."""
RANK_ERROR = 1 / (2 * STEPS - 1)
"""Of the rows between the value that was asked for and the nearer end; always holds."""

NOTE = (
    f"approx_quantile is an estimate where a group has more than {FEW} different values at a node: the rank of the "
    f"result is off by at most {100 * RANK_ERROR:.1f} % of the rows between it and the nearer end, so that one asked "
    f"for at 0.99 lies between {0.99 - 0.01 * RANK_ERROR:.5f} and {0.99 + 0.01 * RANK_ERROR:.5f}."
)

_UNEVEN = ("DOUBLE", "FLOAT", "REAL", "TIMESTAMP")
"""Types whose values seldom repeat, so that rows are ranked without being counted by value first: of ten million
different values 4.0 s of CPU in place of 8.2, of ten million rows with 1,000 different values 3.0 in place of 0.2."""


def finishes(call: exp.Expr) -> bool:
    """Whether a call asks for approximate quantiles that cells can answer."""
    if aggregation.name_of(call) != FUNCTION or distinct_of(call) is not None:
        return False
    return all(isinstance(q, exp.Literal) and not q.is_string and 0 <= float(q.this) <= 1 for q in _quantiles(call))


def side(
    tree: exp.Select,
    keys: Keys,
    calls: Sequence[tuple[str, exp.Expr]],
    kind: str,
    sites: tuple[str, ...],
    inputs: Mapping[str, Source],
    assembly: Assembly,
) -> exp.Table:
    """Add the stages that answer ``calls``, all about one value, and return their table: group keys and results.

    ``tree`` groups rows by ``keys`` and, in its last output, the value, whose type is ``kind``. The name that stands
    with a call is that of its result, and begins the names of what is known of it.
    """
    value = tree.selects[-1].alias_or_name
    rows = rows_of(_ungrouped(tree), assembly.catalog, sites)
    groups = rows_of(_without_last(tree), assembly.catalog, sites)
    sent = groups * _cells(rows / groups)
    size = sent * DEFAULT_WIDTH * (len(keys.names) + 2)
    ranked = _ranked(_counted(tree, kind), keys.names, value, f"{assembly.prefix}0")
    delivered = assembly.node_stage(ranked, sites, inputs, estimated=(sent, size))
    results = [(name, call, i, q) for name, call in calls for i, q in enumerate(_quantiles(call))]
    merging = _merged(delivered.name, keys, value, calls)
    merged = assembly.merge_stage(merging, delivered, () if keys.several_sets else keys.names)
    assembly.intervals[merged.name] = tuple(
        Interval(_text(call, q), merged.name, _TOTAL, f"{name}l{i}", f"{name}u{i}", kind=VALUES)
        for name, call, i, q in results
    )
    assembly.notes += [NOTE] if NOTE not in assembly.notes else []
    return rewrite.table(merged.name)


def _cells(rows: float) -> int:
    """Return about how many cells a group of so many rows at a node has.

    >>> _cells(500), _cells(1_000_000)
    (500, 958)
    """
    return math.ceil(rows if rows <= FEW else 4 * STEPS + 2 * STEPS * math.log2(rows / (4 * STEPS)))


def _quantiles(call: exp.Expr) -> list[exp.Expr]:
    given = aggregation.bare(call).args["quantile"].unnest()
    return [q.unnest() for q in given.expressions] if isinstance(given, exp.Array) else [given]


def _text(call: exp.Expr, quantile: exp.Expr) -> str:
    of = aggregation.bare(call).this
    names = ", ".join(dict.fromkeys(found.name for found in of.find_all(exp.Column)))
    return f"{FUNCTION}({names}, {quantile.this})"


def _ungrouped(tree: exp.Select) -> exp.Select:
    made = tree.copy()
    made.set("group", None)
    return made


def _without_last(tree: exp.Select) -> exp.Select:
    """Return the tree without the value: its groups."""
    made = tree.copy()
    made.set("expressions", made.selects[:-1] or [exp.Count(this=exp.Star(), big_int=True)])
    group = made.args["group"]
    group.set("expressions", group.expressions[:-1])
    if not group.expressions:
        made.set("group", None)
    return made


def _counted(tree: exp.Select, kind: str) -> exp.Select:
    """Return what is ranked: each value of a group with its rows, or rows one by one."""
    made, count = tree.copy(), exp.Count(this=exp.Star(), big_int=True)
    if kind.upper().startswith(_UNEVEN):
        return _ungrouped(made).select(rewrite.aliased(exp.cast(number(1), "BIGINT"), COUNT_COLUMN), copy=False)
    return made.select(rewrite.aliased(count, COUNT_COLUMN), copy=False)


# In these templates `x._keys` are the columns of x by which groups are told apart.
#
# `r` numbers the rows from 1 on (`u`: up to a value), and the values as `k`; `t` has the last of these. `first` and
# `last` are how many rows lie beyond the first and the last row of a value, at the end that is nearer; `a` and `z` name
# the cells that the two are in: by how many rows lie beyond the cell, above zero at the lower end and below zero at the
# upper. A cell is as wide as the power of two of which there are 32 to 63 in what lies beyond it. A value that reaches
# over several cells has one of its own.
_CELLS = """
WITH r AS MATERIALIZED (
  SELECT i._keys, i._value AS v, i.n AS n, dense_rank() OVER (PARTITION BY i._keys ORDER BY i._value NULLS LAST) AS k,
         CAST(sum(i.n) OVER (PARTITION BY i._keys ORDER BY i._value NULLS LAST ROWS UNBOUNDED PRECEDING) AS BIGINT) AS u
  FROM _inner AS i
),
t AS (SELECT r._keys, max(r.u) AS n, max(r.k) AS k FROM r WHERE NOT r.v IS NULL GROUP BY r._keys),
d AS (
  SELECT r._keys, r.v AS v, r.n AS n, t.k AS k,
         2 * (r.u - r.n) < t.n AS lower, least(r.u - r.n, t.n - 1 - r.u + r.n) AS first,
         2 * (r.u - 1) < t.n AS lowest, least(r.u - 1, t.n - r.u) AS last
  FROM r LEFT JOIN t ON r._keys = t._keys
),
c AS (
  SELECT d._keys, d.v AS v, d.n AS n, d.k AS k,
         CASE WHEN d.lower THEN 1 ELSE -1 END * (1 + d.first
           - d.first % (CAST(1 AS BIGINT) << greatest(0, length(bin(d.first)) - _bits))) AS a,
         CASE WHEN d.lowest THEN 1 ELSE -1 END * (1 + d.last
           - d.last % (CAST(1 AS BIGINT) << greatest(0, length(bin(d.last)) - _bits))) AS z
  FROM d
)
SELECT c._keys, min(c.v) AS _value, CAST(sum(c.n) AS BIGINT) AS n, coalesce(min(c.v) <> max(c.v), FALSE) AS w
FROM c GROUP BY c._keys, CASE WHEN NOT c.v IS NULL THEN c.a END, CASE WHEN c.k <= _few OR c.a <> c.z THEN c.v END
"""

# `e` says what a value is an end of: 0 all rows of a cell at its lower end, 1 at its upper, 2 half of them at either.
_LAID = """
WITH c AS (
  SELECT s._keys, s._value AS lo, CASE WHEN s._value IS NULL THEN 0 ELSE s.n END AS n,
         CASE WHEN s.w THEN coalesce(
           lead(s._value) OVER (PARTITION BY s._shard, s._keys ORDER BY s._value NULLS LAST, s.w), s._value
         ) ELSE s._value END AS hi
  FROM _source AS s
),
i AS (
  SELECT c._keys, unnest([0, 1, 2, 2]) AS e, unnest([c.lo, c.hi, c.lo, c.hi]) AS v,
         unnest([c.n, c.n, c.n - c.n // 2, c.n // 2]) AS n
  FROM c
),
g AS (SELECT i._keys, i.e AS e, i.v AS v, CAST(sum(i.n) AS BIGINT) AS n FROM i GROUP BY i._keys, i.e, i.v)
SELECT g._groups, g.v AS v, g.e AS e,
       CAST(sum(g.n) OVER (PARTITION BY g._groups, g.e) AS BIGINT) AS n,
       CAST(sum(g.n) OVER (PARTITION BY g._groups, g.e ORDER BY g.v NULLS LAST ROWS UNBOUNDED PRECEDING) AS BIGINT) AS u
FROM g
"""
_RESULT = "min(u.v) FILTER (WHERE u.e = _end AND u.u >= greatest(1, ceil(u.n * _quantile)))"
_TOTAL = "t"


def _ranked(counted: exp.Select, keys: Sequence[str], value: str, prefix: str) -> exp.Select:
    """Return the node's statement: cells of each group, of what ``counted`` gives."""
    tree = _filled(_CELLS, {"_keys": keys}, {"_value": value}, prefix)
    numbers = {"_bits": STEPS.bit_length(), "_few": FEW}
    for found in list(tree.find_all(exp.Column)):
        if found.name in numbers:
            found.replace(number(numbers[found.name]))
    inner = next(t for t in tree.find_all(exp.Table) if t.name == "_inner")
    inner.replace(counted.subquery(inner.alias, copy=False))
    return tree


def _merged(source: str, keys: Keys, value: str, calls: Sequence[tuple[str, exp.Expr]]) -> exp.Select:
    """Return the merge of cells: for each group of all grouping sets the results, and what is known of them."""
    laid = _filled(_LAID, {"_keys": keys.names, "_groups": keys.of_groups}, {"_value": value, "_shard": SHARD_COLUMN})
    next(t for t in laid.find_all(exp.Table) if t.name == "_source").set("this", rewrite.quoted(source))
    if keys.several_sets:
        grouped = next(cte.this for cte in laid.find_all(exp.CTE) if cte.alias == "g")
        sets = [
            exp.Tuple(expressions=[rewrite.column("i", name) for name in (*found, "e", "v")]) for found in keys.sets
        ]
        grouped.set("group", exp.Group(grouping_sets=[exp.GroupingSets(expressions=sets)]))
        grouping = exp.Grouping(expressions=[rewrite.column("i", name) for name in keys.names])
        grouped.select(rewrite.aliased(grouping, keys.set_column), copy=False)
    outputs: list[exp.Expr] = [rewrite.aliased(rewrite.column("u", name), name) for name in keys.of_groups]
    for name, call in calls:
        quantiles = _quantiles(call)
        estimates = [_result(q, 2) for q in quantiles]
        several = isinstance(aggregation.bare(call).args["quantile"].unnest(), exp.Array)
        some = exp.GT(this=exp.Max(this=rewrite.column("u", "n")), expression=number(0))
        listed = exp.case().when(some, exp.Array(expressions=estimates))
        outputs.append(rewrite.aliased(listed if several else estimates[0], name))
        for i, q in enumerate(quantiles):
            outputs += [rewrite.aliased(_result(q, end), f"{name}{of}{i}") for end, of in ((0, "l"), (1, "u"))]
    outputs.append(rewrite.aliased(exp.Max(this=rewrite.column("u", "n")), _TOTAL))
    tree = exp.select(*outputs)
    tree.set("from_", exp.From(this=laid.subquery("u", copy=False)))
    if keys.of_groups:
        tree.set("group", exp.Group(expressions=[rewrite.column("u", name) for name in keys.of_groups]))
    return tree


def _result(quantile: exp.Expr, end: int) -> exp.Expr:
    tree = _parsed(_RESULT).copy()
    given = {"_end": number(end), "_quantile": quantile}
    return rewrite.replace_below(
        tree, lambda n: given[n.name].copy() if isinstance(n, exp.Column) and n.name in given else None
    )


def _filled(
    template: str, lists: Mapping[str, Sequence[str]], names: Mapping[str, str], prefix: str = ""
) -> exp.Select:
    """Return a template's tree: ``x._keys`` becomes the columns of that list, other names those that they stand for.

    Names of WITH parts begin with ``prefix``: tables that the statement reads may have such names, too.
    """
    tree = _parsed(template).copy()
    assert isinstance(tree, exp.Select)
    named = {cte.alias: f"{prefix}{cte.alias}" for cte in tree.find_all(exp.CTE)} if prefix else {}
    for identifier in list(tree.find_all(exp.Identifier)):
        if identifier.name in {**names, **named}:
            identifier.replace(rewrite.quoted({**names, **named}[identifier.name]))
    for join in tree.find_all(exp.Join):
        on = join.args["on"]
        same = [
            exp.NullSafeEQ(this=rewrite.column(on.left.table, k), expression=rewrite.column(on.right.table, k))
            for k in lists[on.left.name]
        ]
        join.set("on", exp.and_(*same) if same else exp.true())
    for found in list(tree.find_all(exp.Column)):
        if found.name in lists:
            _expand(found, lists[found.name])
    return tree


def _expand(found: exp.Column, keys: Sequence[str]) -> None:
    """Put the columns ``keys`` in the place of one that stands for them, in a list of its parent's."""
    parent, key = found.parent, found.arg_key
    assert parent is not None
    assert key is not None
    columns: list[exp.Expr] = [rewrite.column(found.table, name) for name in keys]
    if isinstance(parent, exp.Select):
        columns = [rewrite.aliased(node, node.name) for node in columns]
    rest = [node for node in parent.args[key] if node is not found]
    parent.set(key, [*columns, *rest])
    if isinstance(parent, exp.Group) and not parent.expressions:
        parent.pop()


@cache
def _parsed(template: str) -> exp.Expr:
    return sqlglot.parse_one(template, read="duckdb")
