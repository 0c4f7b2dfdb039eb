"""Which tables of the catalogue a part of a query names, and what that means for it."""

from __future__ import annotations

from sqlglot import exp

from archipel.schema import Form
from coordinator.catalog import Catalog, CatalogTable


def entries_in(node: exp.Expr, catalog: Catalog) -> list[CatalogTable]:
    """Return the entries of the tables that stand at or below ``node``; common table expressions were put in place."""
    found = [catalog.find(t.name) for t in node.find_all(exp.Table) if isinstance(t.this, exp.Identifier)]
    return [entry for entry in found if entry is not None]


def is_protected(node: exp.Expr, catalog: Catalog) -> bool:
    """Whether a table of persons stands at or below ``node``."""
    return any(entry.table.policy.protected for entry in entries_in(node, catalog))


def gives_groups_only(node: exp.Expr, catalog: Catalog) -> bool:
    """Whether of a table at or below ``node`` only aggregates may go to the coordinator, as of every table of persons.

    What stands over the groups is then the coordinator's: of a node it would be a choice among groups not released.
    """
    return any(map(is_of_groups_only, entries_in(node, catalog)))


def is_of_groups_only(entry: CatalogTable) -> bool:
    """Whether of a table only aggregates may go to the coordinator."""
    return entry.table.policy.protected or entry.table.policy.coordinator_form < Form.KEYS
