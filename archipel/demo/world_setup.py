"""Turns a generated world into node set-ups: which table lies where, and the policy a careful holder would write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archipel.demo.layout import NodeSetup, TableSetup

WORLD_FILE = "WORLD.json"
REFERENCE_FOLDER = "reference"

HIDDEN_COLUMNS = {
    "BEN_NIR_PSA",
    "BEN_NIR_ANO",
    "ASS_NIR_ANO",
    "BEN_RNG_GEM",
    "DCD_IDT_ENC",
    "PFS_EXE_NUM",
    "PFS_PRE_NUM",
    "RSS_NUM",
    "PERSON_SOURCE_VALUE",
    "PROVIDER_ID",
}
"""Second identifiers of patients, and professionals: nobody's question needs them."""

HOLDERS = {"cnam": "Caisse nationale de l'assurance maladie (made up)"}


def world_setups(world_dir: Path, *, reference_at: str | None = None) -> list[NodeSetup]:
    """Return one set-up a holder. Reference tables are at every node, or only at ``reference_at``."""
    world = json.loads((world_dir / WORLD_FILE).read_text(encoding="utf-8"))
    tables: dict[str, dict[str, Any]] = world["tables"]
    setups = []
    for folder in sorted(p for p in world_dir.iterdir() if p.is_dir() and p.name != REFERENCE_FOLDER):
        own = [_setup(path, tables[path.stem]) for path in sorted(folder.glob("*.parquet"))]
        if reference_at in (None, folder.name):
            own += [
                _setup(path, tables[path.stem]) for path in sorted((world_dir / REFERENCE_FOLDER).glob("*.parquet"))
            ]
        holder = HOLDERS.get(folder.name, f"{folder.name.replace('_', ' ').title()} (made up)")
        setups.append(NodeSetup(folder.name, holder, tuple(own)))
    return setups


def _setup(path: Path, table: Mapping[str, Any]) -> TableSetup:
    person: str | None = table.get("person_column")
    return TableSetup(
        name=path.stem,
        path=path,
        policy=_protected_policy(table) if person else {"protected": False, "coordinator": "rows"},
        description=table.get("description", ""),
        person_column=person,
        person_domain=table.get("person_domain"),
        site_keys=table.get("site_keys", {}),
        distribution="replicated" if table.get("reference") else "sharded",
        columns=table.get("columns", {}),
    )


def _protected_policy(table: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {name: "hidden" for name in table.get("columns", {}) if name.upper() in HIDDEN_COLUMNS}
    hidden.pop(str(table["person_column"]), None)
    return {
        "protected": True,
        "coordinator": "aggregate",
        "min_persons": 11,
        "tell_withheld_count": True,
        "columns": hidden,
        "other_columns": "group",
    }
