"""Worlds in which every table lies as it likes: cut over some nodes, copied to some, at one; some nodes hold nothing.

Values are the awkward ones: NULL, NaN, -0.0, 1e16, decimals of 38 digits, empty text, text that Unicode can spell
in two ways, that reads from right to left, or that is one sign of several code points.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from planning import Shard
from worlds import shard

from archipel.schema import EVERY_PEER, Column, Distribution, Form, SiteKey, Table, TablePolicy

TEXTS = (
    *("a", "b", "A", "ab", "", " ", "é", "e\u0301", "ß", "ss", "日本", "a'b", 'a"b', "%", "_"),
    *(
        "\U0001f600",
        "\U0001f469\u200d\U0001f52c",
        "\u0634\u0641\u0627\u0621",
        "\u05d0b\u05d1",
        "null",
        "0",
        "\u200b",
        None,
        None,
    ),
)
CODES = ("a", "b", "", "é", "e\u0301", "\u0634\u0641\u0627\u0621", "\U0001f600")
ODD = (0.0, -0.0, 0.1, -1.5, 2.0, 1e16, 1e16 + 2, float("nan"), float("inf"), float("-inf"), 5e-324, None)
MODERATE = (0.0, -1.25, 0.1, 3.5, 7.0, -2.0, 1000.5, None)
SMALL = (0, 1, 2, 3, -1, None)
DAYS = ("2020-02-29", "1999-12-31", "2020-01-01", "2020-01-02", "2020-03-01", "1970-01-01", None)

ROWS, AGGREGATES = Form.ROWS, Form.AGGREGATE

Row = tuple[Any, ...]


@dataclass(frozen=True)
class World:
    """The shards of every node, how each table lies, and whether every row may go everywhere."""

    shards: Mapping[str, list[Shard]]
    layout: Mapping[str, str]
    open: bool


@dataclass(frozen=True)
class _Kind:
    columns: tuple[Column, ...]
    keys: Mapping[str, str]
    """Column by which the rows may be cut, with the name of the site key that is true then."""
    row: Callable[[random.Random, int, int], Row]


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*part.strip().split(" ", 1)) for part in text.split(";"))


def _decimal(r: random.Random, scale: int) -> Decimal | None:
    units = r.choice((None, 0, 1, -1, r.randint(-(10**20), 10**20), 10**33 + r.randint(0, 9)))
    return None if units is None else Decimal(units).scaleb(-scale)


def _person(r: random.Random, number: int, scale: int) -> Row:
    sex, name = r.choice((1, 2, None)), r.choice(TEXTS)
    return (number, sex, name, r.choice(DAYS), r.choice(ODD), _decimal(r, scale))


def _visit(r: random.Random, number: int, scale: int) -> Row:
    person, code = r.choice((0, 1, 2, 3, 4, 0, 1, 2, None)), r.choice((*CODES, None))
    day, n, x = r.choice(DAYS), r.choice(SMALL), r.choice(ODD)
    return (100 + number * 7 % 101, person, code, day, n, x, r.choice((True, False, None)))


def _drug(r: random.Random, number: int, scale: int) -> Row:
    person, visit = r.choice((0, 1, 2, 3, 5, 1, 2, 77, None)), r.choice((100, 107, 114, 121, 128, 999, None))
    code, quantity = r.choice((*CODES, None)), r.choice((1, 2, 30, -1, None))
    return (number * 3, person, visit, code, quantity, _decimal(r, scale), r.choice(MODERATE))


def _code(r: random.Random, number: int, scale: int) -> Row:
    return (number, (*CODES, None)[number % 8], r.choice(TEXTS), r.choice((1, 2, None)))


def kinds(scale: int) -> Mapping[str, _Kind]:
    """Return the tables of a world whose decimals have ``scale`` digits behind the point."""
    return {
        "persons": _Kind(
            _columns(f"p BIGINT; sex INTEGER; name VARCHAR; born DATE; z DOUBLE; amount DECIMAL(38,{scale})"),
            {"p": "person"},
            _person,
        ),
        "visits": _Kind(
            _columns("v BIGINT; p BIGINT; k VARCHAR; day DATE; n INTEGER; x DOUBLE; flag BOOLEAN"),
            {"v": "visit", "p": "person"},
            _visit,
        ),
        "drugs": _Kind(
            _columns(f"d BIGINT; p BIGINT; v BIGINT; k VARCHAR; qty INTEGER; cost DECIMAL(38,{scale}); y DOUBLE"),
            {"v": "visit", "p": "person"},
            _drug,
        ),
        "codes": _Kind(_columns("c BIGINT; k VARCHAR; label VARCHAR; grp INTEGER"), {"k": "code"}, _code),
    }


POLICIES = (
    TablePolicy(protected=False, coordinator_form=ROWS),
    TablePolicy(protected=False, coordinator_form=AGGREGATES, peer_forms=((EVERY_PEER, ROWS),)),
    TablePolicy(protected=False, coordinator_form=AGGREGATES),
)
OPEN = TablePolicy(protected=False, coordinator_form=ROWS, peer_forms=((EVERY_PEER, ROWS),))


def scattered_world(r: random.Random, *, everything_open: bool) -> World:
    """Return a world of one to seven nodes; unless ``everything_open``, some tables let less out than rows."""
    nodes = [f"n{i}" for i in range(r.randint(1, 7))]
    scale = r.choice((0, 2, 10))
    homes = {key: r.sample(nodes, r.randint(1, len(nodes))) for key in ("person", "visit", "code")}
    shards: dict[str, list[Shard]] = {node: [] for node in nodes}
    layout = {}
    strict = False
    for name, kind in kinds(scale).items():
        policy = OPEN if everything_open or r.random() < 0.6 else r.choice(POLICIES)
        strict = strict or policy is not OPEN
        rows = [kind.row(r, number, scale) for number in range(r.choice((0, 1, 6, 9, 9, 12, 12, 15)))]
        table = Table(name, kind.columns, policy=policy, approximate_rows=len(rows), approximate_bytes=40 * len(rows))
        placed = r.choice(("one", "one", "copied", "key", "key", "anyhow"))
        if placed == "copied":
            copied = replace(table, distribution=Distribution.REPLICATED, content_digest="same")
            spread = dict.fromkeys(r.sample(nodes, r.randint(1, len(nodes))), rows)
            layout[name] = f"copied to {sorted(spread)}"
            for node in spread:
                shards[node].append(shard(copied, rows))
            continue
        if placed == "key":
            column = r.choice(sorted(kind.keys))
            index = [c.name for c in kind.columns].index(column)
            home = homes[kind.keys[column]]
            key = SiteKey(kind.keys[column], (column,), any(row[index] is None for row in rows))
            table = replace(table, site_keys=(key,))
            # A value is at the same node for all tables cut by this key; NULL may be anywhere.
            spread = {node: [] for node in {*home, *r.sample(nodes, r.randint(0, len(nodes)))}}
            for row in rows:
                spread[r.choice(home) if row[index] is None else home[number_of(row[index]) % len(home)]].append(row)
        else:
            spread = {node: [] for node in r.sample(nodes, 1 if placed == "one" else r.randint(1, len(nodes)))}
            for row in rows:
                spread[r.choice(sorted(spread))].append(row)
        told = f"by {column}" if placed == "key" else "cut"
        layout[name] = f"{told} over { ({node: len(spread[node]) for node in sorted(spread)}) }"
        for node in sorted(spread):
            shards[node].append(shard(table, spread[node]))
    return World(shards, layout, open=not strict)


def number_of(value: Any) -> int:
    return value if isinstance(value, int) else sum(map(ord, value))
