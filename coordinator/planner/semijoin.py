"""Semi-join reduction: the join keys of a small side go to the nodes of a large one, which ship only what matches.

Few keys travel as they are, many as a Bloom filter in plain SQL (Bloom 1970; blocked as by Putze, Sanders and Singler,
2007): 64-bit words chosen by the key's hash, four bits in one word for each key. Of the rows without a match 0.3 % slip
through at 20 bits a key, 1.9 % at 10 and 6.9 % at 6 (100,000 keys, measured); they find no partner in the join, which
stays as it was. Engines hash alike because all nodes of a plan run the same version, which the coordinator checks.

A subquery that equates a column of its own with one of the rows around it is asked only for those rows that the query
around it keeps (a magic set; Mumick and Pirahesh, SIGMOD 1994): sides of the blocks around it are sides of its joins,
too. Nothing needs to be sent where the nodes of the large side have all rows of the small one themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sqlglot import exp

from archipel.schema import Form
from coordinator.catalog import Catalog
from coordinator.planner import rewrite
from coordinator.planner.conditions import is_correlated, subqueries_in
from coordinator.planner.draft import Shipment
from coordinator.planner.estimate import width
from coordinator.planner.group import Columns, Group, Names, joined, senders
from coordinator.planner.implied import equalities
from coordinator.planner.rules import Rules
from coordinator.planner.tables import entries_in, is_protected

LEAST_GAIN = 0.25
"""Share of a group's bytes that a reduction must spare, net of the keys: less is not worth another stage."""

MOST_REDUCTIONS = 2
"""Reductions of one group: each is one more stage before it."""

BITS_A_KEY = 20
"""Twice what a filter of that kind needs: numbers of keys are guessed, and a filter with too many keys passes all."""

SLIPPING_THROUGH = 0.02
"""Share of rows without a match that pass a filter of ten bits a key."""

MANY_KEYS = 1_000
"""From so many keys on a filter is worth its false positives."""

MOST_WORDS = 2**22

BLOOM_WORD_BYTES = 12
"""A word and its index, as they cross a border."""

_HASHED_TYPES = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "VARCHAR", "DATE"})
"""Types of which equal values have equal hashes; doubles have two zeros."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What keys can be taken of: joined sources, and where they are.

    ``aliases`` are the sources that can be named where the keys are wanted; ``everywhere`` are nodes each of which has
    all rows.
    """

    sources: list[exp.Expr]
    conditions: list[exp.Expr]
    sites: tuple[str, ...]
    inputs: tuple[Shipment, ...]
    rows: float
    aliases: frozenset[str]
    everywhere: frozenset[str]
    stages: int = 0
    """How many stages it takes that are not worth it for itself."""

    def hidden(self, aliases: set[str]) -> Side:
        """Return the same as it is seen within a query that has sources of its own under some names."""
        return replace(self, aliases=self.aliases - aliases) if self.aliases & aliases else self

    def select(self, outputs: list[exp.Expr]) -> exp.Select:
        return joined(outputs, [s.copy() for s in self.sources], [c.copy() for c in self.conditions])


@dataclass(frozen=True, slots=True)
class _Reduction:
    """Keys of a side that would reduce a group; with ``is_local`` they are at the group's nodes already."""

    side: Side
    key: rewrite.ColumnName
    of: rewrite.ColumnName
    pairs: list[tuple[rewrite.ColumnName, rewrite.ColumnName]]
    """All columns of the group that are equal to one of the side, with that: keys that do not travel use them all."""
    keys: int
    kept: float
    size: int
    is_bloom: bool = False
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Reducing:
    """To where a block's groups go, what is known of its columns, and the sides of the blocks around it."""

    sites: tuple[str, ...]
    columns: Columns
    names: Names
    rules: Rules
    around: tuple[Side, ...] = ()


