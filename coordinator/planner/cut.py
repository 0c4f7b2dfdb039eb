"""The cut of an aggregating block: partial aggregates at the nodes, merge, and what stands above the aggregation.

SELECT region, avg(days) AS d FROM stays GROUP BY region HAVING count(*) > 10 ORDER BY d
node    SELECT region AS g0, sum(days) AS p0s, count(days) AS p0n, count(*) AS p1v FROM stays GROUP BY region
merge   SELECT g0, sum(p0s) AS p0s, sum(p0n) AS p0n, sum(p1v) AS p1v FROM x1 GROUP BY g0
above   SELECT g0 AS region, p0s / p0n AS d FROM x2 WHERE p1v > 10 ORDER BY d
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from archipel import errors
from archipel.aggregates import REGISTRY, Leak, State
from coordinator.planner import aggregation, distinct, formula, histograms, ranks, rewrite, sketches, states, values
from coordinator.planner.assembly import Assembly, Source
from coordinator.planner.carried import as_sent
from coordinator.planner.placement import Placement, covers_key
from coordinator.planner.positions import position_of
from coordinator.planner.tables import is_protected

GROUPING_COLUMN = "gid"
"""Which grouping set a row belongs to: keeps the NULL of a total apart from a NULL value."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Group keys, calls and their cuts; ``sets`` are the grouping sets as indexes of keys."""

    keys: tuple[exp.Expr, ...]
    calls: tuple[exp.Expr, ...]
    cuts: tuple[formula.CutAggregate, ...]
    sets: tuple[tuple[int, ...], ...]
    quantiles: tuple[histograms.Quantile, ...] = ()

    @property
    def several_sets(self) -> bool:
        return len(self.sets) > 1

    def key_names(self) -> tuple[str, ...]:
        names = tuple(f"g{i}" for i in range(len(self.keys)))
        return (*names, GROUPING_COLUMN) if self.several_sets else names

    def named_keys(self) -> values.Keys:
        names = tuple(f"g{i}" for i in range(len(self.keys)))
        return values.Keys(names, tuple(tuple(names[i] for i in found) for found in self.sets), GROUPING_COLUMN)

    def merged_names(self) -> list[str]:
        """The columns of the last merge step, group keys left out."""
        merged = _each_once(i for made in self.cuts for i in made.centred or made.means or made.folded)
        return [*(name for name, _ in merged), *(name for one in self.quantiles for name in one.columns)]


def cut_aggregation(
    select: exp.Select, placed: Placement, sites: tuple[str, ...], inputs: Mapping[str, Source], assembly: Assembly
) -> exp.Select:
    """Add node and merge stages for an aggregating SELECT whose rows distribute; return what runs above them.

    Raises:
        ArchipelError: SQL_UNSUPPORTED for an aggregate that cannot be split, or what the border check refuses.
    """
    guarded = is_protected(select, assembly.catalog) or assembly.brings_persons(inputs)
    if guarded:
        select = histograms.normalised(select)
    sets = _grouping_sets(select)
    keys = tuple(aggregation.all_keys(select))
    calls = tuple(_distinct_calls(aggregation.aggregates_in(select)))
    types = _types_of(select, keys, calls, inputs, assembly)
    local = len(sites) == 1 or (len(sets) == 1 and covers_key(list(keys), placed))
    prefixes = _prefixes(calls, guarded=guarded)
    cuts, wanted = [], []
    quantiles: list[tuple[exp.Expr, tuple[histograms.Quantile, ...]]] = []
    for i, call in enumerate(calls):
        try:
            asked = histograms.asked(call) if guarded else None
            if asked is not None:
                made, found = histograms.cut(call, asked, f"p{i}", prefixes[i], types[i][0][0], types[i][1])
                quantiles.append((call, found))
                assembly.notes += [histograms.NOTE] if histograms.NOTE not in assembly.notes else []
            elif _is_sketched(call) and (guarded or not local):
                made = sketches.cut(call, f"p{i}", types[i][0][0], types[i][1], assembly.permit.permit_id)
                assembly.notes += [sketches.NOTE] if sketches.NOTE not in assembly.notes else []
            else:
                made = _cut_call(call, f"p{i}", prefixes[i], len(sites), types[i][0], types[i][1], placed, local=local)
        except formula.NotSplittable:
            needed = values.wanted(call) if not guarded or aggregation.name_of(call) == "mode" else None
            if needed is None:
                raise _not_splittable(call, guarded=guarded) from None
            made = values.cut(call, f"p{i}", types[i][1])
            if guarded and values.NOTE_OF_MODE not in assembly.notes:
                assembly.notes.append(values.NOTE_OF_MODE)
            wanted.append((f"p{i}v", needed))
        cuts.append(made)
    each = tuple(one for _, found in quantiles for one in found)
    cut = _Cut(keys, calls, tuple(cuts), tuple(tuple(keys.index(k) for k in found) for found in sets), each)
    groups: exp.Expr | None = None
    if cut.several_sets or len(wanted) < len(calls) or not wanted:
        tree = _keys_first(_node_tree(select, cut), cut, f"{assembly.prefix}0")
        delivered = assembly.node_stage(tree, sites, inputs)
        merging = _merge_tree(cut, delivered.name)
        if quantiles:
            merging = histograms.merged(merging, delivered.name, cut.key_names(), each)
        merged = assembly.merge_stage(merging, delivered, cut.key_names())
        if quantiles:
            assembly.intervals[merged.name] = tuple(histograms.intervals(merged.name, quantiles))
        groups = rewrite.table(merged.name)
    if wanted:
        about = {f"p{i}v": types[i][0][0] for i in range(len(calls)) if types[i][0]}
        groups = _with_values(select, cut, groups, wanted, about, sites, inputs, assembly)
    assert groups is not None
    return _above(select, cut, groups)


