"""The project register: what each permit has taken from this node, as a data-protection officer files it.

Made of the audit log. It says who asked under which permit and purpose, how often, what was read, how much left and
what was refused; no SQL, no literal, no count of persons.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NOT_BELIEVED = "(papers not believed)"
"""Stands for the permit of tasks whose permit or request did not hold."""


@dataclass(slots=True)
class Entry:
    """One permit at this node, in one span of time. ``questions`` are signed requests, ``tasks`` what they became."""

    permit: str
    project: str = ""
    purpose: str = ""
    researchers: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)
    tasks: int = 0
    releases: int = 0
    tables: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    receivers: set[str] = field(default_factory=set)
    bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a record of a task's decision."""
        moment = float(record.get("time", 0.0))
        self.first = min(self.first or moment, moment)
        self.last = max(self.last, moment)
        self.project = str(record.get("project", self.project))
        self.purpose = str(record.get("purpose", self.purpose))
        self.tasks += 1
        if "researcher" in record:
            self.researchers.add(str(record["researcher"]))
        if "request" in record:
            self.requests.add(str(record["request"]))
        if record["kind"] != "released":
            kinds = self.refused if record["kind"] == "refused" else self.failed
            kinds[str(record.get("refused_by") or record.get("code", ""))] += 1
            return
        self.releases += 1
        self.tables |= set(record.get("tables", ()))
        self.columns |= set(record.get("columns", ()))
        self.bytes += int(record.get("bytes", 0))
        self.receivers |= {str(sent["to"]) for sent in record.get("sent", ())}

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "project": self.project,
            "permit": self.permit,
            "purpose": self.purpose,
            "researchers": sorted(self.researchers),
            "questions": len(self.requests),
            "tasks": self.tasks,
            "releases": self.releases,
            "tables": sorted(self.tables),
            "columns": sorted(self.columns),
            "receivers": sorted(self.receivers),
            "released_bytes": self.bytes,
            "refused": dict(sorted(self.refused.items())),
            "failed": dict(sorted(self.failed.items())),
            "first": _moment(self.first),
            "last": _moment(self.last),
        }


def register(records: Iterable[Mapping[str, Any]], since: float, until: float) -> list[Entry]:
    """Return an entry for each permit with a task at ``since`` or later and before ``until`` (Unix seconds)."""
    entries: dict[str, Entry] = {}
    for record in records:
        if record["kind"] in {"released", "refused", "failed"} and since <= float(record.get("time", 0.0)) < until:
            permit = str(record.get("permit", NOT_BELIEVED))
            entries.setdefault(permit, Entry(permit)).add(record)
    return sorted(entries.values(), key=lambda entry: (entry.project, entry.permit))


def as_json(entries: Iterable[Entry], *, since: str, until: str) -> str:
    """Return the register as a JSON document."""
    content = {"from": since, "to": until, "entries": [entry.document() for entry in entries]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_csv(entries: Iterable[Entry]) -> str:
    """Return the register as CSV, one permit a line; lists are joined by ``; ``."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(Entry("").document())
    writer.writerows([_cell(value) for value in entry.document().values()] for entry in entries)
    return sink.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {count}" for name, count in value.items())
    text = "; ".join(value) if isinstance(value, list) else str(value)
    # Spreadsheets take these for formulas; a name or purpose is none.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _moment(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
