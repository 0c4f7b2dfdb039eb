"""Which tables of the catalogue a part of a query names, and what that means for it."""

from __future__ import annotations

from sqlglot import exp

from coordinator.catalog import Catalog, CatalogTable


def entries_in(node: exp.Expr, catalog: Catalog) -> list[CatalogTable]:
    """Return the entries of the tables that stand at or below ``node``; common table expressions were put in place."""
    found = [catalog.find(t.name) for t in node.find_all(exp.Table) if isinstance(t.this, exp.Identifier)]
    return [entry for entry in found if entry is not None]


def is_protected(node: exp.Expr, catalog: Catalog) -> bool:
    """Whether a table of persons stands at or below ``node``."""
    return any(entry.table.policy.protected for entry in entries_in(node, catalog))