def _with_values(
    select: exp.Select,
    cut: _Cut,
    groups: exp.Expr | None,
    wanted: list[tuple[str, values.Wanted]],
    about: Mapping[str, str],
    sites: tuple[str, ...],
    inputs: Mapping[str, Source],
    assembly: Assembly,
) -> exp.Expr:
    """Return the groups with what is finished from values; ``groups`` are those with everything else, if there are.

    ``about`` has the types of what calls are about, by the names of their results.
    """
    by_parts: dict[tuple[exp.Expr, ...], list[tuple[str, values.Wanted]]] = {}
    for name, needed in wanted:
        by_parts.setdefault(needed.parts, []).append((name, needed))
    keys = cut.named_keys()
    sides: list[tuple[exp.Expr, list[str]]] = []
    for parts, calls in by_parts.items():
        counted = any(needed.counted for _, needed in calls)
        valued = _Cut((*cut.keys, *parts), (), (), ())
        tree = _node_tree(select.copy(), valued)
        if all(ranks.finishes(needed.call) for _, needed in calls):
            tree = _keys_first(tree, valued, f"{assembly.prefix}0")
            asked = [(name, needed.call) for name, needed in calls]
            found = ranks.side(tree, keys, asked, about[asked[0][0]], sites, inputs, assembly)
            sides.append((found, [name for name, _ in asked]))
            continue
        if counted:
            tree.select(rewrite.aliased(exp.Count(this=exp.Star(), big_int=True), values.COUNT_COLUMN), copy=False)
        delivered = assembly.node_stage(_keys_first(tree, valued, f"{assembly.prefix}0"), sites, inputs)
        names = list(valued.key_names())
        merged = assembly.merge_stage(values.merge(delivered.name, names, counted=counted), delivered, tuple(names))
        sent = (*delivered.columns[: len(names)], *merged.columns[len(names) :])
        typed = as_sent(merged.name, sent, assembly.describe)
        of_values = names[len(cut.keys) :]
        kinds = [column.type for column in delivered.columns[len(cut.keys) : len(names)]]
        for repeated in (False, True):
            alike = [(name, needed) for name, needed in calls if needed.repeated is repeated]
            if not alike:
                continue
            alias = f"{merged.name}{'r' if repeated else 'v'}"
            source = rewrite.table(merged.name) if typed is None else typed.copy().subquery(alias, copy=False)
            side = values.per_group(source, keys, of_values, kinds, alike)
            sides.append((side.subquery(exp.to_identifier(alias, quoted=True), copy=False), [n for n, _ in alike]))
    if groups is None:
        (groups, columns), *sides = sides
    else:
        columns = cut.merged_names()
    if not sides:
        return groups
    together = exp.to_identifier(f"{groups.alias_or_name}w", quoted=True)
    return values.joined(groups, columns, sides, keys).subquery(together, copy=False)


