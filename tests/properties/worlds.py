"""Generated worlds: how many nodes, which table is where, and rows that are awkward on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from planning import Shard

from archipel.schema import Column, Distribution, Form, Role, SiteKey, Table, TablePolicy

OPEN = TablePolicy(protected=False, coordinator_form=Form.ROWS)
GUARDED = TablePolicy(
    protected=True,
    coordinator_form=Form.AGGREGATE,
    roles=tuple(
        (c, Role.GROUP) for c in ("site", "item", "u", "k", "j", "b", "d", "i", "h", "m", "x", "y", "v", "w", "label")
    ),
    tell_withheld_count=True,
)

SITE = SiteKey("site", ("site",))
ITEM = SiteKey("item", ("site", "item"))

TEXTS = ("a", "b", "ab", "", "é", "e\u0301", "ß", "日本", "a'b", "\U0001f600", None)
DOUBLES = (0.0, -0.0, 0.1, 1.5, 2.0, 1e16, float("nan"), float("inf"), None)
MODERATE = (0.0, -1.25, 0.1, 3.5, 7.0, -2.0, 1000.5, None)
INTEGERS = (0, 1, 2, 3, -7, 2_147_483_647, None)
HUGE = (0, 1, -(10**30), 10**30, 170_141_183_460_469, None)

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class World:
    """The shards of every node, and what there is to know of them for making queries."""

    shards: dict[str, list[Shard]]
    scale: int
    guarded: bool


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*part.strip().split(" ", 1)) for part in text.split(";"))


def facts_table(scale: int, *, guarded: bool) -> Table:
    """Return the main table: rows of persons, each at one site, numbered by ``u`` over all nodes."""
    columns = _columns(
        "person BIGINT; site VARCHAR; item INTEGER; u BIGINT; k VARCHAR; j INTEGER; b BOOLEAN; d DATE; i INTEGER; "
        f"h HUGEINT; m DECIMAL(38,{scale}); x DOUBLE; y DOUBLE"
    )
    return Table(
        "facts",
        columns,
        person_column="person" if guarded else None,
        person_domain="p" if guarded else None,
        site_keys=(SITE, ITEM),
        policy=GUARDED if guarded else OPEN,
        approximate_rows=100,
    )


def more_table(*, guarded: bool) -> Table:
    """Return a second table with the same site keys; several of its rows belong to one of the first."""
    return Table(
        "more",
        _columns("person BIGINT; site VARCHAR; item INTEGER; k VARCHAR; v DOUBLE; w INTEGER"),
        person_column="person" if guarded else None,
        person_domain="p" if guarded else None,
        site_keys=(SITE, ITEM),
        policy=GUARDED if guarded else OPEN,
        approximate_rows=100,
    )


REF = Table("ref", _columns("k VARCHAR; label VARCHAR; f INTEGER"), distribution=Distribution.REPLICATED, policy=OPEN)
LONE = Table("lone", _columns("k VARCHAR; j INTEGER; z DOUBLE"), policy=OPEN)


def shard(table: Table, rows: Rows) -> Shard:
    """Return a shard; what Arrow cannot say of a type is said as text, which the database casts."""
    plain = {"DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(), "INTEGER": pa.int64(), "BIGINT": pa.int64()}
    arrays = []
    for index, column in enumerate(table.columns):
        values = [row[index] for row in rows]
        kind = plain.get(column.type)
        if kind is None:
            values, kind = [None if v is None else str(v) for v in values], pa.string()
        arrays.append(pa.array(values, kind))
    return Shard(table, pa.table(arrays, names=[c.name for c in table.columns]))


@st.composite
def open_worlds(draw: st.DrawFn) -> World:
    """Return worlds of tables that are not protected: one to seven nodes, shards that may be empty."""
    nodes = [f"n{i}" for i in range(draw(st.integers(1, 7)))]
    scale = draw(st.sampled_from((0, 2, 10)))
    shards: dict[str, list[Shard]] = {node: [] for node in nodes}
    u = 0
    for number, node in enumerate(nodes):
        facts: Rows = []
        for item in range(draw(st.integers(0, 12))):
            facts.append(_fact(draw, number, item, u, scale))
            u += 1
        shards[node].append(shard(facts_table(scale, guarded=False), facts))
        more = [_more(draw, number, facts) for _ in range(draw(st.integers(0, 8)))]
        shards[node].append(shard(more_table(guarded=False), more))
    ref = [(k, draw(st.sampled_from(TEXTS)), draw(st.sampled_from((1, 2, None)))) for k in ("a", "b", "", "é", None)]
    holders = nodes if draw(st.booleans()) else nodes[-1:]
    for node in holders:
        shards[node].append(shard(REF, ref))
    pick = st.tuples(st.sampled_from(TEXTS), st.sampled_from(INTEGERS), st.sampled_from(MODERATE))
    shards[nodes[0]].append(shard(LONE, draw(st.lists(pick, max_size=6))))
    return World(shards, scale, guarded=False)


def _fact(draw: st.DrawFn, node: int, item: int, u: int, scale: int) -> tuple[Any, ...]:
    def pick(values: tuple[Any, ...]) -> Any:
        return draw(st.sampled_from(values))

    units = draw(st.one_of(st.none(), st.integers(-(10**20), 10**20)))
    return (
        draw(st.integers(0, 5)),
        f"s{node}{item % 2}",
        item,
        u * 37 % 1009,  # unique, and in no order of nodes
        pick(TEXTS),
        pick((1, 2, 3, None)),
        pick((True, False, None)),
        pick(("2020-02-29", "1999-12-31", "2020-01-01", None)),
        pick(INTEGERS),
        pick(HUGE),
        None if units is None else Decimal(units).scaleb(-scale),
        pick(DOUBLES),
        pick(MODERATE),
    )


def _more(draw: st.DrawFn, node: int, facts: Rows) -> tuple[Any, ...]:
    of = draw(st.sampled_from(facts)) if facts and draw(st.integers(0, 4)) else None
    person, site, item = (of[0], of[1], of[2]) if of else (0, f"s{node}9", 99)
    k, w = draw(st.sampled_from(TEXTS)), draw(st.sampled_from((1, 2, 5, None)))
    return (person, site, item, k, draw(st.sampled_from(MODERATE)), w)


@st.composite
def guarded_worlds(draw: st.DrawFn, *, least: int) -> World:
    """Return worlds of protected tables. Every group of (k, j) at every node has at least ``least`` persons or none."""
    nodes = [f"n{i}" for i in range(draw(st.integers(1, 4)))]
    scale = 2
    shards: dict[str, list[Shard]] = {}
    u = 0
    for number, node in enumerate(nodes):
        facts: Rows = []
        for k in ("a", "é", None):
            for j in (1, 2):
                size = draw(st.sampled_from((0, least, least + 3)))
                seed = draw(st.integers(0, 96))
                for p in range(size):
                    facts.append(_person_row(number, len(facts), u, k, j, p, seed))
                    u += 1
        more = [(f[0], f[1], f[2], f[4], f[8] / 2, f[8]) for f in facts for _ in range(1 + f[2] % 2)]
        shards[node] = [
            shard(facts_table(scale, guarded=True), facts),
            shard(more_table(guarded=True), more),
            shard(REF, [("a", "x", 1), ("é", "y", 2), ("b", "z", None)]),
        ]
    return World(shards, scale, guarded=True)


def _person_row(node: int, item: int, u: int, k: str | None, j: int, person: int, seed: int) -> tuple[Any, ...]:
    i = (person * 7 + seed) % 23
    return (
        node * 40 + person,  # persons of neighbouring nodes overlap
        f"s{node}{item % 2}",
        item,
        u,
        k,
        j,
        j == 1,
        date(2020, 1, 1) + timedelta(days=31 * j),
        i,
        10**25 + i,
        Decimal(i * 37).scaleb(-2),
        i / 3,
        i / 7 - 1,
    )
