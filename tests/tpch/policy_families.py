"""Six families of policies over TPC-H's tables at five nodes, and what each allows, by sets alone.

A rule says in plain words what a holder allows of one table; from it come both the policy that the product reads and
the verdict that it is held against, so that the two share no code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import plans_by_hand
from planning import permit_for
from plans_by_hand import COLUMNS, HOME, Read

from archipel.permit import Permit
from archipel.schema import COORDINATOR, MIN_PERSONS_FLOOR, Column, Form, Role, Table, TablePolicy
from benchmarks.tpch_placements import HOLDERS
from coordinator.catalog import Catalog, build

NODES = HOLDERS.nodes
ROWS = {
    "customer": 150_000,
    "lineitem": 6_001_215,
    "nation": 25,
    "orders": 1_500_000,
    "part": 200_000,
    "partsupp": 800_000,
    "region": 5,
    "supplier": 10_000,
}
CUSTOMERS = {"customer": "c_custkey", "orders": "o_custkey"}
SUPPLIERS = {"supplier": "s_suppkey", "partsupp": "ps_suppkey", "lineitem": "l_suppkey"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What the holder allows of one table. With a ``person`` it is protected, and only ``groups`` may be group keys."""

    rows_to: frozenset[str] = frozenset(NODES)
    coordinator: str = "rows"
    hidden: frozenset[str] = frozenset()
    person: str = ""
    domain: str = ""
    groups: frozenset[str] = frozenset()
    min_persons: int = MIN_PERSONS_FLOOR
    conditions: tuple[str, ...] = ()
    """Of rows that may take part, as a scan has to say them."""


@dataclass(frozen=True, slots=True)
class World:
    """The rules of all tables, and what the permit says; ``withheld`` are columns that it does not name."""

    name: str
    rules: Mapping[str, Rule]
    nodes: frozenset[str] = frozenset(NODES)
    withheld: frozenset[str] = frozenset()
    linkage: bool = False
    min_persons: int = MIN_PERSONS_FLOOR

    @property
    def persons(self) -> dict[str, str]:
        """The person column of each protected table."""
        return {table: rule.person for table, rule in self.rules.items() if rule.person}


# What is allowed


def allows(world: World, query: Read, site: str) -> bool:
    """Whether everything may be shipped to ``site``, the query run there, and its result given to the coordinator."""
    if not query.tables.issubset(table for table in COLUMNS if HOME[table] in world.nodes):
        return False
    if site not in {COORDINATOR, *world.nodes}:
        return False
    rules = {table: world.rules[table] for table in query.tables}
    persons = {(table, rule.person) for table, rule in rules.items() if rule.person}
    for scan in query.scans:
        rule = rules[scan.table]
        if (scan.columns - {rule.person}) & rule.hidden or scan.columns & world.withheld:
            return False
        if not scan.said.issuperset(rule.conditions):
            return False
        if HOME[scan.table] == site:
            continue
        if site == COORDINATOR:
            if rule.coordinator != "rows":
                return False
        elif site not in rule.rows_to or (rule.person and not world.linkage):
            return False
    if site == COORDINATOR:
        return True
    if not query.aggregates:
        return all(rule.coordinator == "rows" for rule in rules.values())
    if any(rule.coordinator == "none" for rule in rules.values()):
        return False
    keys = {(table, column) for table, column in query.keys if rules[table].person}
    return not (query.keys | query.shown) & persons and all(column in rules[table].groups for table, column in keys)


def asked(world: World, name: str, sql: str) -> Read:
    """Return a query as it is asked in a world: with the conditions that policy names, most of the time."""
    chance = random.Random(f"{world.name} {name}")
    careless = chance.random() < 0.3

    def condition_of(table: str) -> str:
        return "" if careless and chance.random() < 0.4 else " AND ".join(world.rules[table].conditions)

    return plans_by_hand.read(plans_by_hand.saying(sql, condition_of))


# What the product reads


def permit_of(world: World, catalog: Catalog) -> Permit:
    """Return the permit of a world."""
    granted = {
        table: tuple(c for c in columns if c not in world.withheld)
        for table, columns in COLUMNS.items()
        if world.withheld.intersection(columns)
    }
    changes = {"nodes": tuple(sorted(world.nodes)), "linkage": world.linkage, "min_persons": world.min_persons}
    return permit_for(catalog, granted).model_copy(update=changes)


def catalog_of(world: World) -> Catalog:
    """Return the catalogue of a world: what every node registered, with its policy."""
    held: dict[str, list[Table]] = {node: [] for node in NODES}
    for table, rule in world.rules.items():
        held[HOME[table]].append(_table(table, rule))
    return build(held, NODES)


_FORMS = {"none": Form.NONE, "aggregate": Form.AGGREGATE, "rows": Form.ROWS}


def _table(name: str, rule: Rule) -> Table:
    columns = tuple(Column(c, t) for c, t in COLUMNS[name].items())
    policy = TablePolicy(
        protected=bool(rule.person),
        coordinator_form=_FORMS[rule.coordinator],
        min_persons=rule.min_persons,
        roles=tuple((c.name, _role(c.name, rule)) for c in columns),
        peer_forms=tuple((node, Form.ROWS) for node in sorted(rule.rows_to)),
        rows_where=" AND ".join(rule.conditions),
    )
    return Table(
        name,
        columns,
        person_column=rule.person or None,
        person_domain=rule.domain or None,
        policy=policy,
        approximate_rows=ROWS[name],
        approximate_bytes=ROWS[name] * 12 * len(columns),
    )