def reduce(
    groups: list[Group],
    here: Group | None,
    conditions: list[exp.Expr],
    reducing: Reducing,
    bytes_of: Callable[[Group], float],
) -> tuple[Side, ...]:
    """Give groups of a block filters by the keys of smaller sides that they are joined with; alters the groups.

    ``here`` is what is at the sites already. Returns the block's sides, for subqueries in it.

    Tables of persons are left out: their rows reach one node only, whose border lets nothing that it received go
    further. So are sides whose holders do not let their rows go to the group's nodes: without the filter more travels,
    but it may.
    """
    catalog = reducing.columns.catalog
    if not reducing.rules.semijoin:
        return ()
    equal = equalities(conditions)
    ordered = sorted((g for g in groups if _is_open(g, catalog)), key=lambda g: g.rows(catalog))
    sides = [_side(here, catalog)] if here is not None and _is_open(here, catalog) else []
    for group in ordered:
        size = bytes_of(group)
        receivers = senders(group.placed, catalog)
        left = [
            side
            for side in (*sides, *reducing.around)
            # What the keys leave of the group tells its receivers of the keys, wherever these came from.
            if _may_go(side, tuple({*receivers, *(reducing.sites if _is_there(side, receivers) else ())}), catalog)
        ]
        for number in range(MOST_REDUCTIONS):
            # What a second filter keeps is not independent of what the first one kept.
            found = [r for side in left for r in _reductions(group, side, equal, reducing, 1 / (1 + number))]
            found = [r for r in found if _gain(r, group, size, catalog) >= LEAST_GAIN * size]
            worth = [r for r in found if _is_worth_it(r, group, size, reducing)]
            best = max(worth, key=lambda r: (_gain(r, group, size, catalog), r.of), default=None)
            if best is None:
                # What is too small to be worth a stage may still tell much of something large.
                best = max(found, key=lambda r: (_gain(r, group, size, catalog), r.of), default=None)
                if best is not None:
                    small = group.copied()
                    _apply(best, small, reducing)
                    sides.append(replace(_side(small, catalog), stages=best.side.stages + (not best.is_local)))
                break
            _apply(best, group, reducing)
            left.remove(best.side)
            size *= best.kept
        sides.append(_side(group, catalog))
    return tuple(sides)


def _is_worth_it(reduction: _Reduction, group: Group, size: float, reducing: Reducing) -> bool:
    stages = reduction.side.stages + (not reduction.is_local)
    return _gain(reduction, group, size, reducing.columns.catalog) >= stages * reducing.rules.stage_bytes


def _is_there(side: Side, nodes: tuple[str, ...]) -> bool:
    return set(nodes) <= side.everywhere


def _is_open(group: Group, catalog: Catalog) -> bool:
    return not any(is_protected(source, catalog) for source in group.sources)


def _may_go(side: Side, receivers: tuple[str, ...], catalog: Catalog) -> bool:
    """Whether all holders of what a side is made of let rows go to all receivers; a Bloom filter is more than keys."""
    return all(
        entry.shards[sender].policy.form_to(receiver) >= Form.ROWS
        for part, sites in _made_of(side.sources, side.sites, side.inputs)
        for entry in entries_in(part, catalog)
        for sender in sites
        if sender in entry.shards
        for receiver in receivers
        if receiver != sender
    )


def _made_of(
    parts: list[exp.Expr], sites: tuple[str, ...], inputs: tuple[Shipment, ...]
) -> Iterator[tuple[exp.Expr, tuple[str, ...]]]:
    """Yield what names tables of a side, and where they are; what filtered the side before is in its keys, too."""
    for part in parts:
        yield part, sites
    for shipment in inputs:
        yield from _made_of([shipment.tree], shipment.sites, shipment.inputs)


def _side(group: Group, catalog: Catalog) -> Side:
    everywhere = group.everywhere
    if not everywhere and group.placed.replicated and not group.inputs:
        everywhere = frozenset(group.placed.nodes or ())
    return Side(
        [*group.sources, *group.filtering],
        [*group.conditions, *group.filters, *group.local],
        senders(group.placed, catalog),
        tuple(group.inputs),
        group.rows(catalog),
        group.aliases,
        everywhere,
    )