def _grouping_sets(select: exp.Select) -> list[list[exp.Expr]]:
    sets = aggregation.grouping_sets(select)
    group = select.args.get("group")
    if len(sets) > aggregation.MAX_GROUPING_SETS:
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            f"More than {aggregation.MAX_GROUPING_SETS} grouping sets.",
            position=position_of(group or select),
        )
    spelled = [frozenset(key.sql("duckdb") for key in keys) for keys in sets]
    if len(set(spelled)) < len(spelled):
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            "The same grouping set stands twice, which cannot be split over nodes.",
            hint="Leave out one of the two.",
            position=position_of(group or select),
        )
    return sets


def _distinct_calls(calls: list[exp.Expr]) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    for call in calls:
        if call not in found:
            found.append(call)
    return found


def _types_of(
    select: exp.Select,
    keys: tuple[exp.Expr, ...],
    calls: tuple[exp.Expr, ...],
    inputs: Mapping[str, Source],
    assembly: Assembly,
) -> list[tuple[tuple[str, ...], str]]:
    """Return, for each call, the types of its arguments and its own, as the engine describes them."""
    if not calls:
        return []
    given = {name: source.columns for name, source in inputs.items()}
    plain = [[a for a in formula.arguments(c) if not isinstance(a, exp.Distinct | exp.Order | exp.Star)] for c in calls]
    # Any value of an expression has its type: one statement tells those of calls and arguments alike.
    asked = [*calls, *(exp.AnyValue(this=argument.copy()) for found in plain for argument in found)]
    tree = exp.select(*(rewrite.aliased(node.copy(), f"t{i}") for i, node in enumerate(asked)))
    for key in ("from_", "joins", "laterals", "where"):
        value = select.args.get(key)
        tree.set(key, [v.copy() for v in value] if isinstance(value, list) else value.copy() if value else None)
    described = assembly.describe(tree.sql("duckdb"), given)
    types, start = [], len(calls)
    for found, result in zip(plain, described[: len(calls)], strict=True):
        types.append((tuple(c.type for c in described[start : start + len(found)]), result.type))
        start += len(found)
    return types


def _prefixes(calls: tuple[exp.Expr, ...], *, guarded: bool) -> list[str]:
    """Return a prefix for the columns of each call; calls that need the same state share one, and so their columns."""
    found: dict[object, str] = {}
    states_of = [states.state_of(call) or (histograms.key_of(call) if guarded else None) for call in calls]
    return [found.setdefault(state or i, f"p{i}") for i, state in enumerate(states_of)]


def _each_once(items: Iterable[formula.Named]) -> list[formula.Named]:
    """Return named expressions without those that calls share."""
    return list(dict(items).items())


def _cut_call(
    call: exp.Expr,
    own_prefix: str,
    state_prefix: str,
    shards: int,
    types: tuple[str, ...],
    result_type: str,
    placed: Placement,
    *,
    local: bool,
) -> formula.CutAggregate:
    if shards == 1:
        return states.whole(call, own_prefix, result_type, shards=shards)
    found = formula.distinct_of(call)
    name = aggregation.name_of(call)
    if found is not None and name not in distinct.IDEMPOTENT:
        if name == "count" and _counts_key(found, placed):
            return states.summed(call, own_prefix, result_type)
        if local:
            return states.whole(call, own_prefix, result_type, shards=shards)
        raise formula.NotSplittable
    try:
        return states.cut(call, state_prefix, shards, types, result_type)
    except formula.NotSplittable:
        if not local:
            raise
    return states.whole(call, own_prefix, result_type, shards=shards)


def _is_sketched(call: exp.Expr) -> bool:
    entry = REGISTRY.get(aggregation.name_of(call))
    return entry is not None and entry.state is State.SKETCH and formula.distinct_of(call) is None