def _role(column: str, rule: Rule) -> Role:
    if column in rule.hidden:
        return Role.HIDDEN
    if not rule.person:
        return Role.PUBLIC
    return Role.GROUP if column in rule.groups else Role.MEASURE


# The families


def world(family: str, seed: int) -> World:
    """Return a variant of a family; the same one for the same seed."""
    return FAMILIES[family](random.Random(f"{family} {seed}"), f"{family} {seed}")


def _some(chance: random.Random, of: tuple[str, ...] | list[str], share: float) -> frozenset[str]:
    return frozenset(one for one in of if chance.random() < share)


def _every_column() -> list[str]:
    return [column for columns in COLUMNS.values() for column in columns]


def _whole_tables(chance: random.Random, name: str) -> World:
    """Some tables may go to some nodes or the coordinator, others nowhere."""
    rules = {table: Rule(_some(chance, NODES, 0.75), "rows" if chance.random() < 0.85 else "none") for table in COLUMNS}
    return World(name, rules, nodes=_some(chance, NODES, 0.95))


def _columns(chance: random.Random, name: str) -> World:
    """Some columns are hidden, some are not in the permit."""
    hidden = _some(chance, _every_column(), 0.04)
    rules = {table: Rule(_some(chance, NODES, 0.9), hidden=hidden.intersection(COLUMNS[table])) for table in COLUMNS}
    return World(name, rules, withheld=_some(chance, _every_column(), 0.03))


_CONDITIONS = {
    "customer": ("c_acctbal > 0", "c_mktsegment = 'BUILDING'"),
    "lineitem": ("l_shipdate >= CAST('1994-01-01' AS DATE)", "l_returnflag <> 'N'", "l_quantity < 24"),
    "nation": ("n_regionkey <> 4",),
    "orders": ("o_orderstatus <> 'P'", "o_orderdate >= CAST('1994-01-01' AS DATE)"),
    "part": ("p_size < 40", "p_container <> 'JUMBO PKG' OR p_size = 1"),
    "partsupp": ("ps_availqty > 10",),
    "region": ("r_name <> 'AFRICA'",),
    "supplier": ("s_acctbal > 0", "s_nationkey IN (1, 2, 3, 7, 8)"),
}


def _conditions(chance: random.Random, name: str) -> World:
    """Of some tables only rows take part for which a condition holds, which every scan must say."""
    rules = {}
    for table in COLUMNS:
        some = tuple(c for c in _CONDITIONS[table] if chance.random() < 0.35)
        spelled = tuple(f"({c})" if " OR " in c else c for c in some)
        rules[table] = Rule(
            _some(chance, NODES, 0.9), "aggregate" if chance.random() < 0.3 else "rows", conditions=spelled
        )
    if chance.random() < 0.4:
        for table, person in CUSTOMERS.items():
            rule = _protected(chance, table, person, "customer", frozenset())
            rules[table] = replace(rule, hidden=frozenset(), conditions=rules[table].conditions)
    return World(name, rules)


def _aggregates(chance: random.Random, name: str) -> World:
    """To the coordinator go aggregates only of most tables; rows to some nodes."""
    rules = {
        table: Rule(_some(chance, NODES, 0.85), "aggregate" if chance.random() < 0.6 else "rows") for table in COLUMNS
    }
    return World(name, rules)


def _protected(chance: random.Random, table: str, person: str, domain: str, rows_to: frozenset[str]) -> Rule:
    others = [column for column in COLUMNS[table] if column != person]
    return Rule(
        rows_to,
        "aggregate" if chance.random() < 0.9 else "none",
        hidden=_some(chance, others, 0.05),
        person=person,
        domain=domain,
        groups=_some(chance, others, 0.8),
        min_persons=chance.choice((11, 20, 50)),
    )


def _group_size(chance: random.Random, name: str) -> World:
    """Customers are persons, whose rows stay; groups have a least size."""
    rules = {table: Rule(_some(chance, NODES, 0.93)) for table in COLUMNS}
    for table, person in CUSTOMERS.items():
        if table == "customer" or chance.random() < 0.8:
            rules[table] = _protected(chance, table, person, "customer", frozenset())
    return World(name, rules, linkage=chance.random() < 0.5, min_persons=chance.choice((11, 30)))


def _pseudonyms(chance: random.Random, name: str) -> World:
    """Suppliers are persons, of two nodes, which name each other; sometimes customers are, too."""
    rules = {table: Rule(_some(chance, NODES, 0.95)) for table in COLUMNS}
    persons = dict.fromkeys(("supplier", "lineitem"), "supplier") | (
        {"partsupp": "supplier"} if chance.random() < 0.7 else {}
    )
    if chance.random() < 0.4:
        persons |= dict.fromkeys(CUSTOMERS, "customer")
    for table, domain in persons.items():
        rows_to = _some(chance, NODES, 0.8) | {"l2", "l4"} - {HOME[table]}
        rules[table] = _protected(chance, table, (CUSTOMERS | SUPPLIERS)[table], domain, rows_to)
    return World(name, rules, linkage=chance.random() < 0.85)


FAMILIES: Mapping[str, Callable[[random.Random, str], World]] = {
    "whole tables": _whole_tables,
    "columns": _columns,
    "conditions": _conditions,
    "aggregates": _aggregates,
    "group size": _group_size,
    "pseudonyms": _pseudonyms,
}
