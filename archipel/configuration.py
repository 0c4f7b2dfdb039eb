"""Reads a YAML file into a frozen model; every error names the file, the line, the key and what would be allowed.

Reading happens once, at start. Nothing here knows what the keys mean.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from archipel import errors

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 4 * 1024 * 1024


class _Loader(yaml.SafeLoader):
    """YAML in which a time of day is text: YAML 1.1 takes an unquoted 18:00 for the number 1080, and 08:00 for text."""


_Loader.yaml_implicit_resolvers = {
    first: [("tag:yaml.org,2002:str", re.compile(r"[0-9]+(:[0-5]?[0-9])+$")), *resolvers]
    if first.isdigit()
    else resolvers
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Section(BaseModel):
    """Base of every part of a configuration: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load(path: Path, model: type[M]) -> M:
    """Return the file's content as ``model``.

    Raises:
        ArchipelError: CONFIG_INVALID with every problem found, one a line.
    """
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        problem = getattr(cause, "problem", None) or "not YAML"
        raise errors.error(
            errors.CONFIG_INVALID, f"{path}, {where}: {problem}.", hint="Check indentation, colons and quotes."
        ) from cause
    except (ValueError, RecursionError) as cause:  # such as a date that does not exist
        raise errors.error(errors.CONFIG_INVALID, f"{path}: a value cannot be read: {cause}.") from cause
    if not isinstance(content, dict):
        raise errors.error(errors.CONFIG_INVALID, f"{path}: must hold keys and values, not a list or a single value.")
    duplicates = _duplicates(root)
    if duplicates:
        raise errors.error(errors.CONFIG_INVALID, "\n".join(f"{path}, {d}" for d in duplicates))
    try:
        return model.model_validate(content)
    except ValidationError as cause:
        lines = [_describe(path, root, model, dict(problem)) for problem in cause.errors()]
        raise errors.error(errors.CONFIG_INVALID, "\n".join(lines), hint="Correct the file and start again.") from None


def described(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands below the attributes of a class, and of those it inherits from, by attribute."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, BaseModel) or owner is BaseModel:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = inspect.cleandoc(text)
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise errors.error(errors.CONFIG_INVALID, f"{path} is larger than {MAX_BYTES} bytes.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise errors.error(
            errors.CONFIG_INVALID, f"{path} cannot be read: {reason}.", hint="Check the path and its permissions."
        ) from cause


def _describe(path: Path, root: yaml.Node | None, model: type[BaseModel], problem: dict[str, Any]) -> str:
    location: tuple[str | int, ...] = _written(root, tuple(problem["loc"]))
    dotted = ".".join(str(part) for part in location)
    kind = problem["type"]
    line = _line(root, location)
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        return f"{path}, line {line}: unknown key '{dotted}'.{guess} Allowed here: {', '.join(sorted(known))}."
    if kind == "missing":
        return f"{path}, line {_line(root, location[:-1])}: the key '{dotted}' is missing."
    message = str(problem["msg"]).removeprefix("Value error, ")
    key = f"'{dotted}': " if dotted else ""  # the file as a whole has no key
    return f"{path}, line {line}: {key}{message[:1].lower()}{message[1:]}."


def _written(root: yaml.Node | None, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return a location without the numbers of lists that the file does not write as lists."""
    node, found = root, []
    for part in location:
        if isinstance(part, int) and isinstance(node, yaml.MappingNode):
            continue
        found.append(part)
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return tuple(found)


def _line(root: yaml.Node | None, location: tuple[str | int, ...]) -> int:
    node = root
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                continue  # pydantic names union members and the like, which the file does not have
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        if field is None:
            continue
        current = _model_in(field.annotation) or current
    return [field.alias or name for name, field in current.model_fields.items()] if _is_model(current) else []


def _model_in(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _duplicates(node: yaml.Node | None) -> list[str]:
    found: list[str] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(f"line {key.start_mark.line + 1}: the key '{key.value}' stands twice.")
            seen.add(key.value)
            found += _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _duplicates(item)
    return found
