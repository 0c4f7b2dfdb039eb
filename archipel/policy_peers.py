"""The part of a policy that speaks of one other node: in which form data may go there, and of which persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from archipel import configuration

PeerForm = Literal["none", "aggregate", "keys", "rows"]
FORMS: tuple[str, ...] = get_args(PeerForm)


class PeerRule(configuration.Section):
    """What may go to one node: a form, written as a word, or as a mapping with what it is bound to."""

    form: PeerForm
    """`none`, `aggregate`, `keys` or `rows`."""
    intersection: Literal["not-required", "required"] = "not-required"
    """Of which persons: with `required` only of those whom that node has, too, as both find out without showing each
    other their lists (a private set intersection); and that node tells this one of no others, either."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return given
        if given not in FORMS:
            words = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
            raise ValueError(f"what goes to a node is {words}, or a mapping with 'form'")
        return {"form": given}

    @model_validator(mode="after")
    def _of_persons(self) -> PeerRule:
        if self.intersection == "required" and self.form in {"none", "aggregate"}:
            raise ValueError("an intersection is about what goes as keys or rows")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"enum": list(FORMS), "type": "string"}, written]}
