"""The JSON Schema of the policy file, for editors and for whoever reviews one; made from the model that reads it.

The agent does not use it: the model says more (whether two keys contradict each other), and in words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from archipel import configuration, policy

URL = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema, with the keys' descriptions."""
    found = policy.Policy.model_json_schema()
    definitions = found.get("$defs", {})
    for name, model in _models(policy.Policy).items():
        written = definitions.get(name, found if name == "Policy" else {})
        told = configuration.described(model)
        described = {field.alias or key: told.get(key, "") for key, field in model.model_fields.items()}
        for option in (written, *written.get("anyOf", ())):
            for key, content in option.get("properties", {}).items():
                content.pop("title", None)
                if described.get(key):
                    content["description"] = " ".join(described[key].split()).replace("`", "'")
            option.pop("title", None)
    return {"$schema": URL, "title": "A policy file of an Archipel node", **found}


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def inlined() -> dict[str, Any]:
    """Return the schema without references and descriptions, as part of another one."""
    whole = json_schema()
    definitions = whole.pop("$defs")
    found = _inlined(whole, definitions)
    for key in ("$schema", "title"):
        found.pop(key, None)
    return dict(found)


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {
        key: _inlined(value, definitions)
        for key, value in part.items()
        if not (key in {"description", "default"} and isinstance(part.get("type", part.get("anyOf", "")), str | list))
    }


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    found = {model.__name__: model}
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            found |= _models(inner)
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
