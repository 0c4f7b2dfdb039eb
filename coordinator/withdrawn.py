"""Which of a plan's nodes do not offer, for now, a table that the plan reads there. Pure.

A node withdraws a table that it holds when what the table needs is not in order: its data, the snapshot that its policy
pins, the list of persons who object. Its rows are missing then as those of a node that is away, and are told so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp

from coordinator.plan import COORDINATOR, Plan


def lacking(plan: Plan, withdrawn: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Return by node the tables, sorted, that the plan reads there and the node does not offer.

    ``withdrawn`` holds by node the lower-case names of the tables that it does not offer.
    """
    found: dict[str, set[str]] = {}
    for stage in plan.stages:
        for site in stage.sites:
            if site != COORDINATOR and site in withdrawn:
                found.setdefault(site, set()).update(_tables(stage.sql) & withdrawn[site])
    return {node: tuple(sorted(names)) for node, names in found.items() if names}


def not_offered(node: str, tables: tuple[str, ...]) -> str:
    """Return in words that a node does not offer tables; why is for its operator alone."""
    listed = ", ".join(f"'{name}'" for name in tables)
    return f"Node '{node}' does not offer what it holds of table{'s' if len(tables) > 1 else ''} {listed} now"


@lru_cache(maxsize=256)
def _tables(sql: str) -> frozenset[str]:
    """Return the lower-case names of all tables that a stage reads, inputs included."""
    return frozenset(table.name.lower() for table in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Table))
