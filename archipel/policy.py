"""The holder's policy file: for each table, what may leave, in which form. An absent key means the strictest value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import sqlglot
from pydantic import ConfigDict, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from sqlglot import exp
from sqlglot.errors import SqlglotError

from archipel import configuration, errors, schema
from archipel.policy_columns import ColumnRule, DominanceRules, RoleName, SensitiveRules
from archipel.policy_node import Approval, NodeRules, one_or_several
from archipel.policy_peers import PeerRule
from archipel.policy_privacy import NoiseRules, PrivacyRules

_FORMS = {
    "none": schema.Form.NONE,
    "aggregate": schema.Form.AGGREGATE,
    "sketch": schema.Form.SKETCH,
    "keys": schema.Form.KEYS,
    "rows": schema.Form.ROWS,
}

FOR_PERSONS = ("dominance", "rounding", "threshold_scope", "sensitive", "match_rates", "privacy", "noise")
"""Keys that say nothing of a table that is not about persons."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

NODE_NAME = r"[a-z][a-z0-9_-]{0,62}"  # as in the federation's manifest
_NODE_NAME = re.compile(NODE_NAME)


def _by_node(written: dict[str, Any]) -> None:
    """Let a JSON Schema know what keys ``peers`` has."""
    written["patternProperties"] = {rf"^(\*|{NODE_NAME})$": written["additionalProperties"]}
    written["additionalProperties"] = False


class SnapshotRules(configuration.Section):
    """A state of a table's data, written as its digest or as a mapping with a name."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    """As `archipel node snapshot` prints it."""
    name: str = Field(default="", max_length=200)
    """What people call this state, such as `PMSI 2023, final`."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, given: Any) -> Any:
        if isinstance(given, str):
            if not _DIGEST.fullmatch(given):
                raise ValueError("a digest is sha256: and 64 hexadecimal digits, as 'archipel node snapshot' prints it")
            return {"digest": given}
        return given

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string", "pattern": rf"^{_DIGEST.pattern}$"}, written]}


