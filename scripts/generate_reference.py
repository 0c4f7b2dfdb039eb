"""Write the references in docs/, and schemas, from the code; ``--check`` only says whether they are up to date."""

from __future__ import annotations

import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from archipel import configuration, errors, policy_schema
from archipel.cli.exits import exit_code
from archipel.explain import document
from archipel.policy import Policy
from archipel.telemetry.settings import TelemetrySettings
from coordinator.config import CoordinatorConfig
from node_agent.config import NodeConfig

ROOT = Path(__file__).parents[1]
CHART_SCHEMA = "helm/archipel-node/values.schema.json"
GENERATED = "<!-- Written by scripts/generate_reference.py: change the code, then run `make reference`. -->"

FAULTS = {
    errors.Fault.REQUEST: "the request or a file of yours",
    errors.Fault.PERMISSION: "permit or policy",
    errors.Fault.OPERATION: "a node, a limit or the network",
    errors.Fault.INTERNAL: "Archipel itself",
}


def errors_page() -> str:
    """Return the reference of the error catalogue."""
    lines = [
        GENERATED,
        "# Errors",
        "",
        "Every error has a code of this list, a message without any data value, mostly a hint, and where it helps the",
        "place in your SQL; one that the border check refused names its rule, as [border-check.md](border-check.md)",
        "lists them. `archipel errors` prints the list. The exception's class and the exit code of the command line",
        "follow from whose fault it is:",
        "",
        "| fault | Python exception | exit code |",
        "| --- | --- | --- |",
    ]
    for fault in errors.Fault:
        sample = next(code for code in errors.all_codes() if code.fault is fault)
        problem = errors.error(sample, "")
        lines.append(f"| {FAULTS[fault]} | `{type(problem).__name__}` | {int(exit_code(problem))} |")
    lines += ["", "| code | gRPC status | fault | usual hint |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{code.name}` | `{code.status.name}` | {FAULTS[code.fault]} | {_cell(code.hint)} |"
        for code in errors.all_codes()
    ]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Return the reference of every configuration file."""
    lines = [
        GENERATED,
        "# Configuration files",
        "",
        "All are YAML, read once at start. A key that is not known, stands twice or has a wrong value is an error that",
        "names file, line, key and what is allowed. Paths are relative to where the process runs.",
        "",
    ]
    for title, model in (("node.yaml", NodeConfig), ("coordinator.yaml", CoordinatorConfig), ("policy.yaml", Policy)):
        lines += [f"## {title}", "", *_section(model, "")]
    lines += ["## The section telemetry", "", *_section(TelemetrySettings, "telemetry.")]
    for title, model in (("node.yaml", NodeConfig), ("coordinator.yaml", CoordinatorConfig)):
        telemetry = _model_in(model.model_fields["telemetry"].annotation)
        assert telemetry is not None
        lines += [f"What `{title}` has besides, or with another default:", ""]
        lines += _section(telemetry, "telemetry.", TelemetrySettings)
    return "\n".join(lines).rstrip() + "\n"


def _section(model: type[BaseModel], prefix: str, beside: type[BaseModel] | None = None) -> Iterator[str]:
    """Yield a table of a model's keys, then the sections below it; with ``beside`` only keys that are not as there."""
    described = configuration.described(model)
    below: list[tuple[str, type[BaseModel]]] = []
    yield "| key | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for attribute, field in model.model_fields.items():
        known = beside.model_fields.get(attribute) if beside is not None else None
        if known is not None and repr(known) == repr(field):
            continue
        name = field.alias or attribute
        inner = _model_in(field.annotation)
        text = field.description or described.get(attribute, "")
        kind = _type_text(field)
        if inner is not None and issubclass(inner, TelemetrySettings):
            text = text or "See below."
        elif inner is not None:
            below.append((name + _suffix(field.annotation), inner))
            text = text or _first_paragraph(inner)
        yield f"| `{prefix}{name}` | {kind} | {_default_text(field)} | {_cell(text)} |"
    yield ""
    for name, inner in below:
        yield f"### {prefix}{name}"
        yield ""
        yield from _section(inner, f"{prefix}{name}.")


def _type_text(field: FieldInfo) -> str:
    parts = [_annotation_text(field.annotation)]
    for rule in field.metadata:
        for name, words in (
            ("ge", "at least"),
            ("gt", "above"),
            ("le", "at most"),
            ("lt", "below"),
            ("min_length", "at least {} long"),
            ("max_length", "at most {} long"),
            ("pattern", "as"),
        ):
            value = getattr(rule, name, None)
            if value is None or (name == "min_length" and value == 1):
                continue
            shown = f"`{value}`" if name == "pattern" else f"{value:,}" if isinstance(value, int) else str(value)
            parts.append(words.format(shown) if "{}" in words else f"{words} {shown}")
    return _cell(", ".join(parts))


def _annotation_text(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_annotation_text(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_annotation_text(arguments[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"keys with {_annotation_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    names = {str: "text", int: "integer", float: "number", bool: "`true` or `false`", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, enum.Enum):
        return f"`{value.value}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    return f"`{value}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, typing.get_args(annotation)) if m is not None), None)


def _suffix(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return "[]"
    return ".NAME" if origin is not None and origin not in {typing.Union, types.UnionType} else ""


def _first_paragraph(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def chart_schema() -> str:
    """Return the schema of the node chart's values with the policy file's own schema in it."""
    schema = json.loads((ROOT / CHART_SCHEMA).read_text(encoding="utf-8"))
    schema["properties"]["policy"] = policy_schema.inlined()
    return json.dumps(schema, indent=2) + "\n"


PAGES = {
    "docs/errors.md": errors_page,
    "docs/configuration.md": configuration_page,
    "docs/plan.schema.json": document.schema_text,
    "docs/policy.schema.json": policy_schema.schema_text,
    CHART_SCHEMA: chart_schema,
}


def main() -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if stale and "--check" in sys.argv[1:]:
        print(f"not up to date: {', '.join(stale)}; run `make reference`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
