"""The parts of a policy that speak of single columns and of numbers: roles, bins, dominance, sensitive codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from archipel import configuration, schema

RoleName = Literal["public", "group", "identifier", "measure", "link", "hidden"]
ROLES: tuple[str, ...] = get_args(RoleName)

BIN_PATTERN = r"year|quarter|month|prefix:[1-9][0-9]?|width:[1-9][0-9]{0,8}"
_BIN = re.compile(BIN_PATTERN)

DEFAULT = schema.Dominance()
"""The limits of ACRO: two contributors with at most 90 %, p of 10 %, 10 degrees of freedom."""


class ColumnRule(configuration.Section):
    """What may be done with a column: a role, written as a word or as a mapping with its bin."""

    role: RoleName
    """`public`, `group`, `identifier`, `measure`, `link` or `hidden`."""
    bin: str = Field(default="", pattern=rf"^({BIN_PATTERN})?$")
    """For role `identifier`: the only form in which the column may be a group key: `year`, `quarter`, `month`,
    `prefix:N` (its first N characters) or `width:N` (multiples of N). Absent: it is no group key."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return given
        if given not in ROLES:
            raise ValueError(f"a column's role is {', '.join(ROLES[:-1])} or {ROLES[-1]}, or a mapping with 'role'")
        return {"role": given}

    @field_validator("bin", mode="before")
    @classmethod
    def _known_bin(cls, text: Any) -> Any:
        if not isinstance(text, str) or not _BIN.fullmatch(text) or text == "width:1":
            raise ValueError(
                "a bin is year, quarter, month, prefix:N (the first N characters, 1 to 99) or width:N (multiples of N, "
                "2 or more)"
            )
        return text

    @model_validator(mode="after")
    def _only_identifiers_have_bins(self) -> ColumnRule:
        if self.bin and self.role != "identifier":
            raise ValueError(f"a bin is for columns of role identifier, not {self.role}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"enum": list(ROLES), "type": "string"}, written]}


class DominanceRules(configuration.Section):
    """How much few persons may make up of a released sum, and how few values a model may rest on."""

    top: int = Field(default=DEFAULT.top, ge=1, le=10)
    """How many of the largest contributors are looked at together."""
    share: float = Field(default=DEFAULT.share, gt=0, le=1)
    """The largest part of a sum that they may have together. 1: all of it."""
    p_percent: float = Field(default=DEFAULT.p_percent, ge=0, le=100)
    """What remains of a sum without the two largest contributors must be at least this percentage of the largest."""
    min_degrees: int = Field(default=DEFAULT.min_degrees, ge=0, le=1_000_000)
    """Fewest degrees of freedom that a variance, a correlation or a slope rests on."""
    because: str = Field(default="", max_length=1000)
    """Why a limit is weaker than the default; without a reason it is an error."""

    @model_validator(mode="after")
    def _weaker_only_with_a_reason(self) -> DominanceRules:
        weaker = self.weaker()
        if weaker and not self.because.strip():
            raise ValueError(
                f"{' and '.join(weaker)} is weaker than the default; say why in 'because', or leave it out"
            )
        return self

    def weaker(self) -> tuple[str, ...]:
        """Return the limits that let out more than the defaults do, with both numbers."""
        pairs = (
            ("top", self.top < DEFAULT.top),
            ("share", self.share > DEFAULT.share),
            ("p_percent", self.p_percent < DEFAULT.p_percent),
            ("min_degrees", self.min_degrees < DEFAULT.min_degrees),
        )
        return tuple(
            f"{name} {getattr(self, name):g} (default {getattr(DEFAULT, name):g})" for name, is_so in pairs if is_so
        )

    def limits(self) -> schema.Dominance:
        """Return the limits alone."""
        return schema.Dominance(self.top, self.share, self.p_percent, self.min_degrees)


class SensitiveRules(configuration.Section):
    """Codes of a column for which groups need more persons than others."""

    column: str = Field(min_length=1)
    """The column that holds the codes."""
    prefixes: tuple[str, ...] = Field(min_length=1, max_length=1000)
    """Beginnings of codes, such as `B20` for all of `B20.x`, in quotes where they look like numbers."""
    min_persons: int = Field(ge=schema.MIN_PERSONS_FLOOR, le=1_000_000)
    """Fewest distinct persons of a group that such a code is part of; more than the table's `min_persons`."""

    @field_validator("prefixes")
    @classmethod
    def _say_something(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        if any(not prefix.strip() for prefix in prefixes):
            raise ValueError("an empty beginning is that of every code; raise the table's min_persons instead")
        return prefixes

    def codes(self) -> schema.SensitiveCodes:
        """Return the codes as the border check reads them."""
        return schema.SensitiveCodes(self.column, self.prefixes, self.min_persons)