class TableRules(configuration.Section):
    """What leaves one table."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"protected": {"const": False}}, "required": ["protected"]},
            "then": {"not": {"anyOf": [{"required": [name]} for name in FOR_PERSONS]}},
            "else": {
                "properties": {
                    "coordinator": {"enum": ["none", "aggregate", "sketch"]},
                    "min_persons": {"minimum": schema.MIN_PERSONS_FLOOR},
                    "peers": {"properties": {schema.EVERY_PEER: False}},
                }
            },
        }
    )

    protected: bool = True
    """False only for tables that hold no data about persons."""
    coordinator: Literal["none", "aggregate", "sketch", "rows"] = "none"
    """The strongest form in which data may leave to the coordinator."""
    peers: Mapping[str, PeerRule] = Field(default_factory=dict, json_schema_extra=_by_node)
    """The strongest form in which data may leave to other nodes, by their name, as a word or as
    `{form: rows, intersection: required}`. For a protected table each is named and the permit must say `linkage`; for
    any other table `"*"` stands for every node. `aggregate` lets a node add up what several nodes mask, for thresholds
    over all of them; no linkage is needed for it."""
    min_persons: int = Field(default=schema.MIN_PERSONS_FLOOR, ge=1)
    """Fewest distinct persons of a released group; at least 11 for protected tables."""
    tell_withheld_count: bool = False
    """Whether a result may say how many groups were withheld here."""
    rows_where: str = Field(default="", max_length=10_000)
    """A condition over the table's own columns, in DuckDB's SQL: only rows for which it holds take part in what leaves.
    Nothing is added to a statement: one that does not say it is refused and told to."""
    columns: Mapping[str, ColumnRule] = Field(default_factory=dict)
    """Role of single columns, as a word, or for a potential identifier as `{role: identifier, bin: year}`."""
    other_columns: RoleName = "hidden"
    """Role of every column that is not named above; for a table that is not protected, absent means public."""
    dominance: DominanceRules = DominanceRules()
    """How much few persons may make up of a released sum. Absent: the defaults; weaker limits need a reason."""
    rounding: int = Field(default=0, ge=0, le=1000)
    """Released counts and sums are rounded to multiples of this, such as 5. 0: they are not rounded."""
    threshold_scope: tuple[Literal["node", "federation"], ...] = Field(
        default=("node",), min_length=1, json_schema_extra=one_or_several
    )
    """Over whose persons `min_persons` may count, as a query chooses: those of this node, or those of all nodes."""
    match_rates: Literal["none", "rounded"] = "none"
    """Whether a result over several holders may say how many of this table's persons found a match at another one:
    `rounded` to at least 5 persons, never of fewer than `min_persons`, and counted by the ledger like any answer."""
    sensitive: tuple[SensitiveRules, ...] = Field(default=(), max_length=100)
    """Codes for which groups need more persons than others."""
    privacy: PrivacyRules | None = None
    """Within which limits a query may ask for differential privacy. Absent: it may not."""
    noise: NoiseRules | None = None
    """Noise in every released number, the same for the same persons. Absent: none."""

    snapshot: SnapshotRules | None = None
    """The state of the data that this policy is for, by its digest. When the data is another, the table is not offered.
    Absent: whatever is there."""
    approval: Approval | None = None
    """Whether a person decides on questions about this table: `auto`, `first-use` or `every-query`. Absent: as for the
    whole node where the table is protected, `auto` where it is not."""

    @field_validator("peers")
    @classmethod
    def _named_as_nodes_are(cls, peers: Mapping[str, PeerRule]) -> Mapping[str, PeerRule]:
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

    @field_validator("rounding")
    @classmethod
    def _rounds(cls, base: int) -> int:
        if base == 1:
            raise ValueError("1 rounds nothing; a base is 2 or more, such as 5, and 0 means not rounded")
        return base

    @field_validator("threshold_scope", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @field_validator("threshold_scope")
    @classmethod
    def _each_once(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(scopes)) < len(scopes):
            raise ValueError("a scope stands twice")
        return scopes

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
        self._with_noise()
        for codes in self.sensitive:
            if codes.min_persons <= self.min_persons:
                raise ValueError(
                    f"min_persons of the sensitive codes of '{codes.column}' must be more than the table's, which is "
                    f"{self.min_persons}"
                )
        if not self.protected:
            self._without_persons()
        return self

    def _with_noise(self) -> None:
        """Refuse what would let the same rows out in a way that has no noise in it."""
        if self.noise is not None and self.rounding:
            raise ValueError("'noise' and 'rounding' do not go together: noise is in whole persons already")
        if self.noise is not None and (self.privacy is not None and self.privacy.only):
            raise ValueError("'noise' is for answers that are not private, and 'privacy' says 'only'")
        without = "noise" if self.noise is not None else "privacy: only" if self.privacy and self.privacy.only else ""
        if without and any(rule.form != "none" for rule in self.peers.values()):
            raise ValueError(f"'{without}' and 'peers' do not go together: other nodes would answer without noise")
        if without and "federation" in self.threshold_scope:
            raise ValueError(f"'{without}' and a 'threshold_scope' of federation do not go together")
        if without and self.coordinator == "sketch":
            raise ValueError(f"'{without}' and sketches do not go together: a sketch is exact")

    def _without_persons(self) -> None:
        """Refuse what would protect nobody where no row is about a person: whoever wrote it meant something else."""
        written = [name for name in FOR_PERSONS if name in self.model_fields_set]
        if written:
            raise ValueError(f"'{written[0]}' is for protected tables; this one says 'protected: false'")
        if any(rule.intersection == "required" for rule in self.peers.values()):
            raise ValueError("an intersection is of persons; this table says 'protected: false'")
        roles = {f"'{name}'": rule.role for name, rule in self.columns.items()}
        for name, role in {**roles, "the other columns": self.other_columns}.items():
            if role in {"identifier", "link"}:
                raise ValueError(f"the role {role} of {name} is for protected tables; leave it out, or say hidden")

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that the rules name; a table without one of them is left out."""
        named = [*self.columns, *(codes.column for codes in self.sensitive)]
        named += self.privacy.bounds if self.privacy is not None else ()
        if self.rows_where:
            named += [column.name for column in sqlglot.parse_one(self.rows_where, read="duckdb").find_all(exp.Column)]
        return tuple(dict.fromkeys(named))

    def for_columns(self, names: tuple[str, ...]) -> schema.TablePolicy:
        """Return the policy with a role for each of the table's columns."""
        given = {name.lower(): rule.role for name, rule in self.columns.items()}
        other: RoleName = self.other_columns
        if not self.protected and "other_columns" not in self.model_fields_set:
            other = "public"
        return schema.TablePolicy(
            protected=self.protected,
            coordinator_form=_FORMS[self.coordinator],
            min_persons=self.min_persons,
            roles=tuple((name, schema.Role(given.get(name.lower(), other))) for name in names),
            tell_withheld_count=self.tell_withheld_count,
            peer_forms=tuple((peer, _FORMS[rule.form]) for peer, rule in sorted(self.peers.items())),
            intersection_peers=tuple(sorted(p for p, rule in self.peers.items() if rule.intersection == "required")),
            tell_match_rates=self.match_rates == "rounded",
            rows_where=self.rows_where,
            bins=tuple((name, rule.bin) for name, rule in self.columns.items() if rule.bin),
            dominance=self.dominance.limits(),
            sensitive=tuple(codes.codes() for codes in self.sensitive),
            rounding=self.rounding,
            scopes=tuple(scope for scope in schema.Scope if scope.value in self.threshold_scope),
            privacy=self.privacy.limits() if self.privacy is not None else None,
            deviation=self.noise.deviation if self.noise is not None else 0.0,
        )


class Policy(configuration.Section):
    """A policy file."""

    version: Literal[1]
    """The version of this language."""
    node: NodeRules = NodeRules()
    """What holds for the whole node."""
    tables: Mapping[str, TableRules] = Field(
        default_factory=dict, json_schema_extra={"propertyNames": {"minLength": 1}}
    )
    """What leaves each table, by its name in node.yaml."""

    def rules_for(self, table: str) -> TableRules:
        """Return a table's rules, case-insensitively; a table that is not named lets nothing out."""
        folded = table.lower()
        return next((rules for name, rules in self.tables.items() if name.lower() == folded), TableRules())

    def approval_of(self, table: str) -> Approval:
        """Return whether a person decides on questions about a table."""
        rules = self.rules_for(table)
        return rules.approval or (self.node.approval if rules.protected else "auto")


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
