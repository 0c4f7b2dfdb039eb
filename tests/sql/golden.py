"""Golden files: SQL, and in comments below it what the planner makes of it.

    -- # Count by region
    -- : dialect=postgres
    SELECT region, count(*) FROM stays GROUP BY region;
    -- Plan with 3 stages at ...

A line ``-- # `` begins a case and names it. Lines ``-- : name=value`` say how it is asked: ``dialect``, ``parameters``
and ``grants`` (the permit's columns by table) as JSON, ``away`` as names of nodes, ``oracle`` as what the oracle is
asked in its place, ``answer=withheld`` if groups below the threshold are expected to lack. The comments after the SQL
are what is expected; ``ARCHIPEL_UPDATE_GOLDEN=1`` writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UPDATE = bool(os.environ.get("ARCHIPEL_UPDATE_GOLDEN"))

_TITLE, _DIRECTIVE, _COMMENT = "-- # ", "-- : ", "--"


@dataclass(frozen=True)
class Case:
    """One case of a golden file."""

    path: Path
    title: str
    directives: dict[str, str]
    sql: str
    expected: str

    @property
    def name(self) -> str:
        """Return a name for the test's report."""
        return f"{self.path.stem}: {self.title}"

    @property
    def dialect(self) -> str:
        """Return the dialect that the SQL is written in."""
        return self.directives.get("dialect", "duckdb")

    @property
    def parameters(self) -> Any:
        """Return the values of the SQL's parameters."""
        return json.loads(self.directives.get("parameters", "[]"))

    @property
    def oracle(self) -> str | None:
        """Return what the oracle is asked in place of the SQL, where the two must differ."""
        return self.directives.get("oracle")

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of tables to which the permit is narrowed."""
        return {table: tuple(columns) for table, columns in json.loads(self.directives.get("grants", "{}")).items()}

    @property
    def away(self) -> tuple[str, ...]:
        """Return the nodes that are not attached."""
        return tuple(self.directives.get("away", "").split())


def read(path: Path) -> list[Case]:
    """Return the cases of a golden file."""
    return [_case(path, part) for part in _parts(path.read_text())]


def write(path: Path, cases: list[tuple[Case, str]]) -> None:
    """Write a golden file with new expectations; the comments before its first case stay."""
    head = path.read_text().partition(_TITLE)[0]
    path.write_text(head + "\n".join(_text(case, expected) for case, expected in cases))


def _parts(text: str) -> Iterator[list[str]]:
    part: list[str] = []
    for line in text.splitlines():
        if line.startswith(_TITLE):
            if part:
                yield part
            part = [line]
        elif part:
            part.append(line)
    if part:
        yield part


def _case(path: Path, lines: list[str]) -> Case:
    directives: dict[str, str] = {}
    body = lines[1:]
    while body and body[0].startswith(_DIRECTIVE):
        name, _, value = body.pop(0).removeprefix(_DIRECTIVE).partition("=")
        directives[name] = value
    while body and not body[-1].strip():
        body.pop()
    end = len(body)
    while end > 0 and body[end - 1].startswith(_COMMENT):
        end -= 1
    sql = "\n".join(body[:end]).strip().removesuffix(";")
    expected = "\n".join(line.removeprefix(_COMMENT).removeprefix(" ") for line in body[end:])
    return Case(path, lines[0].removeprefix(_TITLE), directives, sql, expected)


def _text(case: Case, expected: str) -> str:
    lines = [_TITLE + case.title, *(f"{_DIRECTIVE}{k}={v}" for k, v in case.directives.items()), case.sql + ";"]
    lines += [f"{_COMMENT} {line}".rstrip() for line in expected.splitlines()]
    return "\n".join(lines) + "\n"
