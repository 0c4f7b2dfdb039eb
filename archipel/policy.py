"""The holder's policy file: for each table, what may leave, in which form. An absent key means the strictest value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from archipel import configuration, errors, schema

_FORMS = {
    "none": schema.Form.NONE,
    "aggregate": schema.Form.AGGREGATE,
    "sketch": schema.Form.SKETCH,
    "keys": schema.Form.KEYS,
    "rows": schema.Form.ROWS,
}

_NODE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # as in the federation's manifest

RoleName = Literal["public", "group", "measure", "hidden"]


class TableRules(configuration.Section):
    """What leaves one table."""

    protected: bool = True
    """False only for tables that hold no data about persons."""
    coordinator: Literal["none", "aggregate", "sketch", "rows"] = "none"
    """The strongest form in which data may leave to the coordinator."""
    peers: Mapping[str, Literal["none", "keys", "rows"]] = Field(default_factory=dict)
    """The strongest form in which data may leave to other nodes, by their name. For a protected table each is named and
    the permit must say `linkage`; for any other table `"*"` stands for every node."""
    min_persons: int = Field(default=schema.MIN_PERSONS_FLOOR, ge=1)
    """Fewest distinct persons of a released group; at least 11 for protected tables."""
    tell_withheld_count: bool = False
    """Whether a result may say how many groups were withheld here."""
    columns: Mapping[str, RoleName] = Field(default_factory=dict)
    """Role of single columns."""
    other_columns: RoleName = "hidden"
    """Role of every column that is not named above; for a table that is not protected, absent means public."""

    @field_validator("peers")
    @classmethod
    def _named_as_nodes_are(cls, peers: Mapping[str, str]) -> Mapping[str, str]:
        for name in peers:
            if name != schema.EVERY_PEER and not _NODE_NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no node's name; nodes are named as in the manifest, in lower-case letters"
                )
        return peers

    @model_validator(mode="after")
    def _consistent(self) -> TableRules:
        if self.protected and self.coordinator == "rows":
            raise ValueError("'rows' of a protected table never leave; allowed are none, aggregate and sketch")
        if self.protected and schema.EVERY_PEER in self.peers:
            raise ValueError(
                "peers of a protected table are named one by one; '*' is for tables that are not protected"
            )
        if len({name.lower() for name in self.columns}) < len(self.columns):
            raise ValueError("two columns differ only in upper and lower case")
        if self.protected and self.min_persons < schema.MIN_PERSONS_FLOOR:
            raise ValueError(f"min_persons of a protected table is at least {schema.MIN_PERSONS_FLOOR}")
        return self

    def for_columns(self, names: tuple[str, ...]) -> schema.TablePolicy:
        """Return the policy with a role for each of the table's columns."""
        given = {name.lower(): role for name, role in self.columns.items()}
        other: RoleName = self.other_columns
        if not self.protected and "other_columns" not in self.model_fields_set:
            other = "public"
        return schema.TablePolicy(
            protected=self.protected,
            coordinator_form=_FORMS[self.coordinator],
            min_persons=self.min_persons,
            roles=tuple((name, schema.Role(given.get(name.lower(), other))) for name in names),
            tell_withheld_count=self.tell_withheld_count,
            peer_forms=tuple((peer, _FORMS[form]) for peer, form in sorted(self.peers.items())),
        )


class Policy(configuration.Section):
    """A policy file."""

    version: Literal[1]
    tables: Mapping[str, TableRules] = Field(default_factory=dict)

    def rules_for(self, table: str) -> TableRules:
        """Return a table's rules, case-insensitively; a table that is not named lets nothing out."""
        folded = table.lower()
        return next((rules for name, rules in self.tables.items() if name.lower() == folded), TableRules())


def load(path: Path) -> tuple[Policy, str]:
    """Return the policy in a file and the SHA-256 of the file's content.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    policy = configuration.load(path, Policy)
    folded = [name.lower() for name in policy.tables]
    if len(set(folded)) < len(folded):
        raise errors.error(errors.CONFIG_INVALID, f"{path}: two tables differ only in upper and lower case.")
    return policy, hashlib.sha256(path.read_bytes()).hexdigest()