def _reductions(
    group: Group,
    side: Side,
    equal: dict[rewrite.ColumnName, set[rewrite.ColumnName]],
    reducing: Reducing,
    power: float,
) -> Iterator[_Reduction]:
    """Yield the reductions of a group by the columns that equate it with a side."""
    there = _is_there(side, senders(group.placed, reducing.columns.catalog))
    pairs = [
        (column, other)
        for column in sorted(equal)
        if column[0] in group.aliases
        for other in sorted(equal[column])
        if other[0] in side.aliases
    ]
    first_of_each = [pair for i, pair in enumerate(pairs) if pair[0] not in [column for column, _ in pairs[:i]]]
    for column, other in pairs:
        made = _reduction(side, column, other, first_of_each, reducing, power, there=there)
        if made is not None:
            yield made


def _reduction(
    side: Side,
    column: rewrite.ColumnName,
    other: rewrite.ColumnName,
    pairs: list[tuple[rewrite.ColumnName, rewrite.ColumnName]],
    reducing: Reducing,
    power: float,
    *,
    there: bool,
) -> _Reduction | None:
    columns = reducing.columns
    ours, theirs, kind = columns.base_rows(column), columns.base_rows(other), columns.type_of(other)
    if ours is None or theirs is None or kind is None:
        return None
    domain = min(ours, theirs)  # the key is taken to be unique in the smaller table
    keys = max(1, math.ceil(min(side.rows, domain)))
    kept = min(1.0, keys / domain) ** power
    if there:
        return _Reduction(side, column, other, pairs, keys, kept, 0, is_local=True)
    size = keys * width(kind)
    filter_size = min(_words(keys), keys) * BLOOM_WORD_BYTES
    many = reducing.rules.bloom and keys > MANY_KEYS
    if many and kind in _HASHED_TYPES and kind == columns.type_of(column) and filter_size < size / 2:
        passed = kept + SLIPPING_THROUGH * (1 - kept)
        return _Reduction(side, column, other, pairs, keys, passed, filter_size, is_bloom=True)
    return _Reduction(side, column, other, pairs, keys, kept, size)


def _gain(reduction: _Reduction, group: Group, size: float, catalog: Catalog) -> float:
    """Return the bytes that a reduction of a group of that ``size`` spares, less those of the keys."""
    return size * (1 - reduction.kept) - reduction.size * len(senders(group.placed, catalog))


def _words(keys: int) -> int:
    return min(MOST_WORDS, max(1, math.ceil(keys * BITS_A_KEY / 64)))


def _apply(reduction: _Reduction, group: Group, reducing: Reducing) -> None:
    of, key = rewrite.column(*reduction.of), rewrite.column(*reduction.key)
    group.kept *= reduction.kept
    if reduction.is_local:
        said = _of_keys_alone(reduction, reducing.columns)
        if said:
            group.local += said
            return
        columns = [rewrite.column(*column) for column, _ in reduction.pairs]
        matching: list[exp.Expr] = [
            rewrite.aliased(rewrite.column(*other), f"k{i}") for i, (_, other) in enumerate(reduction.pairs)
        ]
        asked = columns[0] if len(columns) == 1 else exp.Tuple(expressions=columns)
        group.local.append(exp.In(this=asked, query=exp.Subquery(this=reduction.side.select(matching))))
        return
    name, words = reducing.names.next(), _words(reduction.keys)
    if reduction.is_bloom:
        inner = reduction.side.select(
            [rewrite.aliased(_word_of(of, words), "i"), rewrite.aliased(_bits_of(of), "bits")]
        ).subquery("k", copy=False)
        index, bits = rewrite.column("k", "i"), rewrite.column("k", "bits")
        tree = exp.select(rewrite.aliased(index, "i"), rewrite.aliased(exp.BitwiseOrAgg(this=bits), "bits")).from_(
            inner
        )
        tree.set("group", exp.Group(expressions=[index.copy()]))
        rows = words
        word = f"k{reducing.names.used}"
        while word in group.aliases:
            word += "_"
        group.filtering.append(_words_sent(name, word))
        group.filters += _passes(word, key, words)
    else:
        tree = reduction.side.select([rewrite.aliased(of, "k")])
        tree.set("distinct", exp.Distinct())
        rows = reduction.keys
        keys = exp.select(rewrite.column("k", "k")).from_(rewrite.table(name, "k"))
        group.filters.append(exp.In(this=key, query=exp.Subquery(this=keys)))
    group.inputs.append(Shipment(name, tree, reduction.side.sites, rows, max(1, reduction.size), reduction.side.inputs))


