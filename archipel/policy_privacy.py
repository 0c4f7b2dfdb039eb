"""The parts of a policy about noise: differential privacy, and noise that is the same for the same persons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field, FiniteFloat, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from archipel import configuration, schema

MOST_STEPS = 1 << 40
"""Most steps that one person's part of a sum may have: sums over millions of persons then fit into 63 bits."""


class BoundRules(configuration.Section):
    """Between which values one person's part of a sum is taken, as `[0, 365]` or with the steps of its unit."""

    from_: FiniteFloat = Field(alias="from")
    """The least that one person adds to a sum of the column in one group; what is below is taken as this."""
    to: FiniteFloat
    """The most."""
    unit: FiniteFloat = Field(default=0.0, ge=0)
    """In steps of what a sum is counted, such as 0.01. Absent: as the column's type says; FLOAT and DOUBLE need it."""

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return given
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError("bounds are [least, most], as [0, 365], or a mapping with 'from', 'to' and 'unit'")
        return {"from": given[0], "to": given[1]}

    @model_validator(mode="after")
    def _ordered(self) -> BoundRules:
        if self.from_ >= self.to:
            raise ValueError("'from' must be less than 'to'")
        if max(abs(self.from_), abs(self.to)) / (self.unit or 1e-4) > MOST_STEPS:
            raise ValueError(f"the bounds are over {MOST_STEPS:,} steps from 0; a larger unit makes fewer")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [pair, written]}


class PrivacyRules(configuration.Section):
    """Within which limits a query may ask for differential privacy."""

    max_epsilon: FiniteFloat = Field(gt=0, le=1_000_000)
    """The largest epsilon of one answer."""
    delta: FiniteFloat = Field(default=1e-8, gt=0, le=1e-4)
    """The probability, for each answer, that it shows of a person that they are in a group at all."""
    groups_per_person: int = Field(ge=1, le=1_000)
    """In how many groups of one answer a person is counted; of more, some are taken by a keyed hash."""
    rows_per_person: int = Field(ge=1, le=1_000_000)
    """The most that one person adds to a count of rows in one group."""
    bounds: Mapping[str, BoundRules] = Field(default_factory=dict)
    """Columns that may be summed, and between what one person's part of a sum in one group is taken."""
    only: bool = False
    """Whether the table is answered in no other way."""

    def limits(self) -> schema.PrivacyLimits:
        """Return the limits as the border check reads them."""
        bounds = tuple(schema.Bound(name, b.from_, b.to, b.unit) for name, b in self.bounds.items())
        return schema.PrivacyLimits(
            self.max_epsilon, self.delta, self.groups_per_person, self.rows_per_person, bounds, self.only
        )


class NoiseRules(configuration.Section):
    """Noise in every released count and sum, which is the same whenever the same persons are counted."""

    deviation: FiniteFloat = Field(ge=1, le=1_000)
    """Its standard deviation: in persons, for a count; for other numbers it is multiplied by the largest part that one
    person has in them."""


class PrivacyBudget(configuration.Section):
    """How much differentially private answers may tell of a person, over all of them. Absent: there are none."""

    epsilon_per_permit: FiniteFloat = Field(gt=0, le=1e9)
    """The sum of epsilon over the answers of one permit."""
    delta_per_permit: FiniteFloat = Field(default=1e-6, gt=0, le=1e-2)
    """The sum of delta over the answers of one permit."""
    epsilon_in_all: FiniteFloat = Field(default=0.0, ge=0)
    """The sum of epsilon over all answers of the node to all permits; 0: not limited."""

    @model_validator(mode="after")
    def _in_all_is_more(self) -> PrivacyBudget:
        if 0 < self.epsilon_in_all < self.epsilon_per_permit or math.isnan(self.epsilon_in_all):
            raise ValueError("'epsilon_in_all' is less than 'epsilon_per_permit'")
        return self