def _counts_key(distinct: exp.Distinct, placed: Placement) -> bool:
    """Whether no two nodes count the same value; a NULL counts nowhere unless it is a part of a longer value."""
    parts = list(distinct.expressions)
    is_column = len(parts) == 1 and isinstance(parts[0], exp.Column)
    return covers_key(parts, replace(placed, nullable=frozenset()) if is_column else placed)


def _not_splittable(call: exp.Expr, *, guarded: bool) -> errors.ArchipelError:
    """Return why a call is not split, with the nearest question that has an answer."""
    name = aggregation.name_of(call)
    entry = REGISTRY.get(name)
    if formula.distinct_of(call) is not None:
        name += "(DISTINCT ...)"
        why = "its values may be at several nodes, and the same one must count once"
        hint = "Count rows, or group by a site key such as the node; persons at several nodes are counted at each."
        if guarded:
            hint += " approx_count_distinct estimates other values where policy says 'coordinator: sketch'."
    elif guarded:
        name += "(...)"
        why, hint = "it shows single values", "Count by bands of the value, or ask for avg with stddev."
    else:
        name += "(...)"
        why, hint = "it has no small exact partial result", "Ask one node at a time (WHERE _node = '...')."
        if aggregation.bare(call).find(exp.Order) is not None or (entry is not None and entry.leak is Leak.ROWS):
            why, hint = (
                "it needs every row",
                "Every holder's policy would have to say 'coordinator: rows' of these tables.",
            )
    return errors.error(
        errors.SQL_UNSUPPORTED,
        f"{name} cannot be split over several nodes yet: {why}.",
        hint=hint,
        position=position_of(call),
    )


def _node_tree(select: exp.Select, cut: _Cut) -> exp.Select:
    outputs = [rewrite.aliased(key.copy(), f"g{i}") for i, key in enumerate(cut.keys)]
    if cut.several_sets:
        grouping = exp.Grouping(expressions=[key.copy() for key in cut.keys])
        outputs.append(rewrite.aliased(grouping, GROUPING_COLUMN))
    partials = _each_once(item for made in cut.cuts for item in made.partials)
    outputs += [rewrite.aliased(partial.copy(), name) for name, partial in partials]
    if not outputs:
        outputs = [rewrite.aliased(exp.Count(this=exp.Star(), big_int=True), "n")]
    tree = exp.select(*outputs)
    for key in ("from_", "joins", "laterals", "where"):
        tree.set(key, select.args.get(key))
    group = select.args.get("group")
    if cut.several_sets and group is not None:
        tree.set("group", group.copy())
    elif cut.keys:
        tree.set("group", exp.Group(expressions=[key.copy() for key in cut.keys]))
    return tree


def _keys_first(tree: exp.Select, cut: _Cut, alias: str) -> exp.Select:
    """Return the tree with some group keys computed in a derived table, where GROUP BY would be misread.

    They are those that hold a subquery (the engine compares them by their text, where the border check renames tables),
    constants (a number is a position), and expressions within grouping sets (the parser takes few of them there).
    """
    names = {
        key: f"k{i}"
        for i, key in enumerate(cut.keys)
        if isinstance(key, exp.Literal)
        or key.find(exp.Query) is not None
        or (cut.several_sets and not isinstance(key, exp.Column))
    }
    if not names:
        return tree
    clauses = [*tree.expressions, *rewrite.parts(tree, "group")]
    for clause in clauses:
        rewrite.replace_below(clause, lambda n: rewrite.column(alias, names[n]) if n in names else None)
    used = rewrite.columns_used(clauses, rewrite.aliases_of(tree))
    outputs = [rewrite.aliased(key.copy(), name) for key, name in names.items()]
    inner = exp.select(*outputs, *(rewrite.aliased(rewrite.column(*c), f"c{i}") for i, c in enumerate(used)))
    for key in ("from_", "joins", "laterals", "where"):
        inner.set(key, tree.args.get(key))
        tree.set(key, None)
    for clause in clauses:
        rewrite.renamed(clause, {c: (alias, f"c{i}") for i, c in enumerate(used)})
    tree.set("from_", exp.From(this=inner.subquery(exp.to_identifier(alias, quoted=True), copy=False)))
    return tree