def _of_keys_alone(reduction: _Reduction, columns: Columns) -> list[exp.Expr]:
    """Return what a side says of its keys, said of the group's columns; nothing if it says anything of other columns.

    A side that is a table under such conditions alone need not be read: it tells no more than they do, except that its
    keys are there, and they mostly are.
    """
    side = reduction.side
    names = {other: column for column, other in reduction.pairs if _is_alike(column, other, columns)}
    if len(side.sources) != 1:
        return []
    said = []
    for condition in side.conditions:
        used = rewrite.columns_used([condition], {side.sources[0].alias_or_name})
        if len(used) != 1 or used[0] not in names or any(is_correlated(s) for s in subqueries_in(condition)):
            return []
        holder = exp.Paren(this=condition.copy())
        rewrite.renamed(holder, names)
        said.append(holder.this)
    return said


def _is_alike(column: rewrite.ColumnName, other: rewrite.ColumnName, columns: Columns) -> bool:
    """Whether what is said of one column holds of the other wherever they are equal."""
    kind = columns.type_of(column)
    return kind in _HASHED_TYPES and kind == columns.type_of(other)


def _hash(key: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="hash", expressions=[key.copy()])


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _word_of(key: exp.Expr, words: int) -> exp.Expr:
    """Return the index of the word that holds a key's bits."""
    return exp.cast(exp.Mod(this=_hash(key), expression=_number(words)), "INTEGER", dialect="duckdb")


def _bits_of(key: exp.Expr) -> exp.Expr:
    """Return a word with the four bits of a key."""
    made: exp.Expr | None = None
    for shift in (32, 38, 44, 50):
        place = exp.paren(exp.BitwiseRightShift(this=_hash(key), expression=_number(shift)))
        place = exp.paren(exp.BitwiseAnd(this=place, expression=_number(63)))
        one = exp.cast(_number(1), "UBIGINT", dialect="duckdb")
        bit = exp.paren(exp.BitwiseLeftShift(this=one, expression=place))
        made = bit if made is None else exp.BitwiseOr(this=made, expression=bit)
    assert made is not None
    return exp.paren(made)


def _words_sent(name: str, alias: str) -> exp.Subquery:
    """Return the words of a filter, those of all senders put together: each index once, so that no row is doubled.

    A join with them is hashed by index; the engine would compute EXISTS anew for every key.
    """
    index = rewrite.column("k", "i")
    tree = exp.select(
        rewrite.aliased(index, "i"), rewrite.aliased(exp.BitwiseOrAgg(this=rewrite.column("k", "bits")), "bits")
    ).from_(rewrite.table(name, "k"))
    tree.set("group", exp.Group(expressions=[index.copy()]))
    return exp.Subquery(this=tree, alias=exp.TableAlias(this=rewrite.quoted(alias)))


def _passes(alias: str, key: exp.Expr, words: int) -> list[exp.Expr]:
    """Return whether a filter may hold a key: its bits are all in the word of its index."""
    bits = _bits_of(key)
    within = exp.paren(exp.BitwiseAnd(this=rewrite.column(alias, "bits"), expression=bits))
    return [
        exp.EQ(this=rewrite.column(alias, "i"), expression=_word_of(key, words)),
        exp.EQ(this=within, expression=bits.copy()),
    ]
