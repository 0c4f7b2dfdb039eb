"""The tables of values in docs/kubernetes.md, made from the comments of values.yaml (``# -- ...`` above a key)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

BEGIN, END = "<!-- values of {chart}: generated -->", "<!-- end of values of {chart} -->"


def table(values: Path) -> str:
    """Return a chart's values as a Markdown table, in the order of the file.

    Raises ValueError for a value without a comment.
    """
    text = values.read_text(encoding="utf-8")
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    rows = [
        f"| `{path}` | {_shown(default)} | {_comment(lines, line, path)} |" for path, default, line in _leaves(root, "")
    ]
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows])


def replaced(document: str, chart: str, content: str) -> str:
    """Return the document with the chart's table replaced."""
    begin, end = BEGIN.format(chart=chart), END.format(chart=chart)
    before, rest = document.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _leaves(node: yaml.MappingNode, prefix: str) -> list[tuple[str, Any, int]]:
    found: list[tuple[str, Any, int]] = []
    for key, value in node.value:
        path, line = f"{prefix}{key.value}", key.start_mark.line
        described = isinstance(value, yaml.MappingNode) and value.value and not _described_whole(path)
        if described:
            found += _leaves(value, f"{path}.")
        else:
            found.append((path, yaml.safe_load(yaml.serialize(value)), line))
    return found


def _described_whole(path: str) -> bool:
    return path in ("policy",)


def _comment(lines: list[str], line: int, path: str) -> str:
    above = lines[line - 1].strip() if line else ""
    match = re.fullmatch(r"# -- (.+)", above)
    if match is None:
        raise ValueError(f"values.yaml, line {line + 1}: '{path}' has no comment that begins with '# --'")
    return match[1].replace("|", r"\|")


def _shown(value: Any) -> str:
    if value in ("", None, [], {}):
        return "" if value in ("", None) else f"`{value}`"
    return f"`{json.dumps(value) if isinstance(value, dict | list | bool) else value}`"