def _merge_tree(cut: _Cut, source: str) -> exp.Select:
    keys = [formula.column(name) for name in cut.key_names()]

    def outputs(step: list[formula.Named]) -> list[exp.Expr]:
        named = [rewrite.aliased(key.copy(), key.name) for key in keys]
        return [*named, *(rewrite.aliased(node.copy(), name) for name, node in _each_once(step))]

    folded = [item for made in cut.cuts for item in made.folded]
    tree = exp.select(*(outputs(folded) or [rewrite.aliased(exp.Literal.number(1), "n")])).from_(rewrite.table(source))
    if keys:
        tree.set("group", exp.Group(expressions=[key.copy() for key in keys]))
    if any(made.means for made in cut.cuts):
        means = [item for made in cut.cuts for item in made.means or [(n, formula.column(n)) for n, _ in made.folded]]
        tree = exp.select(*outputs(means)).from_(tree.subquery("m", copy=False))
    if any(made.centred for made in cut.cuts):
        centred = [
            item
            for made in cut.cuts
            for item in made.centred or [(n, formula.column(n)) for n, _ in made.means or made.folded]
        ]
        tree = exp.select(*outputs(centred)).from_(tree.subquery("c", copy=False))
    return tree


def _above(select: exp.Select, cut: _Cut, groups: exp.Expr) -> exp.Select:
    """Return the block over the merged groups: HAVING has become WHERE."""
    merged = groups.alias_or_name
    keys = {key: i for i, key in enumerate(cut.keys)}
    finals = {call: rewrite.in_source(made.final, merged) for call, made in zip(cut.calls, cut.cuts, strict=True)}
    above = select.copy()

    outer = {(key.table, key.name): (merged, f"g{i}") for key, i in keys.items() if isinstance(key, exp.Column)}

    def change(node: exp.Expr) -> exp.Expr | None:
        if isinstance(node, exp.Query):
            rewrite.renamed(node, outer)  # a subquery may name the group's keys; its aggregates are its own
            return node
        if node in keys:
            return rewrite.column(merged, f"g{keys[node]}")
        if node in finals and not _is_window_function(node):
            return finals[node].copy()
        if isinstance(node, exp.Grouping | exp.GroupingId):
            return _grouping_value(node, cut, merged)
        return None

    for key in ("expressions", "having", "qualify", "windows", "order", "distinct", "limit"):
        value = above.args.get(key)
        if isinstance(value, list):
            above.set(key, [rewrite.replace_below(node, change) for node in value])
        elif isinstance(value, exp.Expr):
            rewrite.replace_below(value, change)
    having = above.args.get("having")
    for key in ("joins", "laterals", "group", "having"):
        above.set(key, None)
    above.set("where", exp.Where(this=having.this) if having is not None else None)
    above.set("from_", exp.From(this=groups))
    return above


def _is_window_function(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, aggregation.WRAPPERS) and parent.this is node:
        node, parent = parent, parent.parent
    return isinstance(parent, exp.Window) and parent.this is node


def _grouping_value(node: exp.Expr, cut: _Cut, merged: str) -> exp.Expr:
    """Return GROUPING(a, b) from the grouping of all keys: the bit of each of its arguments, the first the highest."""
    arguments = node.expressions or ([node.this] if node.this else list(cut.keys))
    if not cut.several_sets:
        return exp.cast(exp.Literal.number(0), "BIGINT")
    last = len(cut.keys) - 1
    value: exp.Expr | None = None
    for position, argument in enumerate(arguments):
        index = next((i for i, key in enumerate(cut.keys) if key == argument.unnest()), None)
        if index is None:
            raise errors.error(
                errors.SQL_TYPE, "GROUPING takes keys of GROUP BY.", position=position_of(argument) or position_of(node)
            )
        shifted = exp.BitwiseRightShift(
            this=rewrite.column(merged, GROUPING_COLUMN), expression=exp.Literal.number(last - index)
        )
        bit = exp.paren(exp.BitwiseAnd(this=exp.paren(shifted), expression=exp.Literal.number(1)))
        weight = exp.Literal.number(1 << (len(arguments) - 1 - position))
        term = exp.Mul(this=bit, expression=weight)
        value = term if value is None else exp.Add(this=value, expression=term)
    assert value is not None
    return exp.cast(exp.paren(value), "BIGINT")
