"""The holder's policy file: for each table, what may leave, in which form. An absent key means the strictest value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import sqlglot
from pydantic import Field, field_validator, model_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError

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
    rows_where: str = Field(default="", max_length=10_000)
    """A condition over the table's own columns, in DuckDB's SQL: only rows for which it holds take part in what leaves.
    Nothing is added to a statement: one that does not say it is refused and told to."""
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

    @field_validator("rows_where")
    @classmethod
    def _is_condition(cls, text: str) -> str:
        """Return the condition as it is compared with statements, in brackets if it is an OR."""
        if not text.strip():
            return ""
        try:
            read = sqlglot.parse_one(text, read="duckdb")
        except SqlglotError:
            raise ValueError("it is no SQL condition") from None
        if isinstance(read, exp.Query) or read.find(exp.Query, exp.AggFunc, exp.Window, exp.Star, exp.Placeholder):
            raise ValueError("it is no condition over the columns of one row")
        columns = list(read.find_all(exp.Column))
        if not columns or any(column.table for column in columns):
            raise ValueError("it names columns of the table, without a table's name before them")
        return (exp.paren(read) if isinstance(read, exp.Or | exp.Xor) else read).sql("duckdb")

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

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that the rules name; a table without one of them is left out."""
        if not self.rows_where:
            return tuple(self.columns)
        read = sqlglot.parse_one(self.rows_where, read="duckdb")
        return (*self.columns, *dict.fromkeys(column.name for column in read.find_all(exp.Column)))

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
            rows_where=self.rows_where,
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
